//! The ports of the proxy in memory.

use std::time::Duration;

use super::state::{Declared, MetricKind, Queue, by_number};
use super::{GrpcStream, HostCall, Proxy, SentReply};
use crate::ports::{
    Buffers, Clock, Contexts, FilterState, GrpcStreams, HeaderMaps, LocalReplies, Logs, Metrics,
    Properties, Queues, SharedData, Streams, Timer,
};
use crate::{
    BufferKind, ContextId, Counter, Declaration, Gauge, HeaderMap, Histogram, LocalReply, LogLevel,
    MapKind, QueueToken, Status, StreamKind, StreamToken, pairs,
};

impl HeaderMaps for Proxy {
    fn header_map(&self, kind: MapKind) -> Result<HeaderMap, Status> {
        let mut state = self.state();
        state.count(HostCall::GetHeaderMapPairs);
        let bytes = state
            .stream()
            .maps
            .get(&kind)
            .cloned()
            .unwrap_or(Ok(Vec::new()))?;
        HeaderMap::parse(bytes)
    }
}

impl Properties for Proxy {
    fn property(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Status> {
        let mut state = self.state();
        state.count(HostCall::GetProperty);
        let value = match state.stream().properties.get(path).cloned().transpose()? {
            Some(value) => Some(value),
            None => {
                let key = std::str::from_utf8(path).ok();
                key.and_then(|key| state.filter_state(state.context(), key).cloned())
            }
        };
        Ok(value.filter(|value| !value.is_empty()))
    }
}

impl FilterState for Proxy {
    fn set_filter_state(&self, key: &str, value: &[u8]) -> Result<(), Status> {
        let mut state = self.state();
        state.count(HostCall::SetProperty);
        let read_only = state
            .declarations
            .get(key)
            .is_some_and(|declared| declared.read_only);
        let values = state.filter_state_mut(key);
        if read_only && values.contains_key(key) {
            return Err(Status::BadArgument);
        }
        values.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn declare_filter_state(&self, declaration: &Declaration<'_>) -> Result<(), Status> {
        let mut state = self.state();
        state.count(HostCall::CallForeignFunction);
        let Declaration {
            key,
            span,
            read_only,
        } = *declaration;
        let root = state.current;
        match state.declarations.get(key) {
            Some(declared) if declared.root == root => Err(Status::BadArgument),
            _ => {
                state.declarations.insert(
                    key.to_owned(),
                    Declared {
                        root,
                        span,
                        read_only,
                    },
                );
                Ok(())
            }
        }
    }
}

impl LocalReplies for Proxy {
    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), Status> {
        pairs::encode(reply.headers)?;
        let mut state = self.state();
        state.count(HostCall::SendLocalResponse);
        state.stream().reply = Some(SentReply::from(reply));
        Ok(())
    }
}

impl Streams for Proxy {
    fn close_stream(&self, kind: StreamKind) -> Result<(), Status> {
        let mut state = self.state();
        state.count(HostCall::CloseStream);
        state.stream().closed.push(kind);
        Ok(())
    }

    fn continue_stream(&self, kind: StreamKind) -> Result<(), Status> {
        let mut state = self.state();
        state.count(HostCall::ContinueStream);
        if kind == StreamKind::Upstream {
            return Err(Status::Unimplemented);
        }
        state.stream().continued.push(kind);
        Ok(())
    }
}

impl Contexts for Proxy {
    fn set_effective_context(&self, context: ContextId) -> Result<(), Status> {
        let mut state = self.state();
        state.count(HostCall::SetEffectiveContext);
        if !state.streams.contains_key(&context) {
            return Err(Status::BadArgument);
        }
        state.effective = Some(context);
        Ok(())
    }
}

impl Buffers for Proxy {
    fn buffer(&self, kind: BufferKind, start: usize, max: usize) -> Result<Vec<u8>, Status> {
        let mut state = self.state();
        state.count(HostCall::GetBufferBytes);
        let buffer = state.buffer(kind)?;
        let part = buffer.iter().skip(start).take(max).copied();
        Ok(part.collect())
    }

    fn buffer_len(&self, kind: BufferKind) -> Result<usize, Status> {
        let mut state = self.state();
        state.count(HostCall::GetBufferStatus);
        state.buffer(kind).map(<[u8]>::len)
    }

