//! Normal forms of what a peer sends as text: the host and the query.
//!
//! Rules compare bytes. So each thing that can be spelled in several ways is brought to one
//! spelling before it is compared, and what different programs read differently is a fault: the
//! request is refused instead of guessed at. The path has its own module, [`crate::path`].

pub mod host;
pub(crate) mod percent;
pub mod query;
