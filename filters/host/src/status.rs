//! Why a call to the proxy failed.
//!
//! One type for every port: the ABI's `proxy_status_t` without OK, plus the one failure that
//! only the caller can see, an answer that breaks the ABI.

use std::fmt;

/// Why a call to the proxy failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// No such thing here and now: a queue, a shared key, a buffer outside its callback. An
    /// absent property is not an error, see [`Properties`](crate::ports::Properties).
    NotFound,
    /// The proxy refused an argument.
    BadArgument,
    /// The proxy could not encode what was asked for: Envoy's answer to a property that is a
    /// whole subtree, such as `connection`.
    SerializationFailure,
    /// The proxy could not parse what it was given; for gRPC, an unknown cluster.
    ParseFailure,
    /// Memory could not be handed over: the guest refused or failed to allocate.
    InvalidMemoryAccess,
    /// The shared queue has nothing to take.
    Empty,
    /// The shared value has changed since it was read.
    CasMismatch,
    /// The proxy failed for reasons of its own.
    InternalFailure,
    /// The proxy does not offer this.
    Unimplemented,
    /// A status that ABI 0.2.1 does not name.
    Other(u32),
    /// The proxy reported success with bytes that break the ABI or are not of the type asked
    /// for. Found on this side; no proxy returns it.
    Malformed,
}

impl Status {
    /// Reads a `proxy_status_t`.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        allow(dead_code, reason = "only the adapter reads")
    )]
    pub(crate) fn check(code: u32) -> Result<(), Self> {
        Err(match code {
            0 => return Ok(()),
            1 => Self::NotFound,
            2 => Self::BadArgument,
            3 => Self::SerializationFailure,
            4 => Self::ParseFailure,
            6 => Self::InvalidMemoryAccess,
            7 => Self::Empty,
            8 => Self::CasMismatch,
            10 => Self::InternalFailure,
            12 => Self::Unimplemented,
            code => Self::Other(code),
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::BadArgument => "bad argument",
            Self::SerializationFailure => "the proxy could not serialize the value",
            Self::ParseFailure => "the proxy could not parse the argument",
            Self::InvalidMemoryAccess => "memory could not be handed over",
            Self::Empty => "the queue is empty",
            Self::CasMismatch => "the shared value has changed",
            Self::InternalFailure => "internal failure of the proxy",
            Self::Unimplemented => "not implemented by the proxy",
            Self::Other(code) => return write!(f, "unknown proxy status `{code}`"),
            Self::Malformed => "malformed answer from the proxy",
        })
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn codes_are_those_of_the_abi() {
        assert_eq!(Status::check(0), Ok(()));
        for (code, status) in [
            (1, Status::NotFound),
            (2, Status::BadArgument),
            (3, Status::SerializationFailure),
            (4, Status::ParseFailure),
            (5, Status::Other(5)),
            (6, Status::InvalidMemoryAccess),
            (7, Status::Empty),
            (8, Status::CasMismatch),
            (10, Status::InternalFailure),
            (12, Status::Unimplemented),
            (u32::MAX, Status::Other(u32::MAX)),
        ] {
            assert_eq!(Status::check(code), Err(status), "{code}");
        }
    }

    #[test]
    fn an_unknown_code_is_named() {
        assert_eq!(Status::Other(77).to_string(), "unknown proxy status `77`");
    }
}
