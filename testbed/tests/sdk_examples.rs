//! Filters made with the official Rust SDK behave in the host as they are documented.
//!
//! The published crate `proxy-wasm` 0.2.5 does not contain the SDK's examples. So that the
//! test needs nothing but the registry, `filters/` has filters of our own that are written
//! with that crate and do what the examples are documented to do: the same names, calls, log
//! lines and answers. Whoever has the examples themselves can hold them against the same
//! assertions:
//!
//! ```sh
//! MESHWALL_SDK_EXAMPLES=folder/of/modules cargo test -p meshwall-testbed --test sdk_examples
//! ```
//!
//! where the folder has the built modules, such as `hello_world.wasm` or
//! `proxy_wasm_example_hello_world.wasm`, for wasm32-unknown-unknown or for WASI. Examples
//! that are not in the folder are passed over and named. Without the variable the filters are
//! built by `scripts/build-wasm`, which is why this target does not run by default.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use meshwall_testbed::host::{
    GrpcAnswer, Headers, HttpAnswer, HttpResponse, LogLevel, LogLine, Module, Outcome,
    StreamAttributes, TcpOutcome, Value, Vm,
};

const GET: [(&str, &str); 4] = [
    (":authority", "localhost:10000"),
    (":path", "/headers"),
    (":method", "GET"),
    (":scheme", "http"),
];
const OK: [(&str, &str); 2] = [(":status", "200"), ("content-length", "40")];

#[test]
fn hello_world() {
    let Some(module) = example("hello_world") else {
        return;
    };
    let vm = Vm::builder(&module).build().unwrap();
    assert_eq!(infos(&vm), ["Hello, World!"]);
    vm.advance(Duration::from_secs(5)).unwrap();
    let line = infos(&vm).remove(0);
    assert!(line.starts_with("It's 2023-11-14 22:13:25 UTC, "), "{line}");
    vm.advance(Duration::from_secs(14)).unwrap();
    assert_eq!(infos(&vm).len(), 2, "a line every five seconds");
}

#[test]
fn http_auth_random_admits_by_an_even_byte() {
    let Some(module) = example("http_auth_random") else {
        return;
    };
    let vm = Vm::builder(&module).clusters(&["httpbin"]).build().unwrap();
    let stream = vm.http_stream(StreamAttributes::new());
    assert_eq!(stream.request_headers(&GET, true).unwrap(), Outcome::Pause);

    let calls = vm.http_calls();
    let [call] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(call.cluster, b"httpbin");
    assert_eq!(call.headers.get(":path"), Some(&b"/bytes/1"[..]));
    assert_eq!(call.headers.get(":authority"), Some(&b"httpbin.org"[..]));
    vm.answer_http(call.token, answer(200, &[42])).unwrap();

    assert_eq!(stream.request_outcome(), Outcome::Continue);
    assert_eq!(infos(&vm), ["Access granted."]);
    stream.response_headers(&OK, true).unwrap();
    let headers = stream.downstream_response().headers.unwrap();
    assert_eq!(headers.get("powered-by"), Some(&b"proxy-wasm"[..]));
}

#[test]
fn http_auth_random_refuses_an_odd_byte_and_no_answer() {
    let Some(module) = example("http_auth_random") else {
        return;
    };
    let vm = Vm::builder(&module).build().unwrap();
    for late in [false, true] {
        let stream = vm.http_stream(StreamAttributes::new());
        stream.request_headers(&GET, true).unwrap();
        if late {
            // The proxy's own answer begins with an odd letter.
            vm.advance(Duration::from_secs(1)).unwrap();
        } else {
            vm.answer_http(vm.http_calls()[0].token, answer(200, &[41]))
                .unwrap();
        }
        assert_eq!(infos(&vm), ["Access forbidden."]);
        let Outcome::LocalReply(reply) = stream.request_outcome() else {
            panic!("not refused")
        };
        assert_eq!(
            (reply.status, reply.body.as_slice()),
            (403, &b"Access forbidden.\n"[..])
        );
        let response = stream.downstream_response();
        let powered: Vec<_> = response
            .headers
            .as_ref()
            .unwrap()
            .get_all("powered-by")
            .collect();
        assert_eq!(
            powered,
            [b"proxy-wasm"],
            "set by the reply and again by the filter"
        );
        assert!(response.complete);
    }
}

