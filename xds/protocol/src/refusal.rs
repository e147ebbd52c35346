//! Why a stream is closed, and the bounds within which it is not.

use crate::name::NameError;

/// Bounds of one stream. Beyond them the client is refused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Names that a stream may be subscribed to, over all types.
    pub names: usize,
    /// Bytes of these names together.
    pub name_bytes: usize,
    /// Bytes of one name, type URL, version or node id.
    pub text_bytes: usize,
    /// Types of resources on one stream.
    pub types: usize,
    /// Bytes of the client's reason that are kept.
    pub reason_bytes: usize,
    /// Bytes of resources after which a response is full, and the rest goes with the next one. A
    /// resource that is larger goes alone. The full state of clusters and listeners cannot be
    /// divided.
    pub response_bytes: usize,
}

impl Default for Limits {
    /// Enough for a large proxy, and not for an attacker: the state of a stream stays under 1 MB.
    fn default() -> Self {
        Self {
            names: 4096,
            name_bytes: 512 * 1024,
            text_bytes: 2048,
            types: 32,
            reason_bytes: 4096,
            // gRPC clients refuse messages of more than 4 MiB unless told otherwise.
            response_bytes: 3 * 1024 * 1024,
        }
    }
}

/// Why a stream is closed: what the client did, which no answer of the protocol fits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The first message does not say who the client is.
    #[error("the first message has no node id")]
    NoNode,
    /// A message on an aggregated stream names no type.
    #[error("the request has no type URL")]
    NoType,
    /// A message asks a service of one type for another.
    #[error("this service does not have resources of type `{0}`")]
    WrongType(String),
    /// A message of the other variant than the first one.
    #[error("state-of-the-world and delta requests on one stream")]
    MixedVariants,
    /// A name that no resource can have.
    #[error("resource name `{name}`: {error}")]
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// A name, type URL, version or node id is too long.
    #[error("a {what} of {bytes} bytes, where at most {limit} are allowed")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// More names, bytes of names, types or unanswered changes than a stream may have.
    #[error("more than {limit} {what} on one stream")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
}

/// The status code of gRPC with which a stream is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// `INVALID_ARGUMENT`, 3.
    InvalidArgument,
    /// `RESOURCE_EXHAUSTED`, 8.
    ResourceExhausted,
}

impl Refusal {
    /// The status code for the client. Either way it need not try the same again.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NoNode
            | Self::NoType
            | Self::WrongType(_)
            | Self::MixedVariants
            | Self::BadName { .. } => Code::InvalidArgument,
            Self::TooLong { .. } | Self::TooMany { .. } => Code::ResourceExhausted,
        }
    }
}

impl Limits {
    /// Refuses a text of the client that is too long to be kept.
    pub(crate) fn check(&self, what: &'static str, text: &str) -> Result<(), Refusal> {
        if text.len() > self.text_bytes {
            return Err(Refusal::TooLong {
                what,
                bytes: text.len(),
                limit: self.text_bytes,
            });
        }
        Ok(())
    }
}
