//! Clients that mean harm.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use meshwall_xds_server::{Security, Settings};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::Code;

use crate::client::{Delta, Kind, connect, node, subscribe};
use crate::world::{plaintext, server, set, settings, until, within};

#[tokio::test]
async fn who_does_not_say_who_they_are_is_refused() {
    let (server, address) = plaintext().await;
    let channel = connect(address).await;
    for node in [None, node("")] {
        let first = DeltaDiscoveryRequest {
            node,
            ..subscribe("", &["a"])
        };
        let refused = Delta::open(&channel, Kind::Ads, first).await.err().unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    assert_eq!(server.counters().streams_refused, 2);
    assert_eq!(server.stream_count(), 0);
}

#[tokio::test]
async fn who_says_nothing_is_refused_after_a_time() {
    let (server, address) = plaintext().await;
    let response = request(
        address,
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
        "application/grpc",
        true,
    )
    .await;
    assert_eq!(response.headers()["grpc-status"], "4");
    assert_eq!(server.counters().streams_refused, 1);
}

#[tokio::test]
async fn too_many_subscriptions_end_the_stream() {
    let (server, address) = plaintext().await;
    let channel = connect(address).await;
    let names: Vec<String> = (0..10_000).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut stream = Delta::open(&channel, Kind::Ads, subscribe("n", &names))
        .await
        .unwrap();
    let status = stream.end().await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(
        status.message(),
        "more than 4096 subscribed names on one stream"
    );
    assert_eq!(server.counters().streams_broken, 1);
    until(|| server.stream_count() == 0).await;
}

#[tokio::test]
async fn giant_messages_end_the_stream() {
    let (server, address) = plaintext().await;
    let channel = connect(address).await;
    let giant = "x".repeat(1_000_000);
    let refused = Delta::open(&channel, Kind::Ads, subscribe("n", &[&giant])).await;
    let code = refused.err().unwrap().code();
    // The client may notice first that nobody takes the rest of its message.
    assert!(matches!(
        code,
        Code::ResourceExhausted | Code::Cancelled | Code::Unknown | Code::Internal
    ));
    assert_eq!(server.counters().streams_refused, 1);

    let mut stream = Delta::open(&channel, Kind::Ads, subscribe("n", &["a"]))
        .await
        .unwrap();
    stream.accept().await;
    stream.send(subscribe("n", &[&giant])).await;
    assert_ne!(stream.end().await.code(), Code::Ok);
    until(|| server.counters().streams_broken == 1 && server.stream_count() == 0).await;
}

#[tokio::test]
async fn a_refused_stream_leaves_the_others_of_its_connection_alone() {
    let (server, address) = plaintext().await;
    server.publish([set("n", "a", "1")]);
    let channel = connect(address).await;
    let mut good = Delta::open(&channel, Kind::Ads, subscribe("n", &["a"]))
        .await
        .unwrap();
    good.accept().await;
    let mut bad = Delta::open(&channel, Kind::Ads, subscribe("n", &[""]))
        .await
        .unwrap();
    assert_eq!(bad.end().await.code(), Code::InvalidArgument);
    server.publish([set("n", "a", "2")]);
    assert_eq!(good.accept().await, "a=2");
}

#[tokio::test]
async fn a_flood_of_requests_is_answered_in_order_and_delays_no_other() {
    let (server, address) = plaintext().await;
    server.publish([set("n", "a", "0")]);
    let channel = connect(address).await;
    let mut flood = Delta::open(&channel, Kind::Ads, subscribe("flood", &["a"]))
        .await
        .unwrap();
    let other = connect(address).await;
    let mut other = Delta::open(&other, Kind::Ads, subscribe("n", &["a"]))
        .await
        .unwrap();
    other.accept().await;
    for version in 1..50 {
        for _ in 0..20 {
            flood.send(subscribe("flood", &["a"])).await;
        }
        let version = version.to_string();
        server.publish([set("n", "a", &version)]);
        assert_eq!(other.accept().await, format!("a={version}"));
    }
    // It answers nothing, and so has one response.
    assert_eq!(server.counters().responses, 1 + 50);
}

#[tokio::test]
async fn what_is_not_grpc_or_no_method_is_refused() {
    let (_server, address) = plaintext().await;
    let response = request(address, "/", "text/plain", false).await;
    assert_eq!(response.status(), 415);
    let response = request(
        address,
        "/no.such.Service/Method",
        "application/grpc",
        false,
    )
    .await;
    assert_eq!(response.headers()["grpc-status"], "12");
}

#[tokio::test]
async fn a_service_of_one_type_has_no_other() {
    let (_server, address) = plaintext().await;
    let channel = connect(address).await;
    let mut first = subscribe("n", &["a"]);
    first.type_url = "example.Other".into();
    let mut stream = Delta::open(&channel, Kind::Ecds, first).await.unwrap();
    assert_eq!(stream.end().await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn streams_are_counted() {
    let settings = Settings {
        streams: 2,
        ..settings()
    };
    let (server, address) = server(settings, Security::Plaintext).await;
    let channel = connect(address).await;
    let open = || Delta::open(&channel, Kind::Ads, subscribe("n", &["a"]));
    let first = open().await.unwrap();
    let _second = open().await.unwrap();
    let refused = open().await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(first);
    until(|| server.stream_count() == 1).await;
    // The place is given back with the stream.
    until_open(open).await;
}

/// Opens a stream as soon as there is a place.
async fn until_open<F: Future<Output = Result<Delta, tonic::Status>>>(open: impl Fn() -> F) {
    within(async {
        while open().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn connections_are_counted() {
    let settings = Settings {
        connections: 1,
        ..settings()
    };
    let (server, address) = server(settings, Security::Plaintext).await;
    let first = TcpStream::connect(address).await.unwrap();
    until(|| server.connection_count() == 1).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(within(second.read(&mut [0])).await.unwrap_or(0), 0);
    assert_eq!(server.counters().connections_refused, 1);
    drop(first);
    until(|| server.connection_count() == 0).await;
}

#[tokio::test]
async fn connections_without_streams_are_closed() {
    let settings = Settings {
        idle_timeout: Duration::from_millis(50),
        ..settings()
    };
    let (server, address) = server(settings, Security::Plaintext).await;
    // One that speaks no HTTP/2, one that does and opens no stream, and one that has a stream.
    let mut mute = TcpStream::connect(address).await.unwrap();
    let _idle = connect(address).await;
    let busy = connect(address).await;
    let mut stream = Delta::open(&busy, Kind::Ads, subscribe("n", &["a"]))
        .await
        .unwrap();
    stream.accept().await;
    until(|| server.connection_count() == 1).await;
    // What the server sends to begin with, and then the end.
    within(mute.read_to_end(&mut Vec::new())).await.ok();
    server.publish([set("n", "a", "1")]);
    assert_eq!(stream.accept().await, "a=1");
}

/// Sends a request without a body, which ends or stays open.
async fn request(
    address: SocketAddr,
    path: &str,
    content_type: &str,
    open: bool,
) -> http::Response<hyper::body::Incoming> {
    let socket = TcpStream::connect(address).await.unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
    let (mut sender, connection) = within(handshake).await.unwrap();
    tokio::spawn(connection);
    // Nothing is ever sent on it.
    let silence = StreamBody::new(tokio_stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let body = if open {
        silence.boxed()
    } else {
        Empty::<Bytes>::new().boxed()
    };
    let request = http::Request::post(format!("http://{address}{path}"))
        .header("content-type", content_type)
        .body(body)
        .unwrap();
    within(sender.send_request(request)).await.unwrap()
}
