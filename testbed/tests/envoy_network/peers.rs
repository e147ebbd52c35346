//! Who is permitted on a TCP listener.

use meshwall_testbed::rig::backend::Speech;
use meshwall_testbed::rig::client::{Client, End, Exchange};
use meshwall_testbed::rig::pki::Leaf;

use crate::sidecar::{CANARY, CONSOLE, DEV, FRONTEND, Mesh, PARTNER, TcpSidecar, policy};

const GREETING: &[u8] = b"ready\n";

/// Lets clients speak under these rules. Each is named, and permitted or not.
async fn check(rules: &str, clients: impl Fn(&Mesh) -> Vec<(&'static str, Client, bool)>) {
    for speech in [Speech::ClientFirst, Speech::ServerFirst(GREETING.to_vec())] {
        let sidecar = TcpSidecar::start_with(&policy(rules), speech.clone(), |mesh, listener| {
            listener.tls = Some(mesh.any_authority());
        })
        .await;
        let greeting: &[u8] = if speech == Speech::ClientFirst {
            b""
        } else {
            GREETING
        };
        let answer = [greeting, b"hi"].concat();
        for (what, client, permitted) in clients(&sidecar.mesh) {
            let exchange = Exchange {
                send: b"hi",
                expect: answer.len(),
            };
            let end = client.exchange(sidecar.address, exchange).await.unwrap();
            if permitted {
                assert_eq!(end, End::Received(answer.clone()), "{what}, {speech:?}");
            } else {
                let nothing = end.is_ended() && end.received().is_empty();
                assert!(nothing, "{what}, {speech:?}: {end:?}");
            }
        }
    }
}

#[tokio::test]
async fn by_identity() {
    let rules = "
- {name: account, action: Allow, from: [{serviceAccounts: [frontend]}]}
- {name: partner, action: Allow, from: [{principals: ['spiffe://partner.example/ns/shop/*']}]}
";
    check(rules, |mesh| {
        let [frontend, console] = [&FRONTEND, &CONSOLE].map(|peer| peer.principal());
        vec![
            ("account", mesh.client(&FRONTEND), true),
            ("principal", mesh.client(&PARTNER), true),
            ("another account", mesh.client(&CONSOLE), false),
            ("another namespace", mesh.client(&DEV), false),
            (
                "two names",
                mesh.client_with(&Leaf::uris([&frontend, &console])),
                false,
            ),
            ("no name", mesh.client_with(&Leaf::anonymous()), false),
            (
                "a longer name",
                mesh.client_with(&Leaf::uri(frontend + "/x")),
                false,
            ),
        ]
    })
    .await;
}

#[tokio::test]
async fn by_namespace_labels_and_address() {
    let rules = "
- {name: namespace, action: Allow, from: [{namespaces: [ops]}]}
- {name: labels, action: Allow, from: [{podSelector: {matchLabels: {tier: canary}}}]}
- {name: address, action: Allow, from: [{ipBlocks: [127.0.3.1]}]}
";
    check(rules, |mesh| {
        vec![
            ("namespace", mesh.client(&CONSOLE), true),
            ("labels", mesh.client(&CANARY), true),
            ("address", mesh.client(&DEV), true),
            ("neither", mesh.client(&FRONTEND), false),
            (
                "labels of another's address",
                mesh.client(&DEV).from_address(CANARY.address()),
                false,
            ),
        ]
    })
    .await;
}

#[tokio::test]
async fn by_server_name() {
    let rules = "
- {name: names, action: Allow, when: [{sni: [ledger.shop, '*.db.shop']}]}
";
    check(rules, |mesh| {
        let asking_for = |name: &str| mesh.client(&FRONTEND).sni(name);
        vec![
            ("exact", asking_for("ledger.shop"), true),
            ("in capitals", asking_for("Ledger.SHOP"), true),
            ("below the suffix", asking_for("a.db.shop"), true),
            ("another", asking_for("payments.shop"), false),
            ("longer", asking_for("ledger.shop.evil"), false),
            ("none", mesh.client(&FRONTEND), false),
        ]
    })
    .await;
}

#[tokio::test]
async fn rules_about_requests_permit_no_connection() {
    let rules = "
- {name: paths, action: Allow, operations: [{paths: [/*]}]}
- {name: methods, action: Allow, operations: [{methods: ['*']}]}
";
    check(rules, |mesh| {
        vec![("anybody", mesh.client(&FRONTEND), false)]
    })
    .await;
}
