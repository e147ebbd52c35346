//! What an operator reads of a policy is what the sidecar enforces.

use std::time::{Duration, Instant};

use meshwall_mesh_config::crds::status::{Answer, Proxies, Status};
use serde_json::{Value, json};

use crate::mesh::World;
use crate::sidecar::{CANARY, FRONTEND};

/// As long as a status may take on a busy machine. Numbers of proxies are written every 10 seconds.
const SOON: Duration = Duration::from_secs(40);

/// Between two looks.
const GLANCE: Duration = Duration::from_millis(50);

/// Waits for a status of the policy, and gives the policy.
async fn until(world: &World, condition: impl Fn(&Status) -> bool) -> (Value, Status) {
    let start = Instant::now();
    loop {
        let object = world.cluster.policy_object().await;
        let status: Option<Status> = serde_json::from_value(object["status"].clone()).unwrap();
        if let Some(status) = status.clone().filter(&condition) {
            return (object, status);
        }
        assert!(start.elapsed() < SOON, "{status:#?}");
        tokio::time::sleep(GLANCE).await;
    }
}

/// Type, answer and reason of each condition.
fn said(status: &Status) -> Vec<(&str, Answer, &str)> {
    let conditions = status.conditions.iter();
    conditions
        .map(|condition| {
            let (kind, reason) = (condition.kind.as_str(), condition.reason.as_str());
            (kind, condition.status, reason)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_says_who_enforces_a_policy_and_what_is_wrong_with_it() {
    let world = World::start().await;
    world
        .cluster
        .policy(json!([{
            "name": "front", "action": "Allow",
            "from": [{"podSelector": {"matchLabels": {"tier": "front"}}}],
        }]))
        .await;
    world.until(&FRONTEND, true).await;
    let (_, status) = until(&world, |status| status.proxies.programmed > 0).await;
    let expected = [
        ("Accepted", Answer::True, "Accepted"),
        ("Programmed", Answer::True, "Programmed"),
    ];
    assert_eq!(said(&status), expected);
    let all = Proxies {
        selected: 1,
        programmed: 1,
        refused: 0,
    };
    assert_eq!(status.proxies, all);
    let message = &status.conditions[1].message;
    assert!(message.starts_with("1 of 1 "), "{message}");

    // What the API server's schema cannot tell: a path that is not in normal form.
    world
        .cluster
        .policy(json!([{
            "name": "wrong", "action": "Allow", "operations": [{"paths": ["/a/../b"]}],
        }]))
        .await;
    let (object, status) = until(&world, |status| status.observed_generation == 2).await;
    assert_eq!(said(&status), [("Accepted", Answer::False, "Invalid")]);
    let message = &status.conditions[0].message;
    assert!(message.contains("/a/../b"), "{message}");
    world.until(&FRONTEND, true).await;
    world.until(&CANARY, false).await;

    let managed = object["metadata"]["managedFields"].as_array().unwrap();
    let mut managers = managed.iter().map(|entry| &entry["manager"]);
    assert!(managers.any(|manager| manager == "meshwall-server"));
    let event = rejection(&world, &object).await;
    assert_eq!(event["note"], message.as_str());
}

/// Waits for the event that tells of the rejection of an object.
async fn rejection(world: &World, object: &Value) -> Value {
    let start = Instant::now();
    loop {
        let events = "/apis/events.k8s.io/v1/namespaces/shop/events";
        let events = world.cluster.api.get(events).await.unwrap();
        let mut told = events["items"].as_array().into_iter().flatten();
        let told = told.find(|event| {
            event["reason"] == "Invalid" && event["regarding"]["uid"] == object["metadata"]["uid"]
        });
        if let Some(event) = told {
            return event.clone();
        }
        assert!(start.elapsed() < SOON, "{events}");
        tokio::time::sleep(GLANCE).await;
    }
}
