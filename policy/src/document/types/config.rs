//! The configuration of a mesh.

use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::schema;
use super::Resource;

/// What holds for the whole mesh. There is at most one such object; without it, or for a field
/// that it leaves out, the defaults named here hold.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MeshwallConfigSpec {
    /// Trust domain of the mesh: the part of its SPIFFE ids after `spiffe://`. Default
    /// `cluster.local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<String>,
    /// Other names of the same trust domain, such as its name before a migration. A principal of
    /// any of them is a principal of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_domain_aliases: Option<Vec<String>>,
    /// What happens to a connection or request of which no policy says anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_action: Option<DefaultActions>,
    /// Number of proxies in front of the mesh that append to `x-forwarded-for` and are trusted
    /// with it; `remoteIpBlocks` looks at the address that the first of them saw. Default 0: the
    /// address of the direct peer counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_proxies: Option<u8>,
    /// What a denied client is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<Denial>,
}

impl Resource for MeshwallConfigSpec {
    const KIND: &'static str = "MeshwallConfig";
    const NAMESPACED: bool = false;

    fn schema() -> &'static Value {
        static SCHEMA: OnceLock<Value> = OnceLock::new();
        SCHEMA.get_or_init(schema::of::<Self>)
    }
}

/// The default of each direction.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DefaultActions {
    /// For connections to workloads. Default `Deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<DefaultAction>,
    /// For connections from workloads. Default `Deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<DefaultAction>,
}

/// What happens when no policy says anything.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DefaultAction {
    /// It is permitted.
    Allow,
    /// It is refused.
    Deny,
}

/// What a denied client is told. A client learns that it was denied, and never why.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Denial {
    /// Status code of the HTTP response, 400-599. Default 403. gRPC clients get
    /// `PERMISSION_DENIED` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 400, max = 599))]
    pub status: Option<u16>,
    /// Body of the HTTP response, as plain text of at most 1,024 bytes. Default `denied by policy`
    /// and a line break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub body: Option<String>,
}