#[test]
fn http_body_redacts_secrets() {
    let Some(module) = example("http_body") else {
        return;
    };
    let vm = Vm::builder(&module).build().unwrap();
    for (frames, expected) in [
        (
            ["Everyone may read ", "this message.\n"],
            "Everyone may read this message.\n",
        ),
        (
            ["Everyone may read this s", "ecret message, it seems.\n\n"],
            "Original message body (50 bytes) redacted.\n",
        ),
    ] {
        let stream = vm.http_stream(StreamAttributes::new());
        stream.request_headers(&GET, true).unwrap();
        stream.response_headers(&OK, false).unwrap();
        for frame in frames {
            assert_eq!(stream.response_body(frame, false).unwrap(), Outcome::Pause);
        }
        assert_eq!(stream.response_body("", true).unwrap(), Outcome::Continue);
        let response = stream.downstream_response();
        assert_eq!(text(&response.body), expected);
        assert_eq!(response.headers.unwrap().get("content-length"), None);
    }
}

#[test]
fn http_config_adds_a_header_with_its_configuration() {
    let Some(module) = example("http_config") else {
        return;
    };
    let secret = "The secret to life is meaningless unless you discover it yourself";
    let vm = Vm::builder(&module)
        .plugin_configuration(secret)
        .build()
        .unwrap();
    let header = |vm: &Vm| {
        let stream = vm.http_stream(StreamAttributes::new());
        stream.request_headers(&GET, true).unwrap();
        stream.response_headers(&OK, true).unwrap();
        let headers = stream.downstream_response().headers.unwrap();
        headers.get("custom-header").map(<[u8]>::to_vec)
    };
    assert_eq!(header(&vm), Some(secret.into()));
    vm.reconfigure("another").unwrap();
    assert_eq!(header(&vm), Some(b"another".to_vec()));
}

#[test]
fn http_headers_logs_and_answers_one_path() {
    let Some(module) = example("http_headers") else {
        return;
    };
    let vm = Vm::builder(&module).build().unwrap();
    let hello: Vec<_> = GET
        .iter()
        .map(|(n, v)| (*n, if *n == ":path" { "/hello" } else { v }))
        .collect();
    let stream = vm.http_stream(StreamAttributes::new());
    assert!(matches!(
        stream.request_headers(&hello, true).unwrap(),
        Outcome::LocalReply(_)
    ));
    stream.finish().unwrap();
    assert_eq!(
        infos(&vm),
        [
            "#2 -> :authority: localhost:10000",
            "#2 -> :path: /hello",
            "#2 -> :method: GET",
            "#2 -> :scheme: http",
            "#2 <- :status: 200",
            "#2 <- hello: World",
            "#2 <- powered-by: proxy-wasm",
            "#2 <- content-length: 14",
            "#2 <- content-type: text/plain",
            "#2 completed.",
        ]
    );
    assert_eq!(stream.downstream_response().body, b"Hello, World!\n");

    let other = vm.http_stream(StreamAttributes::new());
    assert_eq!(
        other.request_headers(&GET, true).unwrap(),
        Outcome::Continue
    );
    assert!(other.upstream_request().complete);
}

