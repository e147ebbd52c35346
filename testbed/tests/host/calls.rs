//! Calls to other services.

use std::time::Duration;

use meshwall_testbed::host::{
    CallError, GrpcAnswer, GrpcEvent, HeaderKind, Headers, HttpAnswer, HttpResponse, Outcome,
};

use super::support::{GET, build, logged, stream, vm};

/// A filter that asks another service about each request.
const ASKS: &str = r#"
      (global $waits (mut i32) (i32.const 0))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $waits (local.get 0))
        (call $word (call $http_call @"auth"
          @"\03\00\00\00\05\00\00\00\06\00\00\00\07\00\00\00\04\00\00\00\0a\00\00\00\01\00\00\00:path\00/check\00:method\00POST\00:authority\00a\00"
          @"question" @"" (i32.const 100) (i32.const 0)))
        (i32.const 1))
      (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $status (local.get 1)) (call $status (local.get 2))
        (call $status (local.get 3)) (call $status (local.get 4))
        (call $bytes (call $get_header (i32.const 6) @":status" $out))
        (call $bytes (call $get_buffer (i32.const 4) (i32.const 0) (i32.const 99) $out))
        (call $bytes (call $get_header (i32.const 7) @"t" $out))
        (call $bytes (call $get_status (i32.const 8) $out))
        (drop (call $set_effective_context (global.get $waits)))
        (drop (call $continue (i32.const 0))))"#;

#[test]
fn an_answer_lets_the_request_go_on() {
    let vm = vm(ASKS);
    let stream = stream(&vm);
    assert_eq!(stream.request_headers(&GET, true).unwrap(), Outcome::Pause);
    assert_eq!(logged(&vm), ["4"]);
    let calls = vm.http_calls();
    let [call] = calls.as_slice() else {
        panic!("one call")
    };
    assert_eq!((call.token, call.cluster.as_slice()), (4, &b"auth"[..]));
    assert_eq!(call.body, b"question");
    let headers = [
        (":path", "/check"),
        (":method", "POST"),
        (":authority", "a"),
        ("content-length", "8"),
    ];
    assert_eq!(call.headers, Headers::new(HeaderKind::Request, &headers));

    let mut response = HttpResponse::new(200, &[("x", "1")], "fine");
    response.trailers = Headers::new(HeaderKind::Trailers, &[("t", "2")]);
    vm.answer_http(4, HttpAnswer::Response(response)).unwrap();
    assert_eq!(logged(&vm), ["4", "2", "4", "1", "200", "fine", "2", ""]);
    assert_eq!(stream.request_outcome(), Outcome::Continue);
    assert_eq!(
        vm.answer_http(4, HttpAnswer::Reset),
        Err(CallError::UnknownToken(4))
    );
}

#[test]
fn a_reset_has_no_headers_and_a_reason() {
    let vm = vm(ASKS);
    let stream = stream(&vm);
    stream.request_headers(&GET, true).unwrap();
    vm.answer_http(4, HttpAnswer::Reset).unwrap();
    assert_eq!(
        logged(&vm),
        ["4", "4", "0", "0", "0", "!2", "!1", "!2", "reset"]
    );
}

#[test]
fn the_proxy_answers_when_the_deadline_has_come() {
    let vm = vm(ASKS);
    let stream = stream(&vm);
    stream.request_headers(&GET, true).unwrap();
    vm.advance(Duration::from_millis(99)).unwrap();
    assert_eq!(vm.http_calls().len(), 1);
    vm.advance(Duration::from_millis(1)).unwrap();
    assert_eq!(
        logged(&vm),
        [
            "4",
            "4",
            "3",
            "24",
            "0",
            "504",
            "upstream request timeout",
            "!1",
            ""
        ]
    );
}

#[test]
fn a_responder_answers_when_the_machine_is_polled() {
    let vm = build(ASKS, |b| {
        b.http_responder(|call| {
            assert_eq!(call.cluster, b"auth");
            Some(HttpAnswer::Response(HttpResponse::new::<&str, &str>(
                403,
                &[],
                "",
            )))
        })
    })
    .unwrap();
    let stream = stream(&vm);
    stream.request_headers(&GET, true).unwrap();
    assert_eq!(vm.poll(), Ok(1));
    assert_eq!(stream.request_outcome(), Outcome::Continue);
}

/// The statuses that Envoy 1.40 gave, but for the last, over which it aborts.
#[test]
fn calls_that_cannot_be_made_are_refused() {
    let text = r#"
      (func $http (param i32 i32 i32 i32 i32)
        (call $status (call $http_call (local.get 0) (local.get 1) (local.get 2) (local.get 3)
          @"" @"" (local.get 4) (i32.const 0))))
      (func $grpc (param i32 i32)
        (call $status (call $grpc_call (local.get 0) (local.get 1)
          @"svc" @"Do" @"" @"m" (i32.const 0) (i32.const 0))))
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $http @"nope" @"\00\00\00\00" (i32.const 1))
        (call $http @"up" @"\00\00\00\00" (i32.const 1))
        (call $http @"up"
          @"\03\00\00\00\05\00\00\00\01\00\00\00\07\00\00\00\03\00\00\00\0a\00\00\00\01\00\00\00:path\00/\00:method\00GET\00:authority\00a\00"
          (i32.const -1))
        (call $grpc @"nope")
        (call $grpc @"up")
        (call $grpc @"\0a\04\0a\02up")
        (call $grpc @"\0a\06\0a\04nope")
        (call $grpc @"")
        (call $status (call $grpc_send (i32.const 4) @"" (i32.const 0)))
        (call $status (call $grpc_send (i32.const 6) @"" (i32.const 0)))
        (call $status (call $grpc_close (i32.const 4)))
        (call $status (call $grpc_close (i32.const 6)))
        (call $status (call $grpc_cancel (i32.const 5)))
        (call $status (call $grpc_cancel (i32.const 5)))
        (i32.const 1))"#;
    let vm = build(text, |b| b.clusters(&["up"])).unwrap();
    assert_eq!(
        logged(&vm),
        [
            "2", "2", "2", "4", "0", "0", "2", "2", "2", "1", "2", "1", "0", "1"
        ]
    );
    assert_eq!(vm.grpc_calls().len(), 1);
    assert_eq!(vm.grpc_calls()[0].token, 9);
}

