//! The ports over proxy-wasm.

use std::cell::Cell;
use std::time::Duration;

use crate::ports::{
    BufferKind, Buffers, Clock, Contexts, FilterState, GrpcStreams, HeaderMaps, LocalReplies,
    LogLevel, Logs, MapKind, Metrics, Properties, QueueToken, Queues, SharedData, StreamKind,
    StreamToken, Streams, Timer,
};
use crate::{
    ContextId, Counter, Declaration, Gauge, HeaderMap, Histogram, LocalReply, Status, abi,
    grpc_service, pairs,
};

/// The proxy that this module runs in.
#[derive(Clone, Copy, Debug)]
pub struct Proxy;

impl HeaderMaps for Proxy {
    fn header_map(&self, kind: MapKind) -> Result<HeaderMap, Status> {
        HeaderMap::parse(abi::header_map_pairs(kind as u32)?)
    }
}

impl Properties for Proxy {
    fn property(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Status> {
        match abi::property(path) {
            Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
            Err(Status::NotFound) => Ok(None),
            Err(status) => Err(status),
        }
    }
}

impl FilterState for Proxy {
    fn set_filter_state(&self, key: &str, value: &[u8]) -> Result<(), Status> {
        abi::set_property(key, value)
    }

    fn declare_filter_state(&self, declaration: &Declaration<'_>) -> Result<(), Status> {
        abi::call_foreign_function(Declaration::FUNCTION, &declaration.encode())
    }
}

impl LocalReplies for Proxy {
    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), Status> {
        let LocalReply {
            status,
            details,
            headers,
            body,
            grpc_status,
        } = *reply;
        let headers = pairs::encode(headers)?;
        let grpc_status = grpc_status.map_or(-1, |status| i32::from(status.0));
        abi::send_local_response(u32::from(status), details, body, &headers, grpc_status)
    }
}

impl Streams for Proxy {
    fn close_stream(&self, kind: StreamKind) -> Result<(), Status> {
        abi::close_stream(kind as u32)
    }

    fn continue_stream(&self, kind: StreamKind) -> Result<(), Status> {
        abi::continue_stream(kind as u32)
    }
}

impl Contexts for Proxy {
    fn set_effective_context(&self, context: ContextId) -> Result<(), Status> {
        abi::set_effective_context(context.0)
    }
}

impl Buffers for Proxy {
    fn buffer(&self, kind: BufferKind, start: usize, max: usize) -> Result<Vec<u8>, Status> {
        abi::buffer_bytes(kind as u32, start, max)
    }

    fn buffer_len(&self, kind: BufferKind) -> Result<usize, Status> {
        abi::buffer_len(kind as u32)
    }

    fn set_buffer(
        &self,
        kind: BufferKind,
        start: usize,
        len: usize,
        data: &[u8],
    ) -> Result<(), Status> {
        abi::set_buffer_bytes(kind as u32, start, len, data)
    }
}

impl Metrics for Proxy {
    fn define_counter(&self, name: &str) -> Result<Counter, Status> {
        abi::define_metric(0, name).map(Counter)
    }

    fn define_gauge(&self, name: &str) -> Result<Gauge, Status> {
        abi::define_metric(1, name).map(Gauge)
    }

    fn define_histogram(&self, name: &str) -> Result<Histogram, Status> {
        abi::define_metric(2, name).map(Histogram)
    }

    fn increment_counter(&self, counter: Counter, by: u64) -> Result<(), Status> {
        match i64::try_from(by) {
            Ok(0) => Ok(()),
            Ok(by) => abi::increment_metric(counter.0, by),
            Err(_) => Err(Status::BadArgument),
        }
    }

    fn adjust_gauge(&self, gauge: Gauge, by: i64) -> Result<(), Status> {
        abi::increment_metric(gauge.0, by)
    }

    fn set_gauge(&self, gauge: Gauge, value: u64) -> Result<(), Status> {
        abi::record_metric(gauge.0, value)
    }

    fn record(&self, histogram: Histogram, value: u64) -> Result<(), Status> {
        abi::record_metric(histogram.0, value)
    }
}

