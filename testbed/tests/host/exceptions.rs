//! WebAssembly exceptions in their final encoding: with them a filter survives its panics.

use meshwall_testbed::host::{Outcome, StreamError, TrapCause};

use super::support::{GET, logged, stream, vm};

const PANICS: &str = r#"
      (tag $panic (param i32))
      (func $work (throw $panic (i32.const 42)))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status
          (block $caught (result i32)
            (try_table (catch $panic $caught) (call $work))
            (i32.const 0)))
        (i32.const 0))
      (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $work) (i32.const 0))"#;

/// The objects that carry the panics are collected: a flood of them does not fill the machine.
#[test]
fn a_caught_panic_costs_one_callback() {
    let vm = vm(PANICS);
    let before = vm.memory_bytes();
    for _ in 0..20_000 {
        assert_eq!(
            stream(&vm).request_headers(&GET, true).unwrap(),
            Outcome::Continue
        );
        assert_eq!(logged(&vm), ["42"]);
    }
    assert_eq!(vm.memory_bytes(), before);
}

#[test]
fn a_panic_that_nobody_catches_is_a_trap() {
    let vm = vm(PANICS);
    let stream = stream(&vm);
    stream.request_headers(&GET, false).unwrap();
    let StreamError::Trap(trap) = stream.request_body("x", true).unwrap_err() else {
        panic!("no trap");
    };
    assert_eq!(trap.cause, TrapCause::UncaughtException);
}
