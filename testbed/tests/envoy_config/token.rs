//! Claims of verified tokens.

use meshwall_mesh_config::envoy::{Http, JwtIssuer};
use meshwall_testbed::rig::client::{Request, Version};
use meshwall_testbed::rig::token::TokenIssuer;
use serde_json::json;

use crate::support::{World, http, http_sidecar, seen};

const SUBJECT: &str = "metadata/filter_metadata/envoy.filters.http.jwt_authn/payload/sub";

#[tokio::test]
async fn claims_are_visible_if_the_token_is_good_and_absent_without_one() {
    let world = World::new();
    let issuers =
        ["https://a.example", "https://b.example"].map(|issuer| TokenIssuer::new(issuer).unwrap());
    let jwt_issuers = issuers
        .iter()
        .map(|issuer| JwtIssuer {
            name: issuer.issuer().replace("https://", ""),
            issuer: issuer.issuer().to_owned(),
            audiences: vec!["ledger".to_owned()],
            jwks: issuer.jwks(),
        })
        .collect();
    let (envoy, backend) = http_sidecar(
        &world,
        Http {
            jwt_issuers,
            ..http()
        },
    )
    .await;
    let address = envoy.listener("http").unwrap();
    let mut connection = world
        .frontend()
        .http(address, Version::Http2)
        .await
        .unwrap();
    let bearer =
        |token: String| Request::get("/").header("authorization", format!("Bearer {token}"));
    let [a, b] = &issuers;

    for (issuer, subject) in [(a, "alice"), (b, "bob")] {
        let token = issuer
            .sign(&json!({ "sub": subject, "aud": "ledger" }))
            .unwrap();
        assert_eq!(connection.send(&bearer(token)).await.unwrap().status, 200);
        assert_eq!(seen(&envoy, 'H', SUBJECT).await, subject);
    }
    assert_eq!(
        connection.send(&Request::get("/")).await.unwrap().status,
        200
    );
    assert_eq!(seen(&envoy, 'H', SUBJECT).await, "");

    let accepted = backend.traffic().requests;
    let refused = [
        (
            "another's name",
            a.sign(&json!({ "iss": b.issuer(), "aud": "ledger" }))
                .unwrap(),
            401,
        ),
        (
            "unknown issuer",
            a.sign(&json!({ "iss": "https://c.example" })).unwrap(),
            401,
        ),
        (
            "expired",
            a.sign(&json!({ "aud": "ledger", "exp": 1 })).unwrap(),
            401,
        ),
        (
            "another audience",
            a.sign(&json!({ "aud": "payments" })).unwrap(),
            403,
        ),
        ("not a token", "x.y.z".to_owned(), 401),
    ];
    for (what, token, status) in refused {
        assert_eq!(
            connection.send(&bearer(token)).await.unwrap().status,
            status,
            "{what}"
        );
    }
    assert_eq!(backend.traffic().requests, accepted);
}
