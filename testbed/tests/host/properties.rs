//! Properties: paths, types, phases, filter state.

use std::net::SocketAddr;

use meshwall_testbed::host::{
    Connection, Direction, PeerCertificate, PluginConfig, StreamAttributes, Value,
};

use super::support::{GET, OK, build, logged, stream, vm};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn attributes_arrive_in_their_encodings() {
    let text = r#"
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $bytes (call $get_property @"source\00address" $out))
        (call $bytes (call $get_property @"source\00port" $out))
        (call $bytes (call $get_property @"connection\00mtls" $out))
        (call $bytes (call $get_property @"connection\00uri_san_peer_certificate" $out))
        (call $bytes (call $get_property @"connection\00requested_server_name" $out))
        (call $bytes (call $get_property @"xds\00listener_direction" $out))
        (call $bytes (call $get_property @"xds\00node\00id" $out))
        (call $bytes (call $get_property @"plugin_root_id" $out))
        (call $bytes (call $get_property @"metadata\00filter_metadata\00a.b\00sub" $out))
        (call $bytes (call $get_property @"connection" $out))
        (call $bytes (call $get_property @"upstream\00address" $out))
        (call $bytes (call $get_property @"nothing" $out))
        (call $bytes (call $get_property @"" $out))
        (i32.const 0))
      (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $bytes (call $get_property @"upstream\00address" $out))
        (i32.const 0))"#;
    let vm = build(text, |b| b.root_id("http").property("xds.node.id", "pod-1")).unwrap();
    let attributes = StreamAttributes::new()
        .source(address("[fd00::1]:40000"))
        .destination(address("10.0.0.2:80"))
        .upstream(address("10.0.0.3:8080"))
        .mtls(PeerCertificate::spiffe("spiffe://td/ns/a/sa/b,c"))
        .requested_server_name("shop")
        .direction(Direction::Inbound)
        .property(
            ["metadata", "filter_metadata", "a.b"],
            Value::Map(vec![(b"sub".to_vec(), "alice".into())]),
        );
    let stream = vm.http_stream(attributes);
    stream.request_headers(&GET, false).unwrap();
    let log: Vec<Vec<u8>> = vm.take_log().into_iter().map(|line| line.message).collect();
    let expected: [&[u8]; 13] = [
        b"[fd00::1]:40000",
        &40_000_i64.to_le_bytes(),
        &[1],
        b"spiffe://td/ns/a/sa/b,c",
        b"shop",
        &1_i64.to_le_bytes(),
        b"pod-1",
        b"http",
        b"alice",
        b"!3",
        b"!1",
        b"!1",
        b"!3",
    ];
    assert_eq!(log, expected);
    stream.request_body("", true).unwrap();
    assert_eq!(logged(&vm), ["10.0.0.3:8080"]);
}

#[test]
fn a_network_filter_knows_the_peer_with_the_first_data() {
    let vm = vm(r#"
      (func $look
        (call $bytes (call $get_property @"connection\00mtls" $out))
        (call $bytes (call $get_property @"connection\00uri_san_peer_certificate" $out))
        (call $bytes (call $get_property @"upstream\00port" $out)))
      (func (export "proxy_on_new_connection") (param i32) (result i32) (call $look) (i32.const 0))
      (func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32)
        (call $look) (i32.const 0))"#);
    let attributes = StreamAttributes::new()
        .mtls(PeerCertificate::spiffe("spiffe://td/ns/a/sa/b"))
        .upstream(address("10.0.0.3:1"));
    let connection = vm.tcp_stream(attributes);
    connection.new_connection().unwrap();
    assert_eq!(logged(&vm), ["\0", "!1", "!1"]);
    connection.downstream_data("x", false).unwrap();
    assert_eq!(
        logged(&vm),
        ["\u{1}", "spiffe://td/ns/a/sa/b", "\u{1}\0\0\0\0\0\0\0"]
    );
}

