//! Listeners: who is let in, which filters look, where it goes.

use std::net::SocketAddr;

use super::firewall::{FilterKind, Firewall};
use super::http::Http;
use super::peer;
use super::tcp::Tcp;
use super::tls::{self, ServerTls};
use super::tree::{Tree, entry, list, map};

/// Which side of the workload a listener is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Takes what others send to the workload.
    Inbound,
    /// Takes what the workload sends to others.
    Outbound,
}

/// What is spoken on a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/2: the firewall decides on each request.
    Http(Http),
    /// Anything on TCP: the firewall decides on each connection.
    Tcp(Tcp),
}

/// A listener with one filter chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name, in statistics too.
    pub name: String,
    /// Where it listens; port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// Which side of the workload it is on.
    pub direction: Direction,
    /// TLS with client certificates. Without it a peer has no identity, only an address.
    pub tls: Option<ServerTls>,
    /// What is spoken.
    pub protocol: Protocol,
    /// The firewall; without it everything that TLS lets in passes.
    pub firewall: Option<Firewall>,
}

impl Listener {
    pub(super) fn to_tree(&self) -> Tree {
        let firewall = self.firewall.as_ref();
        let (alpn, filters): (&[_], Vec<_>) = match &self.protocol {
            Protocol::Http(http) => (
                &["h2", "http/1.1"],
                vec![http.connection_manager(&self.name, self.direction, firewall)],
            ),
            Protocol::Tcp(tcp) => (
                &[],
                firewall
                    .map(|firewall| firewall.filter(FilterKind::Network))
                    .into_iter()
                    .chain([tcp.proxy(&self.name, self.tls.is_some())])
                    .collect(),
            ),
        };
        let filters = [peer::state_filter(self.tls.is_some())]
            .into_iter()
            .chain(filters);
        let transport_socket = self.tls.as_ref().map(|tls| tls.transport_socket(alpn));
        let chain = map([entry("name", &self.name)])
            .and(transport_socket.map(|socket| entry("transport_socket", socket)))
            .and([entry("filters", list(filters))]);
        let inspector = self
            .tls
            .as_ref()
            .map(|_| entry("listener_filters", list([tls::inspector()])));
        map([
            entry("name", &self.name),
            entry("address", self.address),
            entry("traffic_direction", self.direction.name())
                .because("The firewall decides by the rules of this direction."),
        ])
        .and(inspector)
        .and([entry("filter_chains", list([chain]))])
    }
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::Inbound => "INBOUND",
            Self::Outbound => "OUTBOUND",
        }
    }
}
