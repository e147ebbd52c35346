//! The imports of proxy-wasm ABI 0.2.1, made safe.
//!
//! All unsafe code of the crate is here: each function passes slices as address and length and
//! receives bytes by `memory::take`, and says no more than the ABI does. What the proxy returns
//! is not trusted: statuses and enumerations are plain numbers, checked by the callers.

#![allow(unsafe_code)]

use std::ptr;

use crate::Status;
use crate::memory::take;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    safe fn proxy_close_stream(kind: u32) -> u32;
    safe fn proxy_continue_stream(kind: u32) -> u32;
    safe fn proxy_grpc_cancel(token: u32) -> u32;
    safe fn proxy_grpc_close(token: u32) -> u32;
    safe fn proxy_increment_metric(id: u32, by: i64) -> u32;
    safe fn proxy_record_metric(id: u32, value: u64) -> u32;
    safe fn proxy_set_effective_context(context: u32) -> u32;
    safe fn proxy_set_tick_period_milliseconds(period: u32) -> u32;

    fn proxy_call_foreign_function(
        name: *const u8,
        name_len: usize,
        argument: *const u8,
        argument_len: usize,
        result: *mut *mut u8,
        result_len: *mut usize,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_len: usize, id: *mut u32) -> u32;
    fn proxy_dequeue_shared_queue(queue: u32, item: *mut *mut u8, item_len: *mut usize) -> u32;
    fn proxy_enqueue_shared_queue(queue: u32, item: *const u8, item_len: usize) -> u32;
    fn proxy_get_buffer_bytes(
        kind: u32,
        start: usize,
        max: usize,
        bytes: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_get_buffer_status(kind: u32, len: *mut usize, flags: *mut u32) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_header_map_pairs(kind: u32, pairs: *mut *mut u8, len: *mut usize) -> u32;
    fn proxy_get_log_level(level: *mut u32) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_len: usize,
        value: *mut *mut u8,
        value_len: *mut usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_len: usize,
        value: *mut *mut u8,
        value_len: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_get_status(code: *mut u32, message: *mut *mut u8, message_len: *mut usize) -> u32;
    fn proxy_grpc_send(token: u32, message: *const u8, message_len: usize, end: u32) -> u32;
    fn proxy_grpc_stream(
        cluster: *const u8,
        cluster_len: usize,
        service: *const u8,
        service_len: usize,
        method: *const u8,
        method_len: usize,
        metadata: *const u8,
        metadata_len: usize,
        token: *mut u32,
    ) -> u32;
    fn proxy_log(level: u32, message: *const u8, message_len: usize) -> u32;
    fn proxy_register_shared_queue(name: *const u8, name_len: usize, queue: *mut u32) -> u32;
    fn proxy_resolve_shared_queue(
        vm_id: *const u8,
        vm_id_len: usize,
        name: *const u8,
        name_len: usize,
        queue: *mut u32,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_len: usize,
        body: *const u8,
        body_len: usize,
        headers: *const u8,
        headers_len: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        kind: u32,
        start: usize,
        len: usize,
        data: *const u8,
        data_len: usize,
    ) -> u32;
    fn proxy_set_property(
        key: *const u8,
        key_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_len: usize,
        value: *const u8,
        value_len: usize,
        cas: u32,
    ) -> u32;
}

