//! Shared data and queues, between machines.

use meshwall_testbed::host::SharedState;

use super::support::{build, logged};

#[test]
fn data_is_shared_by_machines_of_one_id() {
    let text = r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $bytes (call $get_shared_data @"k" $out (i32.const 8)))
        (call $status (call $set_shared_data @"k" @"mine" (i32.const 0)))
        (call $bytes (call $get_shared_data @"k" $out (i32.const 8)))
        (call $status (call $set_shared_data @"k" @"x" (i32.const 999)))
        (call $status (call $set_shared_data @"k" @"swapped" (i32.load (i32.const 8))))
        (i32.const 1))"#;
    let shared = SharedState::new();
    let start = |vm_id: &str| {
        let vm = build(text, |b| b.vm_id(vm_id).shared_state(&shared)).unwrap();
        logged(&vm)
    };
    assert_eq!(start("a"), ["!1", "0", "mine", "8", "0"]);
    assert_eq!(start("a"), ["swapped", "0", "mine", "8", "0"]);
    assert_eq!(start("b")[0], "!1");
    assert_eq!(shared.data("a", "k").unwrap().0, b"swapped");
}

#[test]
fn a_queue_crosses_machines() {
    let consumer = r#"
      (global $token (mut i32) (i32.const 0))
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $word (call $register_queue @"work" (i32.const 0)))
        (global.set $token (i32.load (i32.const 0)))
        (call $bytes (call $dequeue (global.get $token) $out))
        (i32.const 1))
      (func (export "proxy_on_queue_ready") (param i32 i32)
        (call $status (local.get 1))
        (call $bytes (call $dequeue (local.get 1) $out)))"#;
    let producer = r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $word (call $resolve_queue @"c" @"nothing" (i32.const 0)))
        (call $word (call $resolve_queue @"c" @"work" (i32.const 0)))
        (call $status (call $enqueue (i32.load (i32.const 0)) @"job"))
        (call $status (call $enqueue (i32.const 77) @"job"))
        (i32.const 1))"#;
    let shared = SharedState::new();
    let consumer = build(consumer, |b| b.vm_id("c").shared_state(&shared)).unwrap();
    assert_eq!(logged(&consumer), ["1", "!7"]);
    let producer = build(producer, |b| b.vm_id("p").shared_state(&shared)).unwrap();
    assert_eq!(logged(&producer), ["!1", "1", "0", "1"]);
    assert_eq!(
        producer.poll(),
        Ok(0),
        "the notice is for the other machine"
    );
    assert_eq!(consumer.poll(), Ok(1));
    assert_eq!(logged(&consumer), ["1", "job"]);
    shared.enqueue("c", "work", "from the test").unwrap();
    consumer.poll().unwrap();
    assert_eq!(logged(&consumer), ["1", "from the test"]);
}
