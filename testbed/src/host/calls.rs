//! The calls that a filter makes to other services, as a test sees and answers them.

use super::headers::{HeaderKind, Headers};

/// An HTTP request that a filter has sent and that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// The number by which the filter knows the call.
    pub token: u32,
    /// The root context that will receive the answer.
    pub context_id: u32,
    /// The cluster to which it goes.
    pub cluster: Vec<u8>,
    /// The request headers.
    pub headers: Headers,
    /// The request body.
    pub body: Vec<u8>,
    /// The request trailers.
    pub trailers: Headers,
    /// When the proxy answers it with 504 itself, in nanoseconds since the Unix epoch.
    pub deadline: Option<u64>,
}

/// How an HTTP call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpAnswer {
    /// With a response. An unreachable upstream is one too: 503 from the proxy itself.
    Response(HttpResponse),
    /// With a reset: the filter sees no headers at all.
    Reset,
}

/// The response to an HTTP call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpResponse {
    /// The headers, `:status` among them.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Headers,
}

impl HttpResponse {
    /// A response with a status, other headers and a body.
    pub fn new<N, V>(status: u16, headers: &[(N, V)], body: impl Into<Vec<u8>>) -> Self
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut all = Headers::new(HeaderKind::Response, &[(":status", status.to_string())]);
        for (name, value) in headers {
            all.add(name, value);
        }
        Self {
            headers: all,
            body: body.into(),
            trailers: Headers::default(),
        }
    }
}

/// A unary gRPC call that a filter has made and that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcCall {
    /// The number by which the filter knows the call.
    pub token: u32,
    /// The root context that will receive the answer.
    pub context_id: u32,
    /// What is called.
    pub target: GrpcTarget,
    /// The encoded request message.
    pub message: Vec<u8>,
    /// When the proxy closes it with status 4 itself, in nanoseconds since the Unix epoch.
    pub deadline: Option<u64>,
}

/// What a gRPC call or stream calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrpcTarget {
    /// The cluster, from a name or from an encoded `envoy.config.core.v3.GrpcService`.
    pub cluster: Vec<u8>,
    /// The full name of the service.
    pub service: Vec<u8>,
    /// The method.
    pub method: Vec<u8>,
    /// The initial metadata.
    pub metadata: Headers,
}

/// How a unary gRPC call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrpcAnswer {
    /// With status 0 and this encoded message.
    Message(Vec<u8>),
    /// With another status.
    Failure {
        /// The gRPC status, 1-16.
        status: u32,
        /// Its message.
        message: Vec<u8>,
    },
}

/// A gRPC stream that a filter has opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcStream {
    /// The number by which the filter knows the stream.
    pub token: u32,
    /// The root context that receives what comes.
    pub context_id: u32,
    /// What is called.
    pub target: GrpcTarget,
    /// The messages that the filter has sent and the test has not taken yet.
    pub sent: Vec<Vec<u8>>,
    /// Whether the filter has ended its side.
    pub half_closed: bool,
}

/// What happens on a gRPC stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrpcEvent {
    /// The server's initial metadata.
    InitialMetadata(Headers),
    /// An encoded message.
    Message(Vec<u8>),
    /// The server's trailing metadata.
    TrailingMetadata(Headers),
    /// The end, with a gRPC status and its message.
    Close {
        /// The gRPC status, 0-16.
        status: u32,
        /// Its message.
        message: Vec<u8>,
    },
}
