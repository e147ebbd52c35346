//! What the suites with a real Envoy share: a small mesh, and a sidecar in it that runs the
//! shipped `firewall.wasm`.
//!
//! The sidecar protects one workload, `ledger` in the namespace `shop`. Everybody else in the
//! mesh has a certificate, an address of 127.0.0.0/8 and labels, so that a test can say who
//! speaks by a name.
#![allow(dead_code, unused_imports, reason = "each suite uses its part")]

mod cases;
mod published;
mod start;
mod world;

use std::time::Duration;

pub(crate) use self::cases::PERMITTED;
pub(crate) use self::published::{GREETING, Published};
pub(crate) use self::start::{
    HttpSidecar, TcpSidecar, cluster, config, firewall, http, inbound, module,
};
pub(crate) use self::world::{
    CANARY, CONSOLE, DEV, FRONTEND, LEDGER, Mesh, PARTNER, Peer, bundle, bundle_on_port, policy,
};

/// The cause where `FirewallPolicy` documents permit by rules, and none of them matches.
pub(crate) const NO_RULE: &str = "no_rule_matched/Namespace";

/// As long as anything here may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);
