//! Several clusters, one of which is slow, dead or frozen, and kinds of which one is late.

use meshwall_policy_server::index::Kind;
use meshwall_policy_server::source::State;
use meshwall_testbed::rig::fake_kubernetes::{Availability, FakeKubernetes};
use serde_json::json;

use crate::bed::{Bed, PODS, QUICK, client, pod, shop};

#[tokio::test]
async fn a_cluster_that_is_frozen_or_dead_delays_no_other() {
    for availability in [Availability::Frozen, Availability::Down] {
        let (east, west) = (
            FakeKubernetes::start().await.unwrap(),
            FakeKubernetes::start().await.unwrap(),
        );
        let mut bed = Bed::new();
        for (name, fake) in [("east", &east), ("west", &west)] {
            shop(&fake.admin()).await;
            bed.watch(name, &client(&fake.url()), QUICK);
        }
        bed.settles("east", &east.admin()).await;
        bed.settles("west", &west.admin()).await;
        west.admin().create(PODS, &pod("kept")).await.unwrap();
        bed.settles("west", &west.admin()).await;

        west.availability(availability);
        for number in 0..20 {
            let pod = pod(&format!("pod-{number}"));
            east.admin().create(PODS, &pod).await.unwrap();
        }
        bed.settles("east", &east.admin()).await;
        bed.until("the other is known to fail", |bed| {
            matches!(bed.of("west", Kind::Pod).state, State::Failing(_))
        })
        .await;
        // What was told of it holds.
        assert_eq!(bed.names("west", Kind::Pod), ["Pod/shop/kept"]);

        west.availability(Availability::Up);
        west.admin().create(PODS, &pod("late")).await.unwrap();
        bed.settles("west", &west.admin()).await;
        bed.until("it is heard of again", |bed| {
            bed.of("west", Kind::Pod).state == State::Watching
        })
        .await;
    }
}

#[tokio::test]
async fn a_cluster_that_was_never_there_is_never_listed() {
    let east = FakeKubernetes::start().await.unwrap();
    let mut bed = Bed::new();
    bed.watch("east", &client(&east.url()), QUICK);
    // A port that nobody listens on: it was free a moment ago.
    let gone = FakeKubernetes::start().await.unwrap();
    let url = gone.url();
    drop(gone);
    bed.watch("west", &client(&url), QUICK);
    bed.settles("east", &east.admin()).await;
    bed.until("the other is known to fail", |bed| {
        bed.of("west", Kind::Pod).failures > 3
    })
    .await;
    assert!(!bed.is_listed("west"));
    assert!(!bed.of("west", Kind::Pod).listed);
}

#[tokio::test]
async fn kinds_arrive_in_any_order() {
    let fake = FakeKubernetes::start().await.unwrap();
    let api = fake.admin();
    let mut bed = Bed::new();
    bed.watch("east", &client(&fake.url()), QUICK);
    bed.settles("east", &api).await;
    fake.hold("namespaces");
    shop(&api).await;
    api.create(PODS, &pod("early")).await.unwrap();
    bed.until("the pod is told", |bed| {
        !bed.names("east", Kind::Pod).is_empty()
    })
    .await;
    assert!(bed.names("east", Kind::Namespace).is_empty());
    fake.release("namespaces");
    bed.settles("east", &api).await;
    let labels = json!({"metadata": {"labels": {"team": "b"}}});
    api.patch("/api/v1/namespaces/shop", &labels).await.unwrap();
    bed.settles("east", &api).await;
}
