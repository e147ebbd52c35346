//! Memory that the proxy fills.
//!
//! To hand bytes over, a proxy calls `proxy_on_memory_allocate`, writes, and returns address
//! and length from the call that the filter made. Between the two, the buffer belongs to
//! nobody; this module keeps it, so that:
//!
//! - only memory that was allocated here, whole, and once, is ever taken. An address that was
//!   not handed out is an error, never a dereference. No unsafe code is needed at all;
//! - several buffers may be outstanding in one call, in any order;
//! - what a proxy allocates and then does not return (it failed half-way) is freed later, and
//!   not leaked.
//!
//! Keeping dropped buffers for the next call was tried: it saves 15 ns of the 700 to 800 that
//! a call costs in Envoy, and is not worth its code.
//!
//! A proxy forbids every call but logging while it allocates, so nothing here may call it.

use std::cell::RefCell;

use crate::Status;

/// How many buffers may be outstanding. One call hands over one or two; the oldest of more
/// than this was abandoned.
const MAX_HANDED_OUT: usize = 8;

thread_local! {
    /// Being filled by the proxy, the oldest first. Every byte is initialised.
    static HANDED_OUT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// The body of `proxy_on_memory_allocate`: room for `size` bytes, or null if there is none, on
/// which the proxy gives up its call with a status.
pub fn allocate(size: usize) -> *mut u8 {
    hand_out(size).unwrap_or_default()
}

/// Takes over the `len` bytes at `data` that the proxy returned from a call.
///
/// # Errors
///
/// [`Status::Malformed`] if that is not a buffer which [`allocate`] handed out and which is
/// large enough.
#[cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "only the adapter takes")
)]
pub(crate) fn take(data: *const u8, len: usize) -> Result<Vec<u8>, Status> {
    if len == 0 && data.is_null() {
        return Ok(Vec::new());
    }
    let mut bytes = take_back(data).ok_or(Status::Malformed)?;
    if len > bytes.len() {
        return Err(Status::Malformed);
    }
    bytes.truncate(len);
    Ok(bytes)
}

/// Never aborts: a peer may have a say in the size, and it may be more than there is.
fn hand_out(size: usize) -> Option<*mut u8> {
    // An empty buffer needs an address as well, by which it is found again.
    let size = size.max(1);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).ok()?;
    bytes.resize(size, 0);
    let data = bytes.as_mut_ptr();
    HANDED_OUT.with(|handed_out| {
        let mut handed_out = handed_out.try_borrow_mut().ok()?;
        if handed_out.len() >= MAX_HANDED_OUT {
            handed_out.remove(0);
        }
        handed_out.try_reserve(1).ok()?;
        handed_out.push(bytes);
        Some(data)
    })
}

fn take_back(data: *const u8) -> Option<Vec<u8>> {
    HANDED_OUT.with(|handed_out| {
        let mut handed_out = handed_out.try_borrow_mut().ok()?;
        let index = handed_out
            .iter()
            .rposition(|bytes| bytes.as_ptr() == data)?;
        Some(handed_out.remove(index))
    })
}

#[cfg(test)]
mod tests {
    use super::{HANDED_OUT, MAX_HANDED_OUT, allocate, take};
    use crate::Status;

    fn outstanding() -> usize {
        HANDED_OUT.with_borrow(Vec::len)
    }

    #[test]
    fn nothing_is_an_answer() {
        assert_eq!(take(std::ptr::null(), 0), Ok(vec![]));
    }

    #[test]
    fn several_are_outstanding_in_any_order() {
        let (a, b, c) = (allocate(10), allocate(500), allocate(0));
        assert!(a != b && b != c && a != c && !c.is_null());
        let taken = take(b, 400).unwrap();
        assert_eq!((taken.as_ptr(), taken.len()), (b.cast_const(), 400));
        let taken = take(a, 10).unwrap();
        assert_eq!((taken.as_ptr(), taken.len()), (a.cast_const(), 10));
        assert_eq!(take(c, 0), Ok(vec![]));
        assert_eq!(outstanding(), 0);
    }

    #[test]
    fn only_what_was_handed_out_is_taken_and_only_once() {
        let data = allocate(300);
        assert_eq!(take(data.wrapping_add(8), 8), Err(Status::Malformed));
        assert_eq!(take(std::ptr::null(), 8), Err(Status::Malformed));
        let bytes = take(data, 300).unwrap();
        assert_eq!(take(data, 300), Err(Status::Malformed));
        drop(bytes);
        assert_eq!(take(data, 300), Err(Status::Malformed));
    }

    #[test]
    fn a_length_beyond_the_buffer_is_refused() {
        assert_eq!(take(allocate(300), 301), Err(Status::Malformed));
        assert_eq!(outstanding(), 0);
    }

    #[test]
    fn abandoned_buffers_are_bounded() {
        for _ in 0..1000 {
            assert!(!allocate(300).is_null());
        }
        assert_eq!(outstanding(), MAX_HANDED_OUT);
    }

    #[test]
    fn too_much_is_refused_without_a_panic() {
        for size in [usize::MAX, usize::MAX / 2 + 1, isize::MAX as usize] {
            assert!(allocate(size).is_null(), "{size}");
        }
    }
}
