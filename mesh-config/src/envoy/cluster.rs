//! Clusters: where permitted traffic goes.

use std::net::SocketAddr;

use super::tls::ClientTls;
use super::tree::{Entry, Tree, any, entry, list, map, named_address};

/// Where a cluster's endpoints are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoints {
    /// At these addresses.
    Addresses(Vec<SocketAddr>),
    /// At the addresses that a DNS name has at the time.
    Name {
        /// The name.
        host: String,
        /// The TCP port, 1-65535.
        port: u16,
    },
}

/// What is spoken to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// The version of HTTP that the peer speaks.
    AsDownstream,
    /// Bytes.
    Tcp,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Where its endpoints are.
    pub endpoints: Endpoints,
    /// What they speak.
    pub protocol: UpstreamProtocol,
    /// TLS with a client certificate; without it, plain text.
    pub tls: Option<ClientTls>,
}

impl Cluster {
    pub(super) fn to_tree(&self) -> Tree {
        let (discovery, addresses) = match &self.endpoints {
            Endpoints::Addresses(addresses) => (
                "STATIC",
                addresses.iter().copied().map(Tree::from).collect(),
            ),
            Endpoints::Name { host, port } => ("STRICT_DNS", vec![named_address(host, *port)]),
        };
        let endpoints = addresses
            .into_iter()
            .map(|address| map([entry("endpoint", map([entry("address", address)]))]));
        let locality = map([entry("lb_endpoints", list(endpoints))]);
        let socket = self
            .tls
            .as_ref()
            .map(|tls| tls.transport_socket(self.protocol.alpn()));
        map([
            entry("name", &self.name),
            entry("type", discovery),
            entry("connect_timeout", "5s"),
            no_limits(),
            entry(
                "load_assignment",
                map([
                    entry("cluster_name", &self.name),
                    entry("endpoints", list([locality])),
                ]),
            ),
        ])
        .and(self.protocol.options())
        .and(socket.map(|socket| entry("transport_socket", socket)))
    }
}

impl UpstreamProtocol {
    fn alpn(self) -> &'static [&'static str] {
        match self {
            Self::Http1 => &["http/1.1"],
            Self::Http2 => &["h2"],
            Self::AsDownstream | Self::Tcp => &[],
        }
    }

    fn options(self) -> Option<Entry> {
        let options = match self {
            Self::Tcp => return None,
            Self::Http1 => explicit("http_protocol_options"),
            Self::Http2 => explicit("http2_protocol_options"),
            Self::AsDownstream => entry(
                "use_downstream_protocol_config",
                map([
                    entry("http_protocol_options", map([])),
                    entry("http2_protocol_options", map([])),
                ]),
            ),
        };
        const NAME: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        let options = map([entry(NAME, any(NAME, [options]))]);
        Some(entry("typed_extension_protocol_options", options))
    }
}

fn no_limits() -> Entry {
    let limits = ["max_connections", "max_pending_requests", "max_requests"];
    let threshold = map(limits.map(|limit| entry(limit, u32::MAX)));
    entry(
        "circuit_breakers",
        map([entry("thresholds", list([threshold]))]),
    )
    .because(
        "The default of 1,024 each would turn away what the firewall permits: long-lived \
         connections add up.",
    )
}

fn explicit(version: &'static str) -> Entry {
    entry("explicit_http_config", map([entry(version, map([]))]))
}
