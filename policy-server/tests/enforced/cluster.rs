//! A cluster: the objects that a test writes to a real API server.

use std::net::Ipv4Addr;
use std::process::Command;

use meshwall_mesh_config::crds;
use meshwall_testbed::rig::kubernetes::{Api, Kubernetes, Launch, Programs};
use serde_json::{Value, json};

/// A real API server with our definitions, and the namespaces `shop`, `ops` and `dev`.
pub(crate) struct Cluster {
    pub(crate) server: Kubernetes,
    pub(crate) api: Api,
}

impl Cluster {
    pub(crate) async fn start() -> Cluster {
        let programs = Programs::find(None).unwrap();
        let server = Launch::new(&programs).start().await.unwrap();
        let api = server.admin();
        for definition in crds::all() {
            let name = definition.object["metadata"]["name"].as_str().unwrap();
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            api.apply(&path, &definition.object).await.unwrap();
        }
        let cluster = Cluster { server, api };
        for (name, stage) in [("shop", "prod"), ("ops", "prod"), ("dev", "test")] {
            let namespace = json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": name, "labels": {"stage": stage}},
            });
            cluster
                .api
                .create("/api/v1/namespaces", &namespace)
                .await
                .unwrap();
        }
        cluster
    }

    /// The API server dies. Its files stay.
    pub(crate) fn kill(&self) {
        let pid = self.server.pid().to_string();
        let killed = Command::new("kill").args(["-9", &pid]).status().unwrap();
        assert!(killed.success());
    }

    /// Creates a pod, and gives it an address as a kubelet would.
    pub(crate) async fn pod(
        &self,
        namespace: &str,
        name: &str,
        account: &str,
        address: Ipv4Addr,
        labels: Value,
    ) {
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "serviceAccountName": account,
                "containers": [{"name": "main", "image": "none"}],
            },
        });
        self.api.create(&pods, &pod).await.unwrap();
        let status = json!({"status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
        }});
        let path = format!("{pods}/{name}/status");
        self.api.patch(&path, &status).await.unwrap();
    }

    /// Deletes a pod at once, as a kubelet does in the end.
    pub(crate) async fn delete_pod(&self, namespace: &str, name: &str) {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        self.api.delete(&path).await.unwrap();
    }

    pub(crate) async fn label_pod(&self, namespace: &str, name: &str, labels: Value) {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let patch = json!({"metadata": {"labels": labels}});
        self.api.patch(&path, &patch).await.unwrap();
    }

    /// Writes the policy of `ledger`: these ingress rules.
    pub(crate) async fn policy(&self, rules: Value) {
        let policy = json!({
            "apiVersion": "meshwall.io/v1alpha1", "kind": "FirewallPolicy",
            "metadata": {"name": "ledger", "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "ledger"}}, "ingress": rules},
        });
        let path = format!("{}/ledger", Cluster::POLICIES);
        self.api.apply(&path, &policy).await.unwrap();
    }

    pub(crate) async fn delete_policy(&self) {
        let path = format!("{}/ledger", Cluster::POLICIES);
        self.api.delete(&path).await.unwrap();
    }

    /// The policy of `ledger` as the API server has it.
    pub(crate) async fn policy_object(&self) -> Value {
        let path = format!("{}/ledger", Cluster::POLICIES);
        self.api.get(&path).await.unwrap()
    }

    const POLICIES: &str = "/apis/meshwall.io/v1alpha1/namespaces/shop/firewallpolicies";
}