/// The SDK's convenience functions panic over what a peer may send. The host shows what that
/// costs: the whole machine.
#[test]
fn http_headers_falls_over_bytes() {
    let Some(module) = example("http_headers") else {
        return;
    };
    let vm = Vm::builder(&module).build().unwrap();
    let stream = vm.http_stream(StreamAttributes::new());
    let request: [(&[u8], &[u8]); 2] = [(b":path", b"/"), (b"x", &[0xff, 0xfe])];
    stream.request_headers(&request, true).unwrap_err();
    let Outcome::LocalReply(reply) = stream.request_outcome() else {
        panic!("not answered")
    };
    assert_eq!(
        (reply.status, reply.details),
        (503, b"wasm_fail_stream".to_vec())
    );
    assert!(vm.failure().is_some());
}

#[test]
fn http_parallel_call_waits_for_all() {
    let Some(module) = example("http_parallel_call") else {
        return;
    };
    let vm = Vm::builder(&module).build().unwrap();
    let stream = vm.http_stream(StreamAttributes::new());
    assert_eq!(stream.request_headers(&GET, true).unwrap(), Outcome::Pause);
    let calls = vm.http_calls();
    assert_eq!(calls.len(), 3);
    // Out of order; the last does not answer at all.
    vm.answer_http(calls[1].token, answer(204, &[])).unwrap();
    vm.answer_http(calls[0].token, HttpAnswer::Reset).unwrap();
    assert_eq!(stream.request_outcome(), Outcome::Pause);
    vm.advance(Duration::from_millis(200)).unwrap();
    assert_eq!(infos(&vm), ["All have answered."]);
    let headers = stream.upstream_request().headers.unwrap();
    for (name, status) in [
        ("x-second", "204"),
        ("x-first", "reset"),
        ("x-third", "504"),
    ] {
        assert_eq!(headers.get(name), Some(status.as_bytes()), "{name}");
    }
}

#[test]
fn grpc_auth_random_is_for_grpc_clients() {
    let Some(module) = example("grpc_auth_random") else {
        return;
    };
    let vm = Vm::builder(&module).clusters(&["grpcbin"]).build().unwrap();
    let plain = vm.http_stream(StreamAttributes::new());
    let Outcome::LocalReply(reply) = plain.request_headers(&GET, true).unwrap() else {
        panic!("a plain client was let in");
    };
    assert_eq!(reply.status, 503);
    assert_eq!(
        text(&reply.body),
        "Service accessible only to gRPC clients.\n"
    );

    let reflection = vm.http_stream(StreamAttributes::new());
    let request = grpc("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    assert_eq!(
        reflection.request_headers(&request, false).unwrap(),
        Outcome::Continue
    );
}

#[test]
fn grpc_auth_random_admits_by_an_even_status() {
    let Some(module) = example("grpc_auth_random") else {
        return;
    };
    let vm = Vm::builder(&module).build().unwrap();
    let failure = |status| GrpcAnswer::Failure {
        status,
        message: Vec::new(),
    };
    for (answer, granted) in [
        (GrpcAnswer::Message(Vec::new()), true),
        (failure(14), true),
        (failure(13), false),
    ] {
        let stream = vm.http_stream(StreamAttributes::new());
        let request = grpc("/hello.HelloService/SayHello");
        assert_eq!(
            stream.request_headers(&request, false).unwrap(),
            Outcome::Pause
        );
        let call = vm.grpc_calls().remove(0);
        assert_eq!(call.target.cluster, b"grpcbin");
        assert_eq!(call.target.service, b"grpcbin.GRPCBin");
        assert_eq!(call.target.method, b"RandomError");
        vm.answer_grpc(call.token, answer).unwrap();
        if granted {
            assert_eq!(infos(&vm), ["Access granted."]);
            assert_eq!(stream.request_outcome(), Outcome::Continue);
        } else {
            assert_eq!(infos(&vm), ["Access forbidden."]);
            let headers = stream.downstream_response().headers.unwrap();
            let shown = |name| headers.get(name).map(text).unwrap_or_default();
            assert_eq!(shown(":status"), "200");
            assert_eq!(shown("grpc-status"), "10");
            assert_eq!(shown("grpc-message"), "Aborted by Proxy-Wasm!");
            assert_eq!(shown("powered-by"), "proxy-wasm");
        }
    }
}

