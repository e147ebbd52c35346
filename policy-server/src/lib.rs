//! The Meshwall policy server: what clusters say in, programs for sidecars out.

pub mod index;
pub mod load;
pub mod source;
pub mod state;
