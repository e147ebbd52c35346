//! Requests through a real Envoy: HTTP/1.1, HTTP/2 and gRPC, permitted and denied by each
//! thing that a policy can name.
#![cfg(test)]

#[path = "../sidecar/mod.rs"]
mod sidecar;

mod answers;
mod certificates;
mod conditions;
mod forgeries;
mod identity;
mod operations;
