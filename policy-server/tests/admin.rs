//! The admin port over HTTP, with a view that is made up.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use meshwall_policy_server::admin::{
    self, Delivery, Proxy, Readiness, Source, SourceState, Status, View, Workload,
};
use meshwall_policy_server::telemetry::Metrics;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

struct Fake {
    ready: bool,
}

impl View for Fake {
    fn readiness(&self) -> Readiness {
        let source = Source {
            cluster: "west".into(),
            kind: "Pod".into(),
            synced: self.ready,
            state: SourceState::Watching,
            reason: None,
            silence: Some(1),
        };
        Readiness {
            ready: self.ready,
            from_disk: false,
            sources: vec![source],
        }
    }

    fn status(&self) -> Status {
        Status {
            readiness: self.readiness(),
            policies: Vec::new(),
            workloads: 3,
            state_error: None,
        }
    }

    fn proxies(&self) -> Vec<Proxy> {
        let delivery = Delivery {
            meant: BTreeMap::from([("meshwall/http".into(), "v2".into())]),
            acked: BTreeMap::from([("meshwall/http".into(), "v1".into())]),
            nack: None,
            lag_milliseconds: Some(7),
        };
        vec![Proxy {
            node: "n".into(),
            workload: "west/shop/web-0".into(),
            principal: None,
            address: "10.0.0.1:1".into(),
            since: 5,
            types: BTreeMap::from([("t".into(), delivery)]),
        }]
    }

    async fn workload(&self, cluster: &str, namespace: &str, pod: &str) -> Option<Workload> {
        (pod == "web-0").then(|| Workload {
            name: format!("{cluster}/{namespace}/{pod}"),
            principal: "spiffe://cluster.local/ns/shop/sa/web".into(),
            addresses: Vec::new(),
            applies: Vec::new(),
            not_applied: Vec::new(),
            version: None,
            program_bytes: None,
            peer_table_bytes: None,
            failure: None,
            sets: Vec::new(),
        })
    }

    fn metrics(&self) -> Result<String, fmt::Error> {
        Metrics::new().encode()
    }
}

async fn ask(ready: bool, method: &str, path: &str) -> Response<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(admin::serve(
        listener,
        Fake { ready },
        std::future::pending(),
    ));
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "admin")
        .body(Full::new(Bytes::new()))
        .unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn probes_say_what_is_waited_for() {
    assert_eq!(ask(false, "GET", "/healthz").await.body(), "ok\n");
    let ready = ask(true, "GET", "/readyz").await;
    assert_eq!(ready.status(), StatusCode::OK);
    assert_eq!(ready.body(), "ready\nwest/Pod: synced\n");
    let waiting = ask(false, "GET", "/readyz").await;
    assert_eq!(waiting.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(waiting.body(), "not ready\nwest/Pod: not synced\n");
}

#[tokio::test]
async fn what_is_known_is_shown_as_json() {
    let json = async |path| -> Value {
        let answer = ask(true, "GET", path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/json");
        serde_json::from_str(answer.body()).unwrap()
    };
    assert_eq!(
        json("/status").await["readiness"]["sources"][0]["state"],
        "watching"
    );
    let proxies = json("/proxies").await;
    assert_eq!(proxies[0]["types"]["t"]["lagMilliseconds"], 7);
    assert_eq!(proxies[0]["types"]["t"]["acked"]["meshwall/http"], "v1");
    let workload = json("/workloads/west/shop/web-0").await;
    assert_eq!(workload["name"], "west/shop/web-0");
    let metrics = ask(true, "GET", "/metrics").await;
    assert!(metrics.body().ends_with("# EOF\n"));
}

#[tokio::test]
async fn nothing_else_is_answered() {
    for path in [
        "/",
        "/workloads/west/shop",
        "/workloads/west/shop/gone",
        "/healthz/x",
    ] {
        let answer = ask(true, "GET", path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        let body: Value = serde_json::from_str(answer.body()).unwrap();
        assert!(body["error"].is_string(), "{path}");
    }
    for method in ["POST", "DELETE", "PUT"] {
        let answer = ask(true, method, "/status").await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()["allow"], "GET, HEAD");
    }
    let head = ask(true, "HEAD", "/status").await;
    assert_eq!((head.status(), head.body().as_str()), (StatusCode::OK, ""));
}
