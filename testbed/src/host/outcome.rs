//! What becomes of an event: the verdicts that a test asserts.

use super::headers::Headers;

/// What becomes of one direction of an HTTP stream after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// What has arrived so far has been passed on.
    Continue,
    /// The filter holds it back and wants to continue later.
    Pause,
    /// The stream was answered by the filter, or by the proxy for a filter that failed.
    LocalReply(LocalReply),
    /// The stream was reset; the details say why.
    Reset {
        /// The response code details, such as `wasm_close_stream`.
        details: Vec<u8>,
    },
}

/// A response that the proxy makes itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalReply {
    /// The HTTP status that was asked for. A gRPC client sees 200 and `grpc-status` instead.
    pub status: u32,
    /// The additional headers, as the filter gave them. What the client sees is in the
    /// stream's [`downstream_response`](super::HttpStream::downstream_response).
    pub headers: Headers,
    /// The body; a gRPC client sees it as `grpc-message`.
    pub body: Vec<u8>,
    /// The gRPC status, if the filter gave a valid one. Only a gRPC client sees it.
    pub grpc_status: Option<u32>,
    /// `%RESPONSE_CODE_DETAILS%`; white space has become `_`.
    pub details: Vec<u8>,
}

impl LocalReply {
    /// The reply that Envoy sends for a filter that has failed.
    pub(crate) fn failed() -> Self {
        Self {
            status: 503,
            grpc_status: Some(14),
            details: b"wasm_fail_stream".to_vec(),
            ..Self::default()
        }
    }
}

/// A request as it went to the upstream, or a response as it went to the client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The headers; `None` as long as nothing has been passed on.
    pub headers: Option<Headers>,
    /// The body so far.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Option<Headers>,
    /// Whether it is complete.
    pub complete: bool,
}

/// What becomes of a TCP connection after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TcpOutcome {
    /// What has arrived so far has been passed on.
    Continue,
    /// The filter holds it back.
    Pause,
    /// The proxy has closed the connection.
    Closed,
}

/// Who closed a connection, with the ABI's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseType {
    /// Not known.
    Unknown = 0,
    /// The proxy.
    Local = 1,
    /// The peer.
    Remote = 2,
}

/// What a proxy does with traffic after its filter has failed. In each case the stream whose
/// event trapped is answered with 503 (a TCP connection is closed), and so is every other
/// stream of that virtual machine at its next event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FailurePolicy {
    /// New streams are answered with 503, for ever.
    #[default]
    Closed,
    /// New streams bypass the filter, for ever.
    Open,
    /// New streams are answered with 503 until a backoff has passed since the virtual
    /// machine was loaded; then it is replaced by a fresh one.
    Reload,
}
