//! Root contexts: starting, sharing a machine, being replaced, ending.

use meshwall_testbed::host::{BuildError, PluginConfig, StreamAttributes};

use super::support::{GET, build, logged, stream, vm};

/// Logs each event with its context; refuses the configuration "bad", traps over "trap".
const SPEAKS: &str = r#"
      (func $event (param i32 i32 i32)
        (call $info (local.get 0) (local.get 1)) (call $status (local.get 2)))
      (func (export "_initialize") (call $info @"initialize"))
      (func (export "proxy_on_context_create") (param i32 i32)
        (call $event @"create" (local.get 0)) (call $event @"under" (local.get 1)))
      (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (call $event @"start" (local.get 1)) (i32.const 1))
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $bytes (call $get_buffer (i32.const 7) (i32.const 0) (local.get 1) $out))
        (if (i32.eq (local.get 1) (i32.const 4)) (then (unreachable)))
        (i32.ne (local.get 1) (i32.const 3)))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $bytes (call $get_property @"plugin_root_id" $out)) (i32.const 0))
      (func (export "proxy_on_done") (param i32) (result i32)
        (call $event @"done" (local.get 0)) (i32.const 1))
      (func (export "proxy_on_log") (param i32) (call $event @"log" (local.get 0)))
      (func (export "proxy_on_delete") (param i32) (call $event @"delete" (local.get 0)))"#;

#[test]
fn a_machine_starts_and_a_stream_ends_in_order() {
    let vm = build(SPEAKS, |b| {
        b.root_id("http")
            .vm_configuration("12")
            .plugin_configuration("first")
    })
    .unwrap();
    assert_eq!(
        logged(&vm),
        [
            "initialize",
            "create",
            "1",
            "under",
            "0",
            "start",
            "2",
            "first"
        ]
    );
    let stream = stream(&vm);
    assert_eq!(
        logged(&vm),
        Vec::<String>::new(),
        "a stream is created with its first event"
    );
    stream.request_headers(&GET, true).unwrap();
    assert_eq!(logged(&vm), ["create", "2", "under", "1", "http"]);
    stream.finish().unwrap();
    let end = ["log", "2", "done", "2", "delete", "2"];
    assert_eq!(logged(&vm), end);
    stream.finish().unwrap();
    drop(stream);
    assert_eq!(logged(&vm), Vec::<String>::new());
    assert_eq!(vm.context_count(), 1);

    drop(super::support::stream(&vm));
    assert_eq!(
        logged(&vm).len(),
        4 + end.len(),
        "even a stream without an event is logged"
    );
    vm.shut_down().unwrap();
    assert_eq!(logged(&vm), ["done", "1", "delete", "1"]);
}

/// Two filters of one module, in one machine.
#[test]
fn plugins_share_a_machine() {
    let vm = build(SPEAKS, |b| b.root_id("http")).unwrap();
    logged(&vm);
    let other = vm
        .add_plugin(PluginConfig::new("other").configuration("conf2"))
        .unwrap();
    let log = logged(&vm);
    assert_eq!(log[0], "initialize", "the throw-away instance");
    assert_eq!(
        log[8..],
        ["create", "2", "under", "0", "start", "0", "conf2"]
    );
    let stream = other.http_stream(StreamAttributes::new());
    stream.request_headers(&GET, true).unwrap();
    assert_eq!(logged(&vm), ["create", "3", "under", "2", "other"]);
}

#[test]
fn a_new_configuration_is_a_new_context_in_the_same_machine() {
    let vm = build(SPEAKS, |b| b.plugin_configuration("first")).unwrap();
    let old = stream(&vm);
    old.request_headers(&GET, true).unwrap();
    logged(&vm);
    vm.reconfigure("second").unwrap();
    let log = logged(&vm);
    assert_eq!(
        log[8..],
        ["create", "3", "under", "0", "start", "0", "second"]
    );

    let new = stream(&vm);
    new.request_headers(&GET, true).unwrap();
    assert_eq!(logged(&vm)[..4], ["create", "4", "under", "3"]);
    old.finish().unwrap();
    assert_eq!(
        logged(&vm),
        [
            "log", "2", "done", "2", "delete", "2", "done", "1", "delete", "1"
        ],
        "the old context ends with its last stream"
    );
    vm.reconfigure("second").unwrap();
    assert_eq!(
        logged(&vm),
        Vec::<String>::new(),
        "the same bytes change nothing"
    );
}

#[test]
fn a_bad_configuration_leaves_the_last_good_one() {
    let vm = build(SPEAKS, |b| b.plugin_configuration("first")).unwrap();
    assert_eq!(vm.reconfigure("bad"), Err(BuildError::ConfigurationRefused));
    assert!(matches!(vm.reconfigure("trap"), Err(BuildError::Trap(_))));
    assert_eq!(vm.failure(), None, "only the throw-away instance was hurt");
    logged(&vm);
    stream(&vm).request_headers(&GET, true).unwrap();
    assert_eq!(logged(&vm)[..4], ["create", "2", "under", "1"]);

    let refused = build(SPEAKS, |b| b.plugin_configuration("bad"));
    assert_eq!(refused.unwrap_err(), BuildError::ConfigurationRefused);
    let never = r#"(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 0))"#;
    assert_eq!(build(never, |b| b).unwrap_err(), BuildError::StartRefused);
}

/// A root context that has work to finish says so and calls `proxy_done` later.
#[test]
fn a_root_context_may_finish_later() {
    let vm = vm(r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $set_tick_period (i32.const 10)))
        (call $status (call $done)) (i32.const 1))
      (func (export "proxy_on_done") (param i32) (result i32) (i32.const 0))
      (func (export "proxy_on_tick") (param i32) (call $status (call $done)))
      (func (export "proxy_on_delete") (param i32) (call $info @"deleted"))"#);
    assert_eq!(logged(&vm), ["1"]);
    vm.shut_down().unwrap();
    assert_eq!(vm.context_count(), 1);
    vm.advance(std::time::Duration::from_millis(10)).unwrap();
    assert_eq!(logged(&vm), ["0", "deleted"]);
    assert_eq!(vm.context_count(), 0);
}
