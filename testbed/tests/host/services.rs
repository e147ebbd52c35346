//! Time, timers, logs, metrics, foreign functions.

use std::time::Duration;

use meshwall_testbed::host::{Clock, LogLevel, Metrics, Status};

use super::support::{GET, build, logged, stream};

#[test]
fn time_moves_when_the_test_moves_it() {
    let text = r#"
      (func $now
        (drop (call $get_current_time (i32.const 0)))
        (call $status (i32.wrap_i64 (i64.div_u (i64.load (i32.const 0)) (i64.const 1000000)))))
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $set_tick_period (i32.const 100))) (call $now) (i32.const 1))
      (func (export "proxy_on_tick") (param i32) (call $now))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $set_tick_period (i32.const 0))) (i32.const 0))"#;
    let clock = Clock::at_nanos(5_000_000);
    let vm = build(text, |b| b.clock(&clock)).unwrap();
    vm.advance(Duration::from_millis(350)).unwrap();
    assert_eq!(logged(&vm), ["5", "105", "205", "305"]);
    // A clock that jumps makes a timer late, not frequent.
    clock.advance(Duration::from_secs(10));
    vm.poll().unwrap();
    assert_eq!(logged(&vm), ["10355"]);
    stream(&vm).request_headers(&GET, true).unwrap();
    vm.advance(Duration::from_secs(1)).unwrap();
    assert_eq!(
        logged(&vm),
        Vec::<String>::new(),
        "a period of 0 stops the timer"
    );
}

#[test]
fn the_log_has_a_level() {
    let text = r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $word (call $get_log_level (i32.const 0)))
        (drop (call $log (i32.const 1) @"debug"))
        (drop (call $log (i32.const 3) @"warn"))
        (call $status (call $log (i32.const 6) @"no such level"))
        (i32.const 1))"#;
    let vm = build(text, |b| b.log_level(LogLevel::Info)).unwrap();
    let log = vm.log();
    let lines: Vec<_> = log.iter().map(|line| (line.level, line.text())).collect();
    let expected = [
        (LogLevel::Info, "2"),
        (LogLevel::Warn, "warn"),
        (LogLevel::Info, "2"),
    ];
    assert_eq!(
        lines,
        expected.map(|(level, text)| (level, text.to_owned()))
    );
    assert!(
        log.iter()
            .all(|line| line.context_id == vm.plugin().root_context_id())
    );
}

#[test]
fn metrics_are_read_by_name_and_shared_by_machines() {
    let text = r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $word (call $define_metric (i32.const 0) @"denied;rule=r7" (i32.const 0)))
        (call $status (call $increment_metric (i32.load (i32.const 0)) (i64.const 3)))
        (call $word (call $get_metric (i32.load (i32.const 0)) (i32.const 0)))
        (call $word (call $define_metric (i32.const 1) @"live" (i32.const 0)))
        (call $status (call $record_metric (i32.load (i32.const 0)) (i64.const 9)))
        (call $word (call $define_metric (i32.const 2) @"size" (i32.const 0)))
        (call $status (call $record_metric (i32.load (i32.const 0)) (i64.const 40)))
        (i32.const 1))"#;
    let metrics = Metrics::new();
    for total in [3, 6] {
        let vm = build(text, |b| b.metrics(&metrics)).unwrap();
        assert_eq!(
            logged(&vm),
            ["4", "0", &total.to_string(), "5", "0", "6", "0"]
        );
        assert_eq!(vm.metrics().counter("denied;rule=r7"), Some(total));
    }
    assert_eq!(metrics.gauge("live"), Some(9));
    assert_eq!(metrics.histogram("size").unwrap().count, 2);
    assert_eq!(metrics.names().len(), 3);
}

#[test]
fn a_test_offers_functions_of_its_own() {
    let text = r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        ;; Address 0 would mean that the result is not wanted.
        (call $status (call $call_foreign_function @"upper" @"abc" (i32.const 8) (i32.const 12)))
        (call $info (i32.load (i32.const 8)) (i32.load (i32.const 12)))
        (call $status (call $call_foreign_function @"upper" @"abc" (i32.const 0) (i32.const 0)))
        (call $status (call $call_foreign_function @"upper" @"" (i32.const 8) (i32.const 12)))
        (call $status (call $call_foreign_function @"nothing" @"" (i32.const 8) (i32.const 12)))
        (i32.const 1))
      (func (export "proxy_on_foreign_function") (param i32 i32 i32)
        (call $status (local.get 1))
        (call $bytes (call $get_buffer (i32.const 8) (i32.const 0) (local.get 2) $out)))"#;
    let vm = build(text, |b| {
        b.foreign_function("upper", |argument| match argument {
            [] => Err(Status::BadArgument),
            _ => Ok(argument.to_ascii_uppercase()),
        })
    })
    .unwrap();
    assert_eq!(logged(&vm), ["0", "ABC", "0", "2", "1"]);
    vm.plugin().call_foreign(7, "hello").unwrap();
    assert_eq!(logged(&vm), ["7", "hello"]);
}
