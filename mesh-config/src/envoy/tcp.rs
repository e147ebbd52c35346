//! TCP listeners.

use super::access_log;
use super::tree::{Entry, Tree, entry, extension};

/// Bytes that a peer may send before its upstream is connected: one TLS record. More than
/// that waits in the socket.
const EARLY_DATA: u32 = 16 * 1024;

/// What a TCP listener does with connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp {
    /// The name of the cluster that permitted connections go to.
    pub cluster: String,
}

impl Tcp {
    /// The network filter that forwards what the firewall lets pass.
    pub(super) fn proxy(&self, name: &str, tls: bool) -> Tree {
        extension(
            "envoy.filters.network.tcp_proxy",
            "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            [
                entry("stat_prefix", name.to_owned()),
                entry("cluster", &self.cluster),
                access_log::tcp(),
            ],
        )
        .and_config(connect_mode(tls))
    }
}

/// When the upstream is connected to, measured on Envoy 1.40. Right at the start (the
/// default), a server that speaks first does so before the peer has an identity, so that
/// nobody could be permitted. At the peer's first data, both wait for each other for ever.
fn connect_mode(tls: bool) -> Vec<Entry> {
    if !tls {
        return Vec::new();
    }
    vec![
        entry("upstream_connect_mode", "ON_DOWNSTREAM_TLS_HANDSHAKE").because(
            "The upstream is connected to when the peer has an identity: a server that speaks \
             first is heard by peers that are permitted and by no one else.",
        ),
        entry("max_early_data_bytes", EARLY_DATA),
    ]
}
