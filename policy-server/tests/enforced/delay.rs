//! How long it takes from a write to the API server until a request is decided otherwise.

use std::time::{Duration, Instant};

use meshwall_testbed::rig::client::{Request, Version};
use serde_json::json;

use crate::mesh::World;
use crate::sidecar::FRONTEND;

/// Changes that are measured.
const ROUNDS: usize = 100;

/// No change of verdict takes longer.
const SOON: Duration = Duration::from_secs(20);

/// Prints the delays; `cargo test -- --ignored --nocapture delay`. It measures, and asserts nothing
/// of times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn from_a_write_to_another_verdict() {
    let world = World::start().await;
    let rules = json!([{
        "name": "front", "action": "Allow",
        "from": [{"podSelector": {"matchLabels": {"tier": "front"}}}],
    }]);
    world.cluster.policy(rules).await;
    world.until(&FRONTEND, true).await;
    let address = world.sidecar.envoy.listener("http").unwrap();
    let client = world.mesh.client(&FRONTEND);
    let mut connection = client.http(address, Version::Http2).await.unwrap();
    let mut delays = Vec::new();
    for round in 0..ROUNDS {
        let (tier, status) = [("retired", 403), ("front", 200)][round % 2];
        let start = Instant::now();
        world
            .cluster
            .label_pod("shop", "frontend-0", json!({"tier": tier}))
            .await;
        let written = start.elapsed();
        loop {
            // The firewall ends a connection only if none of its requests would be permitted.
            let answer = connection.send(&Request::get("/")).await;
            match answer {
                Ok(answer) if answer.status == status => break,
                Ok(_) => {}
                Err(_) => connection = client.http(address, Version::Http2).await.unwrap(),
            }
            assert!(start.elapsed() < SOON, "not {status} within {SOON:?}");
        }
        delays.push((start.elapsed(), written));
    }
    delays.sort_unstable();
    let at = |share: usize| {
        let (delay, written) = delays[(delays.len() - 1) * share / 100];
        format!("{delay:?} (of which the API server {written:?})")
    };
    println!(
        "label of a pod to another verdict, {ROUNDS} times: p50 {}, p99 {}",
        at(50),
        at(99)
    );
}
