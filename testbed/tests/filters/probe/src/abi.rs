//! The functions of the ABI, with nothing between them and the script: a status other than 0
//! is an error and shown as it is.

use std::ptr::null_mut;

type Status = u32;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, length: usize) -> Status;
    fn proxy_set_tick_period_milliseconds(period: u32) -> Status;
    fn proxy_get_header_map_value(
        m: u32,
        n: *const u8,
        nl: usize,
        a: *mut *mut u8,
        l: *mut usize,
    ) -> Status;
    fn proxy_add_header_map_value(
        m: u32,
        n: *const u8,
        nl: usize,
        v: *const u8,
        vl: usize,
    ) -> Status;
    fn proxy_replace_header_map_value(
        m: u32,
        n: *const u8,
        nl: usize,
        v: *const u8,
        vl: usize,
    ) -> Status;
    fn proxy_remove_header_map_value(m: u32, n: *const u8, nl: usize) -> Status;
    fn proxy_get_header_map_pairs(m: u32, a: *mut *mut u8, l: *mut usize) -> Status;
    fn proxy_set_header_map_pairs(m: u32, p: *const u8, l: usize) -> Status;
    fn proxy_get_header_map_size(m: u32, size: *mut usize) -> Status;
    fn proxy_get_buffer_bytes(
        b: u32,
        start: u32,
        size: u32,
        a: *mut *mut u8,
        l: *mut usize,
    ) -> Status;
    fn proxy_set_buffer_bytes(b: u32, start: u32, size: u32, p: *const u8, l: usize) -> Status;
    fn proxy_get_buffer_status(b: u32, length: *mut usize, flags: *mut u32) -> Status;
    fn proxy_get_property(p: *const u8, pl: usize, a: *mut *mut u8, l: *mut usize) -> Status;
    fn proxy_set_property(p: *const u8, pl: usize, v: *const u8, vl: usize) -> Status;
    fn proxy_send_local_response(
        code: u32,
        d: *const u8,
        dl: usize,
        b: *const u8,
        bl: usize,
        h: *const u8,
        hl: usize,
        grpc: u32,
    ) -> Status;
    fn proxy_continue_stream(stream: u32) -> Status;
    fn proxy_close_stream(stream: u32) -> Status;
    fn proxy_set_effective_context(context: u32) -> Status;
    fn proxy_done() -> Status;
    fn proxy_call_foreign_function(
        n: *const u8,
        nl: usize,
        p: *const u8,
        pl: usize,
        a: *mut *mut u8,
        l: *mut usize,
    ) -> Status;
}

const INFO: u32 = 2;

pub(crate) fn log(text: &str) {
    let text = format!("PROBE {text}");
    unsafe { proxy_log(INFO, text.as_ptr(), text.len()) };
}

pub(crate) fn set_tick_period(milliseconds: u32) -> Status {
    unsafe { proxy_set_tick_period_milliseconds(milliseconds) }
}

pub(crate) fn header(map: u32, name: &[u8]) -> Result<Vec<u8>, Status> {
    given(|at, length| unsafe {
        proxy_get_header_map_value(map, name.as_ptr(), name.len(), at, length)
    })
}

pub(crate) fn add_header(map: u32, name: &[u8], value: &[u8]) -> Status {
    unsafe {
        proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    }
}

pub(crate) fn replace_header(map: u32, name: &[u8], value: &[u8]) -> Status {
    unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    }
}

pub(crate) fn remove_header(map: u32, name: &[u8]) -> Status {
    unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) }
}

pub(crate) fn headers(map: u32) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Status> {
    let wire = given(|at, length| unsafe { proxy_get_header_map_pairs(map, at, length) })?;
    let number = |at: usize| {
        let bytes = wire.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes) as usize
    };
    let count = number(0);
    let mut data = wire.get(4 + 8 * count..).unwrap_or_default();
    let mut take = |length: usize| {
        let (taken, rest) = data.split_at(length);
        data = rest.get(1..).unwrap_or_default();
        taken.to_vec()
    };
    Ok((0..count)
        .map(|nth| (take(number(4 + 8 * nth)), take(number(8 + 8 * nth))))
        .collect())
}

pub(crate) fn set_headers(map: u32, pairs: &[u8]) -> Status {
    unsafe { proxy_set_header_map_pairs(map, pairs.as_ptr(), pairs.len()) }
}

pub(crate) fn headers_size(map: u32) -> Result<usize, Status> {
    let mut size = 0;
    checked(unsafe { proxy_get_header_map_size(map, &mut size) }).map(|()| size)
}

pub(crate) fn buffer(buffer: u32, start: u32, size: u32) -> Result<Vec<u8>, Status> {
    given(|at, length| unsafe { proxy_get_buffer_bytes(buffer, start, size, at, length) })
}

pub(crate) fn set_buffer(buffer: u32, start: u32, size: u32, data: &[u8]) -> Status {
    unsafe { proxy_set_buffer_bytes(buffer, start, size, data.as_ptr(), data.len()) }
}

pub(crate) fn buffer_length(buffer: u32) -> Result<usize, Status> {
    let (mut length, mut flags) = (0, 0);
    checked(unsafe { proxy_get_buffer_status(buffer, &mut length, &mut flags) }).map(|()| length)
}

pub(crate) fn property(path: &[u8]) -> Result<Vec<u8>, Status> {
    given(|at, length| unsafe { proxy_get_property(path.as_ptr(), path.len(), at, length) })
}

pub(crate) fn set_property(path: &[u8], value: &[u8]) -> Status {
    unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn reply(code: u32, details: &[u8], body: &[u8], headers: &[u8], grpc: u32) -> Status {
    unsafe {
        proxy_send_local_response(
            code,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc,
        )
    }
}

pub(crate) fn continue_stream(stream: u32) -> Status {
    unsafe { proxy_continue_stream(stream) }
}

pub(crate) fn close_stream(stream: u32) -> Status {
    unsafe { proxy_close_stream(stream) }
}

pub(crate) fn set_effective_context(context: u32) -> Status {
    unsafe { proxy_set_effective_context(context) }
}

pub(crate) fn done() -> Status {
    unsafe { proxy_done() }
}

pub(crate) fn foreign(name: &[u8], argument: &[u8]) -> Result<Vec<u8>, Status> {
    given(|at, length| unsafe {
        let (name, argument) = (
            (name.as_ptr(), name.len()),
            (argument.as_ptr(), argument.len()),
        );
        proxy_call_foreign_function(name.0, name.1, argument.0, argument.1, at, length)
    })
}

/// What a function gives in memory of ours, which is left to leak: a probe lives briefly.
fn given(call: impl FnOnce(*mut *mut u8, *mut usize) -> Status) -> Result<Vec<u8>, Status> {
    let (mut at, mut length) = (null_mut(), 0);
    checked(call(&mut at, &mut length))?;
    if at.is_null() {
        return Ok(Vec::new());
    }
    Ok(unsafe { std::slice::from_raw_parts(at, length) }.to_vec())
}

fn checked(status: Status) -> Result<(), Status> {
    if status == 0 { Ok(()) } else { Err(status) }
}
