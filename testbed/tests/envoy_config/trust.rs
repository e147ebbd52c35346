//! Who is let in by TLS, before any filter is asked.

use meshwall_mesh_config::envoy::{Listener, Protocol, UpstreamProtocol};
use meshwall_testbed::rig::backend::{HttpBackend, Speech, TcpBackend};
use meshwall_testbed::rig::client::{Client, Exchange, Request, Version};
use meshwall_testbed::rig::envoy::{Envoy, Launch};
use meshwall_testbed::rig::pki::{Identity, Leaf, Validity};

use crate::support::{World, bootstrap, cluster, http, tcp};

const FRONTEND: &str = "spiffe://cluster.local/ns/shop/sa/frontend";
const PARTNER: &str = "spiffe://partner.example/ns/shop/sa/frontend";

struct Peers {
    envoy: Envoy,
    _backend: HttpBackend,
}

/// Listeners `any` and `per domain`, which differ in whom they trust.
async fn start(world: &World) -> Peers {
    let backend = HttpBackend::start().await.unwrap();
    let listener = |name, trust| Listener {
        tls: Some(world.server_tls(trust)),
        ..world.inbound(name, Protocol::Http(http()))
    };
    let listeners = vec![
        listener("any", world.any_authority()),
        listener("per domain", world.per_domain()),
    ];
    let envoy = world
        .start(listeners, backend.address(), UpstreamProtocol::Http1)
        .await;
    Peers {
        envoy,
        _backend: backend,
    }
}

impl Peers {
    async fn is_let_in(&self, client: &Client, listener: &str) -> bool {
        let address = self.envoy.listener(listener).unwrap();
        match client
            .request(address, Version::Http1, &Request::get("/"))
            .await
        {
            Ok(response) => {
                assert_eq!(response.status, 200);
                true
            }
            Err(error) => {
                assert!(error.is_disconnect(), "{error}");
                false
            }
        }
    }
}

#[tokio::test]
async fn certificates_are_taken_and_refused() {
    let world = World::new();
    let (mesh, partner) = (&world.mesh, &world.partner);
    let uri = |uri: &str| Leaf::uri(uri);
    let peers = start(&world).await;
    // What is presented, and whether `any` and `per domain` take it.
    let cases = [
        ("own identity", mesh.issue(&uri(FRONTEND)), true, true),
        (
            "partner's identity",
            partner.issue(&uri(PARTNER)),
            true,
            true,
        ),
        (
            "ours, vouched for by the partner",
            partner.issue(&uri(FRONTEND)),
            true,
            false,
        ),
        (
            "partner's, vouched for by us",
            mesh.issue(&uri(PARTNER)),
            true,
            false,
        ),
        (
            "partner's and ours",
            partner.issue(&Leaf::uris([PARTNER, FRONTEND])),
            true,
            true,
        ),
        (
            "ours and partner's",
            partner.issue(&Leaf::uris([FRONTEND, PARTNER])),
            true,
            false,
        ),
        (
            "unknown trust domain",
            mesh.issue(&uri("spiffe://other.example/a")),
            true,
            false,
        ),
        (
            "trust domain in capitals",
            mesh.issue(&uri("spiffe://CLUSTER.local/a")),
            true,
            false,
        ),
        (
            "not a SPIFFE id",
            mesh.issue(&uri("https://cluster.local/a")),
            true,
            false,
        ),
        ("no name", mesh.issue(&Leaf::anonymous()), true, false),
        (
            "expired",
            mesh.issue(&uri(FRONTEND).valid(Validity::Expired)),
            false,
            false,
        ),
        (
            "not yet valid",
            mesh.issue(&uri(FRONTEND).valid(Validity::NotYetValid)),
            false,
            false,
        ),
        (
            "self-signed",
            Identity::self_signed(&uri(FRONTEND)),
            false,
            false,
        ),
    ];
    for (what, identity, any, per_domain) in cases {
        let client = world.client(&identity.unwrap());
        assert_eq!(peers.is_let_in(&client, "any").await, any, "{what}");
        assert_eq!(
            peers.is_let_in(&client, "per domain").await,
            per_domain,
            "{what}"
        );
    }
}

#[tokio::test]
async fn no_certificate_no_entry() {
    let world = World::new();
    let peers = start(&world).await;
    let client = Client::tls(&[&world.mesh]).unwrap();
    for listener in ["any", "per domain"] {
        assert!(!peers.is_let_in(&client, listener).await, "{listener}");
        assert!(
            !peers.is_let_in(&Client::plaintext(), listener).await,
            "{listener}"
        );
    }
}

#[tokio::test]
async fn no_session_can_be_resumed() {
    let world = World::new();
    let backend = TcpBackend::start(Speech::ClientFirst).await.unwrap();
    let clusters = vec![cluster("app", backend.address(), UpstreamProtocol::Tcp)];
    let generated = bootstrap(vec![world.inbound("tcp", tcp())], clusters).to_json();
    let mut with_resumption = generated.clone();
    let tls = &mut with_resumption["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"]
        ["typed_config"];
    for session in ["stateless", "stateful"] {
        let setting = format!("disable_{session}_session_resumption");
        assert_eq!(
            tls.as_object_mut().unwrap().remove(&setting),
            Some(true.into())
        );
    }
    for (config, resumable) in [(with_resumption, true), (generated, false)] {
        let envoy = Launch::new(&world.envoy).start(&config).await.unwrap();
        let client = world.frontend();
        let mut connection = client
            .open(envoy.listener("tcp").unwrap(), &[])
            .await
            .unwrap();
        let echo = connection
            .exchange(Exchange {
                send: b"hi",
                expect: 2,
            })
            .await;
        assert_eq!(echo.received(), b"hi");
        assert_eq!(connection.session_tickets() > 0, resumable);
    }
}
