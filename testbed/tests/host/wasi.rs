//! Modules that were built for WASI.

use std::time::Duration;

use meshwall_testbed::host::{Clock, LogLevel, Module, TrapCause, Vm};

use super::support::{GET, stream};

const WASI: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (data (i32.const 16) "hello\n")
  (func $say (param $fd i32) (param $at i32) (param $size i32) (result i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
    (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
  (func (export "_initialize")
    (drop (call $say (i32.const 1) (i32.const 16) (i32.const 6)))
    (drop (call $sizes (i32.const 256) (i32.const 260)))
    (drop (call $environ (i32.const 300) (i32.const 400)))
    (drop (call $say (i32.const 2) (i32.const 400) (i32.load (i32.const 260))))
    (drop (call $random (i32.const 500) (i32.const 8)))
    (drop (call $say (i32.const 1) (i32.const 500) (i32.const 8))))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 600)))
    (drop (call $say (i32.const 1) (i32.const 600) (i32.const 8)))
    (i32.store8 (i32.const 16) (i32.add (i32.const 48) (call $say (i32.const 3) (i32.const 16) (i32.const 1))))
    (drop (call $say (i32.const 1) (i32.const 16) (i32.const 1)))
    (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $exit (i32.const 1)) (unreachable)))"#;

#[test]
fn a_runtime_finds_what_it_needs() {
    let module = Module::from_bytes(&wat::parse_str(WASI).unwrap()).unwrap();
    let clock = Clock::at_nanos(1_000);
    clock.advance(Duration::from_nanos(7));
    let build = |seed| {
        let builder = Vm::builder(&module).clock(&clock).random_seed(seed);
        builder
            .environment("A", "1")
            .environment("LONG", "value")
            .build()
            .unwrap()
    };
    let vm = build(1);
    let log = vm.take_log();
    let lines: Vec<_> = log.iter().map(|line| (line.level, line.text())).collect();
    assert_eq!(lines[0], (LogLevel::Info, "hello".to_owned()));
    assert_eq!(lines[1], (LogLevel::Error, "A=1\0LONG=value\0".to_owned()));
    assert_eq!(
        log[3].message,
        7_u64.to_le_bytes(),
        "monotonic time begins with the clock"
    );
    assert_eq!(lines[4].1, "8", "only the standard streams can be written");

    assert_eq!(
        build(1).take_log()[2],
        log[2],
        "the same seed, the same numbers"
    );
    assert_ne!(build(2).take_log()[2], log[2]);

    let error = stream(&vm).request_headers(&GET, true).unwrap_err();
    let meshwall_testbed::host::StreamError::Trap(trap) = error else {
        panic!("{error}")
    };
    assert_eq!(trap.cause, TrapCause::Unreachable, "to exit is to crash");
}
