//! A proxy-wasm host to test filters in, and the meshwall command.

pub mod host;
pub mod rig;
pub mod scenario;