/// What the request says about itself is there while its headers are, and in the log.
#[test]
fn the_request_is_described_while_it_passes() {
    let vm = vm(r#"
      (func $look
        (call $bytes (call $get_property @"request\00path" $out))
        (call $bytes (call $get_property @"request\00url_path" $out))
        (call $bytes (call $get_property @"request\00query" $out))
        (call $bytes (call $get_property @"request\00host" $out))
        (call $bytes (call $get_property @"request\00method" $out))
        (call $bytes (call $get_property @"request\00headers\00x-a" $out))
        (call $bytes (call $get_property @"response\00code" $out))
        (call $bytes (call $get_property @"response\00code_details" $out)))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $look) (i32.const 0))
      (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (call $look) (i32.const 0))
      (func (export "proxy_on_log") (param i32) (call $look))"#);
    let stream = stream(&vm);
    let mut request = GET.to_vec();
    request.extend([("x-a", "1"), ("x-a", "2")]);
    stream.request_headers(&request, true).unwrap();
    let described = ["/a?b=c", "/a", "b=c", "shop", "GET", "1,2"];
    assert_eq!(logged(&vm), [&described[..], &["!1", "!1"]].concat());
    stream.response_headers(&OK, true).unwrap();
    let code = "\u{c8}\0\0\0\0\0\0\0";
    let log = vm.take_log();
    assert!(log[..6].iter().all(|line| line.text() == "!1"));
    assert_eq!(log[6].message, 200_i64.to_le_bytes());
    assert_eq!(log[7].text(), "via_upstream");
    stream.finish().unwrap();
    let log = vm.take_log();
    assert_eq!(log[0].text(), described[0]);
    assert_eq!(log[6].message.len(), code.chars().count());
}

#[test]
fn a_filter_leaves_state_for_others() {
    let vm = vm(r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (call $status (call $set_property @"early" @"1")) (i32.const 1))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $status (call $set_property @"verdict" @"deny"))
        (call $status (call $set_property @"a\00b" @"two"))
        (call $bytes (call $get_property @"verdict" $out))
        (call $bytes (call $get_property @"filter_state\00wasm.verdict" $out))
        (call $bytes (call $get_property @"wasm.verdict" $out))
        (call $bytes (call $get_property @"a\00b" $out))
        (i32.const 0))"#);
    assert_eq!(
        logged(&vm),
        ["1"],
        "a root context has no stream to set it on"
    );
    let stream = stream(&vm);
    stream.request_headers(&GET, true).unwrap();
    assert_eq!(logged(&vm), ["0", "0", "deny", "deny", "!1", "!1"]);
    assert_eq!(stream.filter_state("wasm.verdict"), Some(b"deny".to_vec()));
    assert_eq!(stream.filter_state("wasm.a\0b"), Some(b"two".to_vec()));
}

/// What a network filter has set on a connection is read by the HTTP filter on it; what an
/// HTTP filter declares for the connection stays there; the rest goes with the stream.
#[test]
fn a_connection_carries_state_from_stream_to_stream() {
    let text = r#"
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        ;; name = "kept", readonly = true, span = connection
        (call $status (call $call_foreign_function @"declare_property"
          @"\0a\04kept\10\01\28\02" (i32.const 0) (i32.const 0)))
        (call $status (call $call_foreign_function @"declare_property"
          @"\0a\04kept\10\01\28\02" (i32.const 0) (i32.const 0)))
        (i32.const 1))
      (func (export "proxy_on_new_connection") (param i32) (result i32)
        (call $status (call $set_property @"peer" @"alice")) (i32.const 0))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $bytes (call $get_property @"peer" $out))
        (call $bytes (call $get_property @"kept" $out))
        (call $bytes (call $get_property @"passing" $out))
        (call $status (call $set_property @"kept" @"first"))
        (call $status (call $set_property @"passing" @"x"))
        (i32.const 0))"#;
    let vm = build(text, |b| b.root_id("http")).unwrap();
    let network = vm.add_plugin(PluginConfig::new("network")).unwrap();
    assert_eq!(
        logged(&vm),
        ["0", "2", "0", "2", "0", "2"],
        "with the throw-away instance"
    );

    let connection = Connection::new();
    let attributes = || StreamAttributes::new().connection(&connection);
    let tcp = network.tcp_stream(attributes());
    tcp.new_connection().unwrap();
    assert_eq!(logged(&vm), ["0"]);
    vm.http_stream(attributes())
        .request_headers(&GET, true)
        .unwrap();
    assert_eq!(logged(&vm), ["alice", "!1", "!1", "0", "0"]);
    let second = vm.http_stream(attributes());
    second.request_headers(&GET, true).unwrap();
    assert_eq!(
        logged(&vm),
        ["alice", "first", "!1", "2", "0"],
        "read-only takes one value"
    );
    assert_eq!(second.filter_state("wasm.kept"), Some(b"first".to_vec()));
    assert_eq!(
        connection.filter_state("wasm.peer"),
        Some(b"alice".to_vec())
    );
    assert_eq!(connection.filter_state("wasm.passing"), None);
}
