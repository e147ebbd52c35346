//! The world as Kubernetes shows it: `kubectl get namespaces,pods -A -o yaml`, or `-o json`.
//!
//! Policies are compiled against an [`Inventory`]: which pods there are, where, with which labels,
//! running as whom. [`read`] makes one of the objects that an API server lists. It looks at few of
//! their fields and leaves all others alone, because they are Kubernetes' to add to and to change;
//! what it does look at has to be right, or the pod would be another one than it is.
//!
//! An address is worth something only if it is one pod's own. So pods that have ended or are about
//! to, whose addresses may be someone else's by now, are left out, and pods on the network of
//! their node are kept without addresses. [`Read::left_out`] says which, so that nobody has to
//! wonder.

mod error;
mod field;
mod pod;

use std::collections::BTreeSet;

use meshwall_policy::document::{Other, Positions};
use meshwall_policy::inventory::{Inventory, Labels, Workload};
use meshwall_policy::spec::ObjectRef;
use serde_json::Value;

pub use self::error::{Error, Reason};
use self::field::{Field, Findings};

/// What the objects of a cluster make.
#[derive(Debug, Default)]
pub struct Read {
    /// Namespaces and pods.
    pub inventory: Inventory,
    /// What of the pods is not in the inventory, in their order.
    pub left_out: Vec<LeftOut>,
    /// What is wrong with the objects, in their order. An object with errors is left out.
    pub errors: Vec<Error>,
}

/// A pod that is not, or not all of it, in the inventory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeftOut {
    /// The pod.
    pub object: ObjectRef,
    /// Why.
    pub why: Why,
}

/// Why a pod is not, or not all of it, in the inventory.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Why {
    /// It has ended (phase `Succeeded` or `Failed`). [`read`] leaves it out.
    Ended,
    /// It is being deleted. [`read`] leaves it out.
    Deleted,
    /// It uses the network of its node, and shares the node's addresses with others. It is there
    /// without addresses: policies can protect it, and no peer is taken for it.
    HostNetwork,
    /// It has no address yet. It is there without addresses.
    NoAddress,
}

/// A pod, as far as policies need it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pod {
    /// What it is; without addresses if anything is left out.
    pub workload: Workload,
    /// What of it is left out, and why.
    pub left_out: Option<Why>,
}

/// A namespace, as far as policies need it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
}

/// Reads one pod that was decoded elsewhere, such as by a Kubernetes client.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_pod(value: &Value, trust_domain: &str) -> Result<Pod, Vec<Error>> {
    read_one("Pod", value, |root, reference, findings| {
        pod::read(root, reference, trust_domain, findings)
    })
}

/// Reads one namespace that was decoded elsewhere.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_namespace(value: &Value) -> Result<Namespace, Vec<Error>> {
    read_one("Namespace", value, |root, reference, findings| Namespace {
        name: reference.name.clone(),
        labels: root.field("metadata").field("labels").texts(findings),
    })
}

fn read_one<T>(
    kind: &str,
    value: &Value,
    read: impl FnOnce(&Field<'_>, &ObjectRef, &mut Findings) -> T,
) -> Result<T, Vec<Error>> {
    let mut findings = Findings::default();
    let root = Field::root(value);
    let reference = identify(kind, &root, &mut findings);
    let read = read(&root, &reference, &mut findings);
    if findings.is_empty() {
        Ok(read)
    } else {
        Err(findings.finish(&reference, &Positions::none()))
    }
}

/// Whether objects of this kind are read. Of these, services and service accounts say nothing
/// that an inventory has.
#[must_use]
pub fn reads(api_version: &str, kind: &str) -> bool {
    api_version == "v1" && matches!(kind, "Namespace" | "Pod" | "Service" | "ServiceAccount")
}

/// Reads the objects of a cluster whose identities are of this trust domain. Objects of other kinds
/// than [`reads`] knows are passed over.
#[must_use]
pub fn read<'a>(objects: impl IntoIterator<Item = &'a Other>, trust_domain: &str) -> Read {
    let mut result = Read::default();
    let mut known = BTreeSet::new();
    for object in objects {
        if !reads(&object.api_version, &object.kind) {
            continue;
        }
        let mut findings = Findings::default();
        let root = Field::root(&object.value);
        let reference = identify(&object.kind, &root, &mut findings);
        if findings.is_empty() && !known.insert(reference.clone()) {
            findings.push(&root.field("metadata").field("name"), Reason::Duplicate);
        }
        match object.kind.as_str() {
            "Namespace" => {
                let labels = root.field("metadata").field("labels").texts(&mut findings);
                if findings.is_empty() {
                    let namespaces = &mut result.inventory.namespaces;
                    namespaces.insert(reference.name.clone(), labels);
                }
            }
            "Pod" => {
                let pod = pod::read(&root, &reference, trust_domain, &mut findings);
                if findings.is_empty() {
                    let Pod { workload, left_out } = pod;
                    let is_gone = matches!(left_out, Some(Why::Ended | Why::Deleted));
                    let workload = (!is_gone).then_some(workload);
                    result.inventory.workloads.extend(workload);
                    let object = reference.clone();
                    let left_out = left_out.map(|why| LeftOut { object, why });
                    result.left_out.extend(left_out);
                }
            }
            _ => {}
        }
        result
            .errors
            .extend(findings.finish(&reference, &object.positions));
    }
    result
}

/// What names an object.
fn identify(kind: &str, root: &Field<'_>, findings: &mut Findings) -> ObjectRef {
    let metadata = root.field("metadata");
    let namespace = (kind != "Namespace").then(|| metadata.field("namespace").name(findings));
    ObjectRef {
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: metadata.field("name").name(findings).to_owned(),
    }
}

#[cfg(test)]
mod tests;
