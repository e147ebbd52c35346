//! Properties: what a proxy knows about a connection, a request and itself.
//!
//! A property is named by a path of segments joined with NUL and answers with bytes whose type
//! only the name tells. Here the two go together: a [`Property`] is a path, encoded when the
//! filter is compiled, with the type that its bytes decode to.
//!
//! A property costs nearly as much as the whole header map: ask for few, and keep what belongs
//! to the connection. (Envoy's `expr_evaluate` can fetch several by one call, and was found to
//! cost more than two properties.)
//!
//! Paths, types and the callbacks from which they are there were read in Envoy 1.40's
//! `source/extensions/filters/common/expr/context.cc` and tried.

use std::marker::PhantomData;

use crate::Status;

/// Joins the segments of a path.
const SEPARATOR: u8 = 0;

/// A property's path, and the type of its value.
#[derive(Debug)]
pub struct Property<'a, T> {
    path: &'a [u8],
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Property<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Property<'_, T> {}

impl<'a, T> Property<'a, T> {
    /// A property by its encoded path: segments joined with NUL.
    pub const fn from_encoded(path: &'a [u8]) -> Self {
        Self {
            path,
            value: PhantomData,
        }
    }

    /// The encoded path.
    pub const fn path(self) -> &'a [u8] {
        self.path
    }
}

macro_rules! properties {
    ($($(#[$doc:meta])* $name:ident: $value:ty = $path:literal;)*) => {
        $($(#[$doc])* pub const $name: Property<'static, $value> = Property::from_encoded($path);)*
    };
}

properties! {
    /// The connection's number, unique in the proxy's process.
    CONNECTION_ID: u64 = b"connection\0id";
    /// Whether the peer's certificate was verified. In a network filter false until the
    /// handshake is done, that is until the first data. True as well for what a listener with
    /// `trust_chain_verification: ACCEPT_UNTRUSTED` lets in.
    CONNECTION_MTLS: bool = b"connection\0mtls";
    /// The first URI SAN of the peer's certificate, the SPIFFE id: UTF-8. In a network filter
    /// absent until the first data.
    CONNECTION_URI_SAN_PEER_CERTIFICATE: Vec<u8> = b"connection\0uri_san_peer_certificate";
    /// The first DNS SAN of the peer's certificate. In a network filter absent until the first
    /// data.
    CONNECTION_DNS_SAN_PEER_CERTIFICATE: Vec<u8> = b"connection\0dns_san_peer_certificate";
    /// The subject of the peer's certificate, as RFC 2253 writes it. In a network filter absent
    /// until the first data.
    CONNECTION_SUBJECT_PEER_CERTIFICATE: Vec<u8> = b"connection\0subject_peer_certificate";
    /// SHA-256 of the peer's certificate, in lower-case hexadecimal. In a network filter absent
    /// until the first data.
    CONNECTION_SHA256_PEER_CERTIFICATE_DIGEST: Vec<u8> =
        b"connection\0sha256_peer_certificate_digest";
    /// The SNI. In a network filter it needs the listener filter `tls_inspector`.
    CONNECTION_REQUESTED_SERVER_NAME: Vec<u8> = b"connection\0requested_server_name";
    /// The peer's address: `ip:port`, `[ipv6]:port`, or the path of a socket.
    SOURCE_ADDRESS: Vec<u8> = b"source\0address";
    /// The peer's TCP port, 1-65535.
    SOURCE_PORT: i64 = b"source\0port";
    /// The local address, or what it was before the redirection: `ip:port`.
    DESTINATION_ADDRESS: Vec<u8> = b"destination\0address";
    /// The local TCP port, 1-65535, or what it was before the redirection.
    DESTINATION_PORT: i64 = b"destination\0port";
    /// The upstream host's address: `ip:port`. In HTTP absent until the request's body.
    UPSTREAM_ADDRESS: Vec<u8> = b"upstream\0address";
    /// The protocol of an HTTP request: `HTTP/1.1`, `HTTP/2`, ...
    REQUEST_PROTOCOL: Vec<u8> = b"request\0protocol";
    /// When the first byte of a request arrived, in nanoseconds since the Unix epoch.
    REQUEST_TIME: i64 = b"request\0time";
    /// The proxy's own id.
    XDS_NODE_ID: Vec<u8> = b"xds\0node\0id";
    /// The cluster that the request or connection goes to.
    XDS_CLUSTER_NAME: Vec<u8> = b"xds\0cluster_name";
    /// The name of the matched route.
    XDS_ROUTE_NAME: Vec<u8> = b"xds\0route_name";
    /// The listener's direction: 1 inbound, 2 outbound, 0 unspecified.
    XDS_LISTENER_DIRECTION: i64 = b"xds\0listener_direction";
    /// The name of the filter chain that took the connection.
    XDS_FILTER_CHAIN_NAME: Vec<u8> = b"xds\0filter_chain_name";
    /// The name that the proxy's configuration gives this plugin.
    PLUGIN_NAME: Vec<u8> = b"plugin_name";
    /// The root id: which of the filters in one module this root context is.
    PLUGIN_ROOT_ID: Vec<u8> = b"plugin_root_id";
}

/// A path that is only known at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyPath {
    encoded: Vec<u8>,
}

impl PropertyPath {
    /// Joins segments.
    ///
    /// # Errors
    ///
    /// [`Status::BadArgument`] for a segment that is empty or holds a NUL: it would name another
    /// property than it says.
    pub fn new<S: AsRef<[u8]>>(segments: &[S]) -> Result<Self, Status> {
        if segments
            .iter()
            .any(|s| s.as_ref().is_empty() || s.as_ref().contains(&SEPARATOR))
        {
            return Err(Status::BadArgument);
        }
        let segments = segments.iter().map(AsRef::as_ref).collect::<Vec<_>>();
        Ok(Self {
            encoded: segments.join(&SEPARATOR),
        })
    }

    /// Dynamic metadata that another filter of the proxy has set: `namespace` is that filter's
    /// name, and the rest leads to a value in it, such as one claim of `jwt_authn`'s payload. A
    /// string is a leaf; maps and lists are pairs.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn filter_metadata(namespace: &str, rest: &[&str]) -> Result<Self, Status> {
        Self::new(&[&["metadata", "filter_metadata", namespace], rest].concat())
    }

    /// One key of the proxy's node metadata.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn node_metadata(key: &str) -> Result<Self, Status> {
        Self::new(&["xds", "node", "metadata", key])
    }

    /// Filter state that another filter of the proxy has set, in its serialized form. For what
    /// a wasm filter has set, see [`wasm_state`].
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn filter_state(key: &str) -> Result<Self, Status> {
        Self::new(&["filter_state", key])
    }

    /// The property at this path.
    pub fn property<T>(&self) -> Property<'_, T> {
        Property::from_encoded(&self.encoded)
    }
}

