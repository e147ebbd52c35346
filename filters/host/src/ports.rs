//! Ports: what a filter may ask of its proxy, split by need.
//!
//! A method is one call to the proxy unless it says otherwise. In Envoy a call costs some
//! 65 ns, and ten times that and more if the answer is bytes, since the proxy then enters the
//! VM once more for memory to put them in: ask once, for the whole, and keep it.
//!
//! All calls concern the context of the running callback, or the effective one (see
//! [`Contexts`]). What does not exist there is a [`Status`], never a panic.

use std::time::Duration;

use crate::property::{Property, PropertyValue};
use crate::{ContextId, Counter, Declaration, Gauge, HeaderMap, Histogram, LocalReply, Status};

/// Which header map (`proxy_map_type_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum MapKind {
    /// Headers of the HTTP request.
    RequestHeaders = 0,
    /// Trailers of the HTTP request.
    RequestTrailers = 1,
    /// Headers of the HTTP response.
    ResponseHeaders = 2,
    /// Trailers of the HTTP response.
    ResponseTrailers = 3,
    /// Initial metadata that a gRPC stream of the filter's own received.
    GrpcInitialMetadata = 4,
    /// Trailing metadata that a gRPC stream of the filter's own received.
    GrpcTrailingMetadata = 5,
}

/// Which buffer (`proxy_buffer_type_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum BufferKind {
    /// Body of the HTTP request, in its callback.
    RequestBody = 0,
    /// Body of the HTTP response, in its callback.
    ResponseBody = 1,
    /// What the downstream sent and the upstream has not got, in its callback.
    DownstreamData = 2,
    /// What the upstream sent and the downstream has not got, in its callback.
    UpstreamData = 3,
    /// The message that a gRPC stream of the filter's own received, in its callback.
    GrpcMessage = 5,
    /// The VM's configuration.
    VmConfiguration = 6,
    /// The plugin's configuration, in `on_configure`.
    PluginConfiguration = 7,
}

/// Which direction of which stream (`proxy_stream_type_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum StreamKind {
    /// The HTTP request.
    Request = 0,
    /// The HTTP response.
    Response = 1,
    /// The TCP connection from the client.
    Downstream = 2,
    /// The TCP connection to the upstream.
    Upstream = 3,
}

/// How grave a log line is (`proxy_log_level_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum LogLevel {
    /// Every step.
    Trace = 0,
    /// For the developer.
    Debug = 1,
    /// For the operator, when all is well.
    Info = 2,
    /// Wrong, and coped with.
    Warn = 3,
    /// Wrong.
    Error = 4,
    /// Nothing works.
    Critical = 5,
}

/// A shared queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueToken(pub u32);

/// A gRPC stream that the filter has opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamToken(pub u32);

/// Headers and trailers.
pub trait HeaderMaps {
    /// The whole map. There is no call for one header: it would be no cheaper, and would show
    /// only the first of those that a peer repeats.
    ///
    /// # Errors
    ///
    /// [`Status::Malformed`] if the proxy's serialization does not parse. A map that does not
    /// exist here is empty in Envoy, and may be an error elsewhere.
    fn header_map(&self, kind: MapKind) -> Result<HeaderMap, Status>;
}

