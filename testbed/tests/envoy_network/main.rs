//! TCP connections through a real Envoy: what a denied peer sends reaches nobody, and what the
//! workload says does not reach it, whoever speaks first.
#![cfg(test)]

#[path = "../sidecar/mod.rs"]
mod sidecar;

mod bytes;
mod peers;
mod traces;