#[test]
fn envoy_filter_metadata_answers_with_what_it_finds() {
    let Some(module) = example("envoy_filter_metadata") else {
        return;
    };
    let vm = Vm::builder(&module).build().unwrap();
    let without = vm.http_stream(StreamAttributes::new());
    assert_eq!(
        without.request_headers(&GET, true).unwrap(),
        Outcome::Continue
    );
    let metadata = Value::Map(vec![(
        b"uppercased-custom-metadata".to_vec(),
        "SOME-VALUE".into(),
    )]);
    let path = ["metadata", "filter_metadata", "envoy.filters.http.lua"];
    let with = vm.http_stream(StreamAttributes::new().property(path, metadata));
    assert!(matches!(
        with.request_headers(&GET, true).unwrap(),
        Outcome::LocalReply(_)
    ));
    let response = with.downstream_response();
    assert_eq!(
        text(&response.body),
        "Custom response with Envoy metadata: \"SOME-VALUE\"\n"
    );
    let headers: Headers = response.headers.unwrap();
    assert_eq!(headers.get("uppercased-metadata"), Some(&b"SOME-VALUE"[..]));
}

#[test]
fn envoy_tcp_routing_chooses_by_the_address() {
    let Some(module) = example("envoy_tcp_routing") else {
        return;
    };
    let vm = Vm::builder(&module).build().unwrap();
    for (source, cluster) in [
        ("10.0.0.2:1", "egress-router1"),
        ("10.0.0.3:1", "egress-router2"),
        ("[fd00::3]:1", "egress-router2"),
    ] {
        let attributes = StreamAttributes::new().source(source.parse().unwrap());
        let connection = vm.tcp_stream(attributes);
        assert_eq!(connection.new_connection().unwrap(), TcpOutcome::Continue);
        let chosen = connection.filter_state("envoy.tcp_proxy.cluster");
        assert_eq!(chosen, Some(cluster.into()), "{source}");
    }
}

/// An example's module, from the given folder or newly built.
fn example(name: &str) -> Option<Module> {
    let path = match std::env::var_os("MESHWALL_SDK_EXAMPLES") {
        Some(folder) => given(Path::new(&folder), name)?,
        None => built(name),
    };
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(Module::from_bytes(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn given(folder: &Path, name: &str) -> Option<PathBuf> {
    let names = [
        format!("{name}.wasm"),
        format!("proxy_wasm_example_{name}.wasm"),
    ];
    let found = names
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.exists());
    if found.is_none() {
        eprintln!("passed over: there is no {name} in {}", folder.display());
    }
    found
}

/// Builds a filter of ours. One at a time: they share the folder of the build.
fn built(name: &str) -> PathBuf {
    static ONE_AT_A_TIME: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk-examples");
    let output = Command::new(here.join("../scripts/build-wasm"))
        .arg("--manifest-path")
        .arg(here.join("tests/filters/Cargo.toml"))
        .arg("--out")
        .arg(&out)
        .args(["-p", &name.replace('_', "-"), "--panic", "abort"])
        .output()
        .expect("scripts/build-wasm can be run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    out.join(format!("{name}.wasm"))
}

/// The texts at level info since the last time.
fn infos(vm: &Vm) -> Vec<String> {
    let log = vm.take_log().into_iter();
    log.filter(|line| line.level == LogLevel::Info)
        .map(|line| LogLine::text(&line))
        .collect()
}

fn answer(status: u16, body: &[u8]) -> HttpAnswer {
    HttpAnswer::Response(HttpResponse::new::<&str, &str>(status, &[], body))
}

fn grpc(path: &str) -> [(&str, &str); 5] {
    [
        (":authority", "localhost:10000"),
        (":path", path),
        (":method", "POST"),
        (":scheme", "http"),
        ("content-type", "application/grpc"),
    ]
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
