//! Headers: bytes that are no text, repetitions, too many, too long.

use meshwall_testbed::rig::client::{Request, Version};

use crate::sidecar::{FRONTEND, HttpSidecar, http, policy};
use crate::vm;

const RULES: &str = "
- name: roles
  action: Allow
  operations:
  - {headers: [{name: x-role, values: [cook, 'chef-*']}]}
- name: no-debug
  action: Deny
  operations:
  - {headers: [{name: x-debug, present: true}]}
";

#[tokio::test]
async fn headers_that_no_client_would_send() {
    let sidecar =
        HttpSidecar::start_edited(&policy(RULES), http(), |_, _| {}, vm::only_the_firewall).await;
    let before = vm::state(&sidecar.envoy).await;
    let client = sidecar.mesh.client(&FRONTEND);
    let cook = || Request::get("/").header("x-role", "cook");
    let noise = |mut request: Request, count: usize| {
        for number in 0..count {
            request = request.header(format!("x-noise-{number}"), "noise");
        }
        request
    };
    let repeated = |name: &str, value: &str, count: usize| {
        let mut request = cook();
        for _ in 0..count {
            request = request.header(name, value);
        }
        request
    };
    let every_byte: Vec<u8> = (b' '..=0xff).filter(|byte| *byte != 0x7f).collect();
    let kib64 = vec![b'v'; 64 << 10];
    let cases = [
        ("plain", cook(), 200),
        (
            "every byte",
            cook().header("x-bytes", &every_byte[1..]),
            200,
        ),
        (
            "not UTF-8",
            cook().header("x-bytes", b"\xff\xfe\xc0\xaf"),
            200,
        ),
        (
            "not UTF-8, where the rule looks",
            Request::get("/").header("x-role", b"cook\xff"),
            403,
        ),
        (
            "not UTF-8, after a prefix",
            Request::get("/").header("x-role", b"chef-\xff"),
            200,
        ),
        ("empty", Request::get("/").header("x-role", ""), 403),
        ("longer", Request::get("/").header("x-role", "cooks"), 403),
        ("repeated", repeated("x-role", "cook", 999), 200),
        (
            "repeated, the last is another",
            repeated("x-role", "cook", 999).header("x-role", "x"),
            403,
        ),
        ("1,000 headers", noise(cook(), 1000), 200),
        (
            "1,000 headers, the last is denied",
            noise(cook(), 1000).header("x-debug", ""),
            403,
        ),
        (
            "1,000 headers, the first is missing",
            noise(Request::get("/"), 1000),
            403,
        ),
        ("64 KiB", cook().header("x-long", &kib64), 200),
        (
            "64 KiB, where the rule looks",
            Request::get("/").header("x-role", &kib64),
            403,
        ),
        (
            "64 KiB after a prefix",
            Request::get("/").header("x-role", [b"chef-", &kib64[..]].concat()),
            200,
        ),
        (
            "64 KiB hundred times",
            (0..100).fold(cook(), |r, n| r.header(format!("x-{n}"), &kib64)),
            200,
        ),
        (
            "a name of 10 KB",
            cook().header("x".repeat(10_000), "y"),
            200,
        ),
    ];
    for (what, request, status) in &cases {
        for version in [Version::Http1, Version::Http2] {
            let answer = client.request(sidecar.address, version, request).await;
            let answer = answer.unwrap_or_else(|error| panic!("{what}, {version:?}: {error}"));
            assert_eq!(
                answer.status,
                *status,
                "{what}, {version:?}: {}",
                answer.text()
            );
        }
    }
    assert_eq!(vm::state(&sidecar.envoy).await, before);
}
