//! What a test says about a connection and the requests on it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::filter_state::FilterState;
use super::properties::{Path, Phase, Properties};
use super::value::Value;

/// Envoy's default for the bytes it holds back of one message while a filter waits.
const DEFAULT_BUFFER_LIMIT: usize = 1024 * 1024;

/// A downstream connection: what the streams on it share.
///
/// A property that a filter declared for the connection, or that a network filter set, is
/// seen by all streams that are given the same connection. Clones are the same connection.
#[derive(Debug, Clone, Default)]
pub struct Connection(Arc<Mutex<FilterState>>);

impl Connection {
    /// A new connection without state.
    pub fn new() -> Self {
        Self::default()
    }

    /// A filter state object of the connection: `wasm.KEY` for what a filter set as `KEY`.
    pub fn filter_state(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        self.state().get(key.as_ref()).map(<[u8]>::to_vec)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, FilterState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The verified certificate of the peer, as properties show it. Of several names only the
/// first is visible to filters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// `connection.uri_san_peer_certificate`: the SPIFFE id.
    pub uri_san: Option<String>,
    /// `connection.dns_san_peer_certificate`.
    pub dns_san: Option<String>,
    /// `connection.subject_peer_certificate`.
    pub subject: Option<String>,
    /// `connection.sha256_peer_certificate_digest`, in hexadecimal.
    pub sha256: Option<String>,
}

impl PeerCertificate {
    /// A certificate with a SPIFFE id and nothing else.
    pub fn spiffe(id: impl Into<String>) -> Self {
        Self {
            uri_san: Some(id.into()),
            ..Self::default()
        }
    }
}

/// The attributes of a stream or of a TCP connection.
///
/// Each method sets the properties that Envoy 1.40 shows, in the types and from the phases
/// in which it shows them. [`property`](Self::property) sets any other.
#[derive(Debug, Clone)]
pub struct StreamAttributes {
    pub(crate) properties: Properties,
    /// Whether the properties of the upstream wait for the request body, as in HTTP.
    upstream: Option<SocketAddr>,
    pub(crate) connection: Connection,
    pub(crate) buffer_limit: usize,
}

impl Default for StreamAttributes {
    fn default() -> Self {
        Self {
            properties: Properties::default(),
            upstream: None,
            connection: Connection::new(),
            buffer_limit: DEFAULT_BUFFER_LIMIT,
        }
    }
}

impl StreamAttributes {
    /// No attributes, a connection of its own, 1 MiB of buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets any property, there from the start.
    #[must_use]
    pub fn property(self, path: impl Into<Path>, value: impl Into<Value>) -> Self {
        self.property_from(Phase::NewConnection, path, value)
    }

    /// Sets any property, there from a phase on.
    #[must_use]
    pub fn property_from(
        mut self,
        from: Phase,
        path: impl Into<Path>,
        value: impl Into<Value>,
    ) -> Self {
        self.properties.set(path.into(), from, value.into());
        self
    }

    /// The peer's address: `source.address`, `source.port`.
    #[must_use]
    pub fn source(self, address: SocketAddr) -> Self {
        self.property("source.address", address.to_string())
            .property("source.port", i64::from(address.port()))
    }

    /// The local address: `destination.address`, `destination.port`.
    #[must_use]
    pub fn destination(self, address: SocketAddr) -> Self {
        self.property("destination.address", address.to_string())
            .property("destination.port", i64::from(address.port()))
    }

    /// Mutual TLS with this certificate: `connection.mtls` and what the certificate says. A
    /// network filter sees `mtls` as false, and nothing of the certificate, until there is
    /// data.
    #[must_use]
    pub fn mtls(self, certificate: PeerCertificate) -> Self {
        let PeerCertificate {
            uri_san,
            dns_san,
            subject,
            sha256,
        } = certificate;
        let mut attributes = self.property("connection.mtls", false).property_from(
            Phase::Data,
            "connection.mtls",
            true,
        );
        let facts = [
            ("connection.uri_san_peer_certificate", uri_san),
            ("connection.dns_san_peer_certificate", dns_san),
            ("connection.subject_peer_certificate", subject),
            ("connection.sha256_peer_certificate_digest", sha256),
        ];
        for (path, value) in facts {
            if let Some(value) = value {
                attributes = attributes.property_from(Phase::Data, path, value);
            }
        }
        attributes
    }

    /// No verified peer certificate: `connection.mtls` is false.
    #[must_use]
    pub fn no_mtls(self) -> Self {
        self.property("connection.mtls", false)
    }

    /// The name in the TLS hello: `connection.requested_server_name`.
    #[must_use]
    pub fn requested_server_name(self, name: impl Into<String>) -> Self {
        self.property("connection.requested_server_name", name.into())
    }

    /// The side of the mesh that the listener serves: `xds.listener_direction`.
    #[must_use]
    pub fn direction(self, direction: Direction) -> Self {
        self.property("xds.listener_direction", direction as i64)
    }

    /// The protocol, such as `HTTP/1.1`: `request.protocol`.
    #[must_use]
    pub fn protocol(self, protocol: impl Into<String>) -> Self {
        self.property("request.protocol", protocol.into())
    }

    /// The chosen upstream: `upstream.address` and `upstream.port`, there from the first data
    /// of a TCP connection, and from the request body on in HTTP.
    #[must_use]
    pub fn upstream(mut self, address: SocketAddr) -> Self {
        self.upstream = Some(address);
        self
    }

    /// Puts the stream onto a connection that others share.
    #[must_use]
    pub fn connection(mut self, connection: &Connection) -> Self {
        self.connection = connection.clone();
        self
    }

    /// How many bytes of a message's body are held back while the filter waits; beyond it
    /// a request is answered with 413 and a response with 500. 1 MiB unless set.
    #[must_use]
    pub fn buffer_limit(mut self, bytes: usize) -> Self {
        self.buffer_limit = bytes;
        self
    }

    /// Settles what depends on the kind of stream.
    pub(crate) fn settle(&mut self, upstream_from: Phase) {
        if let Some(address) = self.upstream {
            let text = address.to_string().into();
            self.properties
                .set("upstream.address".into(), upstream_from, text);
            let port = i64::from(address.port()).into();
            self.properties
                .set("upstream.port".into(), upstream_from, port);
        }
    }
}

/// The direction of a listener, with the numbers of `xds.listener_direction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Traffic towards the workload.
    Inbound = 1,
    /// Traffic from the workload.
    Outbound = 2,
}
