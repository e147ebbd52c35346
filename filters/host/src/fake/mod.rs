//! A proxy in memory, for the tests of filters.
//!
//! It answers the ports as Envoy does, as far as the tests of filters need it, keeps what a
//! filter did for inspection, and counts each call: the calls are what a filter costs, so a
//! test can hold a filter to "one header map, two properties, nothing else".
//!
//! A test sets up streams, enters one as the proxy does before a callback, runs the callback,
//! and looks. Streams appear when they are first named; [`end`](Proxy::end) ends them.

mod ports;
mod state;
#[cfg(test)]
mod tests;

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::property::Property;
use crate::{
    BufferKind, ContextId, GrpcStatus, LocalReply, LogLevel, MapKind, Status, StreamKind, pairs,
};
use state::{MetricKind, State, StreamState};

/// A function of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as the ABI names them, without `proxy_`")]
pub enum HostCall {
    CallForeignFunction,
    CloseStream,
    ContinueStream,
    DefineMetric,
    DequeueSharedQueue,
    EnqueueSharedQueue,
    GetBufferBytes,
    GetBufferStatus,
    GetCurrentTimeNanoseconds,
    GetHeaderMapPairs,
    GetLogLevel,
    GetProperty,
    GetSharedData,
    GetStatus,
    GrpcCancel,
    GrpcClose,
    GrpcSend,
    GrpcStream,
    IncrementMetric,
    Log,
    RecordMetric,
    RegisterSharedQueue,
    ResolveSharedQueue,
    SendLocalResponse,
    SetBufferBytes,
    SetEffectiveContext,
    SetProperty,
    SetSharedData,
    SetTickPeriodMilliseconds,
}

/// A local reply that a filter has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentReply {
    /// As [`LocalReply::status`].
    pub status: u16,
    /// As [`LocalReply::details`].
    pub details: Vec<u8>,
    /// As [`LocalReply::headers`].
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// As [`LocalReply::body`].
    pub body: Vec<u8>,
    /// As [`LocalReply::grpc_status`].
    pub grpc_status: Option<GrpcStatus>,
}

impl From<&LocalReply<'_>> for SentReply {
    fn from(reply: &LocalReply<'_>) -> Self {
        let LocalReply {
            status,
            details,
            headers,
            body,
            grpc_status,
        } = *reply;
        Self {
            status,
            details: details.to_vec(),
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect(),
            body: body.to_vec(),
            grpc_status,
        }
    }
}

/// What has become of a gRPC stream of the filter's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcStream {
    /// The cluster that it goes to.
    pub cluster: String,
    /// The service and its method: `service/method`.
    pub method: String,
    /// The messages sent so far.
    pub sent: Vec<Vec<u8>>,
    /// Whether the filter has closed its half, by the last message or by a call.
    pub closed: bool,
    /// Whether the filter has reset it.
    pub cancelled: bool,
}

/// A proxy in memory.
#[derive(Debug, Default)]
pub struct Proxy {
    state: RefCell<State>,
}

impl Proxy {
    /// A proxy with no streams, at the Unix epoch, logging everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a context, as before a callback: calls concern it, and none other is effective.
    pub fn enter(&self, context: ContextId) {
        let mut state = self.state();
        state.current = context;
        state.effective = None;
        state.streams.entry(context).or_default();
    }

