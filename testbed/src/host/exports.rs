//! The functions that a module exports, looked up once for each instance.

use wasmtime::{Instance, Store, TypedFunc};

use super::abi_version::AbiVersion;
use super::state::Host;

/// A callback with one parameter that returns nothing, and so on for the others.
pub(crate) type Call1 = TypedFunc<u32, ()>;
pub(crate) type Call2 = TypedFunc<(u32, u32), ()>;
pub(crate) type Call3 = TypedFunc<(u32, u32, u32), ()>;
pub(crate) type Call5 = TypedFunc<(u32, u32, u32, u32, u32), ()>;
pub(crate) type Ask1 = TypedFunc<u32, u32>;
pub(crate) type Ask2 = TypedFunc<(u32, u32), u32>;
pub(crate) type Ask3 = TypedFunc<(u32, u32, u32), u32>;

/// The type of a function of the ABI: all its values are 32-bit integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) parameters: usize,
    pub(crate) returns: bool,
}

/// What `proxy_on_request_headers` and its twin are: with the end flag or without.
#[derive(Clone)]
pub(crate) enum OnHeaders {
    WithEnd(Ask3),
    /// ABI 0.1.0.
    WithoutEnd(Ask2),
}

macro_rules! exports {
    ($($field:ident: $type:ty = $name:literal, $parameters:literal, $returns:literal;)*) => {
        /// The callbacks of an instance; what is missing is `None`.
        #[derive(Clone)]
        pub(crate) struct Exports {
            pub(crate) start: Vec<Start>,
            pub(crate) on_request_headers: Option<OnHeaders>,
            pub(crate) on_response_headers: Option<OnHeaders>,
            $(pub(crate) $field: Option<$type>,)*
        }

        impl Exports {
            /// Looks everything up. The types were checked when the module was loaded.
            pub(crate) fn of(store: &mut Store<Host>, instance: &Instance, abi: AbiVersion) -> Self {
                Self {
                    start: Start::of(store, instance),
                    on_request_headers: on_headers(store, instance, abi, ON_REQUEST_HEADERS),
                    on_response_headers: on_headers(store, instance, abi, ON_RESPONSE_HEADERS),
                    $($field: instance.get_typed_func(&mut *store, $name).ok(),)*
                }
            }
        }

        /// The type that a function of the ABI must have; `None` for any other function.
        pub(crate) fn signature_of(name: &str, abi: AbiVersion) -> Option<Signature> {
            match name {
                ON_REQUEST_HEADERS | ON_RESPONSE_HEADERS => {
                    let parameters = if abi == AbiVersion::V0_1_0 { 2 } else { 3 };
                    Some(Signature { parameters, returns: true })
                }
                "_initialize" | "_start" => Some(Signature { parameters: 0, returns: false }),
                "main" => Some(Signature { parameters: 2, returns: true }),
                "__main_void" => Some(Signature { parameters: 0, returns: true }),
                "malloc" => Some(Signature { parameters: 1, returns: true }),
                $($name => Some(Signature { parameters: $parameters, returns: $returns }),)*
                _ => None,
            }
        }
    };
}

const ON_REQUEST_HEADERS: &str = "proxy_on_request_headers";
const ON_RESPONSE_HEADERS: &str = "proxy_on_response_headers";

exports! {
    allocate: Ask1 = "proxy_on_memory_allocate", 1, true;
    on_context_create: Call2 = "proxy_on_context_create", 2, false;
    on_vm_start: Ask2 = "proxy_on_vm_start", 2, true;
    on_configure: Ask2 = "proxy_on_configure", 2, true;
    on_tick: Call1 = "proxy_on_tick", 1, false;
    on_queue_ready: Call2 = "proxy_on_queue_ready", 2, false;
    on_new_connection: Ask1 = "proxy_on_new_connection", 1, true;
    on_downstream_data: Ask3 = "proxy_on_downstream_data", 3, true;
    on_upstream_data: Ask3 = "proxy_on_upstream_data", 3, true;
    on_downstream_connection_close: Call2 = "proxy_on_downstream_connection_close", 2, false;
    on_upstream_connection_close: Call2 = "proxy_on_upstream_connection_close", 2, false;
    on_request_body: Ask3 = "proxy_on_request_body", 3, true;
    on_request_trailers: Ask2 = "proxy_on_request_trailers", 2, true;
    on_response_body: Ask3 = "proxy_on_response_body", 3, true;
    on_response_trailers: Ask2 = "proxy_on_response_trailers", 2, true;
    on_http_call_response: Call5 = "proxy_on_http_call_response", 5, false;
    on_grpc_receive_initial_metadata: Call3 = "proxy_on_grpc_receive_initial_metadata", 3, false;
    on_grpc_receive: Call3 = "proxy_on_grpc_receive", 3, false;
    on_grpc_receive_trailing_metadata: Call3 =
        "proxy_on_grpc_receive_trailing_metadata", 3, false;
    on_grpc_close: Call3 = "proxy_on_grpc_close", 3, false;
    on_foreign_function: Call3 = "proxy_on_foreign_function", 3, false;
    on_done: Ask1 = "proxy_on_done", 1, true;
    on_log: Call1 = "proxy_on_log", 1, false;
    on_delete: Call1 = "proxy_on_delete", 1, false;
}

/// A function that initialises the module.
#[derive(Clone)]
pub(crate) enum Start {
    Plain(TypedFunc<(), ()>),
    Main(Ask2),
    MainVoid(TypedFunc<(), u32>),
}

impl Start {
    /// `_initialize` and then a `main`, or else `_start`.
    fn of(store: &mut Store<Host>, instance: &Instance) -> Vec<Self> {
        let Ok(initialize) = instance.get_typed_func(&mut *store, "_initialize") else {
            let start = instance.get_typed_func(&mut *store, "_start");
            return start.map(Self::Plain).into_iter().collect();
        };
        let main = match instance.get_typed_func(&mut *store, "main") {
            Ok(main) => Some(Self::Main(main)),
            Err(_) => instance
                .get_typed_func(&mut *store, "__main_void")
                .map(Self::MainVoid)
                .ok(),
        };
        [Self::Plain(initialize)].into_iter().chain(main).collect()
    }
}

fn on_headers(
    store: &mut Store<Host>,
    instance: &Instance,
    abi: AbiVersion,
    name: &str,
) -> Option<OnHeaders> {
    if abi == AbiVersion::V0_1_0 {
        instance
            .get_typed_func(store, name)
            .map(OnHeaders::WithoutEnd)
            .ok()
    } else {
        instance
            .get_typed_func(store, name)
            .map(OnHeaders::WithEnd)
            .ok()
    }
}
