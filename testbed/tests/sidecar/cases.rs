//! Tables of requests: who asks what, and what must come of it.

use std::collections::BTreeMap;

use meshwall_testbed::rig::client::{Client, Request, Version};
use serde_json::Value;

use super::SOON;
use super::start::HttpSidecar;

/// In the place of a cause: the request is permitted.
pub(crate) const PERMITTED: &str = "";

/// What it is about, who asks, what, and the cause if it is denied.
pub(crate) type Case<'a> = (&'a str, &'a Client, Request, &'a str);

impl HttpSidecar {
    /// Sends each request, by HTTP/1.1 and by HTTP/2 or, if it is gRPC, by HTTP/2; and looks
    /// at the answer, at the backend and at the access log.
    pub(crate) async fn check(&self, cases: &[Case<'_>]) {
        let mut logged = BTreeMap::new();
        for (number, (what, client, request, cause)) in cases.iter().enumerate() {
            let versions: &[_] = match is_grpc(request) {
                true => &[Version::Http2],
                false => &[Version::Http1, Version::Http2],
            };
            for version in versions {
                // The path, which is logged, tells the requests apart.
                let mark = format!("case={number}-{}", version.alpn());
                let separator = if request.path.contains('?') { '&' } else { '?' };
                let marked = Request {
                    path: format!("{}{separator}{mark}", request.path),
                    ..request.clone()
                };
                let what = format!("{what}, {version:?}");
                self.ask(&what, client, *version, &marked, *cause == PERMITTED)
                    .await;
                logged.insert(mark, (what, *cause));
            }
        }
        for (mark, (what, cause)) in logged {
            self.look_up(&what, &mark, cause).await;
        }
    }

    async fn ask(
        &self,
        what: &str,
        client: &Client,
        version: Version,
        request: &Request,
        permitted: bool,
    ) {
        let before = self.backend.traffic().requests;
        let answer = client.request(self.address, version, request).await;
        let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
        let arrived = self.backend.traffic().requests - before;
        assert_eq!(arrived, u64::from(permitted), "{what}: at the backend");
        if is_grpc(request) {
            let status = if permitted { 0 } else { 7 };
            let got = (answer.status, answer.grpc_status());
            assert_eq!(got, (200, Some(status)), "{what}");
        } else if permitted {
            assert_eq!(answer.status, 200, "{what}");
        } else {
            let got = (answer.status, answer.text());
            assert_eq!(got, (403, "denied by policy\n".to_owned()), "{what}");
        }
    }

    async fn look_up(&self, what: &str, mark: &str, cause: &str) {
        let is_it = |entry: &Value| {
            let path = entry["path"].as_str();
            path.is_some_and(|path| path.ends_with(mark))
        };
        let entry = self.envoy.wait_for_access_log(SOON, is_it).await;
        let entry = entry.unwrap_or_else(|error| panic!("{what}: {error}"));
        if cause == PERMITTED {
            assert_eq!(entry["details"], "via_upstream", "{what}");
            assert_eq!(entry["verdict"], Value::Null, "{what}");
        } else {
            assert_eq!(
                entry["details"],
                format!("meshwall_denied[{cause}]"),
                "{what}"
            );
            assert_eq!(entry["verdict"], "deny", "{what}");
            assert_eq!(entry["cause"], cause, "{what}");
        }
    }
}

fn is_grpc(request: &Request) -> bool {
    let grpc = |value: &[u8]| value.starts_with(b"application/grpc");
    let mut headers = request.headers.iter();
    headers.any(|(name, value)| name == "content-type" && grpc(value))
}
