//! Filters in WebAssembly text, with little around them.
//!
//! A filter's text is the inside of a module. It can use every function of the ABI by its
//! name without `proxy_`, and `@"text"` for the address and the length of a string. Answers
//! go to the addresses 0 and 4 by convention (`$out` stands for both), and these report them:
//! - `$status` logs a status or any other number;
//! - `$bytes` takes a status and logs the bytes that 0 and 4 point to, or `!` and the status;
//! - `$word` takes a status and logs the number at 0, or `!` and the status.

use meshwall_testbed::host::{BuildError, HttpStream, Module, StreamAttributes, Vm};

pub(crate) use meshwall_testbed::host::VmBuilder as Builder;

/// Where the strings of a filter begin; below are answers and a scratch area.
const STRINGS: usize = 1024;

const PRELUDE: &str = r#"
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_log_level" (func $get_log_level (param i32) (result i32)))
  (import "env" "proxy_get_current_time_nanoseconds" (func $get_current_time (param i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $set_tick_period (param i32) (result i32)))
  (import "env" "proxy_get_status" (func $get_status (param i32 i32 i32) (result i32)))
  (import "env" "proxy_call_foreign_function" (func $call_foreign_function (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $get_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $get_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value" (func $add_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $replace_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_remove_header_map_value" (func $remove_header (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_pairs" (func $get_headers (param i32 i32 i32) (result i32)))
  (import "env" "proxy_set_header_map_pairs" (func $set_headers (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_size" (func $get_headers_size (param i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $get_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes" (func $set_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_status" (func $get_buffer_status (param i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (import "env" "proxy_close_stream" (func $close (param i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $set_effective_context (param i32) (result i32)))
  (import "env" "proxy_done" (func $done (result i32)))
  (import "env" "proxy_http_call" (func $http_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_grpc_call" (func $grpc_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_grpc_stream" (func $grpc_stream (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_grpc_send" (func $grpc_send (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_grpc_close" (func $grpc_close (param i32) (result i32)))
  (import "env" "proxy_grpc_cancel" (func $grpc_cancel (param i32) (result i32)))
  (import "env" "proxy_get_shared_data" (func $get_shared_data (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data" (func $set_shared_data (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_register_shared_queue" (func $register_queue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_resolve_shared_queue" (func $resolve_queue (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_dequeue_shared_queue" (func $dequeue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define_metric (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment_metric (param i32 i64) (result i32)))
  (import "env" "proxy_record_metric" (func $record_metric (param i32 i64) (result i32)))
  (import "env" "proxy_get_metric" (func $get_metric (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $free (mut i32) (i32.const 65536))
  (func (export "proxy_abi_version_0_2_1"))
  (func $allocate (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (block $enough
      (loop $grow
        (br_if $enough (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
        (return (i32.const 0))))
    (local.get $at))
  (func $info (param i32 i32) (drop (call $log (i32.const 2) (local.get 0) (local.get 1))))
  ;; Logs a number in decimal, with a prefix character if it is not 0.
  (func $number (param $n i32) (param $prefix i32)
    (local $at i32)
    (local.set $at (i32.const 64))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
      (br_if $digit (local.get $n)))
    (if (local.get $prefix) (then
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (local.get $prefix))))
    (call $info (local.get $at) (i32.sub (i32.const 64) (local.get $at))))
  (func $status (param i32) (call $number (local.get 0) (i32.const 0)))
  (func $bytes (param i32)
    (if (local.get 0)
      (then (call $number (local.get 0) (i32.const 33)))
      (else (call $info (i32.load (i32.const 0)) (i32.load (i32.const 4))))))
  (func $word (param i32)
    (if (local.get 0)
      (then (call $number (local.get 0) (i32.const 33)))
      (else (call $status (i32.load (i32.const 0))))))
"#;

/// Compiles a filter.
pub(crate) fn module(text: &str) -> Module {
    Module::from_bytes(&binary(text)).unwrap()
}

/// The bytes of a filter.
pub(crate) fn binary(text: &str) -> Vec<u8> {
    let (body, strings) = with_strings(text);
    let text = format!("(module {PRELUDE} (data (i32.const {STRINGS}) \"{strings}\") {body})");
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// A machine with a filter, for tests that need nothing special.
pub(crate) fn vm(text: &str) -> Vm {
    build(text, |builder| builder).unwrap()
}

pub(crate) fn build(text: &str, settle: impl FnOnce(Builder) -> Builder) -> Result<Vm, BuildError> {
    settle(Vm::builder(&module(text))).build()
}

/// The texts that a filter has logged since the last time.
pub(crate) fn logged(vm: &Vm) -> Vec<String> {
    vm.take_log()
        .iter()
        .map(meshwall_testbed::host::LogLine::text)
        .collect()
}

/// The least request.
pub(crate) const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":path", "/a?b=c"),
    (":authority", "shop"),
    (":scheme", "http"),
];

/// The least response.
pub(crate) const OK: [(&str, &str); 1] = [(":status", "200")];

/// A stream with nothing known about it.
pub(crate) fn stream(vm: &Vm) -> HttpStream {
    vm.http_stream(StreamAttributes::new())
}

/// Puts the strings of a filter into memory.
fn with_strings(text: &str) -> (String, String) {
    let text = text.replace("$out", "(i32.const 0) (i32.const 4)");
    let mut body = String::new();
    let mut strings = String::new();
    let mut at = STRINGS;
    let mut parts = text.split("@\"");
    body.push_str(parts.next().unwrap());
    for part in parts {
        let (string, rest) = part.split_once('"').expect("a string ends");
        let length = string.len() - 2 * string.matches('\\').count();
        body.push_str(&format!("(i32.const {at}) (i32.const {length}){rest}"));
        strings.push_str(string);
        at += length;
    }
    (body, strings)
}
