//! Shutting down.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tonic::Code;

use crate::client::{Delta, Kind, connect, subscribe};
use crate::world::{plaintext, set, until, within};

#[tokio::test]
async fn clients_are_sent_elsewhere() {
    let (server, address) = plaintext().await;
    server.publish([set("n", "a", "1")]);
    let channel = connect(address).await;
    let mut stream = Delta::open(&channel, Kind::Ads, subscribe("n", &["a"]))
        .await
        .unwrap();
    stream.accept().await;
    let shut_down = {
        let server = server.clone();
        tokio::spawn(async move { server.shut_down(Duration::from_secs(60)).await })
    };
    assert_eq!(stream.end().await.code(), Code::Unavailable);
    // Well before the deadline.
    within(shut_down).await.unwrap();
    assert_eq!((server.connection_count(), server.stream_count()), (0, 0));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn who_does_not_go_is_cut_off() {
    let (server, address) = plaintext().await;
    // It has not even begun to speak HTTP/2.
    let mute = TcpStream::connect(address).await.unwrap();
    until(|| server.connection_count() == 1).await;
    let begin = Instant::now();
    within(server.shut_down(Duration::from_millis(50))).await;
    assert!(begin.elapsed() < Duration::from_secs(5));
    until(|| server.connection_count() == 0).await;
    drop(mute);
}

#[tokio::test]
async fn who_does_not_read_is_cut_off() {
    let (server, address) = plaintext().await;
    server.publish([crate::world::set_sized("n", "a", "1", 1_000_000)]);
    let channel = connect(address).await;
    let mut stream = Delta::open(&channel, Kind::Ads, subscribe("n", &["a"]))
        .await
        .unwrap();
    until(|| server.counters().responses == 1).await;
    within(server.shut_down(Duration::from_millis(50))).await;
    until(|| (server.connection_count(), server.stream_count()) == (0, 0)).await;
    assert_ne!(stream.end().await.code(), Code::Ok);
}
