//! What a listener has to find out about a peer so that a filter can know it.
//!
//! Measured on Envoy 1.40: filter state set at these two points is readable, under
//! `filter_state.KEY`, by an HTTP filter at the request headers and by a network filter at
//! the first data in either direction, also where the server speaks first. At
//! `on_new_connection` a network filter has the address only.

use super::contract::{PEER_ADDRESS, PEER_URI_SANS};
use super::tree::{Tree, entry, extension, list, map};

/// The network filter that writes the firewall's view of the peer into filter state.
pub(super) fn state_filter(tls: bool) -> Tree {
    let address = entry(
        "on_new_connection",
        list([state(PEER_ADDRESS, "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%")]),
    )
    .because("Who is at the other end of the connection, whatever forwarding headers say.");
    let names = tls.then(|| {
        entry(
            "on_downstream_tls_handshake",
            list([state(PEER_URI_SANS, "%DOWNSTREAM_PEER_URI_SAN%")]),
        )
        .because(
            "All URI SANs of the peer. A filter is shown the first only; SPIFFE allows exactly \
             one, and the firewall refuses a certificate that has more.",
        )
    });
    extension(
        "envoy.filters.network.set_filter_state",
        "envoy.extensions.filters.network.set_filter_state.v3.Config",
        [address].into_iter().chain(names),
    )
}

fn state(key: &'static str, format: &'static str) -> Tree {
    map([
        entry("object_key", key),
        entry("factory_key", "envoy.string"),
        entry(
            "format_string",
            map([
                entry("text_format_source", map([entry("inline_string", format)])),
                entry("omit_empty_values", true),
            ]),
        ),
        entry("read_only", true),
    ])
}
