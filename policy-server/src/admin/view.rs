//! What the admin port shows, as types, and the port by which it gets it.
//!
//! Times are seconds since 1970-01-01T00:00:00Z, durations are seconds. Versions are those of the
//! xDS resources.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use serde::Serialize;

/// Where the admin port gets what it shows.
pub trait View: Send + Sync + 'static {
    /// Whether proxies are served what they should enforce.
    fn readiness(&self) -> Readiness;
    /// Sources and policies.
    fn status(&self) -> Status;
    /// The proxies that are connected.
    fn proxies(&self) -> Vec<Proxy>;
    /// Everything about one workload; `None` if there is none of this name.
    fn workload(
        &self,
        cluster: &str,
        namespace: &str,
        pod: &str,
    ) -> impl Future<Output = Option<Workload>> + Send;
    /// All metrics as OpenMetrics text.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    fn metrics(&self) -> Result<String, fmt::Error>;
}

/// Whether proxies are served what they should enforce.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Whether every cluster that can be reached has been listed, or what was remembered is served.
    pub ready: bool,
    /// Whether what is served is known from the state on disk only.
    pub from_disk: bool,
    /// The sources that this depends on.
    pub sources: Vec<Source>,
}

/// How one kind of objects of one cluster is heard of.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Name of the cluster.
    pub cluster: String,
    /// Kind of the objects.
    pub kind: String,
    /// Whether all objects are known.
    pub synced: bool,
    /// What the source is doing.
    pub state: SourceState,
    /// The reason of the last failure, if it is failing.
    pub reason: Option<String>,
    /// Seconds since the cluster was last heard of.
    pub silence: Option<u64>,
}

/// What a source is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceState {
    /// It waits for all objects.
    Listing,
    /// It hears of changes as they happen.
    Watching,
    /// The kind is not there.
    Absent,
    /// It cannot hear of changes.
    Failing,
}

/// Sources and policies.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// In short.
    pub readiness: Readiness,
    /// Policies and configurations.
    pub policies: Vec<Policy>,
    /// Workloads that are known.
    pub workloads: usize,
    /// Why the state on disk cannot be written, if it cannot.
    pub state_error: Option<String>,
}

/// A policy or configuration.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// The cluster that has it.
    pub cluster: String,
    /// `kind/namespace/name`.
    pub name: String,
    /// What has become of it.
    pub state: PolicyState,
    /// Why it is not accepted, and what holds instead.
    pub reason: Option<String>,
    /// How far it has come.
    pub proxies: Counts,
}

/// What has become of a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyState {
    /// It is in force.
    Accepted,
    /// The policy cluster says the same, and that is in force.
    Repeated,
    /// It is wrong.
    Refused,
    /// It contradicts another one.
    Conflicted,
}

/// Counts of proxies.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Connected proxies that the policy concerns.
    pub selected: usize,
    /// Those that enforce it.
    pub programmed: usize,
    /// Those that refused it.
    pub refused: usize,
}

/// A proxy that is connected.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// Id of the node.
    pub node: String,
    /// The workload, as `cluster/namespace/name`.
    pub workload: String,
    /// Its verified SPIFFE id; none on a connection without TLS.
    pub principal: Option<String>,
    /// Its address.
    pub address: String,
    /// When its stream was opened.
    pub since: u64,
    /// What is delivered to it, by type URL.
    pub types: BTreeMap<String, Delivery>,
}

/// What a proxy has of one type.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Versions that it should have, by resource.
    pub meant: BTreeMap<String, String>,
    /// Versions that it has accepted, by resource.
    pub acked: BTreeMap<String, String>,
    /// The last response that it refused, if it has accepted none since.
    pub nack: Option<Nack>,
    /// Milliseconds for which it has been owing an answer.
    pub lag_milliseconds: Option<u64>,
}

/// A refusal.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Nack {
    /// When it came.
    pub at: u64,
    /// In the words of the proxy.
    pub reason: String,
}

/// What a workload enforces, and why.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// `cluster/namespace/name`.
    pub name: String,
    /// The SPIFFE id that its certificate should carry.
    pub principal: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Policies that apply, in the order of evaluation, as `kind/namespace/name of cluster`.
    pub applies: Vec<String>,
    /// Policies that do not apply.
    pub not_applied: Vec<NotApplied>,
    /// Version of what it should enforce; none if that is nothing yet.
    pub version: Option<String>,
    /// Bytes of its program.
    pub program_bytes: Option<usize>,
    /// Bytes of its peer table.
    pub peer_table_bytes: Option<usize>,
    /// Why it does not enforce what it should.
    pub failure: Option<String>,
    /// The peer sets of its program.
    pub sets: Vec<PeerSet>,
}

/// A policy that does not apply.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotApplied {
    /// The policy.
    pub policy: String,
    /// Why not.
    pub reason: String,
}

/// A peer set, and who is in it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerSet {
    /// The set, in the words of explanations.
    pub set: String,
    /// Its members, as `cluster/namespace/name`.
    pub members: Vec<String>,
}
