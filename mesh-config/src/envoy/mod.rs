//! Configuration for Envoy with the firewall in it.
//!
//! A [`Bootstrap`] describes one Envoy in the terms that matter here: which listeners with
//! which certificates, where the firewall's program comes from, where permitted traffic
//! goes. Out comes Envoy's own configuration, as JSON for programs and as commented YAML
//! for people. The settings that are not in these types are fixed, because a firewall is
//! only as good as the listener around it: each has its reason in the comment beside it.
//!
//! It takes Envoy 1.37 or newer: 1.36 can neither tell a network filter all names of a peer
//! nor wait for them before it connects to an upstream.
//!
//! The reasons are measured, on Envoy 1.40, and testbed/tests/envoy_config measures them
//! again.

mod access_log;
mod bootstrap;
mod cluster;
pub mod contract;
mod firewall;
mod http;
mod jwt;
mod listener;
mod peer;
mod tcp;
mod tls;
mod tree;
mod yaml;

pub use self::bootstrap::{Bootstrap, Node};
pub use self::cluster::{Cluster, Endpoints, UpstreamProtocol};
pub use self::firewall::{
    ConfigSource, Discovery, FilterKind, Firewall, Module, Program, discovered_filter,
};
pub use self::http::{Http, Paths};
pub use self::jwt::JwtIssuer;
pub use self::listener::{Direction, Listener, Protocol};
pub use self::tcp::Tcp;
pub use self::tls::{Certificate, ClientTls, DataSource, ServerTls, Trust, TrustDomain};
