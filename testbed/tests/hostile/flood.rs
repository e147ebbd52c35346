//! Very many hostile requests, mixed: each gets its verdict, everybody else is served, and
//! nothing breaks, restarts or grows.

use std::env;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use meshwall_mesh_config::envoy::{Http, Paths};
use meshwall_testbed::rig::client::{Client, Request, Version};
use tokio::task::JoinSet;

use crate::questions::{Question, Questions, RULES};
use crate::sidecar::{CONSOLE, FRONTEND, HttpSidecar, http, policy};
use crate::vm;

/// How many requests, unless `MESHWALL_HOSTILE_REQUESTS` says so.
const REQUESTS: usize = 100_000;
/// Attackers at the same time.
const ATTACKERS: u64 = 16;
/// After so many requests, one that is no HTTP; Envoy ends the connection.
const REQUESTS_PER_CONNECTION: usize = 500;
/// What the process may grow by from a quarter of the way to the end, in bytes.
const GROWTH: u64 = 4 << 20;

const NOT_HTTP: [&[u8]; 6] = [
    b"GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"NONSENSE\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\nx: a\x00b\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_changes_nothing() {
    let requests = match env::var("MESHWALL_HOSTILE_REQUESTS") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => REQUESTS,
    };
    let settings = Http {
        paths: Paths::AsSent,
        ..http()
    };
    // The neighbours have paths of their own, which the attackers' rules do not meet.
    let rules = format!(
        "{RULES}- {{name: neighbour, action: Allow, from: [{{serviceAccounts: [ops/console]}}], \
         operations: [{{paths: [/neighbour]}}]}}\n"
    );
    let sidecar =
        HttpSidecar::start_edited(&policy(&rules), settings, |_, _| {}, vm::only_the_firewall)
            .await;
    let (address, envoy) = (sidecar.address, &sidecar.envoy);
    let before = vm::state(envoy).await;

    let running = Arc::new(AtomicBool::new(true));
    let mut neighbours = JoinSet::new();
    for (peer, status) in [(&CONSOLE, 200), (&FRONTEND, 403)] {
        let (client, running) = (sidecar.mesh.client(peer), Arc::clone(&running));
        neighbours.spawn(async move { neighbour(&client, address, status, &running).await });
    }

    let start = Instant::now();
    let sent = Arc::new(AtomicUsize::new(0));
    let mut attackers = JoinSet::new();
    for seed in 0..ATTACKERS {
        let (client, sent) = (sidecar.mesh.client(&FRONTEND), Arc::clone(&sent));
        attackers.spawn(async move { attack(seed, &client, address, &sent, requests).await });
    }
    let warm = wait_for(&sent, requests / 4, &mut attackers).await;
    assert!(warm, "the attackers are through too soon");
    let memory_then = envoy.memory().await.unwrap().resident;
    while let Some(attacker) = attackers.join_next().await {
        attacker.unwrap();
    }
    let memory_now = envoy.memory().await.unwrap().resident;
    let took = start.elapsed();

    running.store(false, Ordering::Relaxed);
    while let Some(neighbour) = neighbours.join_next().await {
        assert!(neighbour.unwrap() > 100, "a neighbour was hardly served");
    }
    let sent = sent.load(Ordering::Relaxed);
    println!("{sent} requests in {took:?}; memory {memory_then} then {memory_now}");
    assert!(sent >= requests);
    assert_eq!(vm::state(envoy).await, before);
    assert!(
        memory_now < memory_then + GROWTH,
        "{memory_then} then {memory_now}"
    );
}

/// Whether the count gets there before all attackers are through.
async fn wait_for(sent: &AtomicUsize, count: usize, attackers: &mut JoinSet<()>) -> bool {
    while sent.load(Ordering::Relaxed) < count {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        while let Some(through) = attackers.try_join_next() {
            through.unwrap();
        }
        if attackers.is_empty() {
            return false;
        }
    }
    true
}

/// Sends hostile requests until all attackers together have sent enough.
async fn attack(
    seed: u64,
    client: &Client,
    address: SocketAddr,
    sent: &AtomicUsize,
    enough: usize,
) {
    let mut questions = Questions::new(seed);
    loop {
        let mut connection = client.hostile_http1(address).await.unwrap();
        for _ in 0..REQUESTS_PER_CONNECTION {
            if sent.fetch_add(1, Ordering::Relaxed) >= enough {
                return;
            }
            let Question { bytes, status } = questions.next();
            let answer = connection.send(&bytes).await;
            let got = answer.map(|answer| answer.status);
            assert!(
                matches!(got, Ok(got) if got == status),
                "{got:?}: {}",
                shown(&bytes)
            );
        }
        let broken = NOT_HTTP[sent.load(Ordering::Relaxed) % NOT_HTTP.len()];
        let answer = connection.send(broken).await;
        assert_eq!(answer.unwrap().status, 400, "{}", shown(broken));
    }
}

fn shown(request: &[u8]) -> String {
    let start = request.get(..2000).unwrap_or(request);
    start.escape_ascii().to_string()
}

/// Asks for the same thing again and again and must be told the same thing each time.
async fn neighbour(
    client: &Client,
    address: SocketAddr,
    status: u16,
    running: &AtomicBool,
) -> usize {
    let mut connection = client.http(address, Version::Http2).await.unwrap();
    let mut count = 0;
    while running.load(Ordering::Relaxed) {
        let answer = connection.send(&Request::get("/neighbour")).await.unwrap();
        assert_eq!(answer.status, status);
        count += 1;
    }
    count
}
