//! A real API server: what it makes of our custom resource definitions, and whether the fake one
//! behaves like it.
//!
//! A server takes some seconds to start, and 350 MB: tests that need no server of their own share
//! one, each in a namespace of its own.

#![cfg(test)]

mod agreement;
mod definitions;
mod documents;
mod scenario;

use std::sync::{Arc, Weak};
use std::time::Duration;

use meshwall_mesh_config::crds;
use meshwall_testbed::rig::kubernetes::{Api, Kubernetes, Launch, Programs};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// Where custom resource definitions are.
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A server with nothing of ours in it.
async fn empty_server() -> Kubernetes {
    let programs = Programs::find(None).unwrap();
    Launch::new(&programs).start().await.unwrap()
}

/// The server that tests share, with our definitions. The last test that uses it ends it.
async fn server() -> Arc<Kubernetes> {
    static SHARED: Mutex<Weak<Kubernetes>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(empty_server().await);
    define(&server.admin()).await;
    *shared = Arc::downgrade(&server);
    server
}

/// Creates our definitions, and waits until their kinds are served.
async fn define(api: &Api) {
    for definition in crds::all() {
        let name = text(&definition.object, "/metadata/name");
        let path = format!("{DEFINITIONS}/{name}");
        api.apply(&path, &definition.object).await.unwrap();
    }
    for definition in crds::all() {
        served(api, definition.plural).await;
    }
}

/// Waits until a kind of ours is served.
async fn served(api: &Api, plural: &str) {
    let path = format!("/apis/meshwall.io/v1alpha1/{plural}");
    let served = async {
        while api.get(&path).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), served)
        .await
        .unwrap_or_else(|_| panic!("{plural} are not served"));
}

async fn namespace(api: &Api, name: &str) {
    let namespace = json!({"metadata": {"name": name}});
    api.create("/api/v1/namespaces", &namespace).await.unwrap();
}

/// Where the objects of a kind of ours are; `namespace` counts for policies of namespaces only.
fn collection(kind: &str, namespace: &str) -> String {
    let root = "/apis/meshwall.io/v1alpha1";
    match kind {
        "FirewallPolicy" => format!("{root}/namespaces/{namespace}/firewallpolicies"),
        "ClusterFirewallPolicy" => format!("{root}/clusterfirewallpolicies"),
        "MeshwallConfig" => format!("{root}/meshwallconfigs"),
        other => panic!("`{other}` is no kind of ours"),
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
