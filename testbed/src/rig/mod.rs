//! Real parts on loopback: certificates, backends, clients and a real Envoy between
//! them.
//!
//! The demo, the real-Envoy test suites and the benchmarks all need the same thing: a
//! peer with a workload identity on one side, a backend that remembers what reached it
//! on the other, and an Envoy that runs a given configuration in the middle. The rig
//! starts those and nothing else; what the configuration says is not its business (see
//! `meshwall_mesh_config::envoy` for that).
//!
//! Rules: every socket is bound to 127.0.0.0/8 and to a port that the kernel picked, so
//! rigs run side by side; every part stops, and removes its files, when it is dropped,
//! also when a test panics; nothing sleeps for a fixed time where it can wait for a
//! condition.

pub mod backend;
pub mod client;
pub mod envoy;
pub mod grpc;
pub mod pki;
pub mod token;
