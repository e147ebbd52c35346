//! HTTP streams: stopping, continuing, answering, closing.

use meshwall_testbed::host::{
    HeaderKind, Headers, LocalReply, Outcome, StreamAttributes, StreamError, Vm,
};
use std::time::Duration;

use super::support::{GET, OK, build, logged, stream, vm};

/// A filter that stops at the headers with a code and continues with the next tick.
fn stops_with(code: u32) -> String {
    format!(
        r#"
      (global $waits (mut i32) (i32.const 0))
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $set_tick_period (i32.const 10))) (i32.const 1))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $waits (local.get 0)) (i32.const {code}))
      (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $bytes (call $get_buffer (i32.const 0) (i32.const 0) (i32.const 99) $out))
        (call $status (local.get 2))
        (i32.const 0))
      (func (export "proxy_on_request_trailers") (param i32 i32) (result i32)
        (call $status (local.get 1)) (i32.const 0))
      (func (export "proxy_on_tick") (param i32)
        (if (global.get $waits) (then
          (call $status (call $set_effective_context (global.get $waits)))
          (call $status (call $add_header (i32.const 0) @"x-late" @"1"))
          (call $status (call $continue (i32.const 0)))
          (call $status (call $add_header (i32.const 0) @"x-later" @"1"))
          (global.set $waits (i32.const 0)))))"#
    )
}

fn tick(vm: &Vm) {
    vm.advance(Duration::from_millis(10)).unwrap();
}

#[test]
fn a_pause_holds_everything_until_the_filter_continues() {
    for code in [1, 3, 4, 9] {
        let vm = vm(&stops_with(code));
        let stream = stream(&vm);
        assert_eq!(
            stream.request_headers(&GET, false).unwrap(),
            Outcome::Pause,
            "{code}"
        );
        assert_eq!(stream.request_body("ab", false).unwrap(), Outcome::Pause);
        assert_eq!(stream.request_body("cd", false).unwrap(), Outcome::Pause);
        stream.request_trailers(&[("t", "1")]).unwrap();
        assert_eq!(stream.upstream_request().headers, None);
        assert_eq!(logged(&vm), Vec::<String>::new());
        tick(&vm);
        assert_eq!(stream.request_outcome(), Outcome::Continue);
        // What has waited is shown at once; the headers are out of reach by then.
        assert_eq!(
            logged(&vm),
            ["0", "0", "0", "2", "abcd", "0", "1"],
            "{code}"
        );
        let request = stream.upstream_request();
        assert_eq!(request.headers.unwrap().get("x-late"), Some(&b"1"[..]));
        assert_eq!(
            (request.body.as_slice(), request.complete),
            (&b"abcd"[..], true)
        );
        assert!(request.trailers.is_some());
    }
}

#[test]
fn a_pause_in_the_headers_may_let_the_body_be_seen() {
    let vm = build(&stops_with(1), |b| {
        b.plugin(
            meshwall_testbed::host::PluginConfig::new("").allow_on_headers_stop_iteration(true),
        )
    })
    .unwrap();
    let stream = stream(&vm);
    assert_eq!(stream.request_headers(&GET, false).unwrap(), Outcome::Pause);
    // The filter continues in the body callback by letting the body pass.
    assert_eq!(stream.request_body("ab", true).unwrap(), Outcome::Continue);
    assert_eq!(logged(&vm), ["ab", "1"]);
    assert_eq!(stream.upstream_request().body, b"ab");
}

/// A filter that continues inside the callback and pauses all the same lets the headers go
/// and nothing else. So it was in Envoy 1.40.
#[test]
fn continuing_too_early_stalls_the_body() {
    let vm = vm(r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $continue (i32.const 0))) (i32.const 1))"#);
    let alone = stream(&vm);
    alone.request_headers(&GET, true).unwrap();
    assert!(alone.upstream_request().complete);
    let stalled = stream(&vm);
    stalled.request_headers(&GET, false).unwrap();
    stalled.request_body("xyz", true).unwrap();
    let request = stalled.upstream_request();
    assert!(request.headers.is_some() && request.body.is_empty() && !request.complete);
}

