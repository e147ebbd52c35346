//! Servers that go, and come back.

use std::net::SocketAddr;

use serde_json::json;

use crate::cluster::Cluster;
use crate::mesh::{Sidecar, pods, start_server};
use crate::sidecar::{CANARY, FRONTEND, Mesh};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_served_is_served_again_without_any_api_server() {
    let mesh = Mesh::new();
    let state = tempfile::tempdir().unwrap();
    let cluster = Cluster::start().await;
    pods(&cluster).await;
    cluster
        .policy(json!([{
            "name": "front", "action": "Allow",
            "from": [{"podSelector": {"matchLabels": {"tier": "front"}}}],
        }]))
        .await;
    let kubeconfig = cluster.server.kubeconfig("admin").unwrap();
    let first = start_server(&mesh, &kubeconfig, Some(state.path()), None).await;
    let address: SocketAddr = first.address;
    let account = ("shop", "ledger");
    let sidecar = Sidecar::start_as(&mesh, address, "shop/ledger-0", account).await;
    sidecar.until(&mesh, &FRONTEND, true).await;
    sidecar.until(&mesh, &CANARY, false).await;

    cluster.kill();
    first.stop().await;
    // The sidecar goes on with what it has.
    sidecar.until(&mesh, &FRONTEND, true).await;

    let second = start_server(&mesh, &kubeconfig, Some(state.path()), Some(address)).await;
    assert!(second.board.read().restored);
    // One that starts now gets what was in force, though no API server answers.
    let account = ("shop", "ledger");
    let late = Sidecar::start_as(&mesh, second.address, "shop/ledger-0", account).await;
    late.until(&mesh, &FRONTEND, true).await;
    late.until(&mesh, &CANARY, false).await;
}