    fn set_buffer(
        &self,
        kind: BufferKind,
        start: usize,
        len: usize,
        data: &[u8],
    ) -> Result<(), Status> {
        let mut state = self.state();
        state.count(HostCall::SetBufferBytes);
        if matches!(
            kind,
            BufferKind::GrpcMessage | BufferKind::VmConfiguration | BufferKind::PluginConfiguration
        ) {
            return Err(Status::BadArgument);
        }
        let buffer = state
            .stream()
            .buffers
            .get_mut(&kind)
            .ok_or(Status::BadArgument)?;
        match (start, len) {
            (0, 0) => drop(buffer.splice(0..0, data.iter().copied())),
            (0, len) if len >= buffer.len() => *buffer = data.to_vec(),
            (start, _) if start > 0 && start >= buffer.len() => buffer.extend(data),
            _ => return Err(Status::BadArgument),
        }
        Ok(())
    }
}

impl Metrics for Proxy {
    fn define_counter(&self, name: &str) -> Result<Counter, Status> {
        self.define(MetricKind::Counter, name).map(Counter)
    }

    fn define_gauge(&self, name: &str) -> Result<Gauge, Status> {
        self.define(MetricKind::Gauge, name).map(Gauge)
    }

    fn define_histogram(&self, name: &str) -> Result<Histogram, Status> {
        self.define(MetricKind::Histogram, name).map(Histogram)
    }

    fn increment_counter(&self, counter: Counter, by: u64) -> Result<(), Status> {
        if by == 0 {
            return Ok(());
        }
        i64::try_from(by).map_err(|_| Status::BadArgument)?;
        let mut state = self.state();
        state.count(HostCall::IncrementMetric);
        let counter = state.metric(MetricKind::Counter, counter.0)?;
        counter.value = counter.value.wrapping_add(by);
        Ok(())
    }

    fn adjust_gauge(&self, gauge: Gauge, by: i64) -> Result<(), Status> {
        let mut state = self.state();
        state.count(HostCall::IncrementMetric);
        let gauge = state.metric(MetricKind::Gauge, gauge.0)?;
        gauge.value = gauge.value.wrapping_add_signed(by);
        Ok(())
    }

    fn set_gauge(&self, gauge: Gauge, value: u64) -> Result<(), Status> {
        let mut state = self.state();
        state.count(HostCall::RecordMetric);
        state.metric(MetricKind::Gauge, gauge.0)?.value = value;
        Ok(())
    }

    fn record(&self, histogram: Histogram, value: u64) -> Result<(), Status> {
        let mut state = self.state();
        state.count(HostCall::RecordMetric);
        state
            .metric(MetricKind::Histogram, histogram.0)?
            .recorded
            .push(value);
        Ok(())
    }
}

impl Proxy {
    fn define(&self, kind: MetricKind, name: &str) -> Result<u32, Status> {
        let mut state = self.state();
        state.count(HostCall::DefineMetric);
        state.define(kind, name).ok_or(Status::InternalFailure)
    }
}

impl Logs for Proxy {
    fn log(&self, level: LogLevel, message: &str) {
        let mut state = self.state();
        state.count(HostCall::Log);
        if state.log_level.is_some_and(|least| level >= least) {
            state.logs.push((level, message.to_owned()));
        }
    }

    fn log_level(&self) -> Result<Option<LogLevel>, Status> {
        let mut state = self.state();
        state.count(HostCall::GetLogLevel);
        Ok(state.log_level)
    }
}

impl Clock for Proxy {
    fn now(&self) -> Result<Duration, Status> {
        let mut state = self.state();
        state.count(HostCall::GetCurrentTimeNanoseconds);
        Ok(state.now)
    }
}

impl Timer for Proxy {
    fn set_tick_period(&self, period: Duration) -> Result<(), Status> {
        let period = u32::try_from(period.as_millis()).map_err(|_| Status::BadArgument)?;
        let mut state = self.state();
        state.count(HostCall::SetTickPeriodMilliseconds);
        let root = state.context();
        state
            .tick_periods
            .insert(root, Duration::from_millis(u64::from(period)));
        Ok(())
    }
}

impl SharedData for Proxy {
    fn shared_data(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, Status> {
        let mut state = self.state();
        state.count(HostCall::GetSharedData);
        let value = state.shared.get(key).cloned();
        Ok(value)
    }

    fn set_shared_data(&self, key: &str, value: &[u8], mark: Option<u32>) -> Result<(), Status> {
        let mut state = self.state();
        state.count(HostCall::SetSharedData);
        let now = state.shared.get(key).map_or(0, |(_, mark)| *mark);
        if mark.is_some_and(|mark| mark != 0 && mark != now) {
            return Err(Status::CasMismatch);
        }
        state
            .shared
            .insert(key.to_owned(), (value.to_vec(), now + 1));
        Ok(())
    }
}

impl Queues for Proxy {
    fn register_queue(&self, name: &str) -> Result<QueueToken, Status> {
        let mut state = self.state();
        state.count(HostCall::RegisterSharedQueue);
        if state.queues.iter().all(|queue| queue.name != name) {
            state.queues.push(Queue {
                name: name.to_owned(),
                items: [].into(),
            });
        }
        token(&state.queues, name)
    }