/// The verdicts on a frame: 1 collects, 2 has the peer wait, 3 drops.
#[test]
fn a_body_can_be_held_back_or_dropped() {
    let filter = |code: u32| {
        format!(
            r#"(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
              (call $status (local.get 1))
              (select (i32.const 0) (i32.const {code}) (local.get 2)))"#
        )
    };
    for (code, shown, arrives) in [
        (1, ["2", "4", "4"], "abcd"),
        (2, ["2", "2", "0"], "abcd"),
        (3, ["2", "2", "0"], ""),
    ] {
        let vm = vm(&filter(code));
        let stream = stream(&vm);
        stream.request_headers(&GET, false).unwrap();
        for (frame, end) in [("ab", false), ("cd", false), ("", true)] {
            stream.request_body(frame, end).unwrap();
        }
        assert_eq!(logged(&vm), shown, "{code}");
        let request = stream.upstream_request();
        assert_eq!(
            (request.body.as_slice(), request.complete),
            (arrives.as_bytes(), true)
        );
    }
}

#[test]
fn a_body_that_waits_has_a_limit() {
    let collects = r#"(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (i32.const 1))"#;
    for (text, name) in [(collects.to_owned(), "body"), (stops_with(3), "headers")] {
        let vm = vm(&text);
        let stream = vm.http_stream(StreamAttributes::new().buffer_limit(4));
        stream.request_headers(&GET, false).unwrap();
        assert_eq!(
            stream.request_body("1234", false).unwrap(),
            Outcome::Pause,
            "{name}"
        );
        let Outcome::LocalReply(reply) = stream.request_body("5", false).unwrap() else {
            panic!("{name}: the body was not refused");
        };
        assert_eq!(
            (reply.status, reply.details),
            (413, b"request_payload_too_large".to_vec())
        );
    }
}

const REPLIES: &str = r#"
      (func $deny (drop (call $reply (i32.const 403) @"my details" @"denied"
        @"\01\00\00\00\03\00\00\00\01\00\00\00X-R\001\00" (i32.const 7))))
      (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $bytes (call $get_header (i32.const 2) @":status" $out))
        (drop (call $add_header (i32.const 2) @"via-filter" @"1")) (i32.const 0))
      (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $bytes (call $get_buffer (i32.const 1) (i32.const 0) (i32.const 99) $out))
        (i32.const 0))
      (func (export "proxy_on_log") (param i32) (call $status (i32.const 777)))"#;

/// A reply goes back through the filter that made it, whatever its callback returns.
#[test]
fn a_reply_goes_through_the_filter() {
    let vm = vm(&format!(
        r#"{REPLIES} (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $deny) (i32.const 0))"#
    ));
    let stream = stream(&vm);
    let outcome = stream.request_headers(&GET, true).unwrap();
    let reply = LocalReply {
        status: 403,
        headers: Headers::new(HeaderKind::Trailers, &[("x-r", "1")]),
        body: b"denied".to_vec(),
        grpc_status: Some(7),
        details: b"my_details".to_vec(),
    };
    assert_eq!(outcome, Outcome::LocalReply(reply));
    assert_eq!(logged(&vm), ["403", "denied"]);
    let response = stream.downstream_response();
    let headers = [
        (":status", "403"),
        ("x-r", "1"),
        ("content-length", "6"),
        ("content-type", "text/plain"),
        ("via-filter", "1"),
    ];
    assert_eq!(
        response.headers,
        Some(Headers::new(HeaderKind::Response, &headers))
    );
    assert_eq!(
        (response.body.as_slice(), response.complete),
        (&b"denied"[..], true)
    );
    assert_eq!(stream.upstream_request().headers, None);
    // What still comes is dropped.
    assert!(matches!(
        stream.request_body("x", true).unwrap(),
        Outcome::LocalReply(_)
    ));
    assert!(matches!(
        stream.response_headers(&OK, true).unwrap(),
        Outcome::LocalReply(_)
    ));
    stream.finish().unwrap();
    assert_eq!(logged(&vm), ["777"]);
}

