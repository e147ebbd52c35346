//! The functions that a filter may export and the host calls.

/// A callback. All but the first two groups may be missing from a module; a missing one
/// behaves as if it had continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the ABI function of its name")]
pub enum Callback {
    Initialize,
    Allocate,
    OnContextCreate,
    OnVmStart,
    OnConfigure,
    OnTick,
    OnQueueReady,
    OnNewConnection,
    OnDownstreamData,
    OnUpstreamData,
    OnDownstreamConnectionClose,
    OnUpstreamConnectionClose,
    OnRequestHeaders,
    OnRequestBody,
    OnRequestTrailers,
    OnResponseHeaders,
    OnResponseBody,
    OnResponseTrailers,
    OnHttpCallResponse,
    OnGrpcReceiveInitialMetadata,
    OnGrpcReceive,
    OnGrpcReceiveTrailingMetadata,
    OnGrpcClose,
    OnForeignFunction,
    OnDone,
    OnLog,
    OnDelete,
}

impl Callback {
    pub(crate) const COUNT: usize = Self::OnDelete as usize + 1;

    /// The name of the export.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "_initialize",
            Self::Allocate => "proxy_on_memory_allocate",
            Self::OnContextCreate => "proxy_on_context_create",
            Self::OnVmStart => "proxy_on_vm_start",
            Self::OnConfigure => "proxy_on_configure",
            Self::OnTick => "proxy_on_tick",
            Self::OnQueueReady => "proxy_on_queue_ready",
            Self::OnNewConnection => "proxy_on_new_connection",
            Self::OnDownstreamData => "proxy_on_downstream_data",
            Self::OnUpstreamData => "proxy_on_upstream_data",
            Self::OnDownstreamConnectionClose => "proxy_on_downstream_connection_close",
            Self::OnUpstreamConnectionClose => "proxy_on_upstream_connection_close",
            Self::OnRequestHeaders => "proxy_on_request_headers",
            Self::OnRequestBody => "proxy_on_request_body",
            Self::OnRequestTrailers => "proxy_on_request_trailers",
            Self::OnResponseHeaders => "proxy_on_response_headers",
            Self::OnResponseBody => "proxy_on_response_body",
            Self::OnResponseTrailers => "proxy_on_response_trailers",
            Self::OnHttpCallResponse => "proxy_on_http_call_response",
            Self::OnGrpcReceiveInitialMetadata => "proxy_on_grpc_receive_initial_metadata",
            Self::OnGrpcReceive => "proxy_on_grpc_receive",
            Self::OnGrpcReceiveTrailingMetadata => "proxy_on_grpc_receive_trailing_metadata",
            Self::OnGrpcClose => "proxy_on_grpc_close",
            Self::OnForeignFunction => "proxy_on_foreign_function",
            Self::OnDone => "proxy_on_done",
            Self::OnLog => "proxy_on_log",
            Self::OnDelete => "proxy_on_delete",
        }
    }
}
