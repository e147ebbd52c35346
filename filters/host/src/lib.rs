//! What a Meshwall filter asks of its proxy: ports, the proxy-wasm adapter and a fake.
//!
//! A filter runs inside every sidecar, on bytes that its attackers choose, and its cost is
//! paid on every request. This crate exists so that filters can be written in safe Rust, be
//! tested without a proxy, and pay for nothing they do not use:
//!
//! - [`ports`] are traits, split by need. A filter names the ones it uses; each call returns
//!   `Result<_, Status>` and bytes, never panics, and is one call to the proxy.
//! - `Proxy` (wasm32 only) implements them over the raw proxy-wasm ABI 0.2.1, with imports of
//!   its own: no SDK, no dispatcher, no accessor that panics on what a peer sends.
//! - [`fake::Proxy`] (natively) implements them in memory and counts every call, because the
//!   calls are what a filter costs.
//! - [`export!`](crate::export) emits just the callbacks that a filter names, each one guarded:
//!   a panic costs one request, fails closed, and leaves the VM alive.
//!
//! The ABI is <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>. Where Envoy
//! differs from it, or is stricter, the item concerned says so.
//!
//! # A filter
//!
//! ```
//! use meshwall_filter_host::fake;
//! use meshwall_filter_host::ports::{HeaderMaps, LocalReplies, Properties};
//! use meshwall_filter_host::{
//!     Action, Callback, ContextId, Filter, LocalReply, MapKind, Status, property,
//! };
//!
//! /// Lets in one workload, by the SPIFFE id of its certificate.
//! struct Door {
//!     friend: &'static [u8],
//!     panics: u64,
//! }
//!
//! impl Door {
//!     fn admits<H: Properties + HeaderMaps>(&self, proxy: &H) -> Result<bool, Status> {
//!         let peer = proxy.get(property::CONNECTION_URI_SAN_PEER_CERTIFICATE)?;
//!         let headers = proxy.header_map(MapKind::RequestHeaders)?;
//!         Ok(peer.as_deref() == Some(self.friend) && headers.values(b"x-debug").next().is_none())
//!     }
//! }
//!
//! impl<H: Properties + HeaderMaps + LocalReplies> Filter<H> for Door {
//!     fn on_request_headers(&mut self, proxy: &H, _: ContextId, _: u32, _: bool) -> Action {
//!         if self.admits(proxy).unwrap_or(false) {
//!             return Action::Continue;
//!         }
//!         let denied = LocalReply { details: b"door_denied", ..LocalReply::new(403) };
//!         let _ = proxy.send_local_reply(&denied);
//!         Action::Pause
//!     }
//!
//!     fn on_panic(&mut self, _: &H, _: Callback, _: ContextId) {
//!         self.panics += 1;
//!     }
//! }
//!
//! // Emits the wasm exports; nothing on other targets.
//! meshwall_filter_host::export! {
//!     filter: Door = Door { friend: b"spiffe://mesh/ns/shop/sa/checkout", panics: 0 };
//!     callbacks: [request_headers];
//! }
//!
//! let proxy = fake::Proxy::new();
//! let stream = ContextId(2);
//! proxy.stream(stream).map(MapKind::RequestHeaders, &[(":path", "/pay")]).property(
//!     property::CONNECTION_URI_SAN_PEER_CERTIFICATE,
//!     b"spiffe://mesh/ns/shop/sa/checkout",
//! );
//! let mut door = Door { friend: b"spiffe://mesh/ns/shop/sa/checkout", panics: 0 };
//! proxy.enter(stream);
//! assert_eq!(door.on_request_headers(&proxy, stream, 1, true), Action::Continue);
//! assert_eq!(
//!     proxy.calls(),
//!     [(fake::HostCall::GetProperty, 1), (fake::HostCall::GetHeaderMapPairs, 1)].into(),
//! );
//! ```

#![deny(unsafe_code)]

mod context;
mod export;
mod filter;
mod filter_state;
#[cfg(any(test, target_arch = "wasm32"))]
mod grpc_service;
mod memory;
mod metric;
pub mod pairs;
pub mod ports;
pub mod property;
mod reply;
mod status;
mod vm;

#[cfg(not(target_arch = "wasm32"))]
pub mod fake;

#[cfg(target_arch = "wasm32")]
mod abi;
#[cfg(target_arch = "wasm32")]
mod proxy;

pub use context::{ContextId, ContextMap};
pub use filter::{Action, Callback, Filter, Peer};
pub use filter_state::{Declaration, Span};
pub use metric::{Counter, CounterCache, Gauge, Histogram};
pub use pairs::HeaderMap;
pub use ports::{BufferKind, LogLevel, MapKind, QueueToken, StreamKind, StreamToken};
#[cfg(target_arch = "wasm32")]
pub use proxy::Proxy;
pub use reply::{GrpcStatus, LocalReply};
pub use status::Status;
pub use vm::Vm;

/// What [`export!`](crate::export) expands to. Not for use by hand.
#[doc(hidden)]
pub mod exported {
    pub use crate::export::{Done, Passed, Returned};
    pub use crate::memory::allocate;
    #[cfg(target_arch = "wasm32")]
    pub use crate::proxy::log_panics;
}