    /// A stream or root context, to be set up or looked at.
    pub fn stream(&self, context: ContextId) -> Stream<'_> {
        self.state().streams.entry(context).or_default();
        Stream {
            proxy: self,
            context,
        }
    }

    /// Ends a context: it can no longer be made effective.
    pub fn end(&self, context: ContextId) {
        self.state().streams.remove(&context);
    }

    /// How often each function was called, those that never were left out.
    pub fn calls(&self) -> BTreeMap<HostCall, u32> {
        self.state().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn reset_calls(&self) {
        self.state().calls.clear();
    }

    /// Every line logged so far.
    pub fn logs(&self) -> Vec<(LogLevel, String)> {
        self.state().logs.clone()
    }

    /// Sets the least grave level that is logged; `None` logs nothing.
    pub fn set_log_level(&self, level: Option<LogLevel>) {
        self.state().log_level = level;
    }

    /// Sets the clock, since the Unix epoch.
    pub fn set_now(&self, now: Duration) {
        self.state().now = now;
    }

    /// The tick period of a root context; zero if it has none.
    pub fn tick_period(&self, root: ContextId) -> Duration {
        self.state()
            .tick_periods
            .get(&root)
            .copied()
            .unwrap_or_default()
    }

    /// The value of a counter or gauge of this name, all its definitions together.
    pub fn metric(&self, name: &str) -> Option<u64> {
        let state = self.state();
        let mut values = state.metrics.iter().filter(|m| m.name == name).peekable();
        values.peek()?;
        Some(values.map(|metric| metric.value).sum())
    }

    /// What was recorded in a histogram of this name.
    pub fn recorded(&self, name: &str) -> Vec<u64> {
        let state = self.state();
        let histograms = state
            .metrics
            .iter()
            .filter(|m| m.kind == MetricKind::Histogram && m.name == name);
        histograms
            .flat_map(|histogram| histogram.recorded.clone())
            .collect()
    }

    /// The gRPC streams that were opened, in their order; the first has the token 1.
    pub fn grpc_streams(&self) -> Vec<GrpcStream> {
        self.state().grpc_streams.clone()
    }

    /// Makes opening gRPC streams fail, or work again.
    pub fn set_grpc_failure(&self, status: Option<Status>) {
        self.state().grpc_failure = status;
    }

    /// Sets the message that [`grpc_close_message`] gives.
    ///
    /// [`grpc_close_message`]: crate::ports::GrpcStreams::grpc_close_message
    pub fn set_grpc_close_message(&self, message: &[u8]) {
        self.state().grpc_close_message = message.to_vec();
    }

    fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }
}

/// One context of a [`Proxy`].
#[derive(Clone, Copy, Debug)]
pub struct Stream<'p> {
    proxy: &'p Proxy,
    context: ContextId,
}

impl Stream<'_> {
    /// Sets a header map.
    pub fn map<N: AsRef<[u8]>, V: AsRef<[u8]>>(self, kind: MapKind, headers: &[(N, V)]) -> Self {
        let encoded = pairs::encode(headers);
        self.with(|stream| stream.maps.insert(kind, encoded));
        self
    }

    /// Sets the bytes of a header map, to try what no proxy should send.
    pub fn map_bytes(self, kind: MapKind, bytes: &[u8]) -> Self {
        self.with(|stream| stream.maps.insert(kind, Ok(bytes.to_vec())));
        self
    }

    /// Makes a header map fail.
    pub fn map_error(self, kind: MapKind, status: Status) -> Self {
        self.with(|stream| stream.maps.insert(kind, Err(status)));
        self
    }

    /// Sets the bytes of a property, integers little-endian.
    pub fn property<T>(self, property: Property<'_, T>, value: impl AsRef<[u8]>) -> Self {
        let value = Ok(value.as_ref().to_vec());
        self.with(|stream| stream.properties.insert(property.path().to_vec(), value));
        self
    }

    /// Makes a property fail.
    pub fn property_error<T>(self, property: Property<'_, T>, status: Status) -> Self {
        self.with(|stream| {
            stream
                .properties
                .insert(property.path().to_vec(), Err(status))
        });
        self
    }

    /// Sets a buffer.
    pub fn buffer(self, kind: BufferKind, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        self.with(|stream| stream.buffers.insert(kind, bytes));
        self
    }

    /// Puts the stream on a downstream connection, where it finds the filter state of that
    /// connection. A stream is on a connection of its own otherwise.
    pub fn on_connection(self, id: u64) -> Self {
        self.with(|stream| stream.connection = Some(id));
        self.property(crate::property::CONNECTION_ID, id.to_le_bytes())
    }

    /// The local reply, the last if there were several.
    pub fn reply(self) -> Option<SentReply> {
        self.with(|stream| stream.reply.clone())
    }

    /// What was closed, in order.
    pub fn closed(self) -> Vec<StreamKind> {
        self.with(|stream| stream.closed.clone())
    }

    /// What was let go on, in order.
    pub fn continued(self) -> Vec<StreamKind> {
        self.with(|stream| stream.continued.clone())
    }

    /// What is in a buffer now.
    pub fn buffered(self, kind: BufferKind) -> Option<Vec<u8>> {
        self.with(|stream| stream.buffers.get(&kind).cloned())
    }

    /// The filter state under a key.
    pub fn filter_state(self, key: &str) -> Option<Vec<u8>> {
        self.proxy.state().filter_state(self.context, key).cloned()
    }

    fn with<T>(self, use_it: impl FnOnce(&mut StreamState) -> T) -> T {
        use_it(self.proxy.state().streams.entry(self.context).or_default())
    }
}
