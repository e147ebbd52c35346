//! What a denied client is told, and what the operator: replies, access log, counters.

use meshwall_testbed::rig::client::{Request, Version};
use serde_json::Value;

use crate::sidecar::{CONSOLE, FRONTEND, HttpSidecar, SOON, policy};

const RULES: &str = "
- {name: front, action: Allow, from: [{serviceAccounts: [frontend]}]}
- {name: no-deletes, action: Deny, operations: [{methods: [DELETE]}]}
";

#[tokio::test]
async fn status_and_body_are_as_configured() {
    let documents = format!(
        "{}
---
apiVersion: meshwall.io/v1alpha1
kind: MeshwallConfig
metadata: {{name: mesh}}
spec: {{denial: {{status: 451, body: 'ask ops, \"please\"'}}}}
",
        policy(RULES)
    );
    let sidecar = HttpSidecar::start(&documents).await;
    let console = sidecar.mesh.client(&CONSOLE);
    for version in [Version::Http1, Version::Http2] {
        let answer = console
            .request(sidecar.address, version, &Request::get("/"))
            .await;
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (451, "ask ops, \"please\"")
        );
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        // Nothing in the answer names the rule or the proxy's inside.
        let headers = format!("{:?}", answer.headers);
        for telling in ["ledger", "front", "meshwall", "x-envoy"] {
            assert!(!headers.contains(telling), "{headers}");
        }
        let head = console
            .request(sidecar.address, version, &Request::new("HEAD", "/"))
            .await;
        let head = head.unwrap();
        assert_eq!((head.status, head.body.len()), (451, 0));
    }
    // gRPC has statuses of its own.
    let call = console
        .grpc(sidecar.address, "/shop.Ledger/Read", b"")
        .await
        .unwrap();
    assert_eq!((call.status, call.grpc_status()), (200, Some(7)));
    assert_eq!(sidecar.backend.traffic().connections, 0);
}

#[tokio::test]
async fn a_connection_survives_its_denied_requests() {
    let sidecar = HttpSidecar::start(&policy(RULES)).await;
    for version in [Version::Http1, Version::Http2] {
        let frontend = sidecar.mesh.client(&FRONTEND);
        let mut connection = frontend.http(sidecar.address, version).await.unwrap();
        for (method, status) in [("GET", 200), ("DELETE", 403), ("GET", 200), ("DELETE", 403)] {
            let body = match version {
                // Envoy closes a connection of HTTP/1.1 with a body on it that nobody reads.
                Version::Http1 => "",
                Version::Http2 => "a body that nobody reads",
            };
            let request = Request::new(method, "/").body(body);
            assert_eq!(
                connection.send(&request).await.unwrap().status,
                status,
                "{version:?}"
            );
        }
    }
    assert_eq!(sidecar.backend.traffic().requests, 4);
}

#[tokio::test]
async fn the_access_log_says_what_a_monitored_policy_would_do() {
    let documents = format!(
        "{}
---
apiVersion: meshwall.io/v1alpha1
kind: FirewallPolicy
metadata: {{name: stricter, namespace: shop}}
spec:
  mode: Monitor
  ingress:
  - {{name: no-posts, action: Deny, operations: [{{methods: [POST]}}]}}
  - {{name: console, action: Allow, from: [{{serviceAccounts: [ops/console]}}]}}
",
        policy(RULES)
    );
    let sidecar = HttpSidecar::start(&documents).await;
    let [frontend, console] = [&FRONTEND, &CONSOLE].map(|peer| sidecar.mesh.client(peer));
    let no_rule = "no_rule_matched/Namespace";
    for (client, method, status, verdict, cause, would_be) in [
        (&frontend, "GET", 200, None, None, None),
        (
            &frontend,
            "POST",
            200,
            Some("allow"),
            Some("FirewallPolicy/shop/ledger/front"),
            Some("deny FirewallPolicy/shop/stricter/no-posts"),
        ),
        (
            &console,
            "GET",
            403,
            Some("deny"),
            Some(no_rule),
            Some("allow FirewallPolicy/shop/stricter/console"),
        ),
        (&console, "POST", 403, Some("deny"), Some(no_rule), None),
    ] {
        let path = format!("/{method}-{status}");
        let request = Request::new(method, &path);
        let answer = client
            .request(sidecar.address, Version::Http2, &request)
            .await;
        assert_eq!(answer.unwrap().status, status, "{path}");
        let logged = sidecar
            .envoy
            .wait_for_access_log(SOON, |entry| entry["path"] == path)
            .await;
        let logged = logged.unwrap();
        for (name, expected) in [
            ("verdict", verdict),
            ("cause", cause),
            ("would_be", would_be),
        ] {
            assert_eq!(logged[name].as_str(), expected, "{name} of {path}");
        }
    }
    let metrics = sidecar.envoy.prometheus().await.unwrap();
    let would_be = "meshwall_would_be_total{direction=\"ingress\",\
                    policy=\"FirewallPolicy/shop/stricter\",rule=\"no-posts\",verdict=\"deny\"} 1";
    assert!(metrics.lines().any(|line| line == would_be), "{metrics}");
}

#[tokio::test]
async fn counters_have_the_rule_and_the_verdict_as_labels() {
    let sidecar = HttpSidecar::start(&policy(RULES)).await;
    let [frontend, console] = [&FRONTEND, &CONSOLE].map(|peer| sidecar.mesh.client(peer));
    for (client, method, path, times) in [
        (&frontend, "GET", "/", 3),
        (&frontend, "DELETE", "/", 2),
        (&console, "GET", "/", 4),
        (&frontend, "GET", "/a%2fb", 1),
    ] {
        for _ in 0..times {
            let request = Request::new(method, path);
            client
                .request(sidecar.address, Version::Http2, &request)
                .await
                .unwrap();
        }
    }
    let metrics = sidecar.envoy.prometheus().await.unwrap();
    let mut ours: Vec<_> = metrics
        .lines()
        .filter(|line| line.starts_with("meshwall_"))
        .collect();
    ours.sort_unstable();
    let policy = "policy=\"FirewallPolicy/shop/ledger\"";
    assert_eq!(
        ours,
        [
            format!("meshwall_requests_total{{direction=\"ingress\",{policy},rule=\"front\",verdict=\"allow\"}} 3"),
            format!("meshwall_requests_total{{direction=\"ingress\",{policy},rule=\"no-deletes\",verdict=\"deny\"}} 2"),
            "meshwall_requests_total{direction=\"ingress\",reason=\"no_rule_matched/Namespace\",verdict=\"deny\"} 4".to_owned(),
            "meshwall_requests_total{direction=\"ingress\",reason=\"refused/path_encoded_slash\",verdict=\"deny\"} 1".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_denial_is_not_an_error_of_the_proxy() {
    let sidecar = HttpSidecar::start(&policy(RULES)).await;
    let console = sidecar.mesh.client(&CONSOLE);
    console
        .request(sidecar.address, Version::Http2, &Request::get("/"))
        .await
        .unwrap();
    let denied = |entry: &Value| entry["status"] == 403;
    let entry = sidecar
        .envoy
        .wait_for_access_log(SOON, denied)
        .await
        .unwrap();
    assert_eq!(entry["peer"], CONSOLE.principal());
    assert_eq!(
        entry["details"],
        "meshwall_denied[no_rule_matched/Namespace]"
    );
    assert_eq!(entry["upstream"], Value::Null);
}
