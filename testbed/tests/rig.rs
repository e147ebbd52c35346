//! The rig's parts against each other, without Envoy: what a client sends is what a
//! backend sees, and what a backend counts is what went over the wire.

use std::net::Ipv4Addr;
use std::time::Duration;

use meshwall_testbed::rig::backend::{HttpBackend, Speech, TcpBackend};
use meshwall_testbed::rig::client::{Client, End, Exchange, Request, Version};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn both_versions_of_http_arrive_as_sent() {
    let backend = HttpBackend::start().await.unwrap();
    for (version, protocol) in [(Version::Http1, "HTTP/1.1"), (Version::Http2, "HTTP/2.0")] {
        let request = Request::new("PUT", "/a/../b?c=d")
            .header("x-bytes", b"\xff\xfe")
            .body("12345");
        let response = Client::plaintext()
            .request(backend.address(), version, &request)
            .await
            .unwrap();
        let seen = response.json();
        assert_eq!(response.status, 200);
        assert_eq!(seen["protocol"], protocol);
        assert_eq!(seen["method"], "PUT");
        assert!(
            seen["target"].as_str().unwrap().ends_with("/a/../b?c=d"),
            "{seen}"
        );
        assert_eq!(seen["body_bytes"], 5);
        let headers = seen["headers"].as_array().unwrap();
        assert!(
            headers.contains(&serde_json::json!(["x-bytes", "\u{ff}\u{fe}"])),
            "{seen}"
        );
    }
    assert_eq!(backend.traffic().requests, 2);
}

#[tokio::test]
async fn a_connection_takes_many_requests() {
    let backend = HttpBackend::start().await.unwrap();
    for version in [Version::Http1, Version::Http2] {
        let mut connection = Client::plaintext()
            .http(backend.address(), version)
            .await
            .unwrap();
        for _ in 0..3 {
            assert_eq!(
                connection.send(&Request::get("/")).await.unwrap().status,
                200
            );
        }
    }
    assert_eq!(backend.traffic().connections, 2);
    assert_eq!(backend.traffic().requests, 6);
}

#[tokio::test]
async fn a_unary_grpc_call_echoes_its_message() {
    let backend = HttpBackend::start().await.unwrap();
    let response = Client::plaintext()
        .grpc(backend.address(), "/shop.Ledger/Record", b"hello")
        .await
        .unwrap();
    assert_eq!(response.grpc_status(), Some(0));
    assert_eq!(response.grpc_messages().unwrap(), ["hello"]);
}

#[tokio::test]
async fn endless_responses_end_with_their_client() {
    let backend = HttpBackend::start().await.unwrap();
    let calls = [
        Request::get("/stream"),
        Request::grpc("/shop.Ledger/Watch", b""),
    ];
    for request in calls {
        let mut connection = Client::plaintext()
            .http(backend.address(), Version::Http2)
            .await
            .unwrap();
        let mut stream = connection.stream(&request).await.unwrap();
        assert!(stream.next().await.unwrap().is_some());
        assert!(stream.next().await.unwrap().is_some());
        assert_eq!(backend.traffic().open, 1);
        drop((stream, connection));
        backend
            .wait_until(SOON, |traffic| traffic.open == 0)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_server_first_backend_greets_and_then_echoes() {
    let backend = TcpBackend::start(Speech::ServerFirst(b"220 ready\r\n".to_vec()))
        .await
        .unwrap();
    let mut connection = Client::plaintext()
        .open(backend.address(), &[])
        .await
        .unwrap();
    let greeting = connection
        .exchange(Exchange {
            send: b"",
            expect: 11,
        })
        .await;
    assert_eq!(greeting, End::Received(b"220 ready\r\n".to_vec()));
    let echo = connection
        .exchange(Exchange {
            send: b"quit",
            expect: 4,
        })
        .await;
    assert_eq!(echo, End::Received(b"quit".to_vec()));
    connection.finish().await.unwrap();
    assert_eq!(connection.ended().await, End::Closed(Vec::new()));
    let traffic = backend
        .wait_until(SOON, |traffic| traffic.open == 0)
        .await
        .unwrap();
    assert_eq!(
        (traffic.connections, traffic.bytes_in, traffic.bytes_out),
        (1, 4, 15)
    );
}

#[tokio::test]
async fn a_client_first_backend_says_nothing_of_its_own() {
    let backend = TcpBackend::start(Speech::ClientFirst).await.unwrap();
    let client = Client::plaintext().timeout(Duration::from_millis(200));
    let silent = client
        .exchange(
            backend.address(),
            Exchange {
                send: b"",
                expect: 1,
            },
        )
        .await;
    assert_eq!(silent.unwrap(), End::Silent(Vec::new()));
    assert_eq!(backend.traffic().bytes_out, 0);
}

#[tokio::test]
async fn a_client_speaks_from_the_address_it_was_given() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let client = Client::plaintext().from_address(Ipv4Addr::new(127, 3, 2, 1));
    let address = listener.local_addr().unwrap();
    let (connection, accepted) = tokio::join!(client.open(address, &[]), listener.accept());
    connection.unwrap();
    assert_eq!(accepted.unwrap().1.ip(), Ipv4Addr::new(127, 3, 2, 1));
}

#[tokio::test]
async fn hostile_requests_go_out_as_they_are_and_responses_are_read() {
    let backend = HttpBackend::start().await.unwrap();
    let mut connection = Client::plaintext()
        .hostile_http1(backend.address())
        .await
        .unwrap();
    for _ in 0..2 {
        let request = b"GET /adm\\in//%2f HTTP/1.1\r\nhost: a\r\nx: \xff\xfe\r\n\r\n";
        let response = connection.send(request).await.unwrap();
        assert_eq!(response.status, 200);
        assert_eq!(response.json()["target"], "/adm\\in//%2f");
    }
    let refused = connection
        .send(b"GET / HTTP/1.1\r\nbad header\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn nobody_there_is_a_typed_error() {
    let backend = HttpBackend::start().await.unwrap();
    let address = backend.address();
    drop(backend);
    let mut error = None;
    // The socket closes when the runtime gets to it.
    while error.is_none() {
        error = Client::plaintext().open(address, &[]).await.err();
        tokio::task::yield_now().await;
    }
    assert!(
        error
            .unwrap()
            .to_string()
            .starts_with(&format!("cannot connect to {address}: "))
    );
}
