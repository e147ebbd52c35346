//! What is asked: methods, hosts, paths, headers, query parameters, gRPC methods, ports.

use meshwall_mesh_config::envoy::{Firewall, Program, Protocol, UpstreamProtocol};
use meshwall_testbed::rig::backend::HttpBackend;
use meshwall_testbed::rig::client::{Request, Version};
use meshwall_testbed::rig::envoy::Launch;

use crate::sidecar::{
    FRONTEND, HttpSidecar, Mesh, NO_RULE, PERMITTED, bundle_on_port, cluster, config, http,
    inbound, module, policy,
};

/// Starts a sidecar with these rules and lets `FRONTEND` ask, with the cause of each denial.
async fn check(rules: &str, cases: Vec<(&str, Request, &str)>) {
    let sidecar = HttpSidecar::start(&policy(rules)).await;
    let client = sidecar.mesh.client(&FRONTEND);
    let cases: Vec<_> = cases
        .into_iter()
        .map(|(what, request, cause)| (what, &client, request, cause))
        .collect();
    sidecar.check(&cases).await;
}

#[tokio::test]
async fn by_method() {
    let get = Request::get("/");
    check(
        "\n- {name: read, action: Allow, operations: [{methods: [GET, 'PROP*']}]}",
        vec![
            ("listed", get.clone(), PERMITTED),
            ("prefix", Request::new("PROPFIND", "/"), PERMITTED),
            ("another", Request::new("POST", "/"), NO_RULE),
            (
                "overridden by a header",
                Request::new("POST", "/").header("x-http-method-override", "GET"),
                NO_RULE,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn by_host() {
    let host = |authority: &str| Request::get("/").authority(authority);
    check(
        "\n- {name: api, action: Allow, operations: [{hosts: [api.shop, '*.example.com']}]}",
        vec![
            ("exact", host("api.shop"), PERMITTED),
            ("with a port", host("api.shop:8080"), PERMITTED),
            ("in capitals", host("API.Shop"), PERMITTED),
            ("with a dot", host("api.shop."), PERMITTED),
            ("below the suffix", host("www.example.com"), PERMITTED),
            ("the suffix itself", host("example.com"), NO_RULE),
            ("longer", host("api.shop.evil"), NO_RULE),
            ("another", host("api.shopping"), NO_RULE),
        ],
    )
    .await;
}

#[tokio::test]
async fn by_path() {
    let rules = "
- name: paths
  action: Allow
  operations: [{paths: [/exact, /prefix/*, '*.css', '/accounts/{*}/balance', '/static/{**}']}]
";
    let permitted = [
        "/exact",
        "/exact?a=/other",
        "/%65xact",
        "/prefix/",
        "/prefix/a/b",
        "/a/b.css",
        "/accounts/7/balance",
        "/static/",
        "/static/a/b",
        "/prefix//a",
    ];
    let denied = [
        "/",
        "/exact/",
        "/EXACT",
        "/exactly",
        "/prefix",
        "/accounts/7/8/balance",
        "/accounts//balance",
        "/static",
        "/other?a=.css",
    ];
    // Nobody resolves or merges these on the way to the firewall.
    let refused = [
        ("/other/../exact", "refused/path_dot_segment"),
        ("/prefix/../other", "refused/path_dot_segment"),
        ("/prefix/%2e%2e/other", "refused/path_dot_segment"),
        ("/./exact", "refused/path_dot_segment"),
        ("//exact", "refused/path_leading_slashes"),
    ];
    let cases = permitted.map(|path| (path, Request::get(path), PERMITTED));
    let denied = denied.map(|path| (path, Request::get(path), NO_RULE));
    let refused = refused.map(|(path, cause)| (path, Request::get(path), cause));
    let cases = cases.into_iter().chain(denied).chain(refused).collect();
    check(rules, cases).await;
}

#[tokio::test]
async fn by_header() {
    let rules = "
- name: env
  action: Allow
  operations:
  - {headers: [{name: X-Env, values: [prod, 'prod-*']}, {name: x-off, present: false}]}
  - {headers: [{name: x-id, regex: '[0-9a-f]{4}'}]}
  - {headers: [{name: x-bytes, present: true}]}
- name: no-debug
  action: Deny
  operations:
  - {headers: [{name: x-debug, values: ['on']}]}
";
    let get = |name: &str, value: &str| Request::get("/").header(name, value);
    let denied = "FirewallPolicy/shop/ledger/no-debug";
    check(
        rules,
        vec![
            ("exact", get("x-env", "prod"), PERMITTED),
            ("prefix", get("x-env", "prod-eu"), PERMITTED),
            ("another", get("x-env", "test"), NO_RULE),
            ("no header", Request::get("/"), NO_RULE),
            // What permits must hold for each value, what denies for one.
            (
                "each of several",
                get("x-env", "prod-eu").header("x-env", "prod"),
                PERMITTED,
            ),
            (
                "one of several",
                get("x-env", "test").header("x-env", "prod"),
                NO_RULE,
            ),
            (
                "must be absent",
                get("x-env", "prod").header("x-off", ""),
                NO_RULE,
            ),
            ("an expression", get("x-id", "12ab"), PERMITTED),
            (
                "an expression matches all of it",
                get("x-id", "12abc"),
                NO_RULE,
            ),
            (
                "bytes that are no text",
                Request::get("/").header("x-bytes", b"\xff\xfe"),
                PERMITTED,
            ),
            (
                "denied",
                get("x-env", "prod").header("x-debug", "on"),
                denied,
            ),
            (
                "hidden behind another",
                get("x-env", "prod")
                    .header("x-debug", "off")
                    .header("x-debug", "on"),
                denied,
            ),
            (
                "hidden before another",
                get("x-env", "prod")
                    .header("x-debug", "on")
                    .header("x-debug", "off"),
                denied,
            ),
            (
                "in capitals",
                get("x-env", "prod").header("X-DEBUG", "on"),
                denied,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn by_query() {
    let rules = "
- {name: kind, action: Allow, operations: [{query: [{name: kind, values: [small, 'a b']}]}]}
- {name: no-admin, action: Deny, operations: [{query: [{name: admin, present: true}]}]}
";
    let denied = "FirewallPolicy/shop/ledger/no-admin";
    check(
        rules,
        vec![
            ("exact", Request::get("/?kind=small"), PERMITTED),
            ("encoded", Request::get("/?k%69nd=sm%61ll"), PERMITTED),
            ("plus", Request::get("/?kind=a+b"), PERMITTED),
            (
                "each of several",
                Request::get("/?kind=a+b&kind=small"),
                PERMITTED,
            ),
            (
                "one of several",
                Request::get("/?kind=big&kind=small"),
                NO_RULE,
            ),
            ("another", Request::get("/?kind=big"), NO_RULE),
            ("in the path", Request::get("/kind=small"), NO_RULE),
            ("denied", Request::get("/?kind=small&admin"), denied),
            (
                "denied, encoded",
                Request::get("/?kind=small&%61dmin=1"),
                denied,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn by_grpc_method() {
    let rules = "
- {name: read, action: Allow, operations: [{grpc: [{service: shop.Ledger, methods: [Read]}]}]}
";
    let plain = Request::new("POST", "/shop.Ledger/Read");
    let with_subtype = Request {
        headers: vec![(
            "content-type".to_owned(),
            b"application/grpc+proto".to_vec(),
        )],
        ..Request::grpc("/shop.Ledger/Read", b"x")
    };
    check(
        rules,
        vec![
            (
                "the method",
                Request::grpc("/shop.Ledger/Read", b"x"),
                PERMITTED,
            ),
            ("with a subtype", with_subtype, PERMITTED),
            (
                "another method",
                Request::grpc("/shop.Ledger/Write", b"x"),
                NO_RULE,
            ),
            (
                "another service",
                Request::grpc("/shop.Ledgers/Read", b"x"),
                NO_RULE,
            ),
            ("not gRPC", plain, NO_RULE),
        ],
    )
    .await;
}

#[tokio::test]
async fn by_the_port_that_a_listener_stands_for() {
    let documents = policy(
        "
- {name: api, action: Allow, operations: [{ports: [8080], paths: [/api]}]}
- {name: metrics, action: Allow, operations: [{ports: ['9000-9100'], paths: [/metrics]}]}
",
    );
    let mesh = Mesh::new();
    let backend = HttpBackend::start().await.unwrap();
    let listener = |name: &str, port| {
        let firewall = Firewall {
            module: module(),
            program: Program::Inline(bundle_on_port(&documents, Some(port))),
        };
        inbound(&mesh, name, Protocol::Http(http()), firewall)
    };
    // All in one virtual machine; the second program of a port must not reach the first.
    let listeners = vec![
        listener("api", 8080),
        listener("metrics", 9090),
        listener("other", 7070),
    ];
    let web = cluster("web", backend.address(), UpstreamProtocol::AsDownstream);
    let config = config(listeners, vec![web]);
    let envoy = Launch::new(&mesh.envoy).start(&config).await.unwrap();
    let client = mesh.client(&FRONTEND);
    for (listener, path, status) in [
        ("api", "/api", 200),
        ("api", "/metrics", 403),
        ("metrics", "/metrics", 200),
        ("metrics", "/api", 403),
        ("other", "/api", 403),
        ("other", "/metrics", 403),
    ] {
        let address = envoy.listener(listener).unwrap();
        let answer = client
            .request(address, Version::Http2, &Request::get(path))
            .await;
        assert_eq!(answer.unwrap().status, status, "{listener} {path}");
    }
}
