//! Objects and an index, in few words.

use meshwall_policy::peers::PeerTable;
use meshwall_policy_server::index::{
    ClusterName, DefinitionKey, Enforced, Index, Kind, Mesh, Object, ObjectKey, Report, Update,
    WorkloadKey,
};
use serde_json::{Value, json};

pub(crate) fn cluster(name: &str) -> ClusterName {
    ClusterName::from(name)
}

pub(crate) fn object(value: &Value) -> Object {
    Object::read(value.clone()).unwrap()
}

/// A mesh of clusters whose trust domains have their names; the first is the policy cluster.
pub(crate) fn mesh(clusters: &[&str]) -> Mesh {
    let (first, others) = clusters.split_first().unwrap();
    let mesh = Mesh::new(cluster(first), first);
    others
        .iter()
        .fold(mesh, |mesh, name| mesh.with(cluster(name), name))
}

/// An index of clusters that were listed and have nothing.
pub(crate) fn listed(clusters: &[&str]) -> Index {
    let mut index = Index::new(mesh(clusters));
    for name in clusters {
        for kind in Kind::ALL {
            index.reset(&cluster(name), kind, []);
        }
    }
    index.update();
    index
}

pub(crate) fn workload(cluster: &str, namespace: &str, name: &str) -> WorkloadKey {
    WorkloadKey {
        cluster: self::cluster(cluster),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

pub(crate) fn key(kind: Kind, namespace: &str, name: &str) -> ObjectKey {
    ObjectKey {
        kind,
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        name: name.to_owned(),
    }
}

pub(crate) fn definition(cluster: &str, kind: Kind, namespace: &str, name: &str) -> DefinitionKey {
    DefinitionKey {
        cluster: self::cluster(cluster),
        object: key(kind, namespace, name),
    }
}

pub(crate) fn pod(namespace: &str, name: &str, app: &str, address: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": app}},
        "spec": {
            "serviceAccountName": app,
            "containers": [{"name": "app", "ports": [{"name": "http", "containerPort": 8080}]}],
        },
        "status": {"phase": "Running", "podIP": address},
    })
}

/// Allows `from` to reach `app`, by label.
pub(crate) fn policy(namespace: &str, name: &str, app: &str, from: &str) -> Value {
    json!({
        "apiVersion": "meshwall.io/v1alpha1",
        "kind": "FirewallPolicy",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "selector": {"matchLabels": {"app": app}},
            "ingress": [{
                "name": "from",
                "action": "Allow",
                "from": [{"podSelector": {"matchLabels": {"app": from}}}],
            }],
        },
    })
}

pub(crate) fn cluster_policy(name: &str, tier: &str, priority: u16, namespace: &str) -> Value {
    json!({
        "apiVersion": "meshwall.io/v1alpha1",
        "kind": "ClusterFirewallPolicy",
        "metadata": {"name": name},
        "spec": {
            "tier": tier,
            "priority": priority,
            "subject": {"namespaceSelector": {}},
            "ingress": [{
                "name": "deny",
                "action": "Deny",
                "from": [{"namespaces": [namespace]}],
            }],
        },
    })
}

/// Whether an address is in a set of a workload's program.
pub(crate) fn knows(enforced: &Enforced, address: &str) -> bool {
    let peers = PeerTable::load(enforced.peers.bytes().to_vec()).unwrap();
    peers.lookup(address.parse().unwrap()).is_some()
}

/// The workloads that an update has changed, in order.
pub(crate) fn changed(update: &Update) -> Vec<String> {
    let mut names: Vec<String> = update
        .changed
        .iter()
        .map(|(key, _)| key.to_string())
        .collect();
    names.sort();
    names
}

pub(crate) fn report<'a>(index: &'a Index, definition: &DefinitionKey) -> &'a Report {
    let mut reports = index.reports();
    reports
        .find(|report| report.definition == *definition)
        .unwrap()
}

/// The names of the policies that apply to a workload.
pub(crate) fn applies(index: &Index, key: &WorkloadKey) -> Vec<String> {
    let description = index.describe(key).unwrap();
    let applies = description.applies.iter();
    applies
        .map(|policy| policy.definition.to_string())
        .collect()
}
