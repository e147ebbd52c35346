//! What `meshwall_mesh_config::envoy` generates, in a real Envoy: that Envoy takes it, and
//! that each setting does what the comment beside it says. The firewall's own decisions are
//! tested elsewhere; here a probe in its place logs what a filter can see.

#![cfg(test)]

mod discovery;
mod paths;
mod peer;
mod shapes;
mod support;
mod telemetry;
mod token;
mod trust;
mod upstream;
