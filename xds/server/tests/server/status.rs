//! What the owner of a server learns.

use meshwall_xds_server::protocol::{ErrorDetail, ResourceName};
use meshwall_xds_server::{Event, EventKind, ViewKey};

use crate::client::{Delta, Kind, connect, subscribe};
use crate::world::{ECDS, plaintext, set, until, within};

fn versions(version: &str) -> Vec<(ResourceName, meshwall_xds_server::protocol::Version)> {
    vec![(ResourceName::new("a").unwrap(), version.into())]
}

#[tokio::test]
async fn events_tell_what_happens_to_a_client() {
    let (server, address) = plaintext().await;
    server.publish([set("n", "a", "1")]);
    let mut events = server.events();
    let channel = connect(address).await;
    let mut stream = Delta::open(&channel, Kind::Ads, subscribe("n", &["a"]))
        .await
        .unwrap();
    stream.accept().await;
    server.publish([set("n", "a", "2")]);
    stream.refuse("bad").await;
    server.publish([set("n", "a", "3")]);
    stream.accept().await;
    until(|| server.counters().acks == 2).await;
    drop(stream);

    let type_url = || ECDS.into();
    let error = ErrorDetail {
        code: 13,
        message: "bad".into(),
    };
    let expected = [
        EventKind::Connected,
        EventKind::Acked {
            type_url: type_url(),
            versions: versions("1"),
        },
        EventKind::Nacked {
            type_url: type_url(),
            versions: versions("2"),
            error,
        },
        EventKind::Acked {
            type_url: type_url(),
            versions: versions("3"),
        },
        EventKind::Disconnected,
    ];
    let mut first = None;
    for kind in expected {
        let event = within(events.recv()).await.unwrap();
        let stream = *first.get_or_insert(event.stream);
        let expected = Event {
            stream,
            node: "n".into(),
            view: ViewKey::from("n"),
            kind,
        };
        assert_eq!(event, expected);
    }
}

#[tokio::test]
async fn the_status_of_a_stream_tells_what_is_in_force() {
    let (server, address) = plaintext().await;
    server.publish([set("n", "a", "1")]);
    let channel = connect(address).await;
    let mut stream = Delta::open(&channel, Kind::Ads, subscribe("n", &["a"]))
        .await
        .unwrap();
    until(|| server.counters().responses == 1).await;
    let delivery = || server.streams()[0].types[ECDS].clone();
    assert!(delivery().lag().is_some());

    stream.accept().await;
    until(|| delivery().lag().is_none()).await;
    assert_eq!(Vec::from_iter(delivery().acked), versions("1"));

    server.publish([set("n", "a", "2")]);
    stream.refuse("bad").await;
    until(|| server.counters().nacks == 1).await;
    // What it refused is told beside what it goes on with.
    let refused = delivery();
    assert_eq!(Vec::from_iter(refused.acked), versions("1"));
    let nack = refused.nack.unwrap();
    assert_eq!(nack.versions, versions("2"));
    assert_eq!(nack.error.message, "bad");

    server.publish([set("n", "a", "3")]);
    stream.accept().await;
    until(|| server.counters().acks == 2).await;
    assert_eq!(delivery().nack, None);

    server.publish([crate::world::remove("n", "a")]);
    assert_eq!(stream.accept().await, "-a");
    until(|| delivery().acked.is_empty()).await;
    let stream = &server.streams()[0];
    assert_eq!((&*stream.node, stream.view.as_str()), ("n", "n"));
    assert!(stream.address.ip().is_loopback());
}

#[tokio::test]
async fn publishing_the_same_again_changes_nothing() {
    let (server, _) = plaintext().await;
    assert_eq!(server.publish([set("n", "a", "1"), set("n", "b", "1")]), 2);
    assert_eq!(server.publish([set("n", "a", "1"), set("n", "b", "2")]), 1);
    assert_eq!(server.counters().changes, 3);
}
