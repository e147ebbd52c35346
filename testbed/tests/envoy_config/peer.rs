//! What a filter can know about a peer, and when.

use meshwall_mesh_config::envoy::{Http, Listener, UpstreamProtocol};
use meshwall_testbed::rig::backend::{Speech, TcpBackend};
use meshwall_testbed::rig::client::{Client, Exchange, Request, Version};
use meshwall_testbed::rig::pki::Leaf;

use crate::support::{SOON, World, http, http_sidecar, seen, tcp};

const FRONTEND: &str = "spiffe://cluster.local/ns/shop/sa/frontend";
const ADMIN: &str = "spiffe://cluster.local/ns/shop/sa/admin";
const BOTH: &str =
    "spiffe://cluster.local/ns/shop/sa/frontend,spiffe://cluster.local/ns/shop/sa/admin";
const FIRST: &str = "connection/uri_san_peer_certificate";
const ALL: &str = "filter_state/meshwall.peer_uri_sans";
const ADDRESS: &str = "filter_state/meshwall.peer_address";

/// Certificates by their URI SANs, with what a filter sees of them: first, all.
const CERTIFICATES: [(&[&str], &str, &str); 4] = [
    (&[FRONTEND], FRONTEND, FRONTEND),
    (&[FRONTEND, ADMIN], FRONTEND, BOTH),
    (
        &["spiffe://a/b,spiffe://c/d"],
        "spiffe://a/b,spiffe://c/d",
        "spiffe://a/b,spiffe://c/d",
    ),
    (&[], "", ""),
];

#[tokio::test]
async fn an_http_filter_can_tell_one_uri_san_from_several() {
    let world = World::new();
    let (envoy, _backend) = http_sidecar(&world, http()).await;
    let address = envoy.listener("http").unwrap();
    for version in [Version::Http1, Version::Http2] {
        for (uris, first, all) in CERTIFICATES {
            let client = world.client_with(&Leaf::uris(uris.iter().copied()));
            let response = client
                .request(address, version, &Request::get("/"))
                .await
                .unwrap();
            assert_eq!(response.status, 200);
            assert_eq!(seen(&envoy, 'H', FIRST).await, first, "{uris:?}");
            assert_eq!(seen(&envoy, 'H', ALL).await, all, "{uris:?}");
        }
    }
}

