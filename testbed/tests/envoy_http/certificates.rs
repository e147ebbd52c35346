//! What a peer presents: certificates that are not one verified SPIFFE id are no identity.

use meshwall_mesh_config::envoy::Listener;
use meshwall_testbed::rig::client::{Client, Request, Version};
use meshwall_testbed::rig::pki::{Identity, Leaf, Validity};
use serde_json::Value;

use crate::sidecar::{
    CONSOLE, FRONTEND, HttpSidecar, Mesh, NO_RULE, PARTNER, PERMITTED, http, policy,
};

const FRONTEND_ONLY: &str = "
- {name: front, action: Allow, from: [{serviceAccounts: [frontend]}]}
";

/// A listener that believes both authorities whatever they say, so that names are up to the
/// firewall.
fn any_authority(mesh: &Mesh, listener: &mut Listener) {
    listener.tls = Some(mesh.any_authority());
}

fn certificates_are_optional(config: &mut Value) {
    let tls = "/static_resources/listeners/0/filter_chains/0/transport_socket/typed_config\
               /require_client_certificate";
    *config.pointer_mut(tls).unwrap() = false.into();
}

#[tokio::test]
async fn one_name_is_an_identity_and_none_or_two_are_not() {
    let documents = policy(FRONTEND_ONLY);
    let sidecar = HttpSidecar::start_with(&documents, http(), any_authority).await;
    let mesh = &sidecar.mesh;
    let [frontend, console, partner] = [&FRONTEND, &CONSOLE, &PARTNER].map(|peer| peer.principal());
    let one = mesh.client_with(&Leaf::uri(&frontend));
    let first_of_two = mesh.client_with(&Leaf::uris([&frontend, &console]));
    let last_of_two = mesh.client_with(&Leaf::uris([&console, &frontend]));
    let twice = mesh.client_with(&Leaf::uris([&frontend, &frontend]));
    let with_comma = mesh.client_with(&Leaf::uri(format!("{frontend},{frontend}")));
    let none = mesh.client_with(&Leaf::anonymous());
    let dns_only = mesh.client_with(&Leaf::anonymous().dns_name("frontend.shop"));
    let capitals = mesh.client_with(&Leaf::uri(frontend.to_uppercase()));
    let longer = mesh.client_with(&Leaf::uri(format!("{frontend}/x")));
    let other_domain = mesh.client_with(&Leaf::uri(&partner));
    let mut cases = vec![("one name", &one, Request::get("/"), PERMITTED)];
    cases.extend(
        [
            ("the first of two", &first_of_two),
            ("the last of two", &last_of_two),
            ("twice the same", &twice),
            ("a comma in the name", &with_comma),
            ("no name", &none),
            ("a DNS name", &dns_only),
            ("capitals", &capitals),
            ("more path", &longer),
            ("another trust domain", &other_domain),
        ]
        .map(|(what, client)| (what, client, Request::get("/"), NO_RULE)),
    );
    sidecar.check(&cases).await;
}

#[tokio::test]
async fn no_certificate_is_no_identity_where_it_is_optional() {
    // What anybody may do, somebody without a certificate may do, too; what any identity may
    // do, not.
    let rules = "
- {name: health, action: Allow, operations: [{paths: [/health]}]}
- {name: identified, action: Allow, from: [{principals: ['*']}]}
";
    let sidecar = HttpSidecar::start_edited(
        &policy(rules),
        http(),
        any_authority,
        certificates_are_optional,
    )
    .await;
    let anonymous = sidecar.mesh.anonymous();
    let console = sidecar.mesh.client(&CONSOLE);
    sidecar
        .check(&[
            ("identified", &console, Request::get("/data"), PERMITTED),
            (
                "open to all",
                &anonymous,
                Request::get("/health"),
                PERMITTED,
            ),
            ("not open", &anonymous, Request::get("/data"), NO_RULE),
        ])
        .await;
}

#[tokio::test]
async fn what_nobody_vouches_for_is_turned_away_before_the_firewall() {
    let sidecar = HttpSidecar::start(&policy(FRONTEND_ONLY)).await;
    let mesh = &sidecar.mesh;
    let leaf = Leaf::uri(FRONTEND.principal());
    let identities = [
        (
            "another authority of the same name",
            mesh.impostor.issue(&leaf),
        ),
        ("nobody's", Identity::self_signed(&leaf)),
        (
            "the partner's authority for our name",
            mesh.partner.issue(&leaf),
        ),
        (
            "expired",
            mesh.authority.issue(&leaf.clone().valid(Validity::Expired)),
        ),
        (
            "not yet valid",
            mesh.authority
                .issue(&leaf.clone().valid(Validity::NotYetValid)),
        ),
    ];
    let clients = identities.map(|(what, identity)| (what, mesh.client_as(&identity.unwrap())));
    let others = [
        ("no certificate", mesh.anonymous()),
        ("no TLS", Client::plaintext()),
    ];
    for (what, client) in clients.iter().chain(&others) {
        for version in [Version::Http1, Version::Http2] {
            let answer = client
                .request(sidecar.address, version, &Request::get("/"))
                .await;
            let error = answer.map(|answer| answer.status).expect_err(what);
            assert!(error.is_disconnect(), "{what}: {error}");
        }
    }
    assert_eq!(sidecar.backend.traffic().connections, 0);
    let good = mesh.client(&FRONTEND);
    let answer = good
        .request(sidecar.address, Version::Http2, &Request::get("/"))
        .await;
    assert_eq!(answer.unwrap().status, 200);
}
