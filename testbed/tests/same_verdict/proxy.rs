//! The filter in a real Envoy: the listeners of many workloads, each with its own program.
//!
//! The listeners are as Meshwall generates them, with four things added that a test needs:
//! a PROXY header in front of each connection says which port, and on egress which address, it
//! was sent to, as `original_dst` does where connections are redirected; replies carry in
//! headers what the access log would say; permitted requests are answered at once; and the
//! access log of connections names the question.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use meshwall_mesh_config::envoy::{
    Bootstrap, Certificate, Cluster, DataSource, Direction as Side, Endpoints, Firewall, Http,
    JwtIssuer, Listener, Module, Node, Paths, Program, Protocol, ServerTls, Tcp, Trust,
    UpstreamProtocol,
};
use meshwall_policy::spec::Direction;
use meshwall_testbed::rig::backend::{Speech, TcpBackend};
use meshwall_testbed::rig::envoy::{Binary, Envoy, Launch};
use serde_json::{Value, json};

use crate::answer::{Answer, Counters};
use crate::peers::Peers;
use crate::world::Scene;

/// Response headers, and what they tell.
pub(crate) const DETAILS: &str = "x-test-details";
pub(crate) const CAUSE: &str = "x-test-cause";
pub(crate) const WOULD_BE: &str = "x-test-would-be";

/// As long as an access log may take.
const SOON: Duration = Duration::from_secs(10);
/// How often Envoy writes it.
const FLUSH: Duration = Duration::from_millis(20);

const HCM: &str = "envoy.filters.network.http_connection_manager";
const TCP_PROXY: &str = "envoy.filters.network.tcp_proxy";

/// A running Envoy with four listeners for each scene, or eight where there is IPv6.
pub(crate) struct Proxy {
    envoy: Envoy,
    _backend: TcpBackend,
}

impl Proxy {
    pub(crate) async fn start(scenes: &[Scene], peers: &Peers, module: &Path) -> Proxy {
        let backend = TcpBackend::start(Speech::ClientFirst).await.unwrap();
        let raw = Cluster {
            name: "raw".to_owned(),
            endpoints: Endpoints::Addresses(vec![backend.address()]),
            protocol: UpstreamProtocol::Tcp,
            tls: None,
        };
        let listeners = scenes
            .iter()
            .flat_map(|scene| listeners(scene, peers, module));
        let bootstrap = Bootstrap {
            heading: "Many workloads.".to_owned(),
            node: Node {
                id: "same-verdict".to_owned(),
                cluster: "same-verdict".to_owned(),
            },
            admin: None,
            listeners: listeners.collect(),
            clusters: vec![raw],
        };
        let mut config = bootstrap.to_json();
        let listeners = config["static_resources"]["listeners"].as_array_mut();
        listeners.unwrap().iter_mut().for_each(edit);
        let envoy = Launch::new(&Binary::find(None).unwrap())
            .start(&config)
            .await
            .unwrap();
        Proxy {
            envoy,
            _backend: backend,
        }
    }

    /// Where a scene's listener is.
    pub(crate) fn address(
        &self,
        scene: &Scene,
        direction: Direction,
        is_http: bool,
        is_v6: bool,
    ) -> SocketAddr {
        let name = listener_name(scene, direction, is_http, is_v6);
        self.envoy.listener(&name).unwrap()
    }

    /// What the access log says of so many connections, by the number of the question.
    pub(crate) async fn connections(&self, count: usize) -> BTreeMap<u16, Answer> {
        tokio::time::timeout(SOON, async {
            loop {
                let entries = self.envoy.access_log().unwrap();
                if entries.len() >= count {
                    return entries.iter().map(connection).collect();
                }
                tokio::time::sleep(FLUSH).await;
            }
        })
        .await
        .unwrap()
    }

    /// All that the filter has counted.
    pub(crate) async fn counters(&self) -> Counters {
        let stats = self.envoy.stats().await.unwrap();
        let ours = stats.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix("wasmcustom.")?;
            (value > 0).then(|| (name.to_owned(), value))
        });
        ours.collect()
    }
}

/// The name of a listener.
fn listener_name(scene: &Scene, direction: Direction, is_http: bool, is_v6: bool) -> String {
    let protocol = if is_http { "http" } else { "tcp" };
    let family = if is_v6 { "-v6" } else { "" };
    format!("{}-{direction}-{protocol}{family}", scene.name)
}

