//! What must hold besides: claims of verified tokens, server names.

use meshwall_mesh_config::envoy::{Http, JwtIssuer};
use meshwall_testbed::rig::client::{Request, Version};
use meshwall_testbed::rig::token::TokenIssuer;
use serde_json::{Value, json};

use crate::sidecar::{FRONTEND, HttpSidecar, NO_RULE, PERMITTED, http, policy};

const CLAIMS: &str = "
- {name: subject, action: Allow, operations: [{paths: [/subject]}], when: [{claim: sub, values: [alice]}]}
- {name: group, action: Allow, operations: [{paths: [/group]}], when: [{claim: groups, values: [readers, '7']}]}
- {name: role, action: Allow, operations: [{paths: [/role]}], when: [{claim: [realm, roles], values: ['read-*']}]}
- {name: level, action: Allow, operations: [{paths: [/level]}], when: [{claim: level, values: ['5']}]}
- {name: checked, action: Allow, operations: [{paths: [/checked]}], when: [{claim: checked, values: ['true']}]}
- {name: tenant, action: Allow, operations: [{paths: [/tenant]}], when: [{claim: tenant, values: [region-C]}]}
- {name: dotted, action: Allow, operations: [{paths: [/dotted]}], when: [{claim: shop.example/role, values: [cook]}]}
- {name: absent, action: Allow, operations: [{paths: [/absent]}], when: [{claim: sub, present: false}]}
";

struct Tokens {
    issuer: TokenIssuer,
    sidecar: HttpSidecar,
}

async fn start(rules: &str) -> Tokens {
    let issuer = TokenIssuer::new("https://issuer.example").unwrap();
    let settings = Http {
        jwt_issuers: vec![JwtIssuer {
            name: "shop".to_owned(),
            issuer: issuer.issuer().to_owned(),
            audiences: Vec::new(),
            jwks: issuer.jwks(),
        }],
        ..http()
    };
    let sidecar = HttpSidecar::start_with(&policy(rules), settings, |_, _| {}).await;
    Tokens { issuer, sidecar }
}

impl Tokens {
    fn get(&self, path: &str, claims: &Value) -> Request {
        let token = self.issuer.sign(claims).unwrap();
        Request::get(path).header("authorization", format!("Bearer {token}"))
    }
}

#[tokio::test]
async fn by_claims_of_every_shape() {
    let tokens = start(CLAIMS).await;
    let client = tokens.sidecar.mesh.client(&FRONTEND);
    let mut cases = Vec::new();
    for (path, claims, cause) in [
        ("/subject", json!({"sub": "alice"}), PERMITTED),
        ("/subject", json!({"sub": "bob"}), NO_RULE),
        ("/subject", json!({"sub": "Alice"}), NO_RULE),
        ("/subject", json!({"sub": ""}), NO_RULE),
        ("/subject", json!({"name": "alice"}), NO_RULE),
        ("/subject", json!({"a": {"sub": "alice"}}), NO_RULE),
        (
            "/group",
            json!({"groups": ["writers", "readers"]}),
            PERMITTED,
        ),
        ("/group", json!({"groups": ["readers"]}), PERMITTED),
        ("/group", json!({"groups": "readers"}), PERMITTED),
        ("/group", json!({"groups": ["writers", 7]}), PERMITTED),
        ("/group", json!({"groups": ["writers", 8]}), NO_RULE),
        ("/group", json!({"groups": ["writers readers"]}), NO_RULE),
        ("/group", json!({"groups": []}), NO_RULE),
        ("/group", json!({"groups": {"readers": "yes"}}), NO_RULE),
        ("/group", json!({"groups": [["readers"]]}), NO_RULE),
        (
            "/role",
            json!({"realm": {"roles": ["read-all"]}}),
            PERMITTED,
        ),
        ("/role", json!({"realm": {"roles": ["write-all"]}}), NO_RULE),
        ("/role", json!({"roles": ["read-all"]}), NO_RULE),
        ("/role", json!({"realm": ["read-all"]}), NO_RULE),
        ("/level", json!({"level": 5}), PERMITTED),
        ("/level", json!({"level": "5"}), PERMITTED),
        ("/level", json!({"level": 5.5}), NO_RULE),
        ("/level", json!({"level": 50}), NO_RULE),
        ("/checked", json!({"checked": true}), PERMITTED),
        ("/checked", json!({"checked": false}), NO_RULE),
        ("/checked", json!({"checked": null}), NO_RULE),
        // Eight bytes, as a number has.
        ("/tenant", json!({"tenant": "region-C"}), PERMITTED),
        ("/tenant", json!({"tenant": "region-D"}), NO_RULE),
        ("/dotted", json!({"shop.example/role": "cook"}), PERMITTED),
        (
            "/dotted",
            json!({"shop": {"example/role": "cook"}}),
            NO_RULE,
        ),
        ("/absent", json!({"name": "alice"}), PERMITTED),
        ("/absent", json!({"sub": "alice"}), NO_RULE),
    ] {
        cases.push((format!("{path} {claims}"), tokens.get(path, &claims), cause));
    }
    cases.push((
        "/subject, no token".to_owned(),
        Request::get("/subject"),
        NO_RULE,
    ));
    let cases: Vec<_> = cases
        .iter()
        .map(|(what, request, cause)| (what.as_str(), &client, request.clone(), *cause))
        .collect();
    tokens.sidecar.check(&cases).await;
}

#[tokio::test]
async fn a_token_that_does_not_verify_gives_no_claims() {
    let tokens = start(CLAIMS).await;
    let client = tokens.sidecar.mesh.client(&FRONTEND);
    let forger = TokenIssuer::new(tokens.issuer.issuer()).unwrap();
    let forged = forger.sign(&json!({"sub": "alice"})).unwrap();
    let expired = tokens
        .issuer
        .sign(&json!({"sub": "alice", "exp": 1}))
        .unwrap();
    for token in [forged, expired, "x.y.z".to_owned()] {
        let request = Request::get("/subject").header("authorization", format!("Bearer {token}"));
        let answer = client
            .request(tokens.sidecar.address, Version::Http2, &request)
            .await;
        assert_eq!(answer.unwrap().status, 401);
    }
    assert_eq!(tokens.sidecar.backend.traffic().requests, 0);
}

#[tokio::test]
async fn by_server_name() {
    let rules = "
- {name: names, action: Allow, when: [{sni: [ledger.shop, '*.example.com']}]}
";
    let sidecar = HttpSidecar::start(&policy(rules)).await;
    let client = |name: &str| sidecar.mesh.client(&FRONTEND).sni(name);
    let [exact, capitals, below, apex, longer] = [
        "ledger.shop",
        "LEDGER.shop",
        "www.example.com",
        "example.com",
        "ledger.shop.evil",
    ]
    .map(client);
    let none = sidecar.mesh.client(&FRONTEND);
    let get = || Request::get("/");
    sidecar
        .check(&[
            ("exact", &exact, get(), PERMITTED),
            ("in capitals", &capitals, get(), PERMITTED),
            ("below the suffix", &below, get(), PERMITTED),
            ("the suffix itself", &apex, get(), NO_RULE),
            ("longer", &longer, get(), NO_RULE),
            ("none", &none, get(), NO_RULE),
            (
                "in the host only",
                &none,
                get().authority("ledger.shop"),
                NO_RULE,
            ),
        ])
        .await;
}