#[tokio::test]
async fn a_network_filter_can_tell_one_uri_san_from_several_at_the_first_data() {
    let world = World::new();
    let speaks_first = TcpBackend::start(Speech::ServerFirst(b"220 ".to_vec()))
        .await
        .unwrap();
    let listener = world.inbound("tcp", tcp());
    let envoy = world
        .start(
            vec![listener],
            speaks_first.address(),
            UpstreamProtocol::Tcp,
        )
        .await;
    let address = envoy.listener("tcp").unwrap();
    for (uris, first, all) in CERTIFICATES {
        let client = world.client_with(&Leaf::uris(uris.iter().copied()));
        let mut connection = client.open(address, &[]).await.unwrap();
        // The peer is silent: the first data is the server's.
        let greeting = connection
            .exchange(Exchange {
                send: b"",
                expect: 4,
            })
            .await;
        assert_eq!(greeting.received(), b"220 ");
        assert_eq!(
            seen(&envoy, 'N', FIRST).await,
            "",
            "no identity before the handshake"
        );
        assert_eq!(seen(&envoy, 'U', FIRST).await, first, "{uris:?}");
        assert_eq!(seen(&envoy, 'U', ALL).await, all, "{uris:?}");
        let echo = connection
            .exchange(Exchange {
                send: b"hi",
                expect: 2,
            })
            .await;
        assert_eq!(echo.received(), b"hi");
        assert_eq!(seen(&envoy, 'D', FIRST).await, first, "{uris:?}");
        assert_eq!(seen(&envoy, 'D', ALL).await, all, "{uris:?}");
        // The probe keeps one connection apart from the next only if they do not overlap.
        drop(connection);
        speaks_first
            .wait_until(SOON, |traffic| traffic.open == 0)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_network_filter_has_address_and_server_name_from_the_start() {
    let world = World::new();
    let backend = TcpBackend::start(Speech::ClientFirst).await.unwrap();
    let listener = world.inbound("tcp", tcp());
    let envoy = world
        .start(vec![listener], backend.address(), UpstreamProtocol::Tcp)
        .await;
    let client = world
        .frontend()
        .sni("ledger.shop")
        .from_address([127, 0, 0, 77]);
    let exchange = Exchange {
        send: b"hi",
        expect: 2,
    };
    client
        .exchange(envoy.listener("tcp").unwrap(), exchange)
        .await
        .unwrap();
    assert_eq!(
        seen(&envoy, 'N', "connection/requested_server_name").await,
        "ledger.shop"
    );
    assert!(
        seen(&envoy, 'N', "source/address")
            .await
            .starts_with("127.0.0.77:")
    );
    assert!(seen(&envoy, 'N', ADDRESS).await.starts_with("127.0.0.77:"));
}

#[tokio::test]
async fn the_source_address_is_not_what_the_peer_writes_into_a_header() {
    let world = World::new();
    let (envoy, _backend) = http_sidecar(&world, http()).await;
    let client = world.frontend().from_address([127, 0, 0, 77]);
    let request = Request::get("/").header("x-forwarded-for", "10.9.8.7");
    client
        .request(envoy.listener("http").unwrap(), Version::Http1, &request)
        .await
        .unwrap();
    assert!(
        seen(&envoy, 'H', "source/address")
            .await
            .starts_with("127.0.0.77:")
    );
}

#[tokio::test]
async fn a_trusted_hop_tells_the_source_address_and_the_peer_stays_known() {
    let world = World::new();
    let (envoy, _backend) = http_sidecar(
        &world,
        Http {
            trusted_hops: 1,
            ..http()
        },
    )
    .await;
    let client = world.frontend().from_address([127, 0, 0, 77]);
    let request = Request::get("/").header("x-forwarded-for", "10.6.6.6, 10.9.8.7");
    client
        .request(envoy.listener("http").unwrap(), Version::Http1, &request)
        .await
        .unwrap();
    assert!(
        seen(&envoy, 'H', "source/address")
            .await
            .starts_with("10.9.8.7:")
    );
    assert!(seen(&envoy, 'H', ADDRESS).await.starts_with("127.0.0.77:"));
}

#[tokio::test]
async fn the_application_gets_the_verified_identity_and_no_other() {
    let world = World::new();
    let (envoy, _backend) = http_sidecar(&world, http()).await;
    let request = Request::get("/").header("x-forwarded-client-cert", format!("URI={ADMIN}"));
    let response = world
        .frontend()
        .request(envoy.listener("http").unwrap(), Version::Http2, &request)
        .await
        .unwrap();
    let headers = response.json()["headers"].as_array().unwrap().clone();
    let values: Vec<_> = headers
        .iter()
        .filter(|header| header[0] == "x-forwarded-client-cert")
        .collect();
    assert_eq!(values.len(), 1, "{headers:?}");
    assert!(
        values[0][1]
            .as_str()
            .unwrap()
            .contains(&format!("URI={FRONTEND}")),
        "{values:?}"
    );
    assert!(
        !values[0][1].as_str().unwrap().contains(ADMIN),
        "{values:?}"
    );
}

#[tokio::test]
async fn a_peer_does_not_steer_the_proxy_by_headers() {
    let world = World::new();
    let (envoy, _backend) = http_sidecar(&world, http()).await;
    let address = envoy.listener("http").unwrap();
    // With an empty list of internal addresses, the first of these would be one.
    for source in [[127, 0, 0, 1], [127, 0, 0, 77]] {
        let request = Request::get("/")
            .header("x-envoy-upstream-rq-timeout-ms", "1000")
            .header("x-envoy-internal", "true");
        let client = world.frontend().from_address(source);
        let response = client
            .request(address, Version::Http2, &request)
            .await
            .unwrap();
        let headers = response.json()["headers"].to_string();
        assert!(!headers.contains("timeout"), "{headers}");
        assert!(!headers.contains("x-envoy-internal"), "{headers}");
        assert!(
            !response
                .headers
                .keys()
                .any(|name| name.as_str().starts_with("x-envoy"))
        );
    }
}

#[tokio::test]
async fn a_websocket_passes_as_the_request_that_it_is() {
    let world = World::new();
    let (envoy, backend) = http_sidecar(&world, http()).await;
    let mut connection = world
        .frontend()
        .hostile_http1(envoy.listener("http").unwrap())
        .await
        .unwrap();
    let request = "GET /chat HTTP/1.1\r\nhost: ledger\r\nconnection: upgrade\r\n\
                   upgrade: websocket\r\n\r\n";
    // The backend knows no WebSockets; that it was asked is enough.
    connection.send(request.as_bytes()).await.unwrap();
    assert_eq!(backend.traffic().requests, 1);
    seen(&envoy, 'H', FIRST).await;
}

#[tokio::test]
async fn the_program_arrives_byte_for_byte() {
    let world = World::new();
    let (envoy, _backend) = http_sidecar(&world, http()).await;
    // Bytes that are not UTF-8 are replaced when the log is read.
    envoy
        .wait_for_log("C \0\u{fffd}\u{fffd}program 1", SOON)
        .await
        .unwrap();
}

#[tokio::test]
async fn without_tls_there_is_an_address_and_no_identity() {
    let world = World::new();
    let backend = TcpBackend::start(Speech::ClientFirst).await.unwrap();
    let listener = Listener {
        tls: None,
        ..world.inbound("tcp", tcp())
    };
    let envoy = world
        .start(vec![listener], backend.address(), UpstreamProtocol::Tcp)
        .await;
    let client = Client::plaintext();
    let exchange = Exchange {
        send: b"hi",
        expect: 2,
    };
    client
        .exchange(envoy.listener("tcp").unwrap(), exchange)
        .await
        .unwrap();
    assert_eq!(seen(&envoy, 'D', ALL).await, "");
    assert!(seen(&envoy, 'D', ADDRESS).await.starts_with("127.0.0.1:"));
}
