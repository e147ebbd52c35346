//! The proxy in memory answers as Envoy does.

use super::Proxy;
use crate::fake::HostCall;
use crate::ports::{
    Buffers, Clock, Contexts, FilterState, GrpcStreams, HeaderMaps, LocalReplies, Logs, Metrics,
    Properties, Queues, SharedData, Streams, Timer,
};
use crate::property::{self, wasm_state};
use crate::{
    BufferKind, ContextId, Declaration, LocalReply, LogLevel, MapKind, QueueToken, Span, Status,
    StreamKind, StreamToken,
};
use std::time::Duration;

const ROOT: ContextId = ContextId(1);
const STREAM: ContextId = ContextId(2);
const OTHER: ContextId = ContextId(3);

fn entered() -> Proxy {
    let proxy = Proxy::new();
    proxy.enter(STREAM);
    proxy
}

#[test]
fn properties_are_absent_empty_wrong_or_right() {
    let proxy = entered();
    proxy
        .stream(STREAM)
        .property(property::CONNECTION_MTLS, [1])
        .property(property::SOURCE_PORT, [1])
        .property(property::REQUEST_PROTOCOL, "")
        .property_error(property::XDS_ROUTE_NAME, Status::SerializationFailure);
    assert_eq!(proxy.get(property::CONNECTION_MTLS), Ok(Some(true)));
    assert_eq!(proxy.get(property::SOURCE_PORT), Err(Status::Malformed));
    assert_eq!(proxy.get(property::REQUEST_PROTOCOL), Ok(None));
    assert_eq!(proxy.get(property::CONNECTION_ID), Ok(None));
    assert_eq!(
        proxy.get(property::XDS_ROUTE_NAME),
        Err(Status::SerializationFailure)
    );
    assert_eq!(proxy.calls(), [(HostCall::GetProperty, 5)].into());
    proxy.reset_calls();
    assert!(proxy.calls().is_empty());
}

#[test]
fn header_maps_are_whole_missing_malformed_or_failing() {
    let proxy = entered();
    proxy
        .stream(STREAM)
        .map(MapKind::RequestHeaders, &[("x", "1"), ("x", "2")])
        .map_bytes(MapKind::ResponseHeaders, b"\xff")
        .map_error(MapKind::RequestTrailers, Status::BadArgument);
    let headers = proxy.header_map(MapKind::RequestHeaders).unwrap();
    assert!(headers.values(b"x").eq([b"1", b"2"]));
    assert!(
        proxy
            .header_map(MapKind::ResponseTrailers)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        proxy.header_map(MapKind::ResponseHeaders),
        Err(Status::Malformed)
    );
    assert_eq!(
        proxy.header_map(MapKind::RequestTrailers),
        Err(Status::BadArgument)
    );
}

#[test]
fn filter_state_is_of_the_stream_or_declared_of_the_connection() {
    let proxy = Proxy::new();
    proxy.enter(ROOT);
    let identity = Declaration {
        key: "id",
        span: Span::Connection,
        read_only: true,
    };
    proxy.declare_filter_state(&identity).unwrap();
    assert_eq!(
        proxy.declare_filter_state(&identity),
        Err(Status::BadArgument)
    );
    proxy.stream(STREAM).on_connection(9);
    proxy.stream(OTHER).on_connection(9);

    proxy.enter(STREAM);
    proxy.set_filter_state("id", b"alice").unwrap();
    proxy.set_filter_state("rule", b"r7").unwrap();
    assert_eq!(
        proxy.set_filter_state("id", b"mallory"),
        Err(Status::BadArgument)
    );
    proxy.enter(OTHER);
    assert_eq!(
        proxy.get(wasm_state(b"id")).unwrap().as_deref(),
        Some(&b"alice"[..])
    );
    assert_eq!(proxy.get(wasm_state(b"rule")), Ok(None));
    assert_eq!(
        proxy.stream(STREAM).filter_state("rule").as_deref(),
        Some(&b"r7"[..])
    );
}