#[test]
fn a_grpc_call_is_answered_with_a_message_or_a_status() {
    let vm = vm(r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $word (call $grpc_call @"up" @"shop.Till" @"Pay"
          @"\01\00\00\00\01\00\00\00\01\00\00\00m\001\00" @"ask" (i32.const 50) (i32.const 0)))
        (call $word (call $grpc_call @"up" @"shop.Till" @"Pay" @"" @"" (i32.const 50) (i32.const 0)))
        (call $word (call $grpc_call @"up" @"shop.Till" @"Pay" @"" @"" (i32.const 50) (i32.const 0)))
        (i32.const 1))
      (func (export "proxy_on_grpc_receive") (param i32 i32 i32)
        (call $status (local.get 1))
        (call $bytes (call $get_buffer (i32.const 5) (i32.const 0) (i32.const 99) $out)))
      (func (export "proxy_on_grpc_close") (param i32 i32 i32)
        (call $status (local.get 1)) (call $status (local.get 2))
        (call $bytes (call $get_status (i32.const 8) $out)))"#);
    assert_eq!(logged(&vm), ["5", "9", "13"]);
    let call = &vm.grpc_calls()[0];
    assert_eq!(
        (
            call.target.service.as_slice(),
            call.target.method.as_slice()
        ),
        (&b"shop.Till"[..], &b"Pay"[..])
    );
    assert_eq!(call.target.metadata.get("m"), Some(&b"1"[..]));
    assert_eq!(call.message, b"ask");
    vm.answer_grpc(5, GrpcAnswer::Message(b"paid".to_vec()))
        .unwrap();
    assert_eq!(logged(&vm), ["5", "paid"]);
    vm.answer_grpc(
        9,
        GrpcAnswer::Failure {
            status: 7,
            message: b"no".to_vec(),
        },
    )
    .unwrap();
    assert_eq!(logged(&vm), ["9", "7", "no"]);
    vm.advance(Duration::from_millis(50)).unwrap();
    assert_eq!(
        logged(&vm),
        ["13", "14", "upstream request timeout{response_timeout}"]
    );
}

#[test]
fn a_grpc_stream_lives_until_both_sides_have_closed() {
    let vm = vm(r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $word (call $grpc_stream @"up" @"xds" @"Stream" @"" (i32.const 0)))
        (call $status (call $grpc_send (i32.const 6) @"hello" (i32.const 0)))
        (i32.const 1))
      (func (export "proxy_on_grpc_receive_initial_metadata") (param i32 i32 i32)
        (call $bytes (call $get_header (i32.const 4) @"a" $out)))
      (func (export "proxy_on_grpc_receive") (param i32 i32 i32)
        (call $bytes (call $get_buffer (i32.const 5) (i32.const 0) (i32.const 99) $out))
        (call $status (call $grpc_send (local.get 1) @"ack" (i32.const 0))))
      (func (export "proxy_on_grpc_receive_trailing_metadata") (param i32 i32 i32)
        (call $bytes (call $get_header (i32.const 5) @"b" $out))
        (call $bytes (call $get_header (i32.const 4) @"a" $out)))
      (func (export "proxy_on_grpc_close") (param i32 i32 i32)
        (call $status (local.get 2))
        (call $status (call $grpc_close (local.get 1)))
        (call $status (call $grpc_close (local.get 1))))"#);
    assert_eq!(logged(&vm), ["6", "0"]);
    assert_eq!(vm.take_grpc_messages(6), [b"hello"]);
    let metadata = |name| Headers::new(HeaderKind::Trailers, &[(name, "1")]);
    vm.grpc_event(6, GrpcEvent::InitialMetadata(metadata("a")))
        .unwrap();
    vm.grpc_event(6, GrpcEvent::Message(b"push".to_vec()))
        .unwrap();
    vm.grpc_event(6, GrpcEvent::TrailingMetadata(metadata("b")))
        .unwrap();
    assert_eq!(logged(&vm), ["1", "push", "0", "1", "!2"]);
    assert_eq!(vm.take_grpc_messages(6), [b"ack"]);
    vm.grpc_event(
        6,
        GrpcEvent::Close {
            status: 14,
            message: Vec::new(),
        },
    )
    .unwrap();
    assert_eq!(logged(&vm), ["14", "0", "1"]);
    let gone = vm.grpc_event(6, GrpcEvent::Message(Vec::new()));
    assert_eq!(gone, Err(CallError::UnknownToken(6)));
    assert!(vm.grpc_streams().is_empty());
}
