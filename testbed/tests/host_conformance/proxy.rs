//! Envoy's side of the comparison.

use std::path::Path;
use std::time::Duration;

use meshwall_testbed::rig::backend::{HttpBackend, Speech, TcpBackend};
use meshwall_testbed::rig::client::{Client, Error, Exchange, Request, Response, Version};
use meshwall_testbed::rig::envoy::{Binary, Envoy, Launch};
use serde_json::{Value, json};

use super::bed::opening;
use super::cases::{Http, Tcp};
use super::transcript::{DESCRIPTION, Transcript, request_received, response_received};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// After this a client that has got nothing takes it that nothing will come.
const SILENCE: Duration = Duration::from_millis(500);
/// Longer than the backoff after which a failed machine is replaced.
const RELOAD: Duration = Duration::from_millis(300);

pub(crate) struct Proxy {
    envoy: Envoy,
    _http: HttpBackend,
    _tcp: TcpBackend,
}

impl Proxy {
    pub(crate) async fn start(module: &Path) -> Self {
        let http = HttpBackend::start().await.unwrap();
        let tcp = TcpBackend::start(Speech::ClientFirst).await.unwrap();
        let config = config(module, http.address().port(), tcp.address().port());
        let launch = Launch::new(&Binary::find(None).unwrap()).log_level("warning", "wasm:info");
        let envoy = launch.start(&config).await.unwrap();
        Self {
            envoy,
            _http: http,
            _tcp: tcp,
        }
    }

    pub(crate) async fn http(&self, case: &Http) -> Transcript {
        let mut request = Request::new(case.method, "/a?b=c").body(case.body);
        for (name, value) in case.headers {
            request = request.header(*name, value);
        }
        let request = request
            .header("x-case", case.name)
            .header("x-script", case.script);
        let address = self.envoy.listener("http").unwrap();
        let client = Client::plaintext().timeout(SILENCE);
        let response = client.request(address, Version::Http2, &request).await;
        if case.is_fatal() {
            // Longer than the time between two loads of a machine.
            tokio::time::sleep(RELOAD).await;
        } else {
            self.wait_for(&format!("PROBE {}: delete", case.name)).await;
        }
        let (upstream, client) = match &response {
            Ok(response) => received(response),
            Err(Error::Http { .. }) => (String::new(), "reset".to_owned()),
            Err(_) => (String::new(), "nothing".to_owned()),
        };
        Transcript::new(
            case.name,
            self.envoy.log().unwrap().lines(),
            upstream,
            client,
        )
    }

    pub(crate) async fn tcp(&self, case: &Tcp) -> Transcript {
        let address = self.envoy.listener("tcp").unwrap();
        let opening = opening(case);
        let mut connection = Client::plaintext()
            .timeout(SILENCE)
            .open(address, &[])
            .await
            .unwrap();
        let exchange = Exchange {
            send: opening.as_bytes(),
            expect: usize::MAX,
        };
        let end = connection.exchange(exchange).await;
        drop(connection);
        self.wait_for(&format!("PROBE {}: delete", case.name)).await;
        let closed = if end.is_ended() { " closed" } else { "" };
        let client = format!("{}{closed}", end.received().escape_ascii());
        Transcript::new(
            case.name,
            self.envoy.log().unwrap().lines(),
            String::new(),
            client,
        )
    }

    async fn wait_for(&self, text: &str) {
        self.envoy.wait_for_log(text, PATIENCE).await.unwrap();
    }
}

/// What the upstream and the client have received. The backend describes the requests that
/// are not gRPC.
fn received(response: &Response) -> (String, String) {
    let description = response.json();
    let (upstream, body) = match description["target"].as_str() {
        Some(_) => (described(&description), DESCRIPTION.as_bytes()),
        None => (String::new(), response.body.as_ref()),
    };
    let pairs = |headers: &http::HeaderMap| -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = headers.iter();
        pairs
            .map(|(name, value)| (name.as_str().into(), value.as_bytes().into()))
            .collect()
    };
    let mut headers = pairs(&response.headers);
    headers.push((
        b":status".to_vec(),
        response.status.to_string().into_bytes(),
    ));
    let trailers = pairs(&response.trailers);
    let client = response_received(
        headers.iter().map(|(n, v)| (n.as_slice(), v.as_slice())),
        trailers.iter().map(|(n, v)| (n.as_slice(), v.as_slice())),
        body,
    );
    (upstream, client)
}

fn described(description: &Value) -> String {
    let target = description["target"].as_str().unwrap_or_default();
    let path = target.parse::<http::Uri>().unwrap();
    let headers: Vec<(Vec<u8>, Vec<u8>)> = description["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| {
            let text = |at: usize| pair[at].as_str().unwrap_or_default();
            // Values are told as Latin-1.
            let value = text(1).chars().map(|c| u8::try_from(c).unwrap()).collect();
            (text(0).as_bytes().to_vec(), value)
        })
        .collect();
    request_received(
        description["method"].as_str().unwrap_or_default(),
        path.path_and_query().map_or("", |path| path.as_str()),
        headers.iter().map(|(n, v)| (n.as_slice(), v.as_slice())),
        usize::try_from(description["body_bytes"].as_u64().unwrap()).unwrap(),
    )
}

fn config(module: &Path, http_port: u16, tcp_port: u16) -> Value {
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "generate_request_id": false,
        "route_config": { "name": "routes", "virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "http" } }],
        }] },
        "http_filters": [
            { "name": "wasm", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": plugin(module, "probe", "http"),
            } },
            { "name": "router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            } },
        ],
    });
    let network = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm",
        "config": plugin(module, "", "network"),
    });
    let tcp_proxy = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "tcp", "cluster": "tcp",
    });
    json!({
        "node": { "id": "bed", "cluster": "bed", "metadata": { "k": "kv" } },
        "static_resources": {
            "listeners": [
                listener("http", &[("manager", manager)]),
                listener("tcp", &[("wasm", network), ("proxy", tcp_proxy)]),
            ],
            "clusters": [cluster("http", http_port), cluster("tcp", tcp_port)],
        },
    })
}

fn plugin(module: &Path, name: &str, root_id: &str) -> Value {
    json!({
        "name": name,
        "root_id": root_id,
        "failure_policy": "FAIL_RELOAD",
        "reload_config": { "backoff": { "base_interval": "0.1s" } },
        "vm_config": {
            "vm_id": "machine",
            "runtime": "envoy.wasm.runtime.v8",
            "code": { "local": { "filename": module } },
        },
    })
}

fn listener(name: &str, filters: &[(&str, Value)]) -> Value {
    let filters: Vec<Value> = filters
        .iter()
        .map(|(name, config)| json!({ "name": name, "typed_config": config }))
        .collect();
    json!({
        "name": name,
        "traffic_direction": "INBOUND",
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "filter_chains": [{ "filters": filters }],
    })
}

/// The HTTP backend speaks HTTP/2 for the trailers' sake.
fn cluster(name: &str, port: u16) -> Value {
    let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let endpoint = json!({ "endpoint": { "address": address } });
    let protocols = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let mut cluster = json!({
        "name": name,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }],
        },
    });
    if name == "http" {
        cluster["typed_extension_protocol_options"] = json!({ protocols: {
            "@type": format!("type.googleapis.com/{protocols}"),
            "explicit_http_config": { "http2_protocol_options": {} },
        } });
    }
    cluster
}
