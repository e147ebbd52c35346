//! The policy server, and the sidecar of `ledger`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser as _;
use meshwall_mesh_config::envoy::contract::discovered;
use meshwall_mesh_config::envoy::{
    Certificate, ClientTls, Cluster as EnvoyCluster, ConfigSource, DataSource, Direction,
    Discovery, Endpoints, FilterKind, Firewall, Program, Protocol, Tcp, Trust, UpstreamProtocol,
};
use meshwall_policy_server::flags::Flags;
use meshwall_policy_server::server::{self, Running};
use meshwall_testbed::rig::backend::{HttpBackend, Speech, TcpBackend};
use meshwall_testbed::rig::client::{Exchange, Request, Version};
use meshwall_testbed::rig::envoy::{Envoy, Launch};
use meshwall_testbed::rig::pki::Leaf;
use serde_json::json;

use crate::cluster::Cluster;
use crate::sidecar::{
    CANARY, CONSOLE, FRONTEND, GREETING, LEDGER, Mesh, Peer, cluster, config, http, inbound, module,
};

/// As long as anything here may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// SPIFFE id of the policy server.
pub(crate) const SERVER: &str = "spiffe://cluster.local/ns/meshwall/sa/meshwall-server";

/// Starts a policy server for the cluster `main` that is reached by this kubeconfig.
pub(crate) async fn start_server(
    mesh: &Mesh,
    kubeconfig: &Path,
    state: Option<&Path>,
    listen: Option<SocketAddr>,
) -> Running {
    let folder = mesh.folder.path();
    let leaf = Leaf::uri(SERVER).dns_name("policy-server");
    let files = mesh
        .authority
        .issue(&leaf)
        .unwrap()
        .write_to(folder, "server")
        .unwrap();
    let mut arguments = vec![
        "meshwall-server".to_owned(),
        format!("--cluster=main={}", kubeconfig.display()),
        format!("--certificate={}", files.certificate.display()),
        format!("--key={}", files.key.display()),
        format!("--authorities={}", folder.join("mesh.pem").display()),
        format!("--module={}", module().path.display()),
        "--admin=127.0.0.1:0".to_owned(),
        format!("--listen={}", listen.unwrap_or(([127, 0, 0, 1], 0).into())),
    ];
    arguments.extend(state.map(|state| format!("--state={}", state.display())));
    server::start(&Flags::parse_from(arguments)).await.unwrap()
}

/// The sidecar of the pod `shop/ledger-0`, with a listener for HTTP and one for TCP.
pub(crate) struct Sidecar {
    pub(crate) envoy: Envoy,
    _web: HttpBackend,
    _raw: TcpBackend,
}

impl Sidecar {
    /// Starts it with the certificate of `account`, as the pod `node`.
    pub(crate) async fn start_as(
        mesh: &Mesh,
        server: SocketAddr,
        node: &str,
        account: (&str, &str),
    ) -> Sidecar {
        let web = HttpBackend::start().await.unwrap();
        let raw = TcpBackend::start(Speech::ServerFirst(GREETING.to_vec()))
            .await
            .unwrap();
        let firewall = |kind| Firewall {
            module: module(),
            program: Program::Discovered(Discovery {
                resource: discovered(kind, Direction::Inbound).to_owned(),
                source: ConfigSource::Grpc {
                    cluster: "policy-server".to_owned(),
                },
            }),
        };
        let tcp = Protocol::Tcp(Tcp {
            cluster: "raw".to_owned(),
        });
        let listeners = vec![
            inbound(
                mesh,
                "http",
                Protocol::Http(http()),
                firewall(FilterKind::Http),
            ),
            inbound(mesh, "tcp", tcp, firewall(FilterKind::Network)),
        ];
        let (namespace, name) = account;
        let identity = mesh.authority.workload(namespace, name).unwrap();
        let files = identity.write_to(mesh.folder.path(), &format!("{namespace}-{name}"));
        let files = files.unwrap();
        let policy_server = EnvoyCluster {
            name: "policy-server".to_owned(),
            endpoints: Endpoints::Addresses(vec![server]),
            protocol: UpstreamProtocol::Http2,
            tls: Some(ClientTls {
                certificate: Certificate {
                    chain: DataSource::File(files.certificate),
                    key: DataSource::File(files.key),
                },
                trust: Trust::AnyAuthority(DataSource::File(mesh.folder.path().join("mesh.pem"))),
                sni: Some("policy-server".to_owned()),
                expected_uris: vec![SERVER.to_owned()],
            }),
        };
        let clusters = vec![
            cluster("web", web.address(), UpstreamProtocol::AsDownstream),
            cluster("raw", raw.address(), UpstreamProtocol::Tcp),
            policy_server,
        ];
        let mut config = config(listeners, clusters);
        config["node"]["id"] = json!(node);
        let envoy = Launch::new(&mesh.envoy)
            .concurrency(2)
            .start(&config)
            .await
            .unwrap();
        Sidecar {
            envoy,
            _web: web,
            _raw: raw,
        }
    }

