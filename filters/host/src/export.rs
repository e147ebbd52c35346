//! The exports of a filter module.
//!
//! Envoy enters the VM for each callback that a module exports, on every request, even if it
//! does nothing. So the filter's crate names them, and nothing else is exported.

use crate::{Action, ContextId, Peer, QueueToken, StreamToken};

/// Emits the wasm exports of a filter: the ABI's marker, the memory allocator, and the
/// callbacks that are named. On other targets it emits nothing.
///
/// ```text
/// export! {
///     filter: TYPE = EXPRESSION;
///     callbacks: [CALLBACK, ...];
/// }
/// ```
///
/// The type implements [`Filter<Proxy>`](crate::Filter). The expression makes the one filter of
/// the VM at the first callback; it runs unguarded, and must not panic. The callbacks are the
/// methods of [`Filter`](crate::Filter) without `on_`: `vm_start`, `configure`,
/// `context_create`, `tick`, `queue_ready`, `new_connection`, `downstream_data`,
/// `upstream_data`, `downstream_close`, `upstream_close`, `request_headers`, `request_body`,
/// `request_trailers`, `response_headers`, `response_body`, `response_trailers`,
/// `grpc_initial_metadata`, `grpc_receive`, `grpc_trailing_metadata`, `grpc_close`, `done`,
/// `log`, `delete`.
///
/// Every callback is guarded, as [`Filter`](crate::Filter) says. The first panic, and then
/// every power of two, is logged: a peer that found one must not flood the log.
#[macro_export]
macro_rules! export {
    (
        filter: $filter:ty = $new:expr;
        callbacks: [$($callback:ident),+ $(,)?];
    ) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static VM: $crate::Vm<$filter> = {
                    $crate::exported::log_panics();
                    $crate::Vm::new($new)
                };
            }

            #[unsafe(no_mangle)]
            extern "C" fn proxy_abi_version_0_2_1() {}

            #[unsafe(no_mangle)]
            extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
                $crate::exported::allocate(size)
            }

            $($crate::__export_callback! { $callback VM })+
        };
    };
}

/// One callback of [`export!`]: the variant of [`Callback`](crate::Callback), the exported
/// function, the method with its arguments after the context, and the result.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_callback {
    (vm_start $vm:ident) => {
        $crate::__export_callback! {
            @ $vm VmStart proxy_on_vm_start on_vm_start(len) -> bool
        }
    };
    (configure $vm:ident) => {
        $crate::__export_callback! {
            @ $vm Configure proxy_on_configure on_configure(len) -> bool
        }
    };
    (context_create $vm:ident) => {
        $crate::__export_callback! {
            @ $vm ContextCreate proxy_on_context_create on_context_create(parent) -> ()
        }
    };
    (tick $vm:ident) => {
        $crate::__export_callback! {
            @ $vm Tick proxy_on_tick on_tick() -> ()
        }
    };
    (queue_ready $vm:ident) => {
        $crate::__export_callback! {
            @ $vm QueueReady proxy_on_queue_ready on_queue_ready(queue) -> ()
        }
    };
    (new_connection $vm:ident) => {
        $crate::__export_callback! {
            @ $vm NewConnection proxy_on_new_connection on_new_connection() -> $crate::Action
        }
    };
    (downstream_data $vm:ident) => {
        $crate::__export_callback! {
            @ $vm DownstreamData proxy_on_downstream_data on_downstream_data(len, end) -> $crate::Action
        }
    };
    (upstream_data $vm:ident) => {
        $crate::__export_callback! {
            @ $vm UpstreamData proxy_on_upstream_data on_upstream_data(len, end) -> $crate::Action
        }
    };
    (downstream_close $vm:ident) => {
        $crate::__export_callback! {
            @ $vm DownstreamClose proxy_on_downstream_connection_close on_downstream_close(by) -> ()
        }
    };
    (upstream_close $vm:ident) => {
        $crate::__export_callback! {
            @ $vm UpstreamClose proxy_on_upstream_connection_close on_upstream_close(by) -> ()
        }
    };
    (request_headers $vm:ident) => {
        $crate::__export_callback! {
            @ $vm RequestHeaders proxy_on_request_headers on_request_headers(count, end) -> $crate::Action
        }
    };
    (request_body $vm:ident) => {
        $crate::__export_callback! {
            @ $vm RequestBody proxy_on_request_body on_request_body(len, end) -> $crate::Action
        }
    };
    (request_trailers $vm:ident) => {
        $crate::__export_callback! {
            @ $vm RequestTrailers proxy_on_request_trailers on_request_trailers(count) -> $crate::Action
        }
    };
    (response_headers $vm:ident) => {
        $crate::__export_callback! {
            @ $vm ResponseHeaders proxy_on_response_headers on_response_headers(count, end) -> $crate::Action
        }
    };
    (response_body $vm:ident) => {
        $crate::__export_callback! {
            @ $vm ResponseBody proxy_on_response_body on_response_body(len, end) -> $crate::Action
        }
    };
    (response_trailers $vm:ident) => {
        $crate::__export_callback! {
            @ $vm ResponseTrailers proxy_on_response_trailers on_response_trailers(count) -> $crate::Action
        }
    };
    (grpc_initial_metadata $vm:ident) => {
        $crate::__export_callback! {
            @ $vm GrpcInitialMetadata proxy_on_grpc_receive_initial_metadata on_grpc_initial_metadata(stream, count) -> ()
        }
    };
    (grpc_receive $vm:ident) => {
        $crate::__export_callback! {
            @ $vm GrpcReceive proxy_on_grpc_receive on_grpc_receive(stream, len) -> ()
        }
    };
    (grpc_trailing_metadata $vm:ident) => {
        $crate::__export_callback! {
            @ $vm GrpcTrailingMetadata proxy_on_grpc_receive_trailing_metadata on_grpc_trailing_metadata(stream, count) -> ()
        }
    };
    (grpc_close $vm:ident) => {
        $crate::__export_callback! {
            @ $vm GrpcClose proxy_on_grpc_close on_grpc_close(stream, status) -> ()
        }
    };
    (done $vm:ident) => {
        $crate::__export_callback! {
            @ $vm Done proxy_on_done on_done() -> $crate::exported::Done
        }
    };
    (log $vm:ident) => {
        $crate::__export_callback! {
            @ $vm Log proxy_on_log on_log() -> ()
        }
    };
    (delete $vm:ident) => {
        $crate::__export_callback! {
            @ $vm Delete proxy_on_delete on_delete() -> ()
        }
    };
    (
        @ $vm:ident $callback:ident $export:ident $method:ident($($argument:ident),*) -> $result:ty
    ) => {
        #[unsafe(no_mangle)]
        extern "C" fn $export(
            context: u32 $(, $argument: u32)*
        ) -> <$result as $crate::exported::Returned>::Raw {
            let proxy = &$crate::Proxy;
            let callback = $crate::Callback::$callback;
            let context = $crate::ContextId(context);
            let safe = <$result as $crate::exported::Returned>::SAFE;
            let result = $vm.with(|vm| {
                vm.call(proxy, callback, context, safe, |filter| {
                    <$result>::from($crate::Filter::<$crate::Proxy>::$method(
                        filter,
                        proxy,
                        context,
                        $($crate::exported::Passed::read($argument)),*
                    ))
                })
            });
            $crate::exported::Returned::raw(result)
        }
    };
}

