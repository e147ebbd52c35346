//! Fuel and memory: counted, capped, and the same every time.

use meshwall_testbed::host::{Callback, Metering, Module, StreamError, TrapCause, Vm};

use super::support::{GET, binary, build, logged, stream};

const LOOPS: &str = r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (loop $for_ever (br_if $for_ever (i32.eqz (call $get_header (i32.const 0) @"x-loop" $out))))
        (i32.const 0))"#;

#[test]
fn a_callback_costs_the_same_every_time() {
    let vm = build(LOOPS, |b| b).unwrap();
    for _ in 0..3 {
        stream(&vm).request_headers(&GET, true).unwrap();
    }
    let cost = vm.fuel(Callback::OnRequestHeaders);
    assert_eq!(cost.calls, 3);
    assert_eq!((cost.total, cost.max), (3 * cost.last, cost.last));
    assert!((1..100).contains(&cost.last), "{cost:?}");
    let other = build(LOOPS, |b| b).unwrap();
    stream(&other).request_headers(&GET, true).unwrap();
    assert_eq!(other.fuel(Callback::OnRequestHeaders).last, cost.last);
    assert_eq!(
        vm.fuel(Callback::OnLog).calls,
        0,
        "what is not exported is not called"
    );
}

#[test]
fn an_endless_loop_ends_with_its_fuel() {
    let vm = build(LOOPS, |b| b.fuel(100_000)).unwrap();
    let mut request = GET.to_vec();
    request.push(("x-loop", "1"));
    let error = stream(&vm).request_headers(&request, true).unwrap_err();
    let StreamError::Trap(trap) = error else {
        panic!("{error}")
    };
    assert_eq!(trap.cause, TrapCause::OutOfFuel);
}

#[test]
fn metering_can_be_switched_off() {
    let module = Module::with_metering(&binary(LOOPS), Metering::Off).unwrap();
    let vm = Vm::builder(&module).fuel(0).build().unwrap();
    stream(&vm).request_headers(&GET, true).unwrap();
    let cost = vm.fuel(Callback::OnRequestHeaders);
    assert_eq!((cost.calls, cost.total), (1, 0));
}

/// Growth beyond the cap fails inside the filter, which may survive it.
#[test]
fn memory_is_capped() {
    let text = r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status (i32.eq (memory.grow (i32.const 2)) (i32.const -1))) (i32.const 0))"#;
    let vm = build(text, |b| b.max_memory(4 * 65_536)).unwrap();
    for _ in 0..2 {
        stream(&vm).request_headers(&GET, true).unwrap();
    }
    assert_eq!(logged(&vm), ["0", "1"]);
    assert_eq!(vm.memory_bytes(), 4 * 65_536);
    let too_small = build(text, |b| b.max_memory(65_536));
    assert!(too_small.is_err(), "the module starts with more");
}

/// Machines are independent: as many as there are threads, of one compiled module.
#[test]
fn machines_run_side_by_side() {
    let module = super::support::module(LOOPS);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let vm = Vm::builder(&module).build().unwrap();
                for _ in 0..50 {
                    stream(&vm).request_headers(&GET, true).unwrap();
                }
                assert_eq!(vm.fuel(Callback::OnRequestHeaders).calls, 50);
            });
        }
    });
}
