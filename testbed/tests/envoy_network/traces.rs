//! What the operator sees of connections.

use meshwall_testbed::rig::backend::Speech;
use meshwall_testbed::rig::client::Exchange;

use crate::sidecar::{CONSOLE, FRONTEND, SOON, TcpSidecar, policy};

#[tokio::test]
async fn a_denied_connection_is_counted_and_logged_with_its_cause() {
    let rules = "
- {name: front, action: Allow, from: [{serviceAccounts: [frontend]}]}
- {name: no-ops, action: Deny, from: [{namespaces: [ops]}]}
";
    let sidecar = TcpSidecar::start(&policy(rules), Speech::ClientFirst).await;
    let hello = Exchange {
        send: b"hello",
        expect: 5,
    };
    let mesh = &sidecar.mesh;
    for (peer, times) in [(&FRONTEND, 2), (&CONSOLE, 3)] {
        for _ in 0..times {
            mesh.client(peer)
                .exchange(sidecar.address, hello)
                .await
                .unwrap();
        }
    }
    let envoy = &sidecar.envoy;
    let is_denied = |entry: &serde_json::Value| entry["verdict"] == "deny";
    let denied = envoy.wait_for_access_log(SOON, is_denied).await.unwrap();
    assert_eq!(denied["cause"], "FirewallPolicy/shop/ledger/no-ops");
    assert_eq!(denied["peer"], CONSOLE.principal());
    assert_eq!(denied["bytes_sent"], 0);
    let by_frontend = |entry: &serde_json::Value| entry["peer"] == FRONTEND.principal();
    let permitted = envoy.wait_for_access_log(SOON, by_frontend).await.unwrap();
    assert!(permitted["verdict"].is_null(), "{permitted}");

    let metrics = envoy.prometheus().await.unwrap();
    for (rule, verdict, count) in [("front", "allow", 2), ("no-ops", "deny", 3)] {
        let line = format!(
            "meshwall_connections_total{{direction=\"ingress\",\
             policy=\"FirewallPolicy/shop/ledger\",rule=\"{rule}\",verdict=\"{verdict}\"}} {count}"
        );
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} in {metrics}"
        );
    }
}
