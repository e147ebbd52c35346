//! HTTP requests by a proper implementation, and gRPC calls on top of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, TE};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;

use super::stream::{Fate, Stream};
use super::{Client, Error, within};
use crate::rig::grpc;

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS, with prior knowledge.
    Http2,
}

impl Version {
    /// The name of this version in ALPN.
    #[must_use]
    pub fn alpn(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
        }
    }
}

/// A request. Header names and values are bytes, and a name may occur more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, `GET` for example.
    pub method: String,
    /// The host, with a port where it has one.
    pub authority: String,
    /// The path with the query, sent as it is.
    pub path: String,
    /// Headers in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// A GET request for `path` at the host `backend`.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// A request without headers and body for the host `backend`.
    #[must_use]
    pub fn new(method: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            authority: "backend".into(),
            path: path.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A gRPC call: `path` is `/PACKAGE.SERVICE/METHOD`, `message` the encoded message.
    #[must_use]
    pub fn grpc(path: impl Into<String>, message: &[u8]) -> Self {
        Self::new("POST", path)
            .header(CONTENT_TYPE.as_str(), "application/grpc")
            .header(TE.as_str(), "trailers")
            .body(grpc::encode(message))
    }

    /// The same request with a header added.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// The same request for another host.
    #[must_use]
    pub fn authority(self, authority: impl Into<String>) -> Self {
        Self {
            authority: authority.into(),
            ..self
        }
    }

    /// The same request with this body.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    fn build(&self, version: Version) -> Result<http::Request<Full<Bytes>>, Error> {
        let path = PathAndQuery::try_from(self.path.as_str()).map_err(http::Error::from)?;
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() =
            Method::from_bytes(self.method.as_bytes()).map_err(http::Error::from)?;
        *request.uri_mut() = match version {
            Version::Http1 => Uri::from(path),
            Version::Http2 => {
                let authority =
                    Authority::try_from(self.authority.as_str()).map_err(http::Error::from)?;
                Uri::builder()
                    .scheme(Scheme::HTTPS)
                    .authority(authority)
                    .path_and_query(path)
                    .build()?
            }
        };
        let headers = request.headers_mut();
        if version == Version::Http1 {
            let host = HeaderValue::from_str(&self.authority).map_err(http::Error::from)?;
            headers.insert(HOST, host);
        }
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(http::Error::from)?;
            let value = HeaderValue::from_bytes(value).map_err(http::Error::from)?;
            headers.append(name, value);
        }
        Ok(request)
    }
}

/// A complete response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status, 100-599.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The trailers; empty if there were none.
    pub trailers: HeaderMap,
    /// From sending the request to the end of the response.
    pub duration: Duration,
}

impl Response {
    /// The first value of a header, if it is there and is visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, null if it is not.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The gRPC status, from the trailers or, in a response without a message, from the
    /// headers.
    #[must_use]
    pub fn grpc_status(&self) -> Option<u16> {
        self.trailer_or_header("grpc-status")?.parse().ok()
    }

    /// The gRPC status message as sent, percent-encoded.
    #[must_use]
    pub fn grpc_message(&self) -> Option<&str> {
        self.trailer_or_header("grpc-message")
    }

    /// The gRPC messages of the body.
    ///
    /// # Errors
    ///
    /// If the body is not a sequence of gRPC messages.
    pub fn grpc_messages(&self) -> Result<Vec<Bytes>, grpc::FrameError> {
        grpc::decode_all(&self.body)
    }

    fn trailer_or_header(&self, name: &str) -> Option<&str> {
        self.trailers
            .get(name)
            .or_else(|| self.headers.get(name))?
            .to_str()
            .ok()
    }
}

