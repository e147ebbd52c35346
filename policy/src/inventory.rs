//! The world that policies are compiled against: namespaces and workloads, as Kubernetes shows
//! them, reduced to what selectors and addresses need.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::spec::{LabelOperator, LabelSelector, NamespaceScope};

/// Labels of an object, by key.
pub type Labels = BTreeMap<String, String>;

/// Namespaces and workloads, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Labels of each namespace, by name.
    pub namespaces: BTreeMap<String, Labels>,
    /// Every workload with its addresses.
    pub workloads: Vec<Workload>,
}

/// One workload: a pod, or a machine outside Kubernetes that was given an identity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Workload {
    /// Namespace.
    pub namespace: String,
    /// Name of the pod.
    pub name: String,
    /// Labels of the pod.
    pub labels: Labels,
    /// Service account that the workload runs as, in the same namespace.
    pub service_account: String,
    /// Trust domain of its identity.
    pub trust_domain: String,
    /// Its addresses, of either family.
    pub addresses: Vec<IpAddr>,
    /// Its named TCP ports.
    pub ports: BTreeMap<String, u16>,
}

impl Workload {
    /// The SPIFFE id that the workload's certificate carries.
    pub fn principal(&self) -> String {
        format!(
            "spiffe://{}/ns/{}/sa/{}",
            self.trust_domain, self.namespace, self.service_account
        )
    }
}

impl Inventory {
    /// Labels of a namespace; none if the namespace is unknown. Kubernetes guarantees
    /// `kubernetes.io/metadata.name`, so it is there for a namespace that lists no labels.
    pub fn namespace_labels(&self, name: &str) -> Labels {
        with_name(self.namespaces.get(name).cloned().unwrap_or_default(), name)
    }

    /// Whether a namespace is in scope.
    pub fn namespace_matches(&self, scope: &NamespaceScope, name: &str) -> bool {
        match scope {
            NamespaceScope::All => true,
            NamespaceScope::Named(named) => named == name,
            NamespaceScope::Selected(selector) => selector.matches(&self.namespace_labels(name)),
        }
    }
}

/// Labels of a namespace, with the one that Kubernetes guarantees.
pub fn with_name(mut labels: Labels, namespace: &str) -> Labels {
    labels.insert(
        "kubernetes.io/metadata.name".to_owned(),
        namespace.to_owned(),
    );
    labels
}

impl LabelSelector {
    /// Whether all requirements hold for the labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            match &requirement.operator {
                LabelOperator::In(values) => value.is_some_and(|value| values.contains(value)),
                LabelOperator::NotIn(values) => !value.is_some_and(|value| values.contains(value)),
                LabelOperator::Exists => value.is_some(),
                LabelOperator::DoesNotExist => value.is_none(),
            }
        })
    }
}
