//! The Meshwall policy server: what clusters say in, programs for sidecars out.

pub mod state;
