//! Who asks: by certificate, by labels, by address.

use meshwall_testbed::rig::client::{Client, Request};

use crate::sidecar::{
    CANARY, CONSOLE, DEV, FRONTEND, HttpSidecar, LEDGER, NO_RULE, PARTNER, PERMITTED, Peer, policy,
};

/// Starts a sidecar with these rules and lets each of these peers ask, by HTTP and by gRPC.
/// `permitted` says who of them may.
async fn check(rules: &str, permitted: impl Fn(&str) -> bool) {
    const PEERS: [(&str, &Peer); 6] = [
        ("ledger", &LEDGER),
        ("frontend", &FRONTEND),
        ("canary", &CANARY),
        ("console", &CONSOLE),
        ("dev", &DEV),
        ("partner", &PARTNER),
    ];
    let sidecar = HttpSidecar::start(&policy(rules)).await;
    let clients = PEERS.map(|(name, peer)| (name, sidecar.mesh.client(peer)));
    let mut cases = Vec::new();
    for (name, client) in &clients {
        let cause = if permitted(name) { PERMITTED } else { NO_RULE };
        cases.push((*name, client, Request::get("/"), cause));
        cases.push((
            *name,
            client,
            Request::grpc("/shop.Ledger/Read", b""),
            cause,
        ));
    }
    sidecar.check(&cases).await;
}

#[tokio::test]
async fn by_service_account() {
    let rules = "
- {name: front, action: Allow, from: [{serviceAccounts: [frontend]}]}
- {name: ops, action: Allow, from: [{serviceAccounts: [ops/*]}]}
";
    check(rules, |peer| {
        ["frontend", "canary", "console"].contains(&peer)
    })
    .await;
}

#[tokio::test]
async fn by_spiffe_id() {
    let rules = "
- name: named
  action: Allow
  from:
  - principals: ['spiffe://cluster.local/ns/dev/sa/frontend', 'spiffe://partner.example/*']
";
    check(rules, |peer| ["dev", "partner"].contains(&peer)).await;
}

#[tokio::test]
async fn by_namespace() {
    let rules = "
- {name: ours, action: Allow, from: [{namespaces: [shop]}]}
";
    check(rules, |peer| {
        ["ledger", "frontend", "canary"].contains(&peer)
    })
    .await;
}

#[tokio::test]
async fn by_trust_domain() {
    let rules = "
- {name: partner, action: Allow, from: [{trustDomains: [partner.example]}]}
";
    check(rules, |peer| peer == "partner").await;
}

#[tokio::test]
async fn by_labels_of_pods() {
    let rules = "
- {name: front, action: Allow, from: [{podSelector: {matchLabels: {tier: front}}}]}
";
    check(rules, |peer| peer == "frontend").await;
}

#[tokio::test]
async fn by_labels_of_namespaces() {
    let rules = "
- name: prod
  action: Allow
  from:
  - namespaceSelector: {matchLabels: {stage: prod}}
    podSelector: {matchExpressions: [{key: tier, operator: NotIn, values: [canary]}]}
";
    check(rules, |peer| {
        ["ledger", "frontend", "console"].contains(&peer)
    })
    .await;
}

#[tokio::test]
async fn by_address() {
    let rules = "
- name: block
  action: Allow
  from:
  - ipBlocks: [{cidr: 127.0.0.0/22, except: [127.0.1.2/32, 127.0.2.0/24]}]
";
    check(rules, |peer| ["ledger", "frontend", "dev"].contains(&peer)).await;
}

#[tokio::test]
async fn a_deny_rule_overrules_and_is_named() {
    let rules = "
- {name: no-dev, action: Deny, from: [{namespaces: [dev]}]}
- {name: all, action: Allow}
";
    let sidecar = HttpSidecar::start(&policy(rules)).await;
    let [frontend, dev] = [&FRONTEND, &DEV].map(|peer| sidecar.mesh.client(peer));
    let named = "FirewallPolicy/shop/ledger/no-dev";
    sidecar
        .check(&[
            ("permitted", &frontend, Request::get("/"), PERMITTED),
            ("denied", &dev, Request::get("/"), named),
        ])
        .await;
}

#[tokio::test]
async fn the_cluster_s_word_comes_first_and_last() {
    let documents = format!(
        "{}
---
apiVersion: meshwall.io/v1alpha1
kind: ClusterFirewallPolicy
metadata: {{name: no-dev}}
spec:
  tier: Admin
  priority: 1
  subject: {{namespaceSelector: {{matchLabels: {{stage: prod}}}}}}
  ingress:
  - {{name: canaries, action: Pass, from: [{{podSelector: {{matchLabels: {{tier: canary}}}}, namespaces: [shop]}}]}}
  - {{name: no-shop, action: Deny, from: [{{namespaces: [shop]}}]}}
---
apiVersion: meshwall.io/v1alpha1
kind: ClusterFirewallPolicy
metadata: {{name: nobody}}
spec:
  tier: Baseline
  priority: 1
  subject: {{namespaceSelector: {{}}}}
  ingress:
  - {{name: nobody, action: Deny}}
",
        policy("\n- {name: no-deletes, action: Deny, operations: [{methods: [DELETE]}]}")
    );
    let sidecar = HttpSidecar::start(&documents).await;
    let [frontend, canary] = [&FRONTEND, &CANARY].map(|peer| sidecar.mesh.client(peer));
    let delete = || Request::new("DELETE", "/");
    let admin = "ClusterFirewallPolicy/no-dev/no-shop";
    let baseline = "ClusterFirewallPolicy/nobody/nobody";
    sidecar
        .check(&[
            ("final", &frontend, delete(), admin),
            (
                "passed on",
                &canary,
                delete(),
                "FirewallPolicy/shop/ledger/no-deletes",
            ),
            ("left open", &canary, Request::get("/"), baseline),
        ])
        .await;
}

#[tokio::test]
async fn labels_need_the_certificate_of_the_account_at_the_address() {
    let rules = "
- {name: front, action: Allow, from: [{podSelector: {matchLabels: {tier: front}}}]}
";
    let sidecar = HttpSidecar::start(&policy(rules)).await;
    let mesh = &sidecar.mesh;
    let at = |client: Client, peer: &Peer| client.from_address(peer.address());
    let theirs = mesh.client(&FRONTEND);
    let borrowed_address = at(mesh.client(&CONSOLE), &FRONTEND);
    let elsewhere = at(mesh.client(&FRONTEND), &CONSOLE);
    let nowhere = theirs.clone().from_address([127, 9, 9, 9]);
    sidecar
        .check(&[
            ("both", &theirs, Request::get("/"), PERMITTED),
            (
                "address only",
                &borrowed_address,
                Request::get("/"),
                NO_RULE,
            ),
            ("certificate only", &elsewhere, Request::get("/"), NO_RULE),
            ("unknown address", &nowhere, Request::get("/"), NO_RULE),
        ])
        .await;
    let stats = sidecar.envoy.stats().await.unwrap();
    let mismatches = stats.value("wasmcustom.meshwall_identity_mismatch_total");
    // By HTTP/1.1 and HTTP/2. The program knows the addresses only that its rules are about.
    assert_eq!(mismatches, 2);
}
