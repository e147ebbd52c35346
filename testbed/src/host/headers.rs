//! Header maps with Envoy's rules.
//!
//! Names and values are bytes: a peer may send anything. The rules below were measured on
//! Envoy 1.40 with a filter that adds every well-known name twice:
//! - names are kept in lower case;
//! - pseudo-headers stand before all others, otherwise the order of insertion holds;
//! - a second value for a *singleton* name is appended to the first with a comma, any other
//!   name keeps its values apart. Which names are singletons depends on the kind of map;
//! - `host` in a request is another name of `:authority`;
//! - replacing a value removes all values of that name and appends the new one.

use super::pairs::{self, Pair};

/// Which names are singletons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HeaderKind {
    /// The headers of a request.
    Request,
    /// The headers of a response.
    Response,
    /// Trailers and gRPC metadata: no singletons.
    #[default]
    Trailers,
}

/// A header map. Equality is that of the entries in their order; the kind does not count.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    kind: HeaderKind,
    entries: Vec<Pair>,
}

impl Headers {
    /// A map with these entries, each added as a peer's would be.
    pub fn new<N, V>(kind: HeaderKind, entries: &[(N, V)]) -> Self
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut headers = Self {
            kind,
            entries: Vec::with_capacity(entries.len()),
        };
        for (name, value) in entries {
            headers.add(name, value);
        }
        headers
    }

    /// The first value of a name, which is compared without regard to case.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// All values of a name, in order.
    pub fn get_all(&self, name: impl AsRef<[u8]>) -> impl Iterator<Item = &[u8]> {
        let name = self.normal_name(name.as_ref());
        self.iter()
            .filter(move |(n, _)| *n == name)
            .map(|(_, value)| value)
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.entries
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The entries as a slice of names and values.
    pub fn as_slice(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.entries
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a value to a name.
    pub fn add(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (name, value) = (self.normal_name(name.as_ref()), value.as_ref());
        if self.is_singleton(&name)
            && let Some((_, joined)) = self.entries.iter_mut().find(|(n, _)| *n == name)
        {
            if !joined.is_empty() && !value.is_empty() {
                joined.push(b',');
            }
            joined.extend_from_slice(value);
            return;
        }
        let entry = (name, value.to_vec());
        if is_pseudo(&entry.0) {
            let end = self
                .entries
                .iter()
                .take_while(|(n, _)| is_pseudo(n))
                .count();
            self.entries.insert(end, entry);
        } else {
            self.entries.push(entry);
        }
    }

    /// Removes all values of a name and adds this one.
    pub fn replace(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.remove(name.as_ref());
        self.add(name, value);
    }

    /// Removes all values of a name.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        let name = self.normal_name(name.as_ref());
        self.entries.retain(|(n, _)| *n != name);
    }

    /// The bytes of all names and values together.
    pub fn byte_size(&self) -> usize {
        self.iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }

    /// The wire form that a filter receives; empty for an empty map, as in Envoy.
    pub(crate) fn encode(&self) -> Vec<u8> {
        if self.is_empty() {
            Vec::new()
        } else {
            pairs::encode(self.iter())
        }
    }

    /// Puts other entries in the place of all these.
    pub(crate) fn replace_all(&mut self, entries: &[Pair]) {
        *self = Self::new(self.kind, entries);
    }

    /// All values of a name joined with commas, as the properties show them.
    pub(crate) fn joined(&self, name: &[u8]) -> Option<Vec<u8>> {
        let values: Vec<&[u8]> = self.get_all(name).collect();
        (!values.is_empty()).then(|| values.join(&b','))
    }

    fn normal_name(&self, name: &[u8]) -> Vec<u8> {
        let name = name.to_ascii_lowercase();
        if self.kind == HeaderKind::Request && name == b"host" {
            return b":authority".to_vec();
        }
        name
    }

    fn is_singleton(&self, name: &[u8]) -> bool {
        let singletons: &[&str] = match self.kind {
            HeaderKind::Request => REQUEST_SINGLETONS,
            HeaderKind::Response => RESPONSE_SINGLETONS,
            HeaderKind::Trailers => return false,
        };
        singletons
            .binary_search_by(|singleton| singleton.as_bytes().cmp(name))
            .is_ok()
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for Headers {}

fn is_pseudo(name: &[u8]) -> bool {
    name.first() == Some(&b':')
}

// Both lists are in byte order, for the binary search.
const REQUEST_SINGLETONS: &[&str] = &[
    ":authority",
    ":method",
    ":path",
    ":protocol",
    ":scheme",
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "authorization",
    "cache-control",
    "cdn-loop",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "origin",
    "pragma",
    "proxy-connection",
    "proxy-status",
    "referer",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-client-trace-id",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
    "x-envoy-force-trace",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-is-timeout-retry",
    "x-envoy-max-retries",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

const RESPONSE_SINGLETONS: &[&str] = &[
    ":status",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "grpc-message",
    "grpc-status",
    "keep-alive",
    "last-modified",
    "location",
    "proxy-connection",
    "proxy-status",
    "server",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-degraded",
    "x-envoy-immediate-health-check-fail",
    "x-envoy-ratelimited",
    "x-envoy-upstream-canary",
    "x-envoy-upstream-healthchecked-cluster",
    "x-envoy-upstream-service-time",
    "x-request-id",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn request(entries: &[(&str, &str)]) -> Headers {
        Headers::new(HeaderKind::Request, entries)
    }

    fn shown(headers: &Headers) -> Vec<String> {
        headers
            .iter()
            .map(|(n, v)| {
                format!(
                    "{}={}",
                    String::from_utf8_lossy(n),
                    String::from_utf8_lossy(v)
                )
            })
            .collect()
    }

    #[test]
    fn the_lists_are_in_order() {
        assert!(REQUEST_SINGLETONS.is_sorted());
        assert!(RESPONSE_SINGLETONS.is_sorted());
    }

    /// The map that Envoy 1.40 showed a filter for these edits.
    #[test]
    fn edits_leave_what_envoy_leaves() {
        let mut headers = request(&[
            (":authority", "h.example"),
            (":path", "/p?q=1"),
            (":method", "GET"),
            ("x-a", "1"),
            ("x-a", "2"),
            ("user-agent", "u1"),
            ("cookie", "a=1"),
            ("x-b", "1"),
            ("x-c", "1"),
            ("x-c", "2"),
        ]);
        headers.replace("x-a", "new");
        headers.add("user-agent", "u2");
        headers.add("X-Up", "v");
        headers.add("cookie", "c=3");
        headers.add("x-b", "2");
        headers.replace(":path", "/new");
        headers.add(":path", "/more");
        headers.remove("x-c");
        headers.replace("x-empty", "");
        assert_eq!(
            shown(&headers),
            [
                ":authority=h.example",
                ":method=GET",
                ":path=/new,/more",
                "user-agent=u1,u2",
                "cookie=a=1",
                "x-b=1",
                "x-a=new",
                "x-up=v",
                "cookie=c=3",
                "x-b=2",
                "x-empty=",
            ]
        );
    }

    #[test]
    fn what_is_joined_depends_on_the_kind_of_map() {
        let pairs = [
            ("user-agent", "1"),
            ("user-agent", "2"),
            ("vary", "1"),
            ("vary", "2"),
        ];
        assert_eq!(
            shown(&request(&pairs)),
            ["user-agent=1,2", "vary=1", "vary=2"]
        );
        let response = Headers::new(HeaderKind::Response, &pairs);
        assert_eq!(
            shown(&response),
            ["user-agent=1", "user-agent=2", "vary=1,2"]
        );
        let trailers = Headers::new(HeaderKind::Trailers, &pairs);
        assert_eq!(trailers.len(), 4);
    }

    #[test]
    fn host_is_the_authority_of_a_request() {
        let headers = request(&[("Host", "a")]);
        assert_eq!(headers.get("host"), headers.get(":authority"));
        assert_eq!(shown(&headers), [":authority=a"]);
    }

    #[test]
    fn values_are_bytes() {
        let headers = Headers::new(HeaderKind::Request, &[("x", [0xff, 0xfe])]);
        assert_eq!(headers.get("X"), Some(&[0xff, 0xfe][..]));
        assert_eq!(headers.byte_size(), 3);
    }
}
