//! What is written to the API server is what the sidecar enforces.

use serde_json::json;

use crate::mesh::World;
use crate::sidecar::{CANARY, CONSOLE, FRONTEND};

/// By labels, which are the pod's and not the account's.
fn front() -> serde_json::Value {
    json!([{
        "name": "front", "action": "Allow",
        "from": [{"podSelector": {"matchLabels": {"tier": "front"}}}],
    }])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policy_follows_pods() {
    let world = World::start().await;
    // Nobody has said anything: the default denies.
    world.until(&FRONTEND, false).await;

    world.cluster.policy(front()).await;
    world.until(&FRONTEND, true).await;
    world.until(&CANARY, false).await;

    // Another label: another verdict, for either of them.
    world
        .cluster
        .label_pod("shop", "frontend-1", json!({"tier": "front"}))
        .await;
    world.until(&CANARY, true).await;
    world
        .cluster
        .label_pod("shop", "frontend-0", json!({"tier": "retired"}))
        .await;
    world.until(&FRONTEND, false).await;
    world.until(&CANARY, true).await;

    // The pod goes, and its address becomes somebody else's: the right goes with the pod, even for
    // who has its certificate.
    world.cluster.delete_pod("shop", "frontend-1").await;
    world.until(&CANARY, false).await;
    let labels = json!({"tier": "front"});
    world
        .cluster
        .pod("shop", "batch-0", "batch", CANARY.address(), labels)
        .await;
    // The new pod counts, which shows that the next answer is about it.
    world
        .cluster
        .label_pod("shop", "frontend-0", json!({"tier": "front"}))
        .await;
    world.until(&FRONTEND, true).await;
    world.until(&CANARY, false).await;

    // Another rule, for somebody else.
    world
        .cluster
        .policy(json!([{
            "name": "ops", "action": "Allow", "from": [{"serviceAccounts": ["ops/console"]}],
        }]))
        .await;
    world.until(&CONSOLE, true).await;
    world.until(&FRONTEND, false).await;

    // Without the policy, the default.
    world.cluster.delete_policy().await;
    world.until(&CONSOLE, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_policy_leaves_the_last_good_one_in_force() {
    let world = World::start().await;
    world.cluster.policy(front()).await;
    world.until(&FRONTEND, true).await;
    // What the API server's schema cannot tell: a path that is not in normal form.
    world
        .cluster
        .policy(json!([{
            "name": "wrong", "action": "Allow", "operations": [{"paths": ["/a/../b"]}],
        }]))
        .await;
    // Something else happens after it, and is heard of.
    world
        .cluster
        .label_pod("shop", "frontend-1", json!({"tier": "front"}))
        .await;
    world.until(&CANARY, true).await;
    world.until(&FRONTEND, true).await;
    let reports = world.server.board.read().reports;
    let report = reports
        .values()
        .find(|report| report.definition.object.name == "ledger")
        .unwrap();
    let standing = format!("{:?}", report.standing);
    assert!(standing.contains("LastGood"), "{standing}");
}
