//! A backend for HTTP/1.1, HTTP/2 without TLS, and gRPC.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::time::{Interval, MissedTickBehavior};

use super::{Server, TimedOut, Traffic};
use crate::rig::grpc;

/// Time between two pieces of an endless response.
const TICK: Duration = Duration::from_millis(20);

/// An HTTP server on 127.0.0.1 that tells what it was asked.
///
/// | request | response |
/// |---|---|
/// | any | 200, JSON: `protocol`, `method`, `target`, `headers` (a list of pairs, values as Latin-1), `body_bytes` |
/// | path `/stream` | 200, `tick\n` every 20 ms until the client leaves |
/// | `content-type: application/grpc...` | the request's message, `grpc-status: 0` |
/// | the same, method name starts with `Watch` | the message `tick` every 20 ms until the client leaves |
#[derive(Debug)]
pub struct HttpBackend {
    server: Server,
}

impl HttpBackend {
    /// Starts a server on a free port.
    ///
    /// # Errors
    ///
    /// If no socket can be opened.
    pub async fn start() -> io::Result<Self> {
        let server = Server::start(|stream, ledger| async move {
            let service = service_fn(move |request| {
                ledger.request();
                answer(request)
            });
            // An error here is the peer breaking off, which its own side reports.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        })
        .await?;
        Ok(Self { server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What reached it until now.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.server.ledger.traffic()
    }

    /// Waits until `condition` holds for the traffic.
    ///
    /// # Errors
    ///
    /// If it does not hold `within` that time.
    pub async fn wait_until(
        &self,
        within: Duration,
        condition: impl FnMut(&Traffic) -> bool,
    ) -> Result<Traffic, TimedOut> {
        self.server.ledger.wait_until(within, condition).await
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Reply>, hyper::Error> {
    let (head, mut body) = request.into_parts();
    if is_grpc(&head) {
        return answer_grpc(&head, body).await;
    }
    if head.uri.path() == "/stream" {
        return Ok(response(
            "text/plain",
            Reply::endless(Bytes::from_static(b"tick\n")),
        ));
    }
    let mut body_bytes = 0;
    while let Some(frame) = body.frame().await {
        body_bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(response(
        "application/json",
        Reply::whole(describe(&head, body_bytes), None),
    ))
}

async fn answer_grpc(head: &Parts, body: Incoming) -> Result<Response<Reply>, hyper::Error> {
    let method = head.uri.path().rsplit('/').next().unwrap_or_default();
    let reply = if method.starts_with("Watch") {
        Reply::endless(grpc::encode(b"tick"))
    } else {
        let body = body.collect().await?.to_bytes();
        // 13 is INTERNAL, for a request that is not gRPC after all.
        let status = if grpc::decode_all(&body).is_ok() {
            "0"
        } else {
            "13"
        };
        Reply::whole(body, Some(status))
    };
    Ok(response("application/grpc", reply))
}

fn is_grpc(head: &Parts) -> bool {
    head.headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn describe(head: &Parts, body_bytes: usize) -> Bytes {
    let headers: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), latin1(value.as_bytes())))
        .collect();
    let description = json!({
        "protocol": format!("{:?}", head.version),
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "headers": headers,
        "body_bytes": body_bytes,
    });
    description.to_string().into()
}

/// Every byte as the character of the same number, so that no byte is lost in JSON.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn response(content_type: &'static str, reply: Reply) -> Response<Reply> {
    let mut response = Response::new(reply);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A response's body: some frames, then perhaps one piece over and over.
struct Reply {
    frames: VecDeque<Frame<Bytes>>,
    ticks: Option<(Interval, Bytes)>,
}

impl Reply {
    fn whole(body: Bytes, grpc_status: Option<&'static str>) -> Self {
        let mut frames = VecDeque::from([Frame::data(body)]);
        if let Some(status) = grpc_status {
            let status = HeaderValue::from_static(status);
            frames.push_back(Frame::trailers(HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-status"),
                status,
            )])));
        }
        Self {
            frames,
            ticks: None,
        }
    }

    fn endless(piece: Bytes) -> Self {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            frames: VecDeque::new(),
            ticks: Some((interval, piece)),
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(frame) = self.frames.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let Some((interval, piece)) = &mut self.ticks else {
            return Poll::Ready(None);
        };
        ready!(interval.poll_tick(cx));
        Poll::Ready(Some(Ok(Frame::data(piece.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.ticks.is_none()
    }
}
