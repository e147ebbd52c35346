//! `meshwall crds`.

use std::io::{self, Write as _};

use meshwall_mesh_config::crds;

use super::Exit;

/// Print the custom resource definitions of FirewallPolicy, ClusterFirewallPolicy and MeshwallConfig
///
/// An API server needs them before it stores policies. They serve `meshwall.io/v1alpha1`, with a
/// status that the policy server writes.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  meshwall crds | kubectl apply --server-side -f -")]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        io::stdout().write_all(crds::to_yaml().as_bytes())?;
        Ok(Exit::Success)
    }
}
