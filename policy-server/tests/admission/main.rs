//! The admission webhook: its answers, and the server that gives them.

#![cfg(test)]

mod reviews;
mod service;

use serde_json::{Value, json};

/// A policy with one ingress rule.
pub(crate) fn policy(action: &str) -> Value {
    json!({
        "apiVersion": "meshwall.io/v1alpha1",
        "kind": "FirewallPolicy",
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"ingress": [{
            "name": "r",
            "action": action,
            "from": [{"serviceAccounts": ["web"]}],
        }]},
    })
}

/// A review of what happens to an object.
pub(crate) fn review(operation: &str, object: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": {"group": "meshwall.io", "version": "v1alpha1", "kind": object["kind"]},
            "name": object["metadata"]["name"],
            "operation": operation,
            "object": object,
            "oldObject": null,
        },
    })
}
