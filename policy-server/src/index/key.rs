//! What names things: clusters, objects of clusters, workloads.
//!
//! A cluster is part of every name. Two clusters may each have a pod `shop/web`, and these are two
//! workloads.

use std::fmt;
use std::sync::Arc;

use meshwall_policy::spec::ObjectRef;

/// Name of a Kubernetes cluster, or of a folder of files that stands for one; the operator's choice.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClusterName(Arc<str>);

impl ClusterName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ClusterName {
    fn from(name: &str) -> ClusterName {
        ClusterName(Arc::from(name))
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Kinds of objects that the index is told about.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// `v1` Namespace.
    Namespace,
    /// `v1` Pod.
    Pod,
    /// `v1` Service. No program depends on it as long as policies cannot name services.
    Service,
    /// `v1` ServiceAccount. No program depends on it: what pods run as is in the pods.
    ServiceAccount,
    /// FirewallPolicy.
    FirewallPolicy,
    /// ClusterFirewallPolicy.
    ClusterFirewallPolicy,
    /// MeshwallConfig.
    MeshwallConfig,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 7] = [
        Kind::Namespace,
        Kind::Pod,
        Kind::Service,
        Kind::ServiceAccount,
        Kind::FirewallPolicy,
        Kind::ClusterFirewallPolicy,
        Kind::MeshwallConfig,
    ];

    /// The kinds that have a say in what is enforced.
    pub const POLICIES: [Kind; 3] = [
        Kind::FirewallPolicy,
        Kind::ClusterFirewallPolicy,
        Kind::MeshwallConfig,
    ];

    /// The name that Kubernetes has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Namespace => "Namespace",
            Kind::Pod => "Pod",
            Kind::Service => "Service",
            Kind::ServiceAccount => "ServiceAccount",
            Kind::FirewallPolicy => "FirewallPolicy",
            Kind::ClusterFirewallPolicy => "ClusterFirewallPolicy",
            Kind::MeshwallConfig => "MeshwallConfig",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names one object of a cluster.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; `None` for a kind that is in none.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl ObjectKey {
    /// The name as policies and verdicts have it.
    #[must_use]
    pub fn reference(&self) -> ObjectRef {
        ObjectRef {
            kind: self.kind.to_string(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference().fmt(f)
    }
}

/// Names the definition of a policy or configuration: the object, and the cluster that has it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DefinitionKey {
    /// The cluster.
    pub cluster: ClusterName,
    /// The object.
    pub object: ObjectKey,
}

impl fmt::Display for DefinitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of cluster `{}`", self.object, self.cluster)
    }
}

/// Names a workload.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WorkloadKey {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its namespace.
    pub namespace: String,
    /// Name of the pod.
    pub name: String,
}

impl fmt::Display for WorkloadKey {
    /// `cluster/namespace/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.cluster, self.namespace, self.name)
    }
}
