//! The answer that a filter gives instead of the upstream.

/// A gRPC status code, 0-16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcStatus(pub u8);

impl GrpcStatus {
    /// The caller may not do this.
    pub const PERMISSION_DENIED: Self = Self(7);
    /// Something that must hold does not.
    pub const INTERNAL: Self = Self(13);
    /// Not now; a retry may help.
    pub const UNAVAILABLE: Self = Self(14);
    /// The caller is not known.
    pub const UNAUTHENTICATED: Self = Self(16);
}

/// A response that is sent without asking the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalReply<'a> {
    /// HTTP status, 200-599. To a gRPC request Envoy answers 200 and puts the failure into
    /// `grpc-status`.
    pub status: u16,
    /// For the operator, never sent: Envoy's `%RESPONSE_CODE_DETAILS%`, where white space
    /// becomes `_`.
    pub details: &'a [u8],
    /// Sent besides those that the proxy adds; names in lower case.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// Sent as text to HTTP requests, and as `grpc-message` to gRPC ones.
    pub body: &'a [u8],
    /// `grpc-status` for a gRPC request; without it, Envoy derives one from `status`.
    pub grpc_status: Option<GrpcStatus>,
}

impl LocalReply<'_> {
    /// A reply of nothing but a status.
    pub const fn new(status: u16) -> Self {
        Self {
            status,
            details: b"",
            headers: &[],
            body: b"",
            grpc_status: None,
        }
    }
}
