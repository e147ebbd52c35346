//! The status codes with which the host answers every ABI call.

/// What a host call returns to the filter: `proxy_status_t` of the proxy-wasm
/// specification, with the numbers that Envoy's host puts on the wire.
///
/// Values 5 and 9 of the specification (`bad expression`, `result mismatch`) are never
/// produced by this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u32)]
pub enum Status {
    /// The call did what it says.
    #[error("ok")]
    Ok = 0,
    /// The named thing does not exist, or is not there in this phase.
    #[error("not found")]
    NotFound = 1,
    /// An argument is out of range, or the object it names cannot be used in this phase.
    #[error("bad argument")]
    BadArgument = 2,
    /// The value exists and has no encoding (the whole of `connection`, say).
    #[error("serialization failure")]
    SerializationFailure = 3,
    /// The bytes given are not what the call takes.
    #[error("parse failure")]
    ParseFailure = 4,
    /// A pointer or a length leads outside the filter's memory, or the filter's allocator
    /// failed.
    #[error("invalid memory access")]
    InvalidMemoryAccess = 6,
    /// The queue holds nothing.
    #[error("empty")]
    Empty = 7,
    /// Somebody else has written the shared value since it was read.
    #[error("compare-and-swap mismatch")]
    CasMismatch = 8,
    /// The host could not do it.
    #[error("internal failure")]
    InternalFailure = 10,
    /// The connection to the other side broke.
    #[error("broken connection")]
    BrokenConnection = 11,
    /// The host does not offer this.
    #[error("unimplemented")]
    Unimplemented = 12,
}

impl Status {
    /// The number that the filter sees.
    pub const fn code(self) -> u32 {
        self as u32
    }
}