#[test]
fn a_tick_reaches_a_live_stream_and_no_other() {
    let proxy = Proxy::new();
    proxy.stream(STREAM);
    proxy.enter(ROOT);
    proxy.set_tick_period(Duration::from_micros(1500)).unwrap();
    assert_eq!(proxy.tick_period(ROOT), Duration::from_millis(1));
    assert_eq!(
        proxy.set_tick_period(Duration::MAX),
        Err(Status::BadArgument)
    );
    assert_eq!(proxy.set_effective_context(OTHER), Err(Status::BadArgument));
    proxy.set_effective_context(STREAM).unwrap();
    proxy.close_stream(StreamKind::Downstream).unwrap();
    assert_eq!(proxy.stream(STREAM).closed(), [StreamKind::Downstream]);
    proxy.end(STREAM);
    assert_eq!(
        proxy.set_effective_context(STREAM),
        Err(Status::BadArgument)
    );
}

#[test]
fn buffers_are_read_in_parts_and_changed_as_envoy_can() {
    let proxy = entered();
    let stream = proxy
        .stream(STREAM)
        .buffer(BufferKind::DownstreamData, "abcdef");
    let read = |start, max| {
        proxy
            .buffer(BufferKind::DownstreamData, start, max)
            .unwrap()
    };
    assert_eq!(read(1, 3)[..], *b"bcd");
    assert_eq!(read(5, usize::MAX)[..], *b"f");
    assert_eq!(read(6, 1)[..], *b"");
    assert_eq!(proxy.buffer(BufferKind::UpstreamData, 0, 1), Ok(vec![]));
    assert_eq!(
        proxy.buffer(BufferKind::PluginConfiguration, 0, 1),
        Err(Status::NotFound)
    );
    assert_eq!(
        proxy.set_buffer(BufferKind::UpstreamData, 0, 0, b"x"),
        Err(Status::BadArgument)
    );
    for (start, len, result) in [
        (0, 0, Ok("+abcdef")),
        (usize::MAX, 0, Ok("abcdef+")),
        (6, 9, Ok("abcdef+")),
        (0, 6, Ok("+")),
        (0, usize::MAX, Ok("+")),
        (0, 5, Err(Status::BadArgument)),
        (1, 1, Err(Status::BadArgument)),
    ] {
        stream.buffer(BufferKind::DownstreamData, "abcdef");
        let set = proxy.set_buffer(BufferKind::DownstreamData, start, len, b"+");
        let now = stream.buffered(BufferKind::DownstreamData).unwrap();
        assert_eq!(
            set.map(|()| String::from_utf8(now).unwrap()),
            result.map(str::to_owned)
        );
    }
    assert_eq!(proxy.buffer_len(BufferKind::DownstreamData), Ok(6));
    stream.buffer(BufferKind::PluginConfiguration, "{}");
    let set = proxy.set_buffer(BufferKind::PluginConfiguration, 0, 2, b"");
    assert_eq!(set, Err(Status::BadArgument));
}

#[test]
fn replies_and_streams_are_kept() {
    let proxy = entered();
    let headers: &[(&[u8], &[u8])] = &[(b"x-rule", b"r7")];
    let reply = LocalReply {
        headers,
        body: b"no",
        ..LocalReply::new(403)
    };
    proxy.send_local_reply(&reply).unwrap();
    proxy.continue_stream(StreamKind::Request).unwrap();
    assert_eq!(
        proxy.continue_stream(StreamKind::Upstream),
        Err(Status::Unimplemented)
    );
    let stream = proxy.stream(STREAM);
    assert_eq!(stream.reply(), Some((&reply).into()));
    assert_eq!(stream.continued(), [StreamKind::Request]);

    let many: Vec<(&[u8], &[u8])> = vec![(b"a", b"b"); 2000];
    let reply = LocalReply {
        headers: &many,
        ..LocalReply::new(500)
    };
    assert_eq!(proxy.send_local_reply(&reply), Err(Status::BadArgument));
    assert_eq!(stream.reply().unwrap().status, 403);
}

