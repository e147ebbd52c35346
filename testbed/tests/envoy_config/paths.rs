//! Which path a filter and the application get.

use meshwall_mesh_config::envoy::{Http, Paths};

use crate::support::{World, http, http_sidecar};

/// What is sent, and what arrives of it when paths are normalised; none if it is refused.
const CASES: [(&str, Option<&str>); 15] = [
    ("/a/b?c=/../d", Some("/a/b?c=/../d")),
    ("/a/../admin", Some("/admin")),
    ("/a/%2e%2E/admin", Some("/admin")),
    ("/a/./b/", Some("/a/b/")),
    ("/../../admin", Some("/admin")),
    ("/%61dmin", Some("/admin")),
    ("//admin///x", Some("/admin/x")),
    ("/adm\\in", Some("/adm/in")),
    ("/a;x/../b", Some("/b")),
    // Left to the firewall, which refuses them with a cause.
    ("/a%2f..%2fadmin", Some("/a%2f..%2fadmin")),
    ("/a%5cb", Some("/a%5cb")),
    ("/%c0%ae%c0%ae/admin", Some("/%c0%ae%c0%ae/admin")),
    ("/%zz", Some("/%zz")),
    ("/%2561dmin", Some("/%2561dmin")),
    ("/a%00b", None),
];

async fn arrives(
    paths: Paths,
    expected: impl Fn(&'static str, Option<&'static str>) -> Option<&'static str>,
) {
    let world = World::new();
    let (envoy, _backend) = http_sidecar(&world, Http { paths, ..http() }).await;
    let address = envoy.listener("http").unwrap();
    for (sent, normalised) in CASES {
        let mut connection = world.frontend().hostile_http1(address).await.unwrap();
        let request = format!("GET {sent} HTTP/1.1\r\nhost: ledger\r\n\r\n");
        let response = connection.send(request.as_bytes()).await.unwrap();
        let target = response.json()["target"].as_str().map(str::to_owned);
        assert_eq!(target.as_deref(), expected(sent, normalised), "{sent}");
        assert_eq!(
            response.status,
            if target.is_some() { 200 } else { 400 },
            "{sent}"
        );
    }
}

#[tokio::test]
async fn normalised_paths_are_what_the_application_gets() {
    arrives(Paths::Normalised, |_, normalised| normalised).await;
}

#[tokio::test]
async fn other_paths_arrive_as_they_were_sent() {
    arrives(Paths::AsSent, |sent, _| Some(sent)).await;
}
