//! Access logs and metrics.

use meshwall_mesh_config::envoy::UpstreamProtocol;
use meshwall_testbed::rig::backend::{Speech, TcpBackend};
use meshwall_testbed::rig::client::{Exchange, Request, Version};

use crate::support::{SOON, World, http, http_sidecar, tcp};

const FRONTEND: &str = "spiffe://cluster.local/ns/shop/sa/frontend";

#[tokio::test]
async fn a_request_is_logged_with_its_peer() {
    let world = World::new();
    let (envoy, _backend) = http_sidecar(&world, http()).await;
    let client = world.frontend().sni("ledger.shop");
    let request = Request::get("/a/b?c=%22d").authority("ledger");
    client
        .request(envoy.listener("http").unwrap(), Version::Http2, &request)
        .await
        .unwrap();
    let entry = envoy
        .wait_for_access_log(SOON, |entry| entry["status"] == 200)
        .await
        .unwrap();
    assert_eq!(entry["peer"], FRONTEND);
    assert_eq!(entry["sni"], "ledger.shop");
    assert_eq!(entry["method"], "GET");
    assert_eq!(entry["path"], "/a/b?c=%22d");
    assert_eq!(entry["authority"], "ledger");
    assert_eq!(entry["protocol"], "HTTP/2");
    assert_eq!(entry["details"], "via_upstream");
    // The probe has no verdict.
    assert!(
        entry["verdict"].is_null() && entry["cause"].is_null(),
        "{entry}"
    );
}

#[tokio::test]
async fn a_connection_is_logged_with_its_peer() {
    let world = World::new();
    let backend = TcpBackend::start(Speech::ClientFirst).await.unwrap();
    let envoy = world
        .start(
            vec![world.inbound("tcp", tcp())],
            backend.address(),
            UpstreamProtocol::Tcp,
        )
        .await;
    let exchange = Exchange {
        send: b"hello",
        expect: 5,
    };
    world
        .frontend()
        .exchange(envoy.listener("tcp").unwrap(), exchange)
        .await
        .unwrap();
    let entry = envoy.wait_for_access_log(SOON, |_| true).await.unwrap();
    assert_eq!(entry["peer"], FRONTEND);
    assert_eq!(
        (&entry["bytes_received"], &entry["bytes_sent"]),
        (&5.into(), &5.into())
    );
}

#[tokio::test]
async fn labels_in_metric_names_become_labels() {
    let world = World::new();
    let (envoy, _backend) = http_sidecar(&world, http()).await;
    let client = world.frontend();
    client
        .request(
            envoy.listener("http").unwrap(),
            Version::Http1,
            &Request::get("/"),
        )
        .await
        .unwrap();
    let metrics = envoy.prometheus().await.unwrap();
    let line = metrics
        .lines()
        .find(|line| line.starts_with("meshwall_probe_total{"))
        .unwrap();
    assert_eq!(
        line,
        "meshwall_probe_total{rule=\"shop/front.end:r7\",verdict=\"deny\"} 1"
    );
}
