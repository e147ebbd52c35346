//! Clients that do not read, or do not answer.

use crate::client::{Delta, Kind, connect, subscribe};
use crate::world::{plaintext, set, set_sized, until};

/// More than the windows of HTTP/2 let through, so that a server which queued would show.
const LARGE: usize = 1_000_000;

#[tokio::test]
async fn a_client_that_does_not_read_delays_no_other() {
    let (server, address) = plaintext().await;
    server.publish([set_sized("slow", "a", "1", LARGE), set("fast", "a", "0")]);
    let channel = connect(address).await;
    let mut slow = Delta::open(&channel, Kind::Ads, subscribe("slow", &["a"]))
        .await
        .unwrap();
    until(|| server.counters().responses == 1).await;

    let channel = connect(address).await;
    let mut fast = Delta::open(&channel, Kind::Ads, subscribe("fast", &["a"]))
        .await
        .unwrap();
    assert_eq!(fast.accept().await, "a=0");
    for version in 2..100 {
        let version = version.to_string();
        server.publish([
            set_sized("slow", "a", &version, LARGE),
            set("fast", "a", &version),
        ]);
        assert_eq!(fast.accept().await, format!("a={version}"));
    }
    // The slow one has its first response, and nothing was made for it since.
    assert_eq!(server.counters().responses, 1 + 99);
    // What it missed is skipped.
    assert_eq!(slow.accept().await, "a=1");
    assert_eq!(slow.accept().await, "a=99");
}

#[tokio::test]
async fn a_client_that_does_not_answer_has_one_response_in_flight() {
    let (server, address) = plaintext().await;
    server.publish([set("mute", "a", "0"), set("n", "a", "0")]);
    let channel = connect(address).await;
    let mut mute = Delta::open(&channel, Kind::Ads, subscribe("mute", &["a"]))
        .await
        .unwrap();
    let (content, _nonce) = mute.next().await;
    assert_eq!(content, "a=0");
    let mut other = Delta::open(&channel, Kind::Ads, subscribe("n", &["a"]))
        .await
        .unwrap();
    other.accept().await;
    for version in 1..100 {
        let version = version.to_string();
        server.publish([set("mute", "a", &version), set("n", "a", &version)]);
        other.accept().await;
    }
    assert_eq!(server.counters().responses, 1 + 100);
    let status = server.streams();
    let mute = status.iter().find(|s| &*s.node == "mute").unwrap();
    assert!(mute.types.values().all(|d| d.lag().is_some()));
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_no_copy() {
    let (server, address) = plaintext().await;
    let change = set_sized("shared", "a", "1", LARGE);
    let meshwall_xds_server::Change::Set { resource, .. } = &change else {
        panic!()
    };
    let resource = resource.clone();
    server.publish([change]);
    let mut streams = Vec::new();
    for _ in 0..20 {
        let channel = connect(address).await;
        let stream = Delta::open(&channel, Kind::Ads, subscribe("shared", &["a"])).await;
        streams.push((channel, stream.unwrap()));
    }
    until(|| server.counters().responses == 20).await;
    // All that waits refers to the same bytes.
    assert!(!resource.body.is_unique());
    server.publish([crate::world::remove("shared", "a")]);
    drop(streams);
    until(|| resource.body.is_unique()).await;
}
