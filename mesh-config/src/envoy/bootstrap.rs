//! A complete configuration for one Envoy.

use std::net::SocketAddr;

use serde_json::Value;

use super::cluster::Cluster;
use super::contract::METRIC_LABELS;
use super::listener::Listener;
use super::tree::{Entry, Tree, entry, list, map};
use super::yaml;

/// Who an Envoy says it is, to xDS servers and to filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Unique within the mesh.
    pub id: String,
    /// The service that it belongs to.
    pub cluster: String,
}

/// A configuration that Envoy starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// What a person should know first, as a comment at the head of the file.
    pub heading: String,
    /// Who this Envoy is.
    pub node: Node,
    /// Where the admin interface listens. Whoever reaches it controls this Envoy.
    pub admin: Option<SocketAddr>,
    /// Listeners.
    pub listeners: Vec<Listener>,
    /// Clusters.
    pub clusters: Vec<Cluster>,
}

impl Bootstrap {
    /// The configuration as Envoy's JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.to_tree().to_json()
    }

    /// The configuration as YAML, with a comment wherever a setting has a reason.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        yaml::write(&self.to_tree())
    }

    fn to_tree(&self) -> Tree {
        let node = [
            entry("id", &self.node.id),
            entry("cluster", &self.node.cluster),
        ];
        let admin = self.admin.map(|address| {
            entry("admin", map([entry("address", address)]))
                .because("Whoever reaches this address controls the proxy.")
        });
        map([entry("node", map(node))])
            .and(admin)
            .and([
                stats_config(),
                entry(
                    "static_resources",
                    map([
                        entry(
                            "listeners",
                            list(self.listeners.iter().map(Listener::to_tree)),
                        ),
                        entry("clusters", list(self.clusters.iter().map(Cluster::to_tree))),
                    ]),
                ),
            ])
            .because(self.heading.clone())
    }
}

/// Filters cannot label their metrics, so ours puts labels into the names.
fn stats_config() -> Entry {
    let tags = METRIC_LABELS.map(|label| {
        map([
            entry("tag_name", label),
            entry("regex", format!("(;{label}=([^;]*))")),
        ])
    });
    entry("stats_config", map([entry("stats_tags", list(tags))]))
        .because("Turns metric names such as `x_total;verdict=deny;rule=r7` into labels.")
}
