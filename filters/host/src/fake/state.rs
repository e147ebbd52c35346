//! What the proxy in memory knows.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{GrpcStream, HostCall, SentReply};
use crate::{BufferKind, ContextId, LogLevel, MapKind, Span, Status, StreamKind};

#[derive(Debug)]
pub(super) struct State {
    pub(super) calls: BTreeMap<HostCall, u32>,
    pub(super) current: ContextId,
    pub(super) effective: Option<ContextId>,
    pub(super) streams: BTreeMap<ContextId, StreamState>,
    pub(super) connections: BTreeMap<u64, BTreeMap<String, Vec<u8>>>,
    pub(super) declarations: BTreeMap<String, Declared>,
    pub(super) metrics: Vec<Metric>,
    pub(super) logs: Vec<(LogLevel, String)>,
    pub(super) log_level: Option<LogLevel>,
    pub(super) now: Duration,
    pub(super) tick_periods: BTreeMap<ContextId, Duration>,
    pub(super) shared: BTreeMap<String, (Vec<u8>, u32)>,
    pub(super) queues: Vec<Queue>,
    pub(super) grpc_streams: Vec<GrpcStream>,
    pub(super) grpc_failure: Option<Status>,
    pub(super) grpc_close_message: Vec<u8>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            calls: BTreeMap::new(),
            current: ContextId(0),
            effective: None,
            streams: BTreeMap::new(),
            connections: BTreeMap::new(),
            declarations: BTreeMap::new(),
            metrics: Vec::new(),
            logs: Vec::new(),
            log_level: Some(LogLevel::Trace),
            now: Duration::ZERO,
            tick_periods: BTreeMap::new(),
            shared: BTreeMap::new(),
            queues: Vec::new(),
            grpc_streams: Vec::new(),
            grpc_failure: None,
            grpc_close_message: Vec::new(),
        }
    }
}

/// One context.
#[derive(Debug, Default)]
pub(super) struct StreamState {
    pub(super) maps: BTreeMap<MapKind, Result<Vec<u8>, Status>>,
    pub(super) properties: BTreeMap<Vec<u8>, Result<Vec<u8>, Status>>,
    pub(super) buffers: BTreeMap<BufferKind, Vec<u8>>,
    pub(super) connection: Option<u64>,
    pub(super) filter_state: BTreeMap<String, Vec<u8>>,
    pub(super) reply: Option<SentReply>,
    pub(super) closed: Vec<StreamKind>,
    pub(super) continued: Vec<StreamKind>,
}

/// A declaration of filter state.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) root: ContextId,
    pub(super) span: Span,
    pub(super) read_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug)]
pub(super) struct Metric {
    pub(super) kind: MetricKind,
    pub(super) name: String,
    pub(super) value: u64,
    pub(super) recorded: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) items: VecDeque<Vec<u8>>,
}

impl State {
    pub(super) fn count(&mut self, call: HostCall) {
        *self.calls.entry(call).or_default() += 1;
    }

    /// The context that calls concern.
    pub(super) fn context(&self) -> ContextId {
        self.effective.unwrap_or(self.current)
    }

    pub(super) fn stream(&mut self) -> &mut StreamState {
        let context = self.context();
        self.streams.entry(context).or_default()
    }

    /// Buffers that do not exist here are empty, but for the plugin's configuration.
    pub(super) fn buffer(&mut self, kind: BufferKind) -> Result<&[u8], Status> {
        match self.stream().buffers.get(&kind) {
            Some(buffer) => Ok(buffer),
            None if kind == BufferKind::PluginConfiguration => Err(Status::NotFound),
            None => Ok(&[]),
        }
    }

    pub(super) fn filter_state(&self, context: ContextId, key: &str) -> Option<&Vec<u8>> {
        let stream = self.streams.get(&context)?;
        let on_connection = || self.connections.get(&stream.connection?)?.get(key);
        stream.filter_state.get(key).or_else(on_connection)
    }

    /// Where the filter state of a key is kept: on the connection if it was declared so and
    /// the stream is on one.
    pub(super) fn filter_state_mut(&mut self, key: &str) -> &mut BTreeMap<String, Vec<u8>> {
        let of_connection = self
            .declarations
            .get(key)
            .is_some_and(|declared| declared.span == Span::Connection);
        let context = self.context();
        let stream = self.streams.entry(context).or_default();
        match stream.connection {
            Some(connection) if of_connection => self.connections.entry(connection).or_default(),
            _ => &mut stream.filter_state,
        }
    }

    /// Numbers start at 1.
    pub(super) fn define(&mut self, kind: MetricKind, name: &str) -> Option<u32> {
        let name = name.to_owned();
        self.metrics.push(Metric {
            kind,
            name,
            value: 0,
            recorded: Vec::new(),
        });
        u32::try_from(self.metrics.len()).ok()
    }

    pub(super) fn metric(&mut self, kind: MetricKind, id: u32) -> Result<&mut Metric, Status> {
        let metric = by_number(&mut self.metrics, id)?;
        if metric.kind == kind {
            Ok(metric)
        } else {
            Err(Status::BadArgument)
        }
    }
}

/// The entry that a number starting at 1 stands for.
pub(super) fn by_number<T>(entries: &mut [T], number: u32) -> Result<&mut T, Status> {
    let index = usize::try_from(number)
        .ok()
        .and_then(|number| number.checked_sub(1));
    index
        .and_then(|index| entries.get_mut(index))
        .ok_or(Status::NotFound)
}
