//! Mesh configuration: resources that Meshwall reads, and resources that it generates.

pub mod crds;
pub mod envoy;
pub mod inventory;
pub mod sidecar;
