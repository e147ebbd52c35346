//! Chooses the cluster of a TCP connection by the last byte of the peer's address.

use std::net::{IpAddr, SocketAddr};

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Plugin));
}}

struct Plugin;

impl Context for Plugin {}

impl RootContext for Plugin {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }

    fn create_stream_context(&self, _context_id: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Router))
    }
}

struct Router;

impl Context for Router {}

impl StreamContext for Router {
    fn on_new_connection(&mut self) -> Action {
        match peer().map(cluster) {
            Some(cluster) => route_to(cluster),
            None => log::warn!("the peer's address is unknown"),
        }
        Action::Continue
    }
}

fn peer() -> Option<IpAddr> {
    let address = hostcalls::get_property(vec!["source", "address"])
        .ok()
        .flatten()?;
    let address: SocketAddr = std::str::from_utf8(&address).ok()?.parse().ok()?;
    Some(address.ip())
}

fn cluster(peer: IpAddr) -> &'static str {
    let last = match peer {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    if last.is_multiple_of(2) {
        "egress-router1"
    } else {
        "egress-router2"
    }
}

/// Sets the object by which Envoy's TCP proxy is told its cluster: a message with the name
/// in field 1 and the value in field 2.
fn route_to(cluster: &str) {
    let mut message = Vec::new();
    for (key, text) in [(0x0a, "envoy.tcp_proxy.cluster"), (0x12, cluster)] {
        message.extend([key, text.len() as u8]);
        message.extend(text.as_bytes());
    }
    match hostcalls::call_foreign_function("set_envoy_filter_state", Some(&message)) {
        Ok(_) => log::info!("routed to {cluster}"),
        Err(status) => log::warn!("not routed: {status:?}"),
    }
}
