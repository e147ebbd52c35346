//! The demo: the shop's traffic through real Envoys, and each verdict beside the test bed's.
//!
//! A [`Plan`] is what is asked: the scenario `demo` of the shop. A [`Mesh`] is who is asked: an
//! Envoy for each workload that the plan has questions for, configured as `meshwall render`
//! does, in front of a real backend; and peers with certificates of real authorities, who speak
//! from the addresses of their pods. What is changed for this machine: addresses in 10.0.0.0/8
//! are in 127.0.0.0/8 here, listeners and backends are on free ports, and policies that expire
//! do so as long from now as the scenario says.
//!
//! All of it ends, and its files are removed, when the [`Mesh`] is dropped.

mod ask;
mod config;
mod latency;
mod mesh;
mod plan;

pub use self::latency::Added;
pub use self::mesh::{Door, Error, Mesh, Options, Started};
pub use self::plan::{Act, Entry, Plan, PlanError, unpack};
