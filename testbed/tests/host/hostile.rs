//! Filters that lie to the host. Whatever they pass, the host answers with a status.

use meshwall_testbed::host::{StreamError, TrapCause};

use super::support::{GET, build, logged, stream, vm};

/// The statuses that Envoy 1.40 gave for the same pointers.
#[test]
fn pointers_outside_the_memory_are_refused() {
    let vm = vm(r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $status (call $log (i32.const 9) (i32.const -16) (i32.const 1)))
        (call $status (call $log (i32.const 2) (i32.const -16) (i32.const 1)))
        (call $status (call $log (i32.const 2) (i32.const -16) (i32.const 0)))
        (call $status (call $log (i32.const 2) (i32.const 131071) (i32.const 2)))
        (call $status (call $log (i32.const 2) (i32.const 16) (i32.const -1)))
        (call $status (call $get_property (i32.const -16) (i32.const 1) $out))
        (call $status (call $get_property @"plugin_vm_id" (i32.const -16) (i32.const 4)))
        (call $status (call $set_shared_data (i32.const -16) (i32.const 5) @"" (i32.const 0)))
        (call $status (call $set_shared_data (i32.const -16) (i32.const 32) @"" (i32.const 0)))
        (call $status (call $get_header (i32.const 99) (i32.const -16) (i32.const 1) $out))
        (call $status (call $get_buffer (i32.const 99) (i32.const 0) (i32.const 1) $out))
        (i32.const 1))"#);
    assert_eq!(
        logged(&vm),
        ["2", "6", "6", "6", "6", "6", "6", "6", "6", "2", "2"]
    );
}

/// Each function is called with every combination of some evil numbers.
#[test]
fn no_argument_makes_the_host_fall() {
    const EVIL: [&str; 5] = ["0", "1", "131071", "2147483647", "-1"];
    let functions = [
        ("get_header", 5),
        ("add_header", 5),
        ("remove_header", 3),
        ("get_headers", 3),
        ("set_headers", 3),
        ("get_headers_size", 2),
        ("get_buffer", 5),
        ("set_buffer", 5),
        ("get_buffer_status", 3),
        ("get_property", 4),
        ("set_property", 4),
        ("get_status", 3),
        ("get_shared_data", 5),
        ("register_queue", 3),
        ("resolve_queue", 5),
        ("dequeue", 3),
        ("enqueue", 3),
        ("define_metric", 4),
        ("get_metric", 2),
        ("set_effective_context", 1),
        ("grpc_send", 4),
        ("grpc_close", 1),
        ("get_current_time", 1),
        ("close", 1),
    ];
    let mut calls = String::new();
    for (name, arity) in functions {
        for round in 0..EVIL.len().pow(2) {
            let argument = |nth: usize| match nth % 2 {
                0 => EVIL[round % EVIL.len()],
                _ => EVIL[round / EVIL.len()],
            };
            let arguments: Vec<String> = (0..arity)
                .map(|nth| format!("(i32.const {})", argument(nth)))
                .collect();
            calls.push_str(&format!("(drop (call ${name} {}))", arguments.join(" ")));
        }
    }
    let text = format!(
        r#"(func $all {calls})
        (func (export "proxy_on_configure") (param i32 i32) (result i32) (call $all) (i32.const 1))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (call $all) (i32.const 0))
        (func (export "proxy_on_log") (param i32) (call $all))"#
    );
    let vm = build(&text, |b| b.max_memory(1024 * 1024)).unwrap();
    let stream = stream(&vm);
    // The calls overwrite each other's answers and close the stream; nothing else happens.
    let outcome = stream.request_headers(&GET, true);
    assert!(outcome.is_ok(), "{outcome:?}");
    assert!(stream.finish().is_ok());
}

/// The allocator is the filter's own; it may give what it wants.
#[test]
fn an_allocator_that_lies_gets_no_bytes() {
    for (gives, status) in [("0", 6), ("-1", 6), ("131070", 6), ("131060", 0)] {
        let text = format!(
            r#"(module
          (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
          (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
          (memory (export "memory") 2)
          (data (i32.const 16) "plugin_root_id")
          (func (export "proxy_abi_version_0_2_1"))
          (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const {gives}))
          (func (export "proxy_on_configure") (param i32 i32) (result i32)
            (i32.store8 (i32.const 64) (i32.add (i32.const 48)
              (call $get (i32.const 16) (i32.const 14) (i32.const 0) (i32.const 4))))
            (drop (call $log (i32.const 2) (i32.const 64) (i32.const 1))) (i32.const 1)))"#
        );
        let module =
            meshwall_testbed::host::Module::from_bytes(&wat::parse_str(text).unwrap()).unwrap();
        let vm = meshwall_testbed::host::Vm::builder(&module)
            .root_id("root")
            .build()
            .unwrap();
        assert_eq!(logged(&vm), [status.to_string()], "{gives}");
    }
}

/// While the host asks for memory, and while the module starts, hardly anything may be called.
#[test]
fn calling_the_host_from_the_allocator_is_fatal() {
    let text = r#"(module
      (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
      (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 16) "plugin_root_id")
      (func $ask (result i32) (call $get (i32.const 16) (i32.const 14) (i32.const 0) (i32.const 4)))
      (func (export "proxy_abi_version_0_2_1"))
      (func (export "malloc") (param i32) (result i32)
        (drop (call $log (i32.const 2) (i32.const 16) (i32.const 6)))
        (drop (call $ask)) (i32.const 1024))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $ask))
        ;; The callback goes on: it got a status, and the machine fails when it returns.
        (drop (call $log (i32.const 2) (i32.const 16) (i32.const 14)))
        (i32.const 0)))"#;
    let module =
        meshwall_testbed::host::Module::from_bytes(&wat::parse_str(text).unwrap()).unwrap();
    let vm = meshwall_testbed::host::Vm::builder(&module)
        .root_id("r")
        .build()
        .unwrap();
    let StreamError::Trap(trap) = stream(&vm).request_headers(&GET, true).unwrap_err() else {
        panic!("no trap");
    };
    assert_eq!(trap.cause, TrapCause::RestrictedCall);
    assert_eq!(trap.callback, "proxy_on_memory_allocate");
    assert_eq!(logged(&vm), ["plugin", "plugin_root_id"]);
}

#[test]
fn recursion_without_end_is_a_trap() {
    let vm = vm(r#"
      (func $deeper (param i32) (result i32) (i32.add (i32.const 1) (call $deeper (local.get 0))))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $deeper (i32.const 0)))"#);
    let StreamError::Trap(trap) = stream(&vm).request_headers(&GET, true).unwrap_err() else {
        panic!("no trap");
    };
    assert_eq!(trap.cause, TrapCause::StackOverflow);
    assert!(trap.to_string().contains("deeper"), "{trap}");
}

/// A thousand headers, and one of 64 KiB.
#[test]
fn large_messages_pass() {
    let vm = vm(r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status (local.get 1))
        (call $status (call $get_headers (i32.const 0) $out))
        (call $status (i32.load (i32.const 4)))
        (i32.const 0))"#);
    let mut request: Vec<(String, String)> = (0..1_000)
        .map(|n| (format!("x-{n}"), "v".to_owned()))
        .collect();
    request.push(("x-large".to_owned(), "v".repeat(65_536)));
    stream(&vm).request_headers(&request, true).unwrap();
    let bytes: usize = 4 + request
        .iter()
        .map(|(n, v)| n.len() + v.len() + 10)
        .sum::<usize>();
    assert_eq!(logged(&vm), ["1001", "0", &bytes.to_string()]);
}
