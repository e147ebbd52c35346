//! Filters: what a proxy calls.

use crate::{ContextId, LocalReply, QueueToken, StreamToken};

/// Whether the proxy goes on with what the callback was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Goes on: to the next filter and to the upstream.
    Continue,
    /// Stops. In Envoy, pausing request headers stops the body as well, unless the plugin has
    /// `allow_on_headers_stop_iteration`.
    Pause,
}

/// Who ended a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The proxy does not say.
    Unknown,
    /// The proxy.
    Local,
    /// The other side.
    Remote,
}

/// One filter, in one VM, for all its contexts: every HTTP request, TCP connection and
/// configuration of one worker thread.
///
/// A proxy calls only what the module exports; [`export!`](crate::export) says which. Each
/// default here does what the proxy does without the callback.
///
/// A callback may panic and costs its stream, not the VM: the stream is refused (HTTP by
/// [`PANIC_REPLY`](Self::PANIC_REPLY), TCP by closing it), a configuration is rejected, and
/// then [`on_panic`](Self::on_panic) runs. The filter is used again afterwards, so it must not
/// be left half-changed: work things out first, and store them last. Running out of memory or
/// stack is not a panic and ends the VM.
///
/// `H` is the proxy: each filter names the [ports](crate::ports) that it uses.
pub trait Filter<H> {
    /// How an HTTP request is refused whose callback panicked.
    const PANIC_REPLY: LocalReply<'static> = LocalReply {
        details: b"filter_panic",
        ..LocalReply::new(500)
    };

    /// The VM starts. Root contexts come later. `false` refuses; the VM is not used.
    fn on_vm_start(&mut self, proxy: &H, root: ContextId, configuration_len: usize) -> bool {
        let _ = (proxy, root, configuration_len);
        true
    }

    /// A root context gets its configuration, of so many bytes. `false` refuses it; Envoy then
    /// keeps the last good one, and tells nobody why.
    fn on_configure(&mut self, proxy: &H, root: ContextId, configuration_len: usize) -> bool {
        let _ = (proxy, root, configuration_len);
        true
    }

    /// A context begins: a stream of the root context `parent`, or itself a root context.
    fn on_context_create(&mut self, proxy: &H, context: ContextId, parent: Option<ContextId>) {
        let _ = (proxy, context, parent);
    }

    /// The period set by [`Timer`](crate::ports::Timer) is over.
    fn on_tick(&mut self, proxy: &H, root: ContextId) {
        let _ = (proxy, root);
    }

    /// A queue that this root context consumes has an item.
    fn on_queue_ready(&mut self, proxy: &H, root: ContextId, queue: QueueToken) {
        let _ = (proxy, root, queue);
    }

    /// A client has connected. Envoy knows no identity yet; pausing here stalls `tcp_proxy`.
    fn on_new_connection(&mut self, proxy: &H, stream: ContextId) -> Action {
        let _ = (proxy, stream);
        Action::Continue
    }

    /// The client has sent data; so many bytes wait.
    fn on_downstream_data(
        &mut self,
        proxy: &H,
        stream: ContextId,
        len: usize,
        end_of_stream: bool,
    ) -> Action {
        let _ = (proxy, stream, len, end_of_stream);
        Action::Continue
    }

    /// The upstream has sent data; so many bytes wait.
    fn on_upstream_data(
        &mut self,
        proxy: &H,
        stream: ContextId,
        len: usize,
        end_of_stream: bool,
    ) -> Action {
        let _ = (proxy, stream, len, end_of_stream);
        Action::Continue
    }

    /// The connection to the client has ended.
    fn on_downstream_close(&mut self, proxy: &H, stream: ContextId, by: Peer) {
        let _ = (proxy, stream, by);
    }

    /// The connection to the upstream has ended.
    fn on_upstream_close(&mut self, proxy: &H, stream: ContextId, by: Peer) {
        let _ = (proxy, stream, by);
    }

    /// So many request headers have come.
    fn on_request_headers(
        &mut self,
        proxy: &H,
        stream: ContextId,
        count: u32,
        end_of_stream: bool,
    ) -> Action {
        let _ = (proxy, stream, count, end_of_stream);
        Action::Continue
    }

    /// So many bytes of the request's body wait.
    fn on_request_body(
        &mut self,
        proxy: &H,
        stream: ContextId,
        len: usize,
        end_of_stream: bool,
    ) -> Action {
        let _ = (proxy, stream, len, end_of_stream);
        Action::Continue
    }

    /// So many request trailers have come.
    fn on_request_trailers(&mut self, proxy: &H, stream: ContextId, count: u32) -> Action {
        let _ = (proxy, stream, count);
        Action::Continue
    }

    /// So many response headers have come.
    fn on_response_headers(
        &mut self,
        proxy: &H,
        stream: ContextId,
        count: u32,
        end_of_stream: bool,
    ) -> Action {
        let _ = (proxy, stream, count, end_of_stream);
        Action::Continue
    }

    /// So many bytes of the response's body wait.
    fn on_response_body(
        &mut self,
        proxy: &H,
        stream: ContextId,
        len: usize,
        end_of_stream: bool,
    ) -> Action {
        let _ = (proxy, stream, len, end_of_stream);
        Action::Continue
    }

    /// So many response trailers have come.
    fn on_response_trailers(&mut self, proxy: &H, stream: ContextId, count: u32) -> Action {
        let _ = (proxy, stream, count);
        Action::Continue
    }

    /// So many pairs of initial metadata have come on a gRPC stream of this root context.
    fn on_grpc_initial_metadata(
        &mut self,
        proxy: &H,
        root: ContextId,
        stream: StreamToken,
        count: u32,
    ) {
        let _ = (proxy, root, stream, count);
    }

    /// A message of so many bytes has come on a gRPC stream of this root context.
    fn on_grpc_receive(&mut self, proxy: &H, root: ContextId, stream: StreamToken, len: usize) {
        let _ = (proxy, root, stream, len);
    }

    /// So many pairs of trailing metadata have come on a gRPC stream of this root context.
    fn on_grpc_trailing_metadata(
        &mut self,
        proxy: &H,
        root: ContextId,
        stream: StreamToken,
        count: u32,
    ) {
        let _ = (proxy, root, stream, count);
    }

    /// A gRPC stream of this root context has ended, with a gRPC status.
    fn on_grpc_close(&mut self, proxy: &H, root: ContextId, stream: StreamToken, status: u32) {
        let _ = (proxy, root, stream, status);
    }

    /// The proxy has no more work on the context. For HTTP this is after `on_log`, for TCP
    /// before it.
    fn on_done(&mut self, proxy: &H, context: ContextId) {
        let _ = (proxy, context);
    }

    /// The moment of the access log.
    fn on_log(&mut self, proxy: &H, stream: ContextId) {
        let _ = (proxy, stream);
    }

    /// The context ends; nothing more is heard of it.
    fn on_delete(&mut self, proxy: &H, context: ContextId) {
        let _ = (proxy, context);
    }

    /// A callback has panicked, and its stream is refused already. Count it.
    fn on_panic(&mut self, proxy: &H, callback: Callback, context: ContextId);
}