#[test]
fn metrics_have_kinds() {
    let proxy = entered();
    let counter = proxy.define_counter("requests").unwrap();
    let gauge = proxy.define_gauge("open").unwrap();
    let histogram = proxy.define_histogram("size").unwrap();
    proxy.increment_counter(counter, 2).unwrap();
    proxy.increment_counter(counter, 0).unwrap();
    assert_eq!(
        proxy.increment_counter(counter, u64::MAX),
        Err(Status::BadArgument)
    );
    proxy.set_gauge(gauge, 5).unwrap();
    proxy.adjust_gauge(gauge, -2).unwrap();
    proxy.record(histogram, 7).unwrap();
    assert_eq!(proxy.metric("requests"), Some(2));
    assert_eq!(proxy.metric("open"), Some(3));
    assert_eq!(proxy.recorded("size"), [7]);
    assert_eq!(proxy.metric("other"), None);
    assert_eq!(proxy.calls()[&HostCall::IncrementMetric], 2);
}

#[test]
fn logs_clock_shared_data_and_queues() {
    let proxy = entered();
    proxy.log(LogLevel::Info, "seen");
    proxy.set_log_level(Some(LogLevel::Warn));
    proxy.log(LogLevel::Info, "unseen");
    assert_eq!(proxy.logs(), [(LogLevel::Info, "seen".to_owned())]);
    assert_eq!(proxy.log_level(), Ok(Some(LogLevel::Warn)));
    proxy.set_now(Duration::from_secs(9));
    assert_eq!(proxy.now(), Ok(Duration::from_secs(9)));

    assert_eq!(proxy.shared_data("k"), Ok(None));
    proxy.set_shared_data("k", b"1", None).unwrap();
    let (value, mark) = proxy.shared_data("k").unwrap().unwrap();
    assert_eq!(value[..], *b"1");
    proxy.set_shared_data("k", b"2", Some(mark)).unwrap();
    assert_eq!(
        proxy.set_shared_data("k", b"3", Some(mark)),
        Err(Status::CasMismatch)
    );

    assert_eq!(proxy.resolve_queue("", "q"), Err(Status::NotFound));
    let queue = proxy.register_queue("q").unwrap();
    assert_eq!(proxy.resolve_queue("", "q"), Ok(queue));
    assert_eq!(proxy.dequeue(queue), Err(Status::Empty));
    proxy.enqueue(queue, b"item").unwrap();
    assert_eq!(proxy.dequeue(queue).unwrap()[..], *b"item");
    assert_eq!(proxy.enqueue(QueueToken(7), b""), Err(Status::NotFound));
}

#[test]
fn grpc_streams_are_kept_until_they_end() {
    let proxy = entered();
    let stream = proxy
        .open_grpc_stream("server", "a.S", "M", &[("k", "v")])
        .unwrap();
    assert_eq!(stream, StreamToken(1));
    proxy.send_grpc_message(stream, b"hello", false).unwrap();
    proxy.close_grpc_stream(stream).unwrap();
    assert_eq!(
        proxy.send_grpc_message(stream, b"late", false),
        Err(Status::NotFound)
    );
    assert_eq!(
        proxy.cancel_grpc_stream(StreamToken(0)),
        Err(Status::NotFound)
    );
    let streams = proxy.grpc_streams();
    assert_eq!(streams[0].method, "a.S/M");
    assert_eq!(streams[0].sent, [b"hello"]);
    assert!(streams[0].closed && !streams[0].cancelled);
    proxy.set_grpc_close_message(b"bye");
    assert_eq!(proxy.grpc_close_message().unwrap()[..], *b"bye");
}