/// What [`FilterState::set_filter_state`](crate::ports::FilterState::set_filter_state) has set
/// under this key, on this stream or on its connection.
///
/// Envoy looks among its own names first: a key such as `request` or `connection` would never
/// be found.
pub const fn wasm_state(key: &[u8]) -> Property<'_, Vec<u8>> {
    Property::from_encoded(key)
}

/// A type that the bytes of a property decode to.
pub trait PropertyValue: Sized {
    /// Decodes a present, non-empty value.
    ///
    /// # Errors
    ///
    /// [`Status::Malformed`] if the bytes are not of this type.
    fn decode(bytes: Vec<u8>) -> Result<Self, Status>;
}

impl PropertyValue for Vec<u8> {
    fn decode(bytes: Vec<u8>) -> Result<Self, Status> {
        Ok(bytes)
    }
}

impl PropertyValue for bool {
    fn decode(bytes: Vec<u8>) -> Result<Self, Status> {
        match *bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Status::Malformed),
        }
    }
}

impl PropertyValue for i64 {
    fn decode(bytes: Vec<u8>) -> Result<Self, Status> {
        integer(&bytes).map(Self::from_le_bytes)
    }
}

impl PropertyValue for u64 {
    fn decode(bytes: Vec<u8>) -> Result<Self, Status> {
        integer(&bytes).map(Self::from_le_bytes)
    }
}

/// A map, or a list: the items of a list are the names, and its values are empty.
impl PropertyValue for crate::HeaderMap {
    fn decode(bytes: Vec<u8>) -> Result<Self, Status> {
        Self::parse(bytes)
    }
}

fn integer(bytes: &[u8]) -> Result<[u8; 8], Status> {
    bytes.try_into().map_err(|_| Status::Malformed)
}

#[cfg(test)]
mod tests {
    use super::{Property, PropertyPath, PropertyValue, SOURCE_PORT, wasm_state};
    use crate::{HeaderMap, Status, pairs};

    fn decode<T: PropertyValue>(bytes: &[u8]) -> Result<T, Status> {
        T::decode(bytes.to_vec())
    }

    #[test]
    fn values_decode_and_nothing_else_does() {
        assert_eq!(decode::<bool>(&[1]), Ok(true));
        assert_eq!(decode::<bool>(&[0]), Ok(false));
        assert_eq!(decode::<bool>(&[2]), Err(Status::Malformed));
        assert_eq!(decode::<bool>(&[1, 0]), Err(Status::Malformed));
        assert_eq!(decode::<i64>(&(-5_i64).to_le_bytes()), Ok(-5));
        assert_eq!(decode::<u64>(&u64::MAX.to_le_bytes()), Ok(u64::MAX));
        assert_eq!(decode::<u64>(&[0; 7]), Err(Status::Malformed));
        assert_eq!(decode::<i64>(&[0; 9]), Err(Status::Malformed));
        let map = decode::<HeaderMap>(&pairs::encode(&[("sub", "alice")]).unwrap()).unwrap();
        assert!(map.values(b"sub").eq([b"alice"]));
        assert_eq!(decode::<HeaderMap>(b"alice"), Err(Status::Malformed));
    }

    #[test]
    fn paths_are_joined_with_nul() {
        assert_eq!(SOURCE_PORT.path(), b"source\0port");
        for (path, encoded) in [
            (
                PropertyPath::filter_metadata("envoy.filters.http.jwt_authn", &["jwt", "sub"]),
                &b"metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0jwt\0sub"[..],
            ),
            (
                PropertyPath::node_metadata("NAMESPACE"),
                b"xds\0node\0metadata\0NAMESPACE",
            ),
            (PropertyPath::filter_state("a.b"), b"filter_state\0a.b"),
        ] {
            let path = path.unwrap();
            let property: Property<'_, Vec<u8>> = path.property();
            assert_eq!(property.path(), encoded);
        }
        assert_eq!(wasm_state(b"meshwall").path(), b"meshwall");
    }

    #[test]
    fn a_segment_cannot_smuggle_another() {
        assert_eq!(PropertyPath::filter_state("a\0b"), Err(Status::BadArgument));
        assert_eq!(PropertyPath::filter_state(""), Err(Status::BadArgument));
        assert_eq!(
            PropertyPath::filter_metadata("jwt", &["x", ""]),
            Err(Status::BadArgument)
        );
    }
}
