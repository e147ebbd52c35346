//! Who is who to the policy server.

use crate::mesh::{Sidecar, World};
use crate::sidecar::FRONTEND;
use serde_json::json;

/// The sidecar of one pod asks for the policy of another, with its own certificate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_the_policy_of_another() {
    let world = World::start().await;
    let rules = json!([{"name": "all", "action": "Allow"}]);
    world.cluster.policy(rules).await;
    world.until(&FRONTEND, true).await;
    let denied = world.server.xds().counters().streams_denied;
    let thief = ("shop", "frontend");
    let server = world.server.address;
    let thief = Sidecar::start_as(&world.mesh, server, "shop/ledger-0", thief).await;
    thief.until(&world.mesh, &FRONTEND, false).await;
    assert!(world.server.xds().counters().streams_denied > denied);
}
