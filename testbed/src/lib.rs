//! A proxy-wasm host to test filters in, and the meshwall command.

pub mod demo;
pub mod host;
pub mod relocate;
pub mod rig;
pub mod scenario;
