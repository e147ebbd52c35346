//! The rig's hold on a real Envoy: it starts, answers, is measured, and leaves nothing
//! behind.

#![cfg(test)]

use std::path::Path;
use std::time::Duration;

use meshwall_testbed::rig::client::{Client, Request, Version};
use meshwall_testbed::rig::envoy::{Binary, Envoy, Error, Launch};
use serde_json::{Value, json};

/// A listener that answers by itself.
fn config() -> Value {
    let direct = json!({ "status": 200, "body": { "inline_string": "here" } });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "direct",
        "route_config": { "virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "direct_response": direct }],
        }] },
        "http_filters": [{ "name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        } }],
    });
    json!({ "static_resources": { "listeners": [{
        "name": "direct",
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "filter_chains": [{ "filters": [{ "name": "manager", "typed_config": manager }] }],
    }] } })
}

async fn start() -> Envoy {
    Launch::new(&Binary::find(None).unwrap())
        .start(&config())
        .await
        .unwrap()
}

async fn get(envoy: &Envoy) -> String {
    let address = envoy.listener("direct").unwrap();
    let response = Client::plaintext()
        .request(address, Version::Http1, &Request::get("/"))
        .await;
    response.unwrap().text()
}

#[tokio::test]
async fn envoys_run_side_by_side() {
    let (one, other) = tokio::join!(start(), start());
    assert_ne!(
        one.listener("direct").unwrap(),
        other.listener("direct").unwrap()
    );
    assert_eq!(
        (get(&one).await.as_str(), get(&other).await.as_str()),
        ("here", "here")
    );
}

#[tokio::test]
async fn a_dropped_envoy_is_gone_with_its_files() {
    let envoy = start().await;
    let process = format!("/proc/{}", envoy.pid());
    let command = std::fs::read_to_string(format!("{process}/cmdline")).unwrap();
    let config = command
        .split('\0')
        .find(|argument| argument.ends_with("config.json"))
        .unwrap();
    assert!(Path::new(config).exists());
    drop(envoy);
    assert!(!Path::new(&process).exists());
    assert!(!Path::new(config).parent().unwrap().exists());
}

#[tokio::test]
async fn an_envoy_dies_with_a_test_that_panics() {
    let envoy = start().await;
    let process = format!("/proc/{}", envoy.pid());
    let panicked = tokio::spawn(async move {
        let _envoy = envoy;
        std::panic::resume_unwind(Box::new("a failing test"));
    });
    panicked.await.unwrap_err();
    assert!(!Path::new(&process).exists());
}

#[tokio::test]
async fn the_admin_interface_answers() {
    let envoy = start().await;
    get(&envoy).await;
    let stats = envoy.stats().await.unwrap();
    assert_eq!(stats.value("http.direct.downstream_rq_2xx"), 1);
    assert!(
        envoy
            .prometheus()
            .await
            .unwrap()
            .contains("envoy_http_downstream_rq_xx")
    );
    assert!(envoy.config_dump().await.unwrap()["configs"].is_array());
    assert!(
        envoy
            .listener("other")
            .unwrap_err()
            .to_string()
            .contains("`other`")
    );
    let error = envoy.admin("/nothing").await.unwrap_err();
    assert!(
        matches!(error, Error::AdminAnswer { status: 404, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn cost_is_measured() {
    let envoy = start().await;
    let before = envoy.cpu_time().unwrap().total();
    let address = envoy.listener("direct").unwrap();
    let mut connection = Client::plaintext()
        .http(address, Version::Http1)
        .await
        .unwrap();
    while envoy.cpu_time().unwrap().total() < before + Duration::from_millis(30) {
        connection.send(&Request::get("/")).await.unwrap();
    }
    let memory = envoy.memory().await.unwrap();
    assert!(
        memory.resident >= 10 << 20 && memory.resident_peak >= memory.resident,
        "{memory:?}"
    );
    assert!(
        memory.allocated > 0 && memory.heap >= memory.allocated,
        "{memory:?}"
    );
}

#[tokio::test]
async fn a_stopped_envoy_stops() {
    let envoy = start().await;
    let process = format!("/proc/{}", envoy.pid());
    envoy.drain().await.unwrap();
    envoy.stop().await.unwrap();
    assert!(!Path::new(&process).exists());
}

#[tokio::test]
async fn an_envoy_that_does_not_start_says_why() {
    let mut config = config();
    config["static_resources"]["listeners"][0]["address"] = json!({
        "socket_address": { "address": "not an address", "port_value": 0 },
    });
    let launch = Launch::new(&Binary::find(None).unwrap());
    let error = launch.start(&config).await.unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("malformed IP address: not an address"),
        "{error}"
    );
}

#[test]
fn an_envoy_that_is_not_there_is_an_error_that_helps() {
    let error = Binary::find(Some(Path::new("/nonexistent/envoy"))).unwrap_err();
    let expected = "no Envoy at `/nonexistent/envoy`; run scripts/get-envoy, or set \
                    MESHWALL_ENVOY to the path of one";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn the_version_is_known() {
    let version = Binary::find(None).unwrap().version().unwrap();
    assert_eq!(
        version
            .split('.')
            .filter(|part| part.parse::<u32>().is_ok())
            .count(),
        3
    );
}
