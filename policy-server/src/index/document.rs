//! Objects as documents again, to be remembered.
//!
//! A policy is remembered as it was written: what is wrong with it has to be said again after a
//! restart. Of a pod or a namespace only that is remembered which is read of it.

use std::net::IpAddr;

use meshwall_mesh_config::inventory::{Pod, Why};
use meshwall_policy::inventory::{Labels, Workload};
use serde_json::{Value, json};

use super::key::ObjectKey;
use super::object::{Content, Object};

impl Object {
    /// A document that [`Object::read`] makes the same object of; `None` if nothing depends on the
    /// object.
    #[must_use]
    pub fn document(&self) -> Option<Value> {
        match &self.content {
            Content::Pod(pod) => Some(of_pod(pod)),
            Content::Namespace(labels) => Some(of_namespace(&self.key, labels)),
            Content::Definition(definition) => definition.document.as_deref().cloned(),
            Content::Nothing | Content::Unreadable(_) => None,
        }
    }
}

fn of_pod(pod: &Pod) -> Value {
    let Pod { workload, left_out } = pod;
    let Workload {
        namespace,
        name,
        labels,
        service_account,
        // That of the cluster.
        trust_domain: _,
        addresses,
        ports,
    } = workload;
    let address = |address: &IpAddr| json!({"ip": address});
    let port = |(name, number): (&String, &u16)| json!({"name": name, "containerPort": number});
    let mut metadata = json!({"namespace": namespace, "name": name, "labels": labels});
    let mut spec = json!({
        "serviceAccountName": service_account,
        "containers": [{"ports": ports.iter().map(port).collect::<Vec<_>>()}],
    });
    let mut status = json!({"podIPs": addresses.iter().map(address).collect::<Vec<_>>()});
    match left_out {
        None | Some(Why::NoAddress) => {}
        Some(Why::Ended) => set(&mut status, "phase", json!("Succeeded")),
        Some(Why::Deleted) => {
            set(
                &mut metadata,
                "deletionTimestamp",
                json!("1970-01-01T00:00:00Z"),
            );
        }
        Some(Why::HostNetwork) => set(&mut spec, "hostNetwork", json!(true)),
    }
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status,
    })
}

fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(field.to_owned(), value);
    }
}

fn of_namespace(key: &ObjectKey, labels: &Labels) -> Value {
    let metadata = json!({"name": key.name, "labels": labels});
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
}

/// A policy or configuration without what others write into it and nothing here reads.
pub(super) fn as_written(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.remove("managedFields");
        }
    }
    value
}