/// What a callback was about when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// An HTTP request that can be answered.
    Http,
    /// A TCP connection that can be closed.
    Tcp,
    /// Nothing that could do harm by going on.
    Other,
}

/// A callback, as [`Filter`] names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(
    missing_docs,
    reason = "the methods of the trait are the documentation"
)]
pub enum Callback {
    VmStart,
    Configure,
    ContextCreate,
    Tick,
    QueueReady,
    NewConnection,
    DownstreamData,
    UpstreamData,
    DownstreamClose,
    UpstreamClose,
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    GrpcInitialMetadata,
    GrpcReceive,
    GrpcTrailingMetadata,
    GrpcClose,
    Done,
    Log,
    Delete,
}

impl Callback {
    pub(crate) const fn subject(self) -> Subject {
        match self {
            Self::RequestHeaders
            | Self::RequestBody
            | Self::RequestTrailers
            | Self::ResponseHeaders
            | Self::ResponseBody
            | Self::ResponseTrailers => Subject::Http,
            Self::NewConnection | Self::DownstreamData | Self::UpstreamData => Subject::Tcp,
            Self::VmStart
            | Self::Configure
            | Self::ContextCreate
            | Self::Tick
            | Self::QueueReady
            | Self::DownstreamClose
            | Self::UpstreamClose
            | Self::GrpcInitialMetadata
            | Self::GrpcReceive
            | Self::GrpcTrailingMetadata
            | Self::GrpcClose
            | Self::Done
            | Self::Log
            | Self::Delete => Subject::Other,
        }
    }
}
