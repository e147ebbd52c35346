//! Header maps: reading, writing, when they are there.

use meshwall_testbed::host::{HeaderKind, Headers, Outcome};

use super::support::{GET, OK, logged, stream, vm};

#[test]
fn values_are_read_and_written() {
    let vm = vm(r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status (local.get 1))
        (call $bytes (call $get_header (i32.const 0) @"X-A" $out))
        (call $bytes (call $get_header (i32.const 0) @"x-none" $out))
        (call $status (call $add_header (i32.const 0) @"X-Added" @"1"))
        (call $status (call $replace_header (i32.const 0) @"x-a" @"new"))
        (call $status (call $remove_header (i32.const 0) @"x-gone"))
        (call $word (call $get_headers_size (i32.const 0) (i32.const 0)))
        (i32.const 0))"#);
    let stream = stream(&vm);
    let mut request: Vec<(&str, &str)> = GET.to_vec();
    request.extend([("x-a", "first"), ("x-a", "second"), ("x-gone", "?")]);
    assert_eq!(
        stream.request_headers(&request, true).unwrap(),
        Outcome::Continue
    );
    let mut expected = Headers::new(HeaderKind::Request, &GET);
    expected.add("x-added", "1");
    expected.add("x-a", "new");
    assert_eq!(
        logged(&vm),
        [
            "7",
            "first",
            "!1",
            "0",
            "0",
            "0",
            &expected.byte_size().to_string()
        ]
    );
    assert_eq!(stream.upstream_request().headers, Some(expected));
}

#[test]
fn a_whole_map_is_read_and_replaced() {
    let vm = vm(r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $bytes (call $get_headers (i32.const 0) $out))
        (call $status (call $set_headers (i32.const 0)
          @"\02\00\00\00\01\00\00\00\01\00\00\00\05\00\00\00\01\00\00\00b\002\00:path\00/\00"))
        (i32.const 0))"#);
    let stream = stream(&vm);
    stream
        .request_headers(&[(":path", "/x"), ("a", "\u{1}")], true)
        .unwrap();
    assert_eq!(
        vm.take_log()[0].message,
        b"\x02\0\0\0\x05\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\0\0:path\0/x\0a\0\x01\0"
    );
    let headers = stream.upstream_request().headers.unwrap();
    assert_eq!(
        headers,
        Headers::new(HeaderKind::Request, &[(":path", "/"), ("b", "2")])
    );
}

/// A map that is there can be read; one that the filter has let go cannot.
#[test]
fn a_map_is_there_in_its_phase_only() {
    let vm = vm(r#"
      (func $look (param $map i32)
        (call $bytes (call $get_header (local.get $map) @":path" $out))
        (call $bytes (call $get_header (local.get $map) @":status" $out))
        (call $status (call $add_header (local.get $map) @"x" @"1"))
        (call $word (call $get_headers (local.get $map) $out)))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $look (i32.const 2)) (i32.const 0))
      (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $look (i32.const 0)) (call $look (i32.const 2)) (i32.const 0))
      (func (export "proxy_on_log") (param i32)
        (call $bytes (call $get_header (i32.const 0) @":path" $out))
        (call $bytes (call $get_header (i32.const 2) @":status" $out))
        (call $bytes (call $get_header (i32.const 6) @":status" $out))
        (call $status (call $add_header (i32.const 0) @"x" @"1")))"#);
    let stream = stream(&vm);
    stream.request_headers(&GET, true).unwrap();
    assert_eq!(logged(&vm), ["!2", "!2", "2", "0"]);
    stream.response_headers(&OK, true).unwrap();
    let log = logged(&vm);
    assert_eq!(log[..4], ["!2", "!2", "2", "0"]);
    assert_eq!(log[4..7], ["!1", "200", "0"]);
    stream.finish().unwrap();
    assert_eq!(logged(&vm), ["/a?b=c", "200", "!1", "2"]);
}

#[test]
fn trailers_pass_and_can_be_made() {
    let vm = vm(r#"
      (func (export "proxy_on_request_trailers") (param i32 i32) (result i32)
        (call $status (local.get 1))
        (call $bytes (call $get_header (i32.const 1) @"t" $out))
        (call $status (call $add_header (i32.const 1) @"u" @"2"))
        (i32.const 0))
      (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (call $status (call $add_header (i32.const 3) @"made" @"3"))
        (i32.const 0))"#);
    let stream = stream(&vm);
    stream.request_headers(&GET, false).unwrap();
    stream.request_trailers(&[("t", "1")]).unwrap();
    assert_eq!(logged(&vm), ["1", "1", "0"]);
    let trailers = Headers::new(HeaderKind::Trailers, &[("t", "1"), ("u", "2")]);
    assert_eq!(stream.upstream_request().trailers, Some(trailers));

    stream.response_headers(&OK, false).unwrap();
    stream.response_body("x", false).unwrap();
    stream.response_body("y", true).unwrap();
    assert_eq!(logged(&vm), ["2", "0"]);
    let response = stream.downstream_response();
    assert_eq!(response.body, b"xy");
    assert_eq!(
        response.trailers,
        Some(Headers::new(HeaderKind::Trailers, &[("made", "3")]))
    );
}

/// Values are bytes: nothing that a peer sends is changed or refused on the way.
#[test]
fn any_bytes_pass() {
    let vm = vm(r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $bytes (call $get_header (i32.const 0) @"x" $out))
        (call $bytes (call $get_header (i32.const 0) @"\fe\ff" $out))
        (i32.const 0))"#);
    let stream = stream(&vm);
    let headers: [(&[u8], &[u8]); 2] = [(b"x", &[0xff, 0xfe, 0]), (&[0xfe, 0xff], b"odd")];
    stream.request_headers(&headers, true).unwrap();
    let log = vm.take_log();
    assert_eq!(log[0].message, [0xff, 0xfe, 0]);
    assert_eq!(log[1].message, b"odd");
}

/// In ABI 0.1.0 a header that is not there reads as an empty one.
#[test]
fn the_oldest_abi_knows_no_missing_header() {
    let text = r#"(module
      (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
      (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 16) "none")
      (func (export "proxy_abi_version_0_1_0"))
      (func (export "malloc") (param i32) (result i32) (i32.const 1024))
      (func (export "proxy_on_request_headers") (param i32 i32) (result i32)
        (drop (call $log (call $get (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0) (i32.const 4))
          (i32.const 16) (i32.const 4)))
        (i32.const 0)))"#;
    let module =
        meshwall_testbed::host::Module::from_bytes(&wat::parse_str(text).unwrap()).unwrap();
    let vm = meshwall_testbed::host::Vm::builder(&module)
        .build()
        .unwrap();
    stream(&vm).request_headers(&GET, true).unwrap();
    // The status 0 was used as the level of the line.
    assert_eq!(
        vm.take_log()[0].level,
        meshwall_testbed::host::LogLevel::Trace
    );
}