/// An argument of a callback, as the ABI passes it.
pub trait Passed {
    /// Reads it.
    fn read(raw: u32) -> Self;
}

impl Passed for u32 {
    fn read(raw: u32) -> Self {
        raw
    }
}

impl Passed for usize {
    fn read(raw: u32) -> Self {
        raw as Self
    }
}

impl Passed for bool {
    fn read(raw: u32) -> Self {
        raw != 0
    }
}

/// The parent of a context, of which root contexts have none.
impl Passed for Option<ContextId> {
    fn read(raw: u32) -> Self {
        (raw != 0).then_some(ContextId(raw))
    }
}

impl Passed for QueueToken {
    fn read(raw: u32) -> Self {
        Self(raw)
    }
}

impl Passed for StreamToken {
    fn read(raw: u32) -> Self {
        Self(raw)
    }
}

impl Passed for Peer {
    fn read(raw: u32) -> Self {
        match raw {
            1 => Self::Local,
            2 => Self::Remote,
            _ => Self::Unknown,
        }
    }
}

/// The result of a callback.
pub trait Returned {
    /// What the proxy is told if the callback fails.
    const SAFE: Self;

    /// How the ABI returns it.
    type Raw;

    /// Converts it.
    fn raw(self) -> Self::Raw;
}

impl Returned for () {
    const SAFE: Self = ();

    type Raw = ();

    fn raw(self) {}
}

impl Returned for bool {
    const SAFE: Self = false;

    type Raw = u32;

    fn raw(self) -> u32 {
        u32::from(self)
    }
}

impl Returned for Action {
    const SAFE: Self = Self::Pause;

    type Raw = u32;

    fn raw(self) -> u32 {
        match self {
            Self::Continue => 0,
            Self::Pause => 1,
        }
    }
}

/// The result of `proxy_on_done`: always that the proxy may delete the context. The ABI would
/// let a filter keep it; there is no use for that here.
#[derive(Clone, Copy, Debug)]
pub struct Done;

impl From<()> for Done {
    fn from((): ()) -> Self {
        Self
    }
}

impl Returned for Done {
    const SAFE: Self = Self;

    type Raw = u32;

    fn raw(self) -> u32 {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::{Done, Passed, Returned};
    use crate::{Action, ContextId, Peer};

    #[test]
    fn arguments_are_read_as_the_abi_passes_them() {
        assert!(bool::read(1) && bool::read(7) && !bool::read(0));
        assert_eq!(usize::read(u32::MAX), u32::MAX as usize);
        assert_eq!(Option::<ContextId>::read(0), None);
        assert_eq!(Option::<ContextId>::read(3), Some(ContextId(3)));
        assert_eq!(
            [0, 1, 2, 9].map(Peer::read),
            [Peer::Unknown, Peer::Local, Peer::Remote, Peer::Unknown,]
        );
    }

    #[test]
    fn failing_is_safe() {
        assert_eq!(Action::SAFE.raw(), 1);
        assert_eq!(Action::Continue.raw(), 0);
        assert_eq!(bool::SAFE.raw(), 0);
        assert_eq!(Done::SAFE.raw(), 1);
    }
}
