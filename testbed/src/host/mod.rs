//! A proxy-wasm host: runs any proxy-wasm filter as Envoy's V8 host does, in a test.
//!
//! A [`Module`] is compiled once and instantiated as often as needed. A [`Vm`] is what a
//! worker thread of a proxy has: an instance with one or more plugins. An [`HttpStream`] or a
//! [`TcpStream`] is traffic; its methods let parts of messages arrive and return what became
//! of them. Time stands still until the [`Clock`] is moved; calls to other services wait
//! until they are answered; nothing is global, so tests run in parallel.
//!
//! ```
//! use meshwall_testbed::host::{Module, Outcome, StreamAttributes, Vm};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let filter = wat::parse_str(r#"(module
//! #   (import "env" "proxy_send_local_response"
//! #     (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
//! #   (memory (export "memory") 1)
//! #   (data (i32.const 16) "not today")
//! #   (func (export "proxy_abi_version_0_2_1"))
//! #   (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
//! #   (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
//! #     (drop (call $reply (i32.const 403) (i32.const 16) (i32.const 9) (i32.const 16)
//! #       (i32.const 9) (i32.const 0) (i32.const 0) (i32.const -1)))
//! #     (i32.const 1)))"#)?;
//! let module = Module::from_bytes(&filter)?;
//! let vm = Vm::builder(&module).root_id("http").plugin_configuration("{}").build()?;
//!
//! let stream = vm.http_stream(StreamAttributes::new());
//! let request = [(":method", "GET"), (":path", "/"), (":authority", "shop")];
//! let Outcome::LocalReply(reply) = stream.request_headers(&request, true)? else {
//!     panic!("the request was not answered");
//! };
//! assert_eq!((reply.status, reply.body.as_slice()), (403, &b"not today"[..]));
//! assert_eq!(reply.details, b"not_today");
//! stream.finish()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is faithful
//!
//! The ABI is 0.2.1, with 0.2.0 and 0.1.0; its text is the proxy-wasm specification. Where
//! the text leaves room, the behaviour is that of Envoy 1.40, measured with a filter that
//! calls every function in every phase: the statuses of out-of-phase and hostile calls, the
//! order of callbacks, which header names are joined, when properties appear, how replies are
//! formed and routed, what a trap does to this and other streams. `tests/host_conformance`
//! runs such a filter in both and compares.
//!
//! # What is not
//!
//! - There is one filter and no route: what passes the filter has reached the upstream, and
//!   nothing is added to messages on the way.
//! - Memory can be exported but not imported.
//! - Of Envoy's foreign functions there are `declare_property`, `set_envoy_filter_state` and
//!   `clear_route_cache`; a test can register any other.
//! - Metadata frames of HTTP/2 do not exist.
//! - With a budget of fuel an endless loop ends in a trap; in Envoy it hangs the worker.
//! - Two calls that make Envoy 1.40 itself crash get a status: to continue a response before
//!   there is one, and a gRPC call whose service is an empty message.

mod abi;
mod abi_version;
mod attributes;
mod builder;
mod call_events;
mod callback;
mod calls;
mod clock;
mod context;
mod error;
mod exports;
mod filter_state;
mod foreign;
mod fuel;
mod headers;
mod http_events;
mod http_stream;
mod instance;
mod local_reply;
mod log;
mod metrics;
mod module;
mod outcome;
mod pairs;
mod plugin;
mod plugin_config;
mod properties;
mod proto;
mod roots;
mod shared;
mod state;
mod status;
mod tcp_events;
mod tcp_stream;
mod value;
mod vm;

pub use abi_version::AbiVersion;
pub use attributes::{Connection, Direction, PeerCertificate, StreamAttributes};
pub use builder::VmBuilder;
pub use callback::Callback;
pub use calls::{
    GrpcAnswer, GrpcCall, GrpcEvent, GrpcStream, GrpcTarget, HttpAnswer, HttpCall, HttpResponse,
};
pub use clock::Clock;
pub use error::{BuildError, CallError, ModuleError, StreamError, Trap, TrapCause};
pub use fuel::FuelUse;
pub use headers::{HeaderKind, Headers};
pub use http_stream::HttpStream;
pub use log::{LogLevel, LogLine};
pub use metrics::{Histogram, MetricKind, Metrics};
pub use module::{Metering, Module};
pub use outcome::{CloseType, FailurePolicy, LocalReply, Message, Outcome, TcpOutcome};
pub use plugin::Plugin;
pub use plugin_config::PluginConfig;
pub use properties::{Path, Phase};
pub use shared::SharedState;
pub use status::Status;
pub use tcp_stream::TcpStream;
pub use value::Value;
pub use vm::Vm;
