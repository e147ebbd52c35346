//! Real parts on loopback: certificates, backends, clients and a real Envoy between
//! them, and a real API server.
//!
//! The demo, the real-Envoy test suites and the benchmarks all need the same thing: a
//! peer with a workload identity on one side, a backend that remembers what reached it
//! on the other, and an Envoy that runs a given configuration in the middle. The policy
//! server's tests need an API server besides. The rig starts those and nothing else; what
//! the configuration says is not its business (see `meshwall_mesh_config::envoy` for that).
//!
//! Rules: every socket is bound to 127.0.0.0/8 and to a port that the kernel picked, so
//! rigs run side by side; every part stops, and removes its files, when it is dropped,
//! also when a test panics; nothing sleeps for a fixed time where it can wait for a
//! condition.

pub mod backend;
pub mod client;
pub mod envoy;
pub mod fake_kubernetes;
pub mod grpc;
pub mod kubernetes;
pub mod pki;
mod process;
pub mod token;

use std::env;
use std::path::PathBuf;

/// Where the scripts keep the programs that they fetch or build.
fn cache_folder() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    cache
        .unwrap_or_else(|| home().join(".cache"))
        .join("meshwall")
}
