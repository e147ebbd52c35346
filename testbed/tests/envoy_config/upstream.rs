//! From one sidecar to another.

use meshwall_mesh_config::envoy::{
    ClientTls, Cluster, Direction, Listener, Protocol, Trust, UpstreamProtocol,
};
use meshwall_testbed::rig::client::{Client, Request, Version};
use meshwall_testbed::rig::envoy::{Envoy, Launch};

use crate::support::{World, bootstrap, cluster, http, http_sidecar};

const LEDGER: &str = "spiffe://cluster.local/ns/shop/sa/ledger";

/// The sidecar of `frontend`, which expects `expected` at the other end.
async fn sender(world: &World, to: &Envoy, trust: Trust, expected: &str) -> Envoy {
    let peer = Cluster {
        tls: Some(ClientTls {
            certificate: world.certificate("frontend"),
            trust,
            sni: Some("ledger.shop".to_owned()),
            expected_uris: vec![expected.to_owned()],
        }),
        ..cluster("app", to.listener("http").unwrap(), UpstreamProtocol::Http2)
    };
    let outbound = Listener {
        direction: Direction::Outbound,
        tls: None,
        ..world.inbound("outbound", Protocol::Http(http()))
    };
    let config = bootstrap(vec![outbound], vec![peer]).to_json();
    Launch::new(&world.envoy).start(&config).await.unwrap()
}

#[tokio::test]
async fn a_sidecar_shows_its_identity_and_insists_on_the_other_ones() {
    let world = World::new();
    let (receiver, backend) = http_sidecar(&world, http()).await;
    let cases = [
        (world.per_domain(), LEDGER, 200),
        (world.any_authority(), LEDGER, 200),
        (
            world.per_domain(),
            "spiffe://cluster.local/ns/shop/sa/payments",
            503,
        ),
        (
            world.any_authority(),
            "spiffe://cluster.local/ns/shop/sa/payments",
            503,
        ),
        (Trust::AnyAuthority(world.file("partner.pem")), LEDGER, 503),
    ];
    let mut passed = 0;
    for (trust, expected, status) in cases {
        let case = format!("{trust:?} {expected}");
        let sender = sender(&world, &receiver, trust, expected).await;
        let address = sender.listener("outbound").unwrap();
        let client = Client::plaintext();
        let response = client
            .request(address, Version::Http1, &Request::get("/"))
            .await
            .unwrap();
        assert_eq!(response.status, status, "{case}");
        passed += u64::from(status == 200);
        assert_eq!(backend.traffic().requests, passed, "{case}");
    }
}