#[test]
fn a_grpc_client_gets_a_grpc_status() {
    let vm = vm(&format!(
        r#"{REPLIES} (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $deny) (i32.const 1))"#
    ));
    let stream = stream(&vm);
    let mut request = GET.to_vec();
    request.push(("content-type", "application/grpc"));
    stream.request_headers(&request, true).unwrap();
    let headers = stream.downstream_response().headers.unwrap();
    assert_eq!(headers.get(":status"), Some(&b"200"[..]));
    assert_eq!(headers.get("grpc-status"), Some(&b"7"[..]));
    assert_eq!(headers.get("grpc-message"), Some(&b"denied"[..]));
}

/// With a response in its hands the filter replaces it; one that has left is cut off.
#[test]
fn a_late_reply_replaces_or_resets() {
    let at_headers = r#"
      (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (drop (call $reply (i32.const 500) @"late" @"instead" @"" (i32.const -1))) (i32.const 0))
      (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $status (i32.const 777)) (i32.const 0))"#;
    let replaced = stream(&vm(at_headers));
    replaced.request_headers(&GET, true).unwrap();
    assert!(matches!(
        replaced.response_headers(&OK, false).unwrap(),
        Outcome::LocalReply(_)
    ));
    assert_eq!(replaced.downstream_response().body, b"instead");

    let at_body = r#"
      (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (drop (call $reply (i32.const 500) @"late" @"" @"" (i32.const -1))) (i32.const 0))"#;
    let cut = stream(&vm(at_body));
    cut.request_headers(&GET, true).unwrap();
    cut.response_headers(&OK, false).unwrap();
    assert_eq!(
        cut.response_body("x", true).unwrap(),
        Outcome::Reset {
            details: b"late".to_vec()
        }
    );
    assert_eq!(cut.downstream_response().body, b"");
}

/// Of two replies the client gets the first; the details are those of the second.
#[test]
fn two_replies_are_one() {
    let vm = vm(r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $reply (i32.const 403) @"one" @"first" @"" (i32.const -1)))
        (drop (call $reply (i32.const 404) @"two" @"second" @"" (i32.const -1))) (i32.const 1))"#);
    let stream = stream(&vm);
    stream.request_headers(&GET, true).unwrap();
    let reply = stream.local_reply().unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (403, &b"first"[..]));
    assert_eq!(reply.details, b"two");
}

#[test]
fn a_stream_can_be_closed() {
    let vm = vm(r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status (call $close (i32.const 0)))
        (call $status (call $close (i32.const 9))) (i32.const 1))"#);
    let stream = stream(&vm);
    let reset = Outcome::Reset {
        details: b"wasm_close_stream".to_vec(),
    };
    assert_eq!(stream.request_headers(&GET, true).unwrap(), reset);
    assert_eq!(logged(&vm), ["0", "2"]);
    assert_eq!(stream.response_outcome(), reset);
}

#[test]
fn what_a_proxy_never_does_is_the_tests_fault() {
    let vm = vm("");
    let stream = stream(&vm);
    let out_of_order = |result: Result<Outcome, StreamError>| {
        assert!(
            matches!(result, Err(StreamError::OutOfOrder { .. })),
            "{result:?}"
        );
    };
    out_of_order(stream.request_body("x", false));
    out_of_order(stream.response_headers(&OK, true));
    stream.request_headers(&GET, true).unwrap();
    out_of_order(stream.request_headers(&GET, true));
    out_of_order(stream.request_body("x", true));
    stream.finish().unwrap();
    out_of_order(stream.response_headers(&OK, true));
}
