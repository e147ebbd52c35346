//! What a panic in a filter costs: its request or its connection, and nothing else.
//!
//! The firewall has no way to be made to panic. So this is shown with a filter that panics when
//! it is told to, in the place of the firewall and with the same guard around it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use meshwall_mesh_config::envoy::{Firewall, Module, Program, Protocol, Tcp, UpstreamProtocol};
use meshwall_testbed::rig::backend::{HttpBackend, Speech, TcpBackend};
use meshwall_testbed::rig::client::{End, Exchange, Request, Version};
use meshwall_testbed::rig::envoy::Launch;

use crate::sidecar::{CONSOLE, FRONTEND, Mesh, cluster, config, http, inbound};
use crate::vm;

const PANICS: u64 = 2_000;

/// The filter in `panics/`, built as the firewall is.
fn panicking() -> Module {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panics");
    let output = Command::new(here.join("../scripts/build-wasm"))
        .arg("--manifest-path")
        .arg(here.join("tests/hostile/panics/Cargo.toml"))
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Module {
        path: out.join("panics.wasm"),
        sha256: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_costs_its_request_or_its_connection() {
    let module = tokio::task::spawn_blocking(panicking).await.unwrap();
    let mesh = Mesh::new();
    let web = HttpBackend::start().await.unwrap();
    let raw = TcpBackend::start(Speech::ClientFirst).await.unwrap();
    let firewall = || Firewall {
        module: module.clone(),
        program: Program::Inline(Vec::new()),
    };
    let tcp = Protocol::Tcp(Tcp {
        cluster: "raw".to_owned(),
    });
    let listeners = vec![
        inbound(&mesh, "http", Protocol::Http(http()), firewall()),
        inbound(&mesh, "tcp", tcp, firewall()),
    ];
    let clusters = vec![
        cluster("web", web.address(), UpstreamProtocol::AsDownstream),
        cluster("raw", raw.address(), UpstreamProtocol::Tcp),
    ];
    let config = config(listeners, clusters);
    let envoy = Launch::new(&mesh.envoy).start(&config).await.unwrap();
    let address = envoy.listener("http").unwrap();
    let before = vm::state(&envoy).await;

    let running = Arc::new(AtomicBool::new(true));
    let neighbour = {
        let (client, running) = (mesh.client(&FRONTEND), Arc::clone(&running));
        tokio::spawn(async move {
            let mut connection = client.http(address, Version::Http2).await.unwrap();
            while running.load(Ordering::Relaxed) {
                let answer = connection.send(&Request::get("/")).await.unwrap();
                assert_eq!(answer.status, 200);
            }
        })
    };

    let console = mesh.client(&CONSOLE);
    let mut connection = console.http(address, Version::Http2).await.unwrap();
    let requests = web.traffic().requests;
    for number in 0..PANICS {
        // Each way to panic in turn; see the filter.
        let how = "x".repeat(usize::try_from(number % 3).unwrap() + 3);
        let request = Request::get("/").header("x-panic", how);
        assert_eq!(
            connection.send(&request).await.unwrap().status,
            403,
            "{number}"
        );
        if number % 100 == 0 {
            let answer = connection.send(&Request::get("/")).await;
            assert_eq!(answer.unwrap().status, 200);
        }
    }
    let tcp = envoy.listener("tcp").unwrap();
    let exchange = |send| Exchange { send, expect: 5 };
    for _ in 0..20 {
        let end = console.exchange(tcp, exchange(b"panic")).await.unwrap();
        assert!(end.is_ended() && end.received().is_empty(), "{end:?}");
        let end = console.exchange(tcp, exchange(b"hello")).await.unwrap();
        assert_eq!(end, End::Received(b"hello".to_vec()));
    }
    running.store(false, Ordering::Relaxed);
    neighbour.await.unwrap();
    assert!(web.traffic().requests > requests);
    assert_eq!(raw.traffic().bytes_in, 20 * 5);

    let stats = envoy.stats().await.unwrap();
    let caught = |callback| stats.value(&format!("wasmcustom.panics_total;reason={callback}"));
    assert_eq!(
        (caught("RequestHeaders"), caught("DownstreamData")),
        (PANICS, 20)
    );
    assert_eq!(vm::state(&envoy).await, before);
}
