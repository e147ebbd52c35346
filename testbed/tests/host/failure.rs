//! What a trap does: to its stream, to others, to those that come later.

use std::time::Duration;

use meshwall_testbed::host::{
    FailurePolicy, Outcome, PluginConfig, StreamAttributes, StreamError, TcpOutcome, TrapCause, Vm,
};

use super::support::{GET, OK, build, logged, stream};

/// Traps over requests with the header `x-trap`, and over responses with it.
const FRAGILE: &str = r#"
      (func $perhaps (param $map i32)
        (if (i32.eqz (call $get_header (local.get $map) @"x-trap" $out)) (then (unreachable))))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $perhaps (i32.const 0)) (call $info @"request") (i32.const 0))
      (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $perhaps (i32.const 2)) (i32.const 0))
      (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (unreachable))
      (func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32) (unreachable))
      (func (export "proxy_on_log") (param i32) (call $info @"log"))"#;

fn machine(policy: FailurePolicy) -> Vm {
    build(FRAGILE, |b| b.failure_policy(policy)).unwrap()
}

fn kill(vm: &Vm) {
    let mut request = GET.to_vec();
    request.push(("x-trap", "1"));
    let error = stream(vm).request_headers(&request, true).unwrap_err();
    assert!(matches!(error, StreamError::Trap(_)), "{error}");
}

fn is_failure_reply(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::LocalReply(reply)
        if reply.status == 503 && reply.details == b"wasm_fail_stream")
}

/// Whatever the policy says, the request that traps is answered with 503, and a stream that
/// was there before with its next event.
#[test]
fn a_trap_answers_the_streams_of_its_machine() {
    for policy in [
        FailurePolicy::Closed,
        FailurePolicy::Open,
        FailurePolicy::Reload,
    ] {
        let vm = machine(policy);
        let other = stream(&vm);
        other.request_headers(&GET, true).unwrap();
        let mut request = GET.to_vec();
        request.push(("x-trap", "1"));
        let fatal = stream(&vm);
        let StreamError::Trap(trap) = fatal.request_headers(&request, true).unwrap_err() else {
            panic!("no trap");
        };
        assert_eq!(trap.cause, TrapCause::Unreachable);
        assert_eq!(trap.callback, "proxy_on_request_headers");
        assert_eq!(trap.context_id, fatal.context_id());
        assert!(is_failure_reply(&fatal.request_outcome()), "{policy:?}");
        assert_eq!(vm.failure(), Some(trap));
        assert!(
            is_failure_reply(&other.response_headers(&OK, true).unwrap()),
            "{policy:?}"
        );
        logged(&vm);
        fatal.finish().unwrap();
        assert_eq!(
            logged(&vm),
            Vec::<String>::new(),
            "a failed machine is not called again"
        );
    }
}

#[test]
fn closed_answers_503_for_ever() {
    let vm = machine(FailurePolicy::Closed);
    kill(&vm);
    vm.advance(Duration::from_secs(3600)).unwrap();
    assert!(is_failure_reply(
        &stream(&vm).request_headers(&GET, true).unwrap()
    ));
}

#[test]
fn open_bypasses_the_filter_for_ever() {
    let vm = machine(FailurePolicy::Open);
    kill(&vm);
    logged(&vm);
    let later = stream(&vm);
    assert_eq!(
        later.request_headers(&GET, true).unwrap(),
        Outcome::Continue
    );
    assert_eq!(
        later.response_headers(&OK, true).unwrap(),
        Outcome::Continue
    );
    later.finish().unwrap();
    assert_eq!(logged(&vm), Vec::<String>::new());
}

/// The backoff counts from the last load, so a machine that has run for a while is replaced at
/// once, and one that dies young is not.
#[test]
fn reload_replaces_the_machine_after_the_backoff() {
    let vm = machine(FailurePolicy::Reload);
    vm.advance(Duration::from_secs(1)).unwrap();
    kill(&vm);
    assert_eq!(
        stream(&vm).request_headers(&GET, true).unwrap(),
        Outcome::Continue
    );
    assert_eq!(vm.failure(), None);
    kill(&vm);
    assert!(is_failure_reply(
        &stream(&vm).request_headers(&GET, true).unwrap()
    ));
    vm.advance(Duration::from_millis(999)).unwrap();
    assert!(is_failure_reply(
        &stream(&vm).request_headers(&GET, true).unwrap()
    ));
    vm.advance(Duration::from_millis(1)).unwrap();
    assert_eq!(
        stream(&vm).request_headers(&GET, true).unwrap(),
        Outcome::Continue
    );
}

#[test]
fn a_response_under_way_is_cut_off() {
    let vm = machine(FailurePolicy::Closed);
    let cut = stream(&vm);
    cut.request_headers(&GET, true).unwrap();
    cut.response_headers(&OK, false).unwrap();
    cut.response_body("x", true).unwrap_err();
    assert_eq!(
        cut.response_outcome(),
        Outcome::Reset {
            details: b"wasm_fail_stream".to_vec()
        }
    );
}

/// A trap takes every plugin of the machine with it; each is loaded again by itself.
#[test]
fn plugins_fail_together_and_return_one_by_one() {
    let vm = machine(FailurePolicy::Reload);
    let network = vm
        .add_plugin(PluginConfig::new("network").failure_policy(FailurePolicy::Closed))
        .unwrap();
    vm.advance(Duration::from_secs(2)).unwrap();
    let connection = network.tcp_stream(StreamAttributes::new());
    connection.new_connection().unwrap();
    connection.downstream_data("x", false).unwrap_err();
    assert_eq!(connection.downstream_outcome(), TcpOutcome::Closed);
    assert_eq!(connection.sent_upstream(), b"");
    let closed = network.tcp_stream(StreamAttributes::new());
    assert_eq!(closed.new_connection().unwrap(), TcpOutcome::Closed);
    assert_eq!(
        stream(&vm).request_headers(&GET, true).unwrap(),
        Outcome::Continue
    );
    let still_closed = network.tcp_stream(StreamAttributes::new());
    assert_eq!(still_closed.new_connection().unwrap(), TcpOutcome::Closed);
}

/// A new configuration brings a failed machine back, whatever the policy.
#[test]
fn a_push_revives() {
    let vm = machine(FailurePolicy::Closed);
    kill(&vm);
    vm.reconfigure("new").unwrap();
    assert_eq!(
        stream(&vm).request_headers(&GET, true).unwrap(),
        Outcome::Continue
    );
}