fn listeners(scene: &Scene, peers: &Peers, module: &Path) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for direction in [Direction::Ingress, Direction::Egress] {
        for is_http in [true, false] {
            for address in addresses(direction) {
                listeners.push(Listener {
                    name: listener_name(scene, direction, is_http, address.is_ipv6()),
                    address: SocketAddr::new(address, 0),
                    direction: match direction {
                        Direction::Ingress => Side::Inbound,
                        Direction::Egress => Side::Outbound,
                    },
                    tls: (direction == Direction::Ingress).then(|| server_tls(peers)),
                    protocol: protocol(scene, peers, is_http),
                    firewall: Some(Firewall {
                        module: Module {
                            path: module.to_path_buf(),
                            sha256: None,
                        },
                        program: Program::Inline(scene.bundle(direction)),
                    }),
                });
            }
        }
    }
    listeners
}

/// Where to listen: peers connect from their own address, so from `::1` to `::1`.
fn addresses(direction: Direction) -> Vec<IpAddr> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    if direction == Direction::Ingress && has_ipv6() {
        addresses.push(Ipv6Addr::LOCALHOST.into());
    }
    addresses
}

/// Whether this machine has `::1`.
pub(crate) fn has_ipv6() -> bool {
    std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn protocol(scene: &Scene, peers: &Peers, is_http: bool) -> Protocol {
    if !is_http {
        return Protocol::Tcp(Tcp {
            cluster: "raw".to_owned(),
        });
    }
    Protocol::Http(Http {
        cluster: "raw".to_owned(),
        jwt_issuers: vec![JwtIssuer {
            name: "issuer".to_owned(),
            issuer: peers.issuer.issuer().to_owned(),
            audiences: Vec::new(),
            jwks: peers.issuer.jwks(),
        }],
        paths: Paths::AsSent,
        trusted_hops: scene.config.trusted_proxies.into(),
    })
}

fn server_tls(peers: &Peers) -> ServerTls {
    ServerTls {
        certificate: Certificate {
            chain: DataSource::Inline(peers.server.certificate_pem().to_owned()),
            key: DataSource::Inline(peers.server.key_pem().to_owned()),
        },
        trust: Trust::AnyAuthority(DataSource::Inline(peers.authority.pem().to_owned())),
    }
}

/// Adds what a test needs to a listener.
fn edit(listener: &mut Value) {
    let proxy_protocol = json!({
        "name": "envoy.filters.listener.proxy_protocol",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
        },
    });
    let mut filters = vec![proxy_protocol];
    filters.extend(
        listener["listener_filters"]
            .as_array()
            .into_iter()
            .flatten()
            .cloned(),
    );
    listener["listener_filters"] = filters.into();
    let filters = listener["filter_chains"][0]["filters"]
        .as_array_mut()
        .unwrap();
    for filter in filters {
        let name = filter["name"].as_str().unwrap().to_owned();
        let config = &mut filter["typed_config"];
        match name.as_str() {
            HCM => edit_http(config),
            TCP_PROXY => {
                let format = "/access_log/0/typed_config/log_format/json_format";
                config.pointer_mut(format).unwrap()["question"] = "%DOWNSTREAM_REMOTE_PORT%".into();
            }
            _ => {}
        }
    }
}

fn edit_http(config: &mut Value) {
    let header = |name, value| json!({ "header": { "key": name, "value": value } });
    let any = json!({
        "status_code_filter": {
            "comparison": { "op": "GE", "value": { "default_value": 0, "runtime_key": "none" } },
        },
    });
    config["local_reply_config"] = json!({
        "mappers": [{
            "filter": any,
            "headers_to_add": [
                header(DETAILS, "%RESPONSE_CODE_DETAILS%"),
                header(CAUSE, "%FILTER_STATE(wasm.meshwall.cause:PLAIN)%"),
                header(WOULD_BE, "%FILTER_STATE(wasm.meshwall.would_be:PLAIN)%"),
            ],
        }],
    });
    let route = "/route_config/virtual_hosts/0/routes/0";
    let route = config.pointer_mut(route).unwrap().as_object_mut().unwrap();
    route.remove("route");
    route.insert("direct_response".to_owned(), json!({ "status": 200 }));
    config["access_log"] = json!([]);
}

/// The number and the answer of an entry in the access log.
fn connection(entry: &Value) -> (u16, Answer) {
    let text = |name: &str| entry[name].as_str().map(str::to_owned);
    let number = entry["question"].as_u64().unwrap();
    let answer = Answer {
        verdict: text("verdict").unwrap_or_else(|| "allow".to_owned()),
        cause: text("cause"),
        would_be: text("would_be"),
    };
    (number.try_into().unwrap(), answer)
}