impl Logs for Proxy {
    fn log(&self, level: LogLevel, message: &str) {
        let _ = abi::log(level as u32, message);
    }

    fn log_level(&self) -> Result<Option<LogLevel>, Status> {
        Ok(Some(match abi::log_level()? {
            0 => LogLevel::Trace,
            1 => LogLevel::Debug,
            2 => LogLevel::Info,
            3 => LogLevel::Warn,
            4 => LogLevel::Error,
            5 => LogLevel::Critical,
            // Envoy's `off`, which the ABI does not name.
            6 => return Ok(None),
            _ => return Err(Status::Malformed),
        }))
    }
}

impl Clock for Proxy {
    fn now(&self) -> Result<Duration, Status> {
        abi::current_time_nanoseconds().map(Duration::from_nanos)
    }
}

impl Timer for Proxy {
    fn set_tick_period(&self, period: Duration) -> Result<(), Status> {
        let period = u32::try_from(period.as_millis()).map_err(|_| Status::BadArgument)?;
        abi::set_tick_period_milliseconds(period)
    }
}

impl SharedData for Proxy {
    fn shared_data(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, Status> {
        match abi::shared_data(key) {
            Ok(value) => Ok(Some(value)),
            Err(Status::NotFound) => Ok(None),
            Err(status) => Err(status),
        }
    }

    fn set_shared_data(&self, key: &str, value: &[u8], mark: Option<u32>) -> Result<(), Status> {
        abi::set_shared_data(key, value, mark.unwrap_or(0))
    }
}

impl Queues for Proxy {
    fn register_queue(&self, name: &str) -> Result<QueueToken, Status> {
        abi::register_shared_queue(name).map(QueueToken)
    }

    fn resolve_queue(&self, vm_id: &str, name: &str) -> Result<QueueToken, Status> {
        abi::resolve_shared_queue(vm_id, name).map(QueueToken)
    }

    fn enqueue(&self, queue: QueueToken, item: &[u8]) -> Result<(), Status> {
        abi::enqueue_shared_queue(queue.0, item)
    }

    fn dequeue(&self, queue: QueueToken) -> Result<Vec<u8>, Status> {
        abi::dequeue_shared_queue(queue.0)
    }
}

impl GrpcStreams for Proxy {
    fn open_grpc_stream(
        &self,
        cluster: &str,
        service: &str,
        method: &str,
        metadata: &[(&str, &str)],
    ) -> Result<StreamToken, Status> {
        let metadata = pairs::encode(metadata)?;
        let target = grpc_service::encode(cluster);
        abi::grpc_stream(&target, service, method, &metadata).map(StreamToken)
    }

    fn send_grpc_message(
        &self,
        stream: StreamToken,
        message: &[u8],
        end_of_stream: bool,
    ) -> Result<(), Status> {
        abi::grpc_send(stream.0, message, end_of_stream)
    }

    fn close_grpc_stream(&self, stream: StreamToken) -> Result<(), Status> {
        abi::grpc_close(stream.0)
    }

    fn cancel_grpc_stream(&self, stream: StreamToken) -> Result<(), Status> {
        abi::grpc_cancel(stream.0)
    }

    fn grpc_close_message(&self) -> Result<Vec<u8>, Status> {
        abi::status_message()
    }
}

/// Logs panics with their message and place: the first, and then every power of two. The
/// message is quoted, since it may hold what a peer sent.
pub fn log_panics() {
    thread_local! {
        static PANICS: Cell<u64> = const { Cell::new(0) };
    }
    std::panic::set_hook(Box::new(|panic| {
        let count = PANICS.get().saturating_add(1);
        PANICS.set(count);
        if count.is_power_of_two() {
            let message = panic.payload_as_str().unwrap_or("no message");
            let line = match panic.location() {
                Some(place) => format!("panic {count} at {place}: {message:?}"),
                None => format!("panic {count}: {message:?}"),
            };
            Proxy.log(LogLevel::Critical, &line);
        }
    }));
}
