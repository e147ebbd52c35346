//! The paths of the admin port.

use std::fmt::Write as _;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpListener;

use super::view::{Readiness, View};
use crate::web::{self, Handler, Limits, content, plain};

const LIMITS: Limits = Limits {
    connections: 64,
    requests: 8,
    // Nobody has anything to send.
    body: 0,
    patience: Duration::from_secs(10),
    grace: Duration::from_secs(2),
};

struct Admin<V>(V);

/// Answers until `stop` is there. There is no TLS: listen on loopback.
pub async fn serve<V: View>(listener: TcpListener, view: V, stop: impl Future<Output = ()>) {
    web::serve(listener, None, LIMITS, Admin(view), stop).await;
}

impl<V: View> Handler for Admin<V> {
    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refusal = error(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET and HEAD are answered",
            );
            let allowed = HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(ALLOW, allowed);
            return refusal;
        }
        let view = &self.0;
        let path = request.uri().path().trim_start_matches('/');
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["healthz"] => plain(StatusCode::OK, "ok"),
            ["readyz"] => ready(&view.readiness()),
            ["metrics"] => match view.metrics() {
                Ok(text) => {
                    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                    content(StatusCode::OK, kind, Bytes::from(text))
                }
                Err(_) => error(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "metrics cannot be written",
                ),
            },
            ["status"] => shown(&view.status()),
            ["proxies"] => shown(&view.proxies()),
            ["workloads", cluster, namespace, pod] => {
                match view.workload(cluster, namespace, pod).await {
                    Some(workload) => shown(&workload),
                    None => error(StatusCode::NOT_FOUND, "there is no such workload"),
                }
            }
            _ => error(StatusCode::NOT_FOUND, "there is nothing at this path"),
        }
    }
}

/// What is waited for, a line a source.
fn ready(readiness: &Readiness) -> Response<Bytes> {
    let Readiness {
        ready,
        from_disk,
        sources,
    } = readiness;
    let mut text = String::from(match (ready, from_disk) {
        (true, false) => "ready",
        (true, true) => "ready: what was in force before is served from disk",
        (false, _) => "not ready",
    });
    for source in sources {
        let synced = if source.synced {
            "synced"
        } else {
            "not synced"
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{}/{}: {synced}", source.cluster, source.kind);
    }
    let status = if *ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    plain(status, &text)
}

fn shown(value: &impl Serialize) -> Response<Bytes> {
    match serde_json::to_vec(value) {
        Ok(body) => content(StatusCode::OK, "application/json", Bytes::from(body)),
        Err(_) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer cannot be written",
        ),
    }
}

fn error(status: StatusCode, message: &str) -> Response<Bytes> {
    let body = json!({"error": message}).to_string();
    content(status, "application/json", Bytes::from(body))
}
