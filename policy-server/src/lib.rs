//! The Meshwall policy server: what clusters say in, programs for sidecars out.

pub mod admin;
pub mod admission;
pub mod driver;
pub mod flags;
pub mod identity;
pub mod index;
pub mod load;
pub mod memory;
pub mod overview;
pub mod publish;
pub mod server;
pub mod source;
pub mod state;
pub mod status;
pub mod telemetry;
mod web;