/// A connection for HTTP requests, one after the other.
#[derive(Debug)]
pub struct HttpConnection {
    sender: Sender,
    version: Version,
    timeout: Duration,
    fate: Fate,
    driver: JoinHandle<()>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl HttpConnection {
    pub(super) async fn handshake(
        stream: Stream,
        version: Version,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let fate = stream.fate();
        let failed = |source| Error::Http {
            source,
            broken: fate.broken(),
        };
        let io = TokioIo::new(stream);
        // The driver's own error is repeated to whoever waits for a response.
        let (sender, driver) = match version {
            Version::Http1 => {
                let (sender, connection) = http1::handshake(io).await.map_err(failed)?;
                let driver = tokio::spawn(async move {
                    let _ = connection.await;
                });
                (Sender::Http1(sender), driver)
            }
            Version::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io)
                    .await
                    .map_err(failed)?;
                let driver = tokio::spawn(async move {
                    let _ = connection.await;
                });
                (Sender::Http2(sender), driver)
            }
        };
        Ok(Self {
            sender,
            version,
            timeout,
            fate,
            driver,
        })
    }

    /// Sends a request and waits for the whole response.
    ///
    /// # Errors
    ///
    /// If there is no complete answer in time.
    pub async fn send(&mut self, request: &Request) -> Result<Response, Error> {
        let start = Instant::now();
        let timeout = self.timeout;
        within(timeout, async {
            let (head, body) = self.dispatch(request).await?.into_parts();
            let body = body.collect().await.map_err(|source| self.failed(source))?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            Ok(Response {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.to_bytes(),
                trailers,
                duration: start.elapsed(),
            })
        })
        .await
    }

    /// Sends a request and waits for the head of the response; the body comes in pieces.
    ///
    /// # Errors
    ///
    /// If there is no answer in time.
    pub async fn stream(&mut self, request: &Request) -> Result<Streaming, Error> {
        let timeout = self.timeout;
        let response = within(timeout, self.dispatch(request)).await?;
        let (head, body) = response.into_parts();
        Ok(Streaming {
            status: head.status.as_u16(),
            headers: head.headers,
            trailers: HeaderMap::new(),
            body,
            timeout,
            fate: self.fate.clone(),
        })
    }

    /// Whether the peer has ended the connection, or has announced that it takes no more
    /// requests on it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    async fn dispatch(&mut self, request: &Request) -> Result<http::Response<Incoming>, Error> {
        let request = request.build(self.version)?;
        let response = match &mut self.sender {
            Sender::Http1(sender) => match sender.ready().await {
                Ok(()) => sender.send_request(request).await,
                Err(error) => Err(error),
            },
            Sender::Http2(sender) => match sender.ready().await {
                Ok(()) => sender.send_request(request).await,
                Err(error) => Err(error),
            },
        };
        response.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: hyper::Error) -> Error {
        Error::Http {
            source,
            broken: self.fate.broken(),
        }
    }
}

impl Drop for HttpConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A response whose body is still coming. Its connection must be kept.
#[derive(Debug)]
pub struct Streaming {
    /// The status, 100-599.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The trailers, once the body has ended.
    pub trailers: HeaderMap,
    body: Incoming,
    timeout: Duration,
    fate: Fate,
}

impl Streaming {
    /// The next piece of the body; none at its end.
    ///
    /// # Errors
    ///
    /// If the stream is reset or no piece comes in time.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = within(self.timeout, async { Ok(self.body.frame().await) }).await?;
            let failed = |source| Error::Http {
                source,
                broken: self.fate.broken(),
            };
            let Some(frame) = frame.transpose().map_err(failed)? else {
                return Ok(None);
            };
            match frame.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        self.trailers.extend(trailers);
                    }
                }
            }
        }
    }

    /// Reads until the body ends, in order (`Ok`) or by a reset (`Err`), and gives what
    /// came until then.
    ///
    /// # Errors
    ///
    /// If the stream is reset, or if it has not ended in time.
    pub async fn ended(&mut self) -> Result<Bytes, Error> {
        let timeout = self.timeout;
        within(timeout, async {
            let mut body = BytesMut::new();
            while let Some(data) = self.next().await? {
                body.extend_from_slice(&data);
            }
            Ok(body.freeze())
        })
        .await
    }
}

impl Client {
    /// Makes a gRPC call with one request message on a connection of its own.
    ///
    /// # Errors
    ///
    /// If there is no answer; a gRPC status other than 0 is an answer.
    pub async fn grpc(
        &self,
        to: SocketAddr,
        path: &str,
        message: &[u8],
    ) -> Result<Response, Error> {
        self.request(to, Version::Http2, &Request::grpc(path, message))
            .await
    }
}
