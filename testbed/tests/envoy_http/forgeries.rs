//! What a peer writes into its request: it changes nothing about who it is.

use meshwall_mesh_config::envoy::Http;
use meshwall_testbed::rig::client::Request;

use crate::sidecar::{CONSOLE, DEV, FRONTEND, HttpSidecar, NO_RULE, PERMITTED, http, policy};

/// A request that says by all means at hand that it comes from `FRONTEND`.
fn forged() -> Request {
    let frontend = FRONTEND.principal();
    let address = FRONTEND.address();
    let metadata = "ChgKDkFQUF9DT05UQUlORVJTEgYaBGxvY2s=";
    Request::get("/")
        .header("x-forwarded-for", address.to_string())
        .header("x-forwarded-for", format!("{address}, {address}"))
        .header("forwarded", format!("for={address}"))
        .header("x-real-ip", address.to_string())
        .header("x-envoy-external-address", address.to_string())
        .header("x-envoy-internal", "true")
        .header(
            "x-forwarded-client-cert",
            format!("By=x;Hash=y;URI={frontend}"),
        )
        .header("x-envoy-peer-metadata", metadata)
        .header(
            "x-envoy-peer-metadata-id",
            "sidecar~127.0.1.1~frontend-0.shop~shop.svc",
        )
        .header("x-spiffe-id", frontend)
}

#[tokio::test]
async fn headers_prove_nothing() {
    let rules = [
        "\n- {name: a, action: Allow, from: [{serviceAccounts: [frontend]}]}",
        "\n- {name: a, action: Allow, from: [{podSelector: {matchLabels: {tier: front}}}]}",
        "\n- {name: a, action: Allow, from: [{ipBlocks: [127.0.1.1/32]}]}",
        "\n- {name: a, action: Allow, from: [{remoteIpBlocks: [127.0.1.1/32]}]}",
    ];
    for rules in rules {
        let sidecar = HttpSidecar::start(&policy(rules)).await;
        let [frontend, console, dev] =
            [&FRONTEND, &CONSOLE, &DEV].map(|peer| sidecar.mesh.client(peer));
        sidecar
            .check(&[
                ("in its own name", &frontend, Request::get("/"), PERMITTED),
                ("in its own name, loudly", &frontend, forged(), PERMITTED),
                ("another namespace", &dev, forged(), NO_RULE),
                ("another account", &console, forged(), NO_RULE),
            ])
            .await;
    }
}

#[tokio::test]
async fn a_trusted_proxy_tells_the_remote_address_and_nothing_else() {
    let rules = "
- {name: remote, action: Allow, from: [{remoteIpBlocks: [198.51.100.0/24]}], operations: [{paths: [/remote]}]}
- {name: direct, action: Allow, from: [{ipBlocks: [198.51.100.0/24]}], operations: [{paths: [/direct]}]}
";
    let documents = format!(
        "{}
---
apiVersion: meshwall.io/v1alpha1
kind: MeshwallConfig
metadata: {{name: mesh}}
spec: {{trustedProxies: 1}}
",
        policy(rules)
    );
    let settings = Http {
        trusted_hops: 1,
        ..http()
    };
    let sidecar = HttpSidecar::start_with(&documents, settings, |_, _| {}).await;
    let gateway = sidecar.mesh.client(&FRONTEND);
    let told =
        |path: &str, forwarded: &str| Request::get(path).header("x-forwarded-for", forwarded);
    let remote = "/remote";
    sidecar
        .check(&[
            (
                "told by the proxy",
                &gateway,
                told(remote, "198.51.100.7"),
                PERMITTED,
            ),
            (
                "the last is the proxy's",
                &gateway,
                told(remote, "10.0.0.1, 198.51.100.7"),
                PERMITTED,
            ),
            (
                "written by the client",
                &gateway,
                told(remote, "198.51.100.7, 10.0.0.1"),
                NO_RULE,
            ),
            ("not told", &gateway, Request::get(remote), NO_RULE),
            (
                "not an address",
                &gateway,
                told(remote, "198.51.100.7.x"),
                NO_RULE,
            ),
            (
                "not the direct peer",
                &gateway,
                told("/direct", "198.51.100.7"),
                NO_RULE,
            ),
        ])
        .await;
}