    /// The status of a request by a peer.
    pub(crate) async fn ask(&self, mesh: &Mesh, peer: &Peer) -> u16 {
        let address = self.envoy.listener("http").unwrap();
        let client = mesh.client(peer);
        let answer = client
            .request(address, Version::Http2, &Request::get("/"))
            .await;
        answer.unwrap().status
    }

    /// Whether a peer is greeted by the TCP server.
    pub(crate) async fn is_greeted(&self, mesh: &Mesh, peer: &Peer) -> bool {
        let address = self.envoy.listener("tcp").unwrap();
        let mut connection = mesh.client(peer).open(address, &[]).await.unwrap();
        let expect = GREETING.len();
        let end = connection.exchange(Exchange { send: b"", expect }).await;
        end.received() == GREETING
    }

    /// Waits until a peer's requests and connections are both permitted, or both denied, on all
    /// workers; returns how long the first right answer took.
    pub(crate) async fn until(&self, mesh: &Mesh, peer: &Peer, permitted: bool) -> Duration {
        let start = Instant::now();
        let mut first = None;
        let mut in_a_row = 0;
        while in_a_row < 6 {
            let status = if permitted { 200 } else { 403 };
            let right = self.ask(mesh, peer).await == status
                && self.is_greeted(mesh, peer).await == permitted;
            in_a_row = if right { in_a_row + 1 } else { 0 };
            if right {
                first.get_or_insert_with(|| start.elapsed());
            }
            assert!(start.elapsed() < SOON, "not {permitted} within {SOON:?}");
        }
        first.unwrap_or_default()
    }
}

/// All of it: the cluster with its pods, the policy server, the sidecar of `ledger`.
pub(crate) struct World {
    pub(crate) mesh: Mesh,
    pub(crate) cluster: Cluster,
    pub(crate) server: Running,
    pub(crate) sidecar: Sidecar,
}

impl World {
    pub(crate) async fn start() -> World {
        let mesh = Mesh::new();
        let cluster = Cluster::start().await;
        pods(&cluster).await;
        let kubeconfig = cluster.server.kubeconfig("admin").unwrap();
        let server = start_server(&mesh, &kubeconfig, None, None).await;
        let account = ("shop", "ledger");
        let sidecar = Sidecar::start_as(&mesh, server.address, "shop/ledger-0", account).await;
        World {
            mesh,
            cluster,
            server,
            sidecar,
        }
    }

    pub(crate) async fn until(&self, peer: &Peer, permitted: bool) -> Duration {
        self.sidecar.until(&self.mesh, peer, permitted).await
    }
}

/// The pods of the mesh, at the addresses from which tests speak.
pub(crate) async fn pods(cluster: &Cluster) {
    let ledger = json!({"app": "ledger"});
    cluster
        .pod("shop", "ledger-0", "ledger", LEDGER.address(), ledger)
        .await;
    let front = json!({"app": "frontend", "tier": "front"});
    cluster
        .pod("shop", "frontend-0", "frontend", FRONTEND.address(), front)
        .await;
    let canary = json!({"app": "frontend", "tier": "canary"});
    cluster
        .pod("shop", "frontend-1", "frontend", CANARY.address(), canary)
        .await;
    let console = json!({"role": "console"});
    cluster
        .pod("ops", "console-0", "console", CONSOLE.address(), console)
        .await;
}
