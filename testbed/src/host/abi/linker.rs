//! Which functions a module may import, in which ABI version, and when it may call them.

use std::fmt;

use wasmtime::{Caller, Engine, Linker};

use super::guest::Guest;
use super::{buffers, calls, header_maps, metrics, misc, properties, shared, streams, wasi};
use crate::host::abi_version::AbiVersion;
use crate::host::state::{Host, Restriction};
use crate::host::status::Status;

/// When a function may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// In callbacks only.
    Callbacks,
    /// Also while the module starts.
    Start,
    /// Also while the host asks for memory.
    Always,
}

impl Allowed {
    pub(super) fn admits(self, restriction: Restriction) -> bool {
        match restriction {
            Restriction::None => true,
            Restriction::Starting => self != Self::Callbacks,
            Restriction::Allocating => self == Self::Always,
        }
    }
}

/// A function was called when it is forbidden; the module traps.
#[derive(Debug)]
pub(crate) struct RestrictedCall(pub(super) &'static str);

impl fmt::Display for RestrictedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` must not be called while the module starts or allocates",
            self.0
        )
    }
}

impl std::error::Error for RestrictedCall {}

/// Runs a function of the ABI and turns its status into what the filter sees.
fn answer(
    caller: Caller<'_, Host>,
    name: &'static str,
    allowed: Allowed,
    function: impl FnOnce(&mut Guest<'_>) -> Result<(), Status>,
) -> wasmtime::Result<u32> {
    if !allowed.admits(caller.data().restriction) {
        return Err(wasmtime::Error::new(RestrictedCall(name)));
    }
    let mut guest = Guest::new(caller);
    Ok(function(&mut guest).err().unwrap_or(Status::Ok).code())
}

macro_rules! functions {
    ($linker:ident, $allowed:ident, { $($name:literal => $function:path, ($($arg:ident: $type:ty),*);)* }) => {
        $($linker.func_wrap(
            "env",
            $name,
            |caller: Caller<'_, Host>, $($arg: $type),*| {
                answer(caller, $name, Allowed::$allowed, |guest| $function(guest, $($arg),*))
            },
        )?;)*
    };
}

/// Everything that a module of this ABI version may import.
pub(crate) fn linker(engine: &Engine, abi: AbiVersion) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    functions!(linker, Always, {
        "proxy_log" => misc::log, (level: u32, text: u32, length: u32);
    });
    functions!(linker, Callbacks, {
        "proxy_get_current_time_nanoseconds" => misc::current_time, (time_at: u32);
        "proxy_set_tick_period_milliseconds" => misc::set_tick_period, (period: u32);
        "proxy_get_status" => misc::status, (code_at: u32, address_at: u32, length_at: u32);
        "proxy_call_foreign_function" => misc::call_foreign_function,
            (name: u32, name_length: u32, argument: u32, argument_length: u32,
             address_at: u32, length_at: u32);

        "proxy_get_property" => properties::get,
            (path: u32, path_length: u32, address_at: u32, length_at: u32);
        "proxy_set_property" => properties::set,
            (path: u32, path_length: u32, value: u32, value_length: u32);

        "proxy_get_header_map_value" => header_maps::get,
            (map: u32, name: u32, name_length: u32, address_at: u32, length_at: u32);
        "proxy_add_header_map_value" => header_maps::add,
            (map: u32, name: u32, name_length: u32, value: u32, value_length: u32);
        "proxy_replace_header_map_value" => header_maps::replace,
            (map: u32, name: u32, name_length: u32, value: u32, value_length: u32);
        "proxy_remove_header_map_value" => header_maps::remove,
            (map: u32, name: u32, name_length: u32);
        "proxy_get_header_map_pairs" => header_maps::get_all,
            (map: u32, address_at: u32, length_at: u32);
        "proxy_set_header_map_pairs" => header_maps::set_all,
            (map: u32, pairs: u32, pairs_length: u32);
        "proxy_get_header_map_size" => header_maps::size, (map: u32, size_at: u32);

        "proxy_get_buffer_bytes" => buffers::get,
            (buffer: u32, start: u32, length: u32, address_at: u32, length_at: u32);
        "proxy_set_buffer_bytes" => buffers::set,
            (buffer: u32, start: u32, length: u32, bytes: u32, bytes_length: u32);
        "proxy_get_buffer_status" => buffers::status,
            (buffer: u32, length_at: u32, flags_at: u32);

        "proxy_send_local_response" => streams::send_local_response,
            (status: u32, details: u32, details_length: u32, body: u32, body_length: u32,
             headers: u32, headers_length: u32, grpc_status: u32);
        "proxy_set_effective_context" => streams::set_effective_context, (context: u32);
        "proxy_done" => streams::done, ();

        "proxy_http_call" => calls::http_call,
            (cluster: u32, cluster_length: u32, headers: u32, headers_length: u32,
             body: u32, body_length: u32, trailers: u32, trailers_length: u32,
             timeout: u32, token_at: u32);
        "proxy_grpc_call" => calls::grpc_call,
            (service: u32, service_length: u32, name: u32, name_length: u32,
             method: u32, method_length: u32, metadata: u32, metadata_length: u32,
             message: u32, message_length: u32, timeout: u32, token_at: u32);
        "proxy_grpc_stream" => calls::grpc_stream,
            (service: u32, service_length: u32, name: u32, name_length: u32,
             method: u32, method_length: u32, metadata: u32, metadata_length: u32,
             token_at: u32);
        "proxy_grpc_send" => calls::grpc_send,
            (token: u32, message: u32, message_length: u32, end: u32);
        "proxy_grpc_close" => calls::grpc_close, (token: u32);
        "proxy_grpc_cancel" => calls::grpc_cancel, (token: u32);

        "proxy_get_shared_data" => shared::get,
            (key: u32, key_length: u32, address_at: u32, length_at: u32, version_at: u32);
        "proxy_set_shared_data" => shared::set,
            (key: u32, key_length: u32, value: u32, value_length: u32, version: u32);
        "proxy_register_shared_queue" => shared::register,
            (name: u32, name_length: u32, token_at: u32);
        "proxy_resolve_shared_queue" => shared::resolve,
            (vm_id: u32, vm_id_length: u32, name: u32, name_length: u32, token_at: u32);
        "proxy_enqueue_shared_queue" => shared::enqueue,
            (token: u32, item: u32, item_length: u32);
        "proxy_dequeue_shared_queue" => shared::dequeue,
            (token: u32, address_at: u32, length_at: u32);

        "proxy_define_metric" => metrics::define,
            (kind: u32, name: u32, name_length: u32, id_at: u32);
        "proxy_increment_metric" => metrics::increment, (id: u32, offset: i64);
        "proxy_record_metric" => metrics::record, (id: u32, value: u64);
        "proxy_get_metric" => metrics::get, (id: u32, value_at: u32);
    });
    match abi {
        AbiVersion::V0_1_0 => {
            functions!(linker, Callbacks, {
            "proxy_get_configuration" => buffers::configuration,
                (address_at: u32, length_at: u32);
            "proxy_continue_request" => streams::continue_request, ();
            "proxy_continue_response" => streams::continue_response, ();
            "proxy_clear_route_cache" => streams::clear_route_cache, ();
            });
        }
        AbiVersion::V0_2_0 | AbiVersion::V0_2_1 => {
            functions!(linker, Callbacks, {
            "proxy_continue_stream" => streams::continue_stream, (stream: u32);
            "proxy_close_stream" => streams::close_stream, (stream: u32);
            });
        }
    }
    if abi == AbiVersion::V0_2_1 {
        functions!(linker, Callbacks, {
            "proxy_get_log_level" => misc::log_level, (level_at: u32);
        });
    }
    wasi::link(&mut linker)?;
    Ok(linker)
}
