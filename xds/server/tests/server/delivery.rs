//! What is published arrives, in both variants and by both services.

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;

use crate::client::{Delta, Kind, State, connect, subscribe, want};
use crate::world::{plaintext, remove, set, set_sized, until};

const KINDS: [Kind; 2] = [Kind::Ads, Kind::Ecds];

#[tokio::test]
async fn delta() {
    for kind in KINDS {
        let (server, address) = plaintext().await;
        server.publish([set("n", "a", "1")]);
        let channel = connect(address).await;
        let mut stream = Delta::open(&channel, kind, subscribe("n", &["a", "b"]))
            .await
            .unwrap();
        assert_eq!(stream.accept().await, "a=1 -b");
        assert_eq!(server.publish([set("n", "a", "2"), set("n", "b", "1")]), 2);
        assert_eq!(stream.accept().await, "a=2 b=1");
        server.publish([remove("n", "a")]);
        assert_eq!(stream.accept().await, "-a");
    }
}

#[tokio::test]
async fn state_of_the_world() {
    for kind in KINDS {
        let (server, address) = plaintext().await;
        server.publish([set("n", "a", "1")]);
        let channel = connect(address).await;
        let mut stream = State::open(&channel, kind, want("n", &["a", "b"]))
            .await
            .unwrap();
        assert_eq!(stream.accept(&["a", "b"]).await.0, "1");
        server.publish([set("n", "b", "7")]);
        assert_eq!(stream.accept(&["a", "b"]).await.0, "7");
    }
}

#[tokio::test]
async fn names_are_the_views_own() {
    let (server, address) = plaintext().await;
    server.publish([set("m", "a", "of-m"), set("n", "a", "of-n")]);
    let channel = connect(address).await;
    for (node, expected) in [("m", "a=of-m"), ("n", "a=of-n"), ("x", "-a")] {
        let mut stream = Delta::open(&channel, Kind::Ecds, subscribe(node, &["a"]))
            .await
            .unwrap();
        assert_eq!(stream.accept().await, expected);
    }
}

#[tokio::test]
async fn large_resources_arrive_whole() {
    let (server, address) = plaintext().await;
    // Around the sizes of frames, windows, and of what is passed on without a copy.
    for (version, bytes) in [1, 4095, 4096, 16_384, 65_535, 65_536, 2_000_000]
        .into_iter()
        .enumerate()
    {
        server.publish([
            set_sized("n", "a", &version.to_string(), bytes),
            set_sized("n", "b", &version.to_string(), bytes / 2),
        ]);
        let channel = connect(address).await;
        let mut stream = Delta::open(&channel, Kind::Ads, subscribe("n", &["a", "b"]))
            .await
            .unwrap();
        let response = stream.receive().await.unwrap().unwrap();
        let lengths: Vec<_> = response
            .resources
            .iter()
            .map(|r| r.resource.as_ref().unwrap().value.len())
            .collect();
        assert_eq!(lengths, [bytes.max(1), (bytes / 2).max(1)]);
    }
}

#[tokio::test]
async fn a_delta_client_that_comes_back_unchanged_is_sent_nothing() {
    let (server, address) = plaintext().await;
    server.publish([set("n", "a", "1"), set("n", "b", "1")]);
    let channel = connect(address).await;
    let first = DeltaDiscoveryRequest {
        initial_resource_versions: [("a".into(), "1".into()), ("b".into(), "1".into())].into(),
        ..subscribe("n", &["a", "b"])
    };
    let mut stream = Delta::open(&channel, Kind::Ads, first).await.unwrap();
    // It counts as one that has them,
    until(|| server.counters().acks == 1).await;
    assert_eq!(server.counters().responses, 0);
    // and the first it hears is the next change.
    server.publish([set("n", "b", "2")]);
    assert_eq!(stream.accept().await, "b=2");
}

