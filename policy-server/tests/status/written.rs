//! What is written to clusters, and by whom.

use meshwall_mesh_config::crds::status::Answer;
use meshwall_testbed::rig::fake_kubernetes::Availability;

use crate::bed::{
    EVENTS, LEASE, POLICIES, Replica, cluster, policy, status_of, until, with_leases,
};

#[tokio::test]
async fn an_object_says_what_became_of_it_and_a_rejection_is_told_once() {
    let fake = cluster().await;
    with_leases(&fake).await;
    let api = fake.admin();
    api.create(POLICIES, &policy("/a")).await.unwrap();
    let _replica = Replica::start("a", &[("main", &fake)]);
    let status = until(&fake, 1, "Accepted").await;
    let conditions = status.conditions.iter();
    let answers: Vec<_> = conditions.map(|c| (c.kind.as_str(), c.status)).collect();
    let expected = [("Accepted", Answer::True), ("Programmed", Answer::Unknown)];
    assert_eq!(answers, expected);

    let web = format!("{POLICIES}/web");
    api.patch(&web, &policy("/a/../b")).await.unwrap();
    let status = until(&fake, 2, "Invalid").await;
    assert_eq!(status.conditions.len(), 1);
    let message = &status.conditions[0].message;
    assert!(message.contains("/a/../b"), "{message}");
    assert!(message.contains("last good version stays"), "{message}");

    // The same is wrong after it was right again, and that is told again; each once.
    api.patch(&web, &policy("/b")).await.unwrap();
    until(&fake, 3, "Accepted").await;
    api.patch(&web, &policy("/a/../b")).await.unwrap();
    until(&fake, 4, "Invalid").await;
    api.patch(&web, &policy("/c")).await.unwrap();
    until(&fake, 5, "Accepted").await;
    let uid = api.get(&web).await.unwrap()["metadata"]["uid"].clone();
    let events = api.get(EVENTS).await.unwrap();
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 2, "{events:?}");
    for event in events {
        assert_eq!(event["reason"], "Invalid");
        assert_eq!(event["type"], "Warning");
        assert_eq!(event["regarding"]["uid"], uid);
    }
}

#[tokio::test]
async fn of_two_replicas_one_writes_and_the_other_takes_over() {
    let fake = cluster().await;
    with_leases(&fake).await;
    let api = fake.admin();
    api.create(POLICIES, &policy("/a")).await.unwrap();
    let first = Replica::start("a", &[("main", &fake)]);
    let before = until(&fake, 1, "Accepted").await;
    let _second = Replica::start("b", &[("main", &fake)]);
    let web = format!("{POLICIES}/web");
    api.patch(&web, &policy("/b")).await.unwrap();
    until(&fake, 2, "Accepted").await;
    let holder = api.get(LEASE).await.unwrap()["spec"]["holderIdentity"].clone();
    assert_eq!(holder, "a");

    drop(first);
    api.patch(&web, &policy("/c")).await.unwrap();
    let after = until(&fake, 3, "Accepted").await;
    let lease = api.get(LEASE).await.unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "b");
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
    // It has read what the other one wrote: the answer is as old as it was.
    let times = [before, after].map(|status| status.conditions[0].last_transition_time.clone());
    assert_eq!(times[0], times[1]);
}

#[tokio::test]
async fn each_cluster_has_its_own_lease_and_its_own_words() {
    let (east, west) = (cluster().await, cluster().await);
    with_leases(&east).await;
    east.admin().create(POLICIES, &policy("/a")).await.unwrap();
    west.admin().create(POLICIES, &policy("/b")).await.unwrap();
    let _replica = Replica::start("a", &[("east", &east), ("west", &west)]);
    until(&east, 1, "Accepted").await;
    // Without a lease nothing is written.
    assert_eq!(status_of(&west).await, None);
    with_leases(&west).await;
    let status = until(&west, 1, "Conflicted").await;
    let message = &status.conditions[0].message;
    assert!(message.contains("of cluster `east`"), "{message}");

    // One that hangs delays no other.
    west.availability(Availability::Frozen);
    let web = format!("{POLICIES}/web");
    east.admin().patch(&web, &policy("/c")).await.unwrap();
    until(&east, 2, "Accepted").await;
}