/// Properties.
pub trait Properties {
    /// The bytes of the property at an encoded path; `None` if it is absent or empty, which
    /// proxies do not tell apart.
    ///
    /// # Errors
    ///
    /// [`Status::SerializationFailure`] if the path leads to a whole subtree.
    fn property(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Status>;

    /// The value of a property; `None` if it is absent or empty.
    ///
    /// # Errors
    ///
    /// [`Status::Malformed`] if the bytes are not of the property's type, else as
    /// [`property`](Self::property).
    fn get<T: PropertyValue>(&self, property: Property<'_, T>) -> Result<Option<T>, Status>
    where
        Self: Sized,
    {
        self.property(property.path())?.map(T::decode).transpose()
    }
}

/// Filter state: values that a filter leaves for other filters and for access logs.
pub trait FilterState {
    /// Sets a value on the stream or connection. Read it with
    /// [`wasm_state`](crate::property::wasm_state), in access logs with
    /// `%FILTER_STATE(wasm.KEY:PLAIN)%`. Every wasm filter on the stream shares these keys,
    /// whichever VM it is in.
    ///
    /// # Errors
    ///
    /// [`Status::NotFound`] outside a stream, [`Status::BadArgument`] if the key was declared
    /// read-only and is set.
    fn set_filter_state(&self, key: &str, value: &[u8]) -> Result<(), Status>;

    /// Declares what a key is to be. Takes effect for the streams of the root context that is
    /// current, so declare in `on_configure`; the effective context does not matter.
    ///
    /// # Errors
    ///
    /// [`Status::BadArgument`] if this root context has declared the key before,
    /// [`Status::NotFound`] if the proxy is not Envoy.
    fn declare_filter_state(&self, declaration: &Declaration<'_>) -> Result<(), Status>;
}

/// Answers that a filter gives instead of the upstream.
pub trait LocalReplies {
    /// Answers the HTTP request. The callback must then return `Action::Pause`. Envoy sends
    /// the reply when the callback has returned, and the last one if there are several.
    ///
    /// # Errors
    ///
    /// [`Status::BadArgument`] for more headers than the proxy takes. Where no reply can be
    /// sent, because a response has begun or there is no HTTP stream, Envoy reports success.
    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), Status>;
}

/// Streams: ending them, and letting them go on.
pub trait Streams {
    /// Resets an HTTP stream, or closes a TCP connection after what is already on its way to
    /// the client. In Envoy this happens when the callback has returned, and
    /// [`StreamKind::Upstream`] closes the downstream connection as well.
    ///
    /// # Errors
    ///
    /// [`Status::BadArgument`] if the proxy does not know the kind.
    fn close_stream(&self, kind: StreamKind) -> Result<(), Status>;

    /// Lets a paused stream go on.
    ///
    /// # Errors
    ///
    /// [`Status::Unimplemented`] for [`StreamKind::Upstream`] in Envoy.
    fn continue_stream(&self, kind: StreamKind) -> Result<(), Status>;
}

/// The context that calls concern.
pub trait Contexts {
    /// Makes another context the one that calls concern, until the callback returns. This is
    /// how `on_tick` reaches live streams.
    ///
    /// # Errors
    ///
    /// [`Status::BadArgument`] if the context does not live.
    fn set_effective_context(&self, context: ContextId) -> Result<(), Status>;
}

/// Bodies, TCP data, configuration and messages.
pub trait Buffers {
    /// At most `max` bytes from `start` on, both counted in bytes. Less, or nothing, where the
    /// buffer ends before. Bound `max`: a peer decides how much there is.
    ///
    /// # Errors
    ///
    /// [`Status::NotFound`] if the buffer does not exist in this callback; Envoy says so only
    /// of the plugin's configuration, and gives nothing for the others.
    /// [`Status::InvalidMemoryAccess`] for more bytes than the VM has memory left.
    fn buffer(&self, kind: BufferKind, start: usize, max: usize) -> Result<Vec<u8>, Status>;

    /// How many bytes the buffer holds.
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer).
    fn buffer_len(&self, kind: BufferKind) -> Result<usize, Status>;

    /// Replaces `len` bytes from `start` on by `data`. Envoy can replace all (`start` 0, `len`
    /// the buffer's or more), prepend (0, 0) and append (`start` the buffer's length or more).
    /// A `content-length` header that no longer fits is not corrected.
    ///
    /// # Errors
    ///
    /// [`Status::BadArgument`] for any other range in Envoy, and for buffers that cannot be
    /// changed or do not exist in this callback.
    fn set_buffer(
        &self,
        kind: BufferKind,
        start: usize,
        len: usize,
        data: &[u8],
    ) -> Result<(), Status>;
}

/// Metrics. Define them in `on_configure`, once for a VM: see
/// [`CounterCache`](crate::CounterCache).
pub trait Metrics {
    /// Names a counter.
    ///
    /// # Errors
    ///
    /// The proxy's status; Envoy has none.
    fn define_counter(&self, name: &str) -> Result<Counter, Status>;

    /// Names a gauge.
    ///
    /// # Errors
    ///
    /// The proxy's status; Envoy has none.
    fn define_gauge(&self, name: &str) -> Result<Gauge, Status>;

    /// Names a histogram.
    ///
    /// # Errors
    ///
    /// The proxy's status; Envoy has none.
    fn define_histogram(&self, name: &str) -> Result<Histogram, Status>;

    /// Adds to a counter. Adding nothing makes no call: Envoy would refuse it.
    ///
    /// # Errors
    ///
    /// [`Status::BadArgument`] beyond `i64::MAX`.
    fn increment_counter(&self, counter: Counter, by: u64) -> Result<(), Status>;

    /// Adds to a gauge, or takes from it.
    ///
    /// # Errors
    ///
    /// The proxy's status.
    fn adjust_gauge(&self, gauge: Gauge, by: i64) -> Result<(), Status>;

    /// Sets a gauge.
    ///
    /// # Errors
    ///
    /// The proxy's status.
    fn set_gauge(&self, gauge: Gauge, value: u64) -> Result<(), Status>;

    /// Adds a value to a histogram.
    ///
    /// # Errors
    ///
    /// The proxy's status.
    fn record(&self, histogram: Histogram, value: u64) -> Result<(), Status>;
}

/// The proxy's log.
pub trait Logs {
    /// Writes a line. There is no error: whoever logs has nowhere to report it.
    fn log(&self, level: LogLevel, message: &str);

