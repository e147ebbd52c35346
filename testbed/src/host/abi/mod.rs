//! The functions that a filter imports: the ABI, seen from the filter.
//!
//! One module for each area. Every function gets the guest, whose memory it must not trust,
//! and the raw arguments; it returns a [`Status`] and nothing else, so that no argument can
//! make the host panic. Which of two errors comes first follows Envoy's host, since a filter
//! may depend on it.

mod buffers;
mod calls;
mod guest;
mod header_maps;
mod linker;
mod metrics;
mod misc;
mod properties;
mod property_lookup;
mod shared;
mod streams;
mod wasi;

pub(crate) use linker::{RestrictedCall, linker};
