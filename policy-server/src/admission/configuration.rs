//! The object by which an API server knows the webhook.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meshwall_mesh_config::crds;
use meshwall_policy::document::types::GROUP;
use serde_json::{Value, json};

use super::service::PATH;

/// Seconds that an API server waits for a review. A review takes milliseconds.
const TIMEOUT_SECONDS: u8 = 5;

/// The ValidatingWebhookConfiguration for a server behind a service on port 443.
///
/// `authorities` are the certificates, in PEM, of the authorities that sign the server's. Without
/// an answer nothing is stored (`failurePolicy: Fail`): a policy that nobody looked at might be
/// none.
#[must_use]
pub fn configuration(namespace: &str, service: &str, authorities: &[u8]) -> Value {
    let definitions = crds::all();
    let plurals: Vec<&str> = definitions.iter().map(|kind| kind.plural).collect();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "meshwall"},
        "webhooks": [{
            "name": format!("policies.{GROUP}"),
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "matchPolicy": "Equivalent",
            "timeoutSeconds": TIMEOUT_SECONDS,
            "rules": [{
                "apiGroups": [GROUP],
                "apiVersions": [crds::VERSION],
                "operations": ["CREATE", "UPDATE"],
                "resources": plurals,
                "scope": "*",
            }],
            "clientConfig": {
                "caBundle": STANDARD.encode(authorities),
                "service": {"namespace": namespace, "name": service, "path": PATH, "port": 443},
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fails_closed_and_asks_for_all_kinds_and_no_subresource() {
        let object = configuration("meshwall", "server", b"PEM");
        let webhook = &object["webhooks"][0];
        assert_eq!(webhook["failurePolicy"], "Fail");
        assert_eq!(webhook["sideEffects"], "None");
        assert_eq!(webhook["clientConfig"]["caBundle"], "UEVN");
        let resources = [
            "firewallpolicies",
            "clusterfirewallpolicies",
            "meshwallconfigs",
        ];
        assert_eq!(webhook["rules"][0]["resources"], json!(resources));
        // No namespace is left out.
        assert_eq!(webhook.get("namespaceSelector"), None);
    }
}
