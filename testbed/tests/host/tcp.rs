//! TCP connections under a network filter.

use meshwall_testbed::host::{CloseType, StreamAttributes, StreamError, TcpOutcome, TcpStream, Vm};

use super::support::{logged, vm};

const SPEAKS: &str = r#"
      (func (export "proxy_on_downstream_connection_close") (param i32 i32)
        (call $info @"downstream closed") (call $status (local.get 1)))
      (func (export "proxy_on_upstream_connection_close") (param i32 i32)
        (call $info @"upstream closed") (call $status (local.get 1)))
      (func (export "proxy_on_done") (param i32) (result i32) (call $info @"done") (i32.const 1))
      (func (export "proxy_on_log") (param i32) (call $info @"log"))
      (func (export "proxy_on_delete") (param i32) (call $info @"delete"))"#;

fn accepted(vm: &Vm) -> TcpStream {
    let stream = vm.tcp_stream(StreamAttributes::new());
    assert_eq!(stream.new_connection().unwrap(), TcpOutcome::Continue);
    stream
}

#[test]
fn data_passes_and_the_end_is_told_in_order() {
    let vm = vm(SPEAKS);
    let stream = accepted(&vm);
    assert_eq!(
        stream.downstream_data("ab", false).unwrap(),
        TcpOutcome::Continue
    );
    assert_eq!(
        stream.upstream_data("cd", true).unwrap(),
        TcpOutcome::Continue
    );
    stream.downstream_close(CloseType::Remote).unwrap();
    assert_eq!(
        logged(&vm),
        [
            "upstream closed",
            "0",
            "downstream closed",
            "2",
            "done",
            "log",
            "delete"
        ]
    );
    assert_eq!(stream.sent_upstream(), b"ab");
    assert_eq!(stream.sent_downstream(), b"cd");
    assert!(matches!(
        stream.downstream_data("x", false),
        Err(StreamError::OutOfOrder { .. })
    ));
}

/// What the filter holds back is shown again with what follows.
#[test]
fn a_pause_holds_bytes_back() {
    let vm = vm(r#"
      (func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32)
        (call $bytes (call $get_buffer (i32.const 2) (i32.const 0) (i32.const 99) $out))
        (i32.lt_u (local.get 1) (i32.const 4)))
      (func (export "proxy_on_upstream_data") (param i32 i32 i32) (result i32)
        (call $status (call $set_buffer (i32.const 3) (i32.const 0) (i32.const 1) @"<"))
        (i32.eqz (local.get 2)))"#);
    let stream = accepted(&vm);
    assert_eq!(
        stream.downstream_data("ab", false).unwrap(),
        TcpOutcome::Pause
    );
    assert_eq!(stream.sent_upstream(), b"");
    assert_eq!(
        stream.downstream_data("cd", false).unwrap(),
        TcpOutcome::Continue
    );
    assert_eq!(stream.sent_upstream(), b"abcd");
    assert_eq!(logged(&vm), ["ab", "abcd"]);
    assert_eq!(
        stream.upstream_data("xy", false).unwrap(),
        TcpOutcome::Pause
    );
    assert_eq!(
        stream.upstream_data("z", true).unwrap(),
        TcpOutcome::Continue
    );
    assert_eq!(stream.sent_downstream(), b"<yz");
}

/// Both ends that a filter can close are the downstream connection.
#[test]
fn a_filter_closes_the_connection() {
    for end in [2, 3] {
        let vm = vm(&format!(
            r#"{SPEAKS} (func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32)
            (call $status (call $close (i32.const {end}))) (i32.const 1))"#
        ));
        let stream = accepted(&vm);
        assert_eq!(
            stream.downstream_data("ab", false).unwrap(),
            TcpOutcome::Closed
        );
        assert_eq!(
            logged(&vm),
            ["0", "downstream closed", "1", "done", "log", "delete"]
        );
        assert_eq!(
            stream.downstream_data("cd", false).unwrap(),
            TcpOutcome::Closed
        );
        assert_eq!(stream.sent_upstream(), b"");
    }
}

/// A filter revokes a live connection from outside its callbacks.
#[test]
fn a_tick_closes_a_connection() {
    let vm = vm(r#"
      (global $live (mut i32) (i32.const 0))
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $set_tick_period (i32.const 5))) (i32.const 1))
      (func (export "proxy_on_new_connection") (param i32) (result i32)
        (global.set $live (local.get 0)) (i32.const 0))
      (func (export "proxy_on_tick") (param i32)
        (if (global.get $live) (then
          (call $status (call $set_effective_context (global.get $live)))
          (call $status (call $close (i32.const 2)))
          (global.set $live (i32.const 0)))))"#);
    let stream = accepted(&vm);
    stream.upstream_data("banner", false).unwrap();
    vm.advance(std::time::Duration::from_millis(5)).unwrap();
    assert_eq!(logged(&vm), ["0", "0"]);
    assert_eq!(stream.downstream_outcome(), TcpOutcome::Closed);
    assert_eq!(stream.sent_downstream(), b"banner");
}

#[test]
fn a_filter_that_waits_reads_on_when_it_wants() {
    let vm = vm(r#"
      (func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32)
        (call $status (call $continue (i32.const 2)))
        (call $status (call $continue (i32.const 3)))
        (i32.const 1))"#);
    let stream = accepted(&vm);
    stream.downstream_data("ab", false).unwrap();
    assert_eq!(logged(&vm), ["0", "12"]);
    assert_eq!(stream.sent_upstream(), b"ab");
}
