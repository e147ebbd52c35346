//! Buffers: what can be read and written, and where.

use super::support::{GET, OK, build, logged, stream, vm};

#[test]
fn a_body_frame_is_edited_in_place() {
    let vm = vm(r#"
      (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $status (local.get 1)) (call $status (local.get 2))
        (call $status (call $set_buffer (i32.const 0) (i32.const 0) (i32.const 0) @"pre-"))
        (call $status (call $set_buffer (i32.const 0) (i32.const 99) (i32.const 0) @"-post"))
        (call $status (call $set_buffer (i32.const 0) (i32.const 2) (i32.const 3) @"mid"))
        (call $status (call $set_buffer (i32.const 0) (i32.const 0) (i32.const 2) @"XY"))
        (call $bytes (call $get_buffer (i32.const 0) (i32.const 2) (i32.const 3) $out))
        (call $bytes (call $get_buffer (i32.const 0) (i32.const 99) (i32.const 3) $out))
        (call $bytes (call $get_buffer (i32.const 0) (i32.const 9) (i32.const -1) $out))
        (call $word (call $get_buffer_status (i32.const 0) $out))
        (i32.const 0))"#);
    let stream = stream(&vm);
    stream.request_headers(&GET, false).unwrap();
    stream.request_body("abcdef", true).unwrap();
    assert_eq!(
        logged(&vm),
        ["6", "1", "0", "0", "2", "0", "e-a", "", "f-post", "15"]
    );
    assert_eq!(stream.upstream_request().body, b"XYe-abcdef-post");
}

/// A pause in the body collects it: each frame is shown with all before it.
#[test]
fn a_body_is_collected_and_replaced() {
    let vm = vm(r#"
      (func (export "proxy_on_response_body") (param $id i32) (param $size i32) (param $end i32) (result i32)
        (call $bytes (call $get_buffer (i32.const 1) (i32.const 0) (i32.const 99) $out))
        (if (local.get $end) (then
          (call $status (call $set_buffer (i32.const 1) (i32.const 0) (local.get $size) @"new"))))
        (i32.eqz (local.get $end)))"#);
    let stream = stream(&vm);
    stream.request_headers(&GET, true).unwrap();
    stream.response_headers(&OK, false).unwrap();
    for (frame, end) in [("he", false), ("llo", false), ("", true)] {
        stream.response_body(frame, end).unwrap();
    }
    assert_eq!(logged(&vm), ["he", "hello", "hello", "0"]);
    assert_eq!(stream.downstream_response().body, b"new");
}

/// The statuses that Envoy 1.40 gave outside the phases of the buffers.
#[test]
fn a_buffer_is_there_in_its_phase_only() {
    let text = r#"
      (func $look (param $buffer i32)
        (call $bytes (call $get_buffer (local.get $buffer) (i32.const 0) (i32.const 99) $out))
        (call $status (call $set_buffer (local.get $buffer) (i32.const 99) (i32.const 0) @"")))
      (func $look_at_all (local $buffer i32)
        (loop $next
          (call $look (local.get $buffer))
          (local.set $buffer (i32.add (local.get $buffer) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $buffer) (i32.const 10)))))
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $look_at_all) (i32.const 1))
      (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (call $look (i32.const 7)) (i32.const 1))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $look_at_all) (i32.const 0))"#;
    let settings =
        |b: super::support::Builder| b.vm_configuration("vm").plugin_configuration("plugin");
    let vm = build(text, settings).unwrap();
    let out_of_phase = ["", "2"].repeat(4);
    let shared = ["!1", "1", "", "2", "vm", "2"];
    let log = logged(&vm);
    assert_eq!(
        log[..2],
        ["!1", "1"],
        "the plugin's configuration at the machine's start"
    );
    assert_eq!(
        log[2..],
        [
            &out_of_phase[..],
            &shared,
            &["plugin", "2", "", "2", "!2", "2"]
        ]
        .concat()
    );
    stream(&vm).request_headers(&GET, true).unwrap();
    assert_eq!(
        logged(&vm),
        [&out_of_phase[..], &shared, &["!1", "1", "", "2", "!2", "2"]].concat()
    );
}