#[tokio::test]
async fn a_state_client_of_all_that_comes_back_unchanged_is_sent_nothing() {
    let (server, address) = plaintext().await;
    server.publish([set("n", "a", "1")]);
    let channel = connect(address).await;
    let mut stream = State::open(&channel, Kind::Ads, want("n", &["*"]))
        .await
        .unwrap();
    let (_, version) = stream.accept(&["*"]).await;
    drop(stream);

    // Another server with the same resources.
    let (other, address) = plaintext().await;
    other.publish([set("n", "a", "1")]);
    let channel = connect(address).await;
    let mut first = want("n", &["*"]);
    first.version_info = version;
    let mut stream = State::open(&channel, Kind::Ads, first).await.unwrap();
    until(|| other.counters().acks == 1).await;
    assert_eq!(other.counters().responses, 0);
    other.publish([set("n", "a", "2")]);
    assert_eq!(stream.accept(&["*"]).await.0, "2");
}

#[tokio::test]
async fn what_is_published_while_a_client_subscribes_is_not_lost() {
    let (server, address) = plaintext().await;
    let channel = connect(address).await;
    for round in 0..200 {
        let node = format!("n{round}");
        let publisher = {
            let (server, node) = (server.clone(), node.clone());
            tokio::task::spawn_blocking(move || {
                for version in 0..20 {
                    server.publish([set(&node, "a", &version.to_string())]);
                }
            })
        };
        let mut stream = Delta::open(&channel, Kind::Ads, subscribe(&node, &["a"]))
            .await
            .unwrap();
        while stream.accept().await != "a=19" {}
        publisher.await.unwrap();
    }
}

#[tokio::test]
async fn a_batch_is_seen_as_a_whole() {
    let (server, address) = plaintext().await;
    let pair = |version: usize| {
        let version = version.to_string();
        [set("n", "a", &version), set("n", "b", &version)]
    };
    server.publish(pair(0));
    let channel = connect(address).await;
    let mut stream = Delta::open(&channel, Kind::Ads, subscribe("n", &["a", "b"]))
        .await
        .unwrap();
    let publisher = {
        let server = server.clone();
        tokio::task::spawn_blocking(move || {
            for version in 1..=500 {
                server.publish(pair(version));
            }
        })
    };
    loop {
        let content = stream.accept().await;
        let (a, b) = content.split_once(' ').unwrap();
        assert_eq!(a.strip_prefix("a="), b.strip_prefix("b="));
        if a == "a=500" {
            break;
        }
    }
    publisher.await.unwrap();
}

#[tokio::test]
async fn a_client_may_end_its_side() {
    let (server, address) = plaintext().await;
    let channel = connect(address).await;
    let stream = Delta::open(&channel, Kind::Ads, subscribe("n", &["a"]))
        .await
        .unwrap();
    let mut responses = stream.half_close();
    let last = responses.message().await.unwrap().unwrap();
    assert_eq!(last.removed_resources, ["a"]);
    assert!(responses.message().await.unwrap().is_none());
    until(|| server.stream_count() == 0).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_client_that_is_gone() {
    let (server, address) = plaintext().await;
    server.publish([set("n", "a", "1")]);
    let channel = connect(address).await;
    let mut stream = Delta::open(&channel, Kind::Ads, subscribe("n", &["a"]))
        .await
        .unwrap();
    stream.accept().await;
    assert_eq!((server.connection_count(), server.stream_count()), (1, 1));
    drop((stream, channel));
    until(|| (server.connection_count(), server.stream_count()) == (0, 0)).await;
    assert!(server.streams().is_empty());
}

#[tokio::test]
async fn any_type_is_served_aggregated() {
    let (server, address) = plaintext().await;
    let channel = connect(address).await;
    let mut first = subscribe("n", &["a"]);
    first.type_url = "example.Unknown".into();
    let mut stream = Delta::open(&channel, Kind::Ads, first).await.unwrap();
    let response = stream.receive().await.unwrap().unwrap();
    assert_eq!(response.type_url, "example.Unknown");
    assert_eq!(response.removed_resources, ["a"]);
    drop(server);
}
