//! From an API server to a verdict: a real kube-apiserver, the policy server, and the real Envoy
//! beside `ledger`, which gets its filters from the policy server over mTLS.

#![cfg(test)]

#[path = "../../../testbed/tests/sidecar/mod.rs"]
mod sidecar;

mod cluster;
mod delay;
mod identity;
mod mesh;
mod restart;
mod status;
mod verdicts;