    /// The least grave level that is not thrown away; `None` if all are. It may change at any
    /// time.
    ///
    /// # Errors
    ///
    /// [`Status::Malformed`] for a level that ABI 0.2.1 does not name.
    fn log_level(&self) -> Result<Option<LogLevel>, Status>;
}

/// The only clock: those of `std` trap in a filter.
pub trait Clock {
    /// Time since the Unix epoch, to the nanosecond.
    ///
    /// # Errors
    ///
    /// The proxy's status.
    fn now(&self) -> Result<Duration, Status>;
}

/// The timer of a root context.
pub trait Timer {
    /// Calls `on_tick` of this root context again and again, this far apart, rounded down to
    /// milliseconds; zero ends it.
    ///
    /// # Errors
    ///
    /// [`Status::BadArgument`] beyond `u32::MAX` milliseconds.
    fn set_tick_period(&self, period: Duration) -> Result<(), Status>;
}

/// Values shared by all VMs with the same `vm_id`, in all workers. Whoever uses that id, an
/// empty one for instance, can overwrite them.
pub trait SharedData {
    /// The value, and the mark by which to change it; `None` if the key is unknown.
    ///
    /// # Errors
    ///
    /// The proxy's status.
    fn shared_data(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, Status>;

    /// Sets a value; with a mark, only if nobody has changed it since that was read.
    ///
    /// # Errors
    ///
    /// [`Status::CasMismatch`] if somebody has.
    fn set_shared_data(&self, key: &str, value: &[u8], mark: Option<u32>) -> Result<(), Status>;
}

/// Queues shared by all VMs with the same `vm_id`; one root context consumes each.
pub trait Queues {
    /// Creates a queue that this root context consumes: `on_queue_ready` tells of each item.
    ///
    /// # Errors
    ///
    /// The proxy's status.
    fn register_queue(&self, name: &str) -> Result<QueueToken, Status>;

    /// Finds a queue; the empty `vm_id` is the filter's own.
    ///
    /// # Errors
    ///
    /// [`Status::NotFound`] until somebody has registered it.
    fn resolve_queue(&self, vm_id: &str, name: &str) -> Result<QueueToken, Status>;

    /// Appends an item.
    ///
    /// # Errors
    ///
    /// [`Status::NotFound`] for an unknown queue.
    fn enqueue(&self, queue: QueueToken, item: &[u8]) -> Result<(), Status>;

    /// Takes the first item.
    ///
    /// # Errors
    ///
    /// [`Status::Empty`] if there is none, [`Status::NotFound`] for an unknown queue.
    fn dequeue(&self, queue: QueueToken) -> Result<Vec<u8>, Status>;
}

/// gRPC streams that a root context opens. Answers come by `on_grpc_receive` and
/// `on_grpc_close`, in the root context.
pub trait GrpcStreams {
    /// Opens a stream to a method of a service, in a cluster that the proxy knows by name. The
    /// `:authority` is what follows the last `|` in that name.
    ///
    /// # Errors
    ///
    /// [`Status::InternalFailure`] if the stream could not be opened, for an unknown cluster for
    /// instance.
    fn open_grpc_stream(
        &self,
        cluster: &str,
        service: &str,
        method: &str,
        metadata: &[(&str, &str)],
    ) -> Result<StreamToken, Status>;

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// [`Status::NotFound`] if the stream has ended.
    fn send_grpc_message(
        &self,
        stream: StreamToken,
        message: &[u8],
        end_of_stream: bool,
    ) -> Result<(), Status>;

    /// Ends the filter's half of the stream.
    ///
    /// # Errors
    ///
    /// [`Status::NotFound`] if the stream has ended.
    fn close_grpc_stream(&self, stream: StreamToken) -> Result<(), Status>;

    /// Resets the stream.
    ///
    /// # Errors
    ///
    /// [`Status::NotFound`] if the stream has ended.
    fn cancel_grpc_stream(&self, stream: StreamToken) -> Result<(), Status>;

    /// In `on_grpc_close`, the message that came with the status.
    ///
    /// # Errors
    ///
    /// The proxy's status.
    fn grpc_close_message(&self) -> Result<Vec<u8>, Status>;
}

/// All ports: for wiring. A function names just those that it uses.
pub trait Host:
    HeaderMaps
    + Properties
    + FilterState
    + LocalReplies
    + Streams
    + Contexts
    + Buffers
    + Metrics
    + Logs
    + Clock
    + Timer
    + SharedData
    + Queues
    + GrpcStreams
{
}

impl<T> Host for T where
    T: HeaderMaps
        + Properties
        + FilterState
        + LocalReplies
        + Streams
        + Contexts
        + Buffers
        + Metrics
        + Logs
        + Clock
        + Timer
        + SharedData
        + Queues
        + GrpcStreams
{
}