    fn resolve_queue(&self, vm_id: &str, name: &str) -> Result<QueueToken, Status> {
        let mut state = self.state();
        state.count(HostCall::ResolveSharedQueue);
        if vm_id.is_empty() {
            token(&state.queues, name)
        } else {
            Err(Status::NotFound)
        }
    }

    fn enqueue(&self, queue: QueueToken, item: &[u8]) -> Result<(), Status> {
        let mut state = self.state();
        state.count(HostCall::EnqueueSharedQueue);
        by_number(&mut state.queues, queue.0)?
            .items
            .push_back(item.to_vec());
        Ok(())
    }

    fn dequeue(&self, queue: QueueToken) -> Result<Vec<u8>, Status> {
        let mut state = self.state();
        state.count(HostCall::DequeueSharedQueue);
        let queue = by_number(&mut state.queues, queue.0)?;
        queue.items.pop_front().ok_or(Status::Empty)
    }
}

fn token(queues: &[Queue], name: &str) -> Result<QueueToken, Status> {
    let index = queues.iter().position(|queue| queue.name == name);
    let number = index.and_then(|index| u32::try_from(index + 1).ok());
    number.map(QueueToken).ok_or(Status::NotFound)
}

impl GrpcStreams for Proxy {
    fn open_grpc_stream(
        &self,
        cluster: &str,
        service: &str,
        method: &str,
        metadata: &[(&str, &str)],
    ) -> Result<StreamToken, Status> {
        pairs::encode(metadata)?;
        let mut state = self.state();
        state.count(HostCall::GrpcStream);
        if let Some(status) = state.grpc_failure {
            return Err(status);
        }
        state.grpc_streams.push(GrpcStream {
            cluster: cluster.to_owned(),
            method: format!("{service}/{method}"),
            sent: Vec::new(),
            closed: false,
            cancelled: false,
        });
        let number = u32::try_from(state.grpc_streams.len());
        number.map(StreamToken).map_err(|_| Status::InternalFailure)
    }

    fn send_grpc_message(
        &self,
        stream: StreamToken,
        message: &[u8],
        end_of_stream: bool,
    ) -> Result<(), Status> {
        self.grpc(HostCall::GrpcSend, stream, |stream| {
            stream.sent.push(message.to_vec());
            stream.closed = end_of_stream;
        })
    }

    fn close_grpc_stream(&self, stream: StreamToken) -> Result<(), Status> {
        self.grpc(HostCall::GrpcClose, stream, |stream| stream.closed = true)
    }

    fn cancel_grpc_stream(&self, stream: StreamToken) -> Result<(), Status> {
        self.grpc(HostCall::GrpcCancel, stream, |stream| {
            stream.cancelled = true
        })
    }

    fn grpc_close_message(&self) -> Result<Vec<u8>, Status> {
        let mut state = self.state();
        state.count(HostCall::GetStatus);
        Ok(state.grpc_close_message.clone())
    }
}

impl Proxy {
    fn grpc(
        &self,
        call: HostCall,
        stream: StreamToken,
        change: impl FnOnce(&mut GrpcStream),
    ) -> Result<(), Status> {
        let mut state = self.state();
        state.count(call);
        let stream = by_number(&mut state.grpc_streams, stream.0)?;
        if stream.closed || stream.cancelled {
            return Err(Status::NotFound);
        }
        change(stream);
        Ok(())
    }
}