/// Calls an import that returns bytes.
fn receive(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Status> {
    let mut data = ptr::null_mut();
    let mut len = 0;
    Status::check(call(&raw mut data, &raw mut len))?;
    take(data, len)
}

pub(crate) fn close_stream(kind: u32) -> Result<(), Status> {
    Status::check(proxy_close_stream(kind))
}

pub(crate) fn continue_stream(kind: u32) -> Result<(), Status> {
    Status::check(proxy_continue_stream(kind))
}

pub(crate) fn grpc_cancel(token: u32) -> Result<(), Status> {
    Status::check(proxy_grpc_cancel(token))
}

pub(crate) fn grpc_close(token: u32) -> Result<(), Status> {
    Status::check(proxy_grpc_close(token))
}

pub(crate) fn increment_metric(id: u32, by: i64) -> Result<(), Status> {
    Status::check(proxy_increment_metric(id, by))
}

pub(crate) fn record_metric(id: u32, value: u64) -> Result<(), Status> {
    Status::check(proxy_record_metric(id, value))
}

pub(crate) fn set_effective_context(context: u32) -> Result<(), Status> {
    Status::check(proxy_set_effective_context(context))
}

pub(crate) fn set_tick_period_milliseconds(period: u32) -> Result<(), Status> {
    Status::check(proxy_set_tick_period_milliseconds(period))
}

// SAFETY, for every call below. Addresses and lengths that the proxy reads come from one slice
// or string that lives through the call. Addresses that it writes to are those of local
// variables of the type that the ABI names. On wasm32 `usize` is the ABI's 32-bit `size_t`.
// While the call runs the proxy may enter this module, for memory or for a callback; no
// reference to the variables exists then.

/// The foreign function's results are not asked for.
pub(crate) fn call_foreign_function(name: &str, argument: &[u8]) -> Result<(), Status> {
    Status::check(
        // SAFETY: as above. Null results are optional to the ABI.
        unsafe {
            proxy_call_foreign_function(
                name.as_ptr(),
                name.len(),
                argument.as_ptr(),
                argument.len(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        },
    )
}

pub(crate) fn define_metric(kind: u32, name: &str) -> Result<u32, Status> {
    let mut id = 0;
    // SAFETY: as above.
    Status::check(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

pub(crate) fn dequeue_shared_queue(queue: u32) -> Result<Vec<u8>, Status> {
    // SAFETY: as above.
    receive(|item, len| unsafe { proxy_dequeue_shared_queue(queue, item, len) })
}

pub(crate) fn enqueue_shared_queue(queue: u32, item: &[u8]) -> Result<(), Status> {
    // SAFETY: as above.
    Status::check(unsafe { proxy_enqueue_shared_queue(queue, item.as_ptr(), item.len()) })
}

pub(crate) fn buffer_bytes(kind: u32, start: usize, max: usize) -> Result<Vec<u8>, Status> {
    // SAFETY: as above.
    receive(|bytes, len| unsafe { proxy_get_buffer_bytes(kind, start, max, bytes, len) })
}

pub(crate) fn buffer_len(kind: u32) -> Result<usize, Status> {
    let (mut len, mut flags) = (0, 0);
    // SAFETY: as above.
    Status::check(unsafe { proxy_get_buffer_status(kind, &raw mut len, &raw mut flags) })?;
    Ok(len)
}

pub(crate) fn current_time_nanoseconds() -> Result<u64, Status> {
    let mut time = 0;
    // SAFETY: as above.
    Status::check(unsafe { proxy_get_current_time_nanoseconds(&raw mut time) })?;
    Ok(time)
}

pub(crate) fn header_map_pairs(kind: u32) -> Result<Vec<u8>, Status> {
    // SAFETY: as above.
    receive(|pairs, len| unsafe { proxy_get_header_map_pairs(kind, pairs, len) })
}

pub(crate) fn log_level() -> Result<u32, Status> {
    let mut level = 0;
    // SAFETY: as above.
    Status::check(unsafe { proxy_get_log_level(&raw mut level) })?;
    Ok(level)
}

pub(crate) fn property(path: &[u8]) -> Result<Vec<u8>, Status> {
    // SAFETY: as above.
    receive(|value, len| unsafe { proxy_get_property(path.as_ptr(), path.len(), value, len) })
}

pub(crate) fn shared_data(key: &str) -> Result<(Vec<u8>, u32), Status> {
    let mut cas = 0;
    let mark = &raw mut cas;
    // SAFETY: as above.
    let value = receive(|value, len| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), value, len, mark)
    })?;
    Ok((value, cas))
}

pub(crate) fn status_message() -> Result<Vec<u8>, Status> {
    let mut code = 0;
    let code = &raw mut code;
    // SAFETY: as above.
    receive(|message, len| unsafe { proxy_get_status(code, message, len) })
}

pub(crate) fn grpc_send(token: u32, message: &[u8], end_of_stream: bool) -> Result<(), Status> {
    let end = u32::from(end_of_stream);
    // SAFETY: as above.
    Status::check(unsafe { proxy_grpc_send(token, message.as_ptr(), message.len(), end) })
}

pub(crate) fn grpc_stream(
    target: &[u8],
    service: &str,
    method: &str,
    metadata: &[u8],
) -> Result<u32, Status> {
    let mut token = 0;
    Status::check(
        // SAFETY: as above.
        unsafe {
            proxy_grpc_stream(
                target.as_ptr(),
                target.len(),
                service.as_ptr(),
                service.len(),
                method.as_ptr(),
                method.len(),
                metadata.as_ptr(),
                metadata.len(),
                &raw mut token,
            )
        },
    )?;
    Ok(token)
}

pub(crate) fn log(level: u32, message: &str) -> Result<(), Status> {
    // SAFETY: as above.
    Status::check(unsafe { proxy_log(level, message.as_ptr(), message.len()) })
}

pub(crate) fn register_shared_queue(name: &str) -> Result<u32, Status> {
    let mut queue = 0;
    // SAFETY: as above.
    Status::check(unsafe {
        proxy_register_shared_queue(name.as_ptr(), name.len(), &raw mut queue)
    })?;
    Ok(queue)
}

pub(crate) fn resolve_shared_queue(vm_id: &str, name: &str) -> Result<u32, Status> {
    let mut queue = 0;
    Status::check(
        // SAFETY: as above.
        unsafe {
            proxy_resolve_shared_queue(
                vm_id.as_ptr(),
                vm_id.len(),
                name.as_ptr(),
                name.len(),
                &raw mut queue,
            )
        },
    )?;
    Ok(queue)
}

pub(crate) fn send_local_response(
    status: u32,
    details: &[u8],
    body: &[u8],
    headers: &[u8],
    grpc_status: i32,
) -> Result<(), Status> {
    Status::check(
        // SAFETY: as above.
        unsafe {
            proxy_send_local_response(
                status,
                details.as_ptr(),
                details.len(),
                body.as_ptr(),
                body.len(),
                headers.as_ptr(),
                headers.len(),
                grpc_status,
            )
        },
    )
}

pub(crate) fn set_buffer_bytes(
    kind: u32,
    start: usize,
    len: usize,
    data: &[u8],
) -> Result<(), Status> {
    // SAFETY: as above.
    Status::check(unsafe { proxy_set_buffer_bytes(kind, start, len, data.as_ptr(), data.len()) })
}

pub(crate) fn set_property(key: &str, value: &[u8]) -> Result<(), Status> {
    Status::check(
        // SAFETY: as above.
        unsafe { proxy_set_property(key.as_ptr(), key.len(), value.as_ptr(), value.len()) },
    )
}

pub(crate) fn set_shared_data(key: &str, value: &[u8], cas: u32) -> Result<(), Status> {
    Status::check(
        // SAFETY: as above.
        unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) },
    )
}
