//! `firewall.wasm` in a real Envoy gets its programs over streams of its own, from the real xDS
//! server.
#![cfg(test)]

#[path = "../sidecar/mod.rs"]
mod sidecar;

mod server;

use meshwall_mesh_config::envoy::{
    ConfigSource, Discovery, FilterKind, Firewall, Program, Protocol, Tcp, UpstreamProtocol,
    discovered_filter,
};
use meshwall_testbed::rig::backend::{HttpBackend, Speech, TcpBackend};
use meshwall_testbed::rig::client::{Exchange, Request, Version};
use meshwall_testbed::rig::envoy::{DiscoveryFile, Envoy, Launch};

use server::{PolicyServer, in_force};
use sidecar::{
    CONSOLE, FRONTEND, GREETING, Mesh, Peer, SOON, cluster, config, http, inbound, module, policy,
};

const CLUSTER: &str = "outbound|15443||meshwall-server";
const WORKERS: u32 = 2;
/// One for each worker thread and one for the main thread.
const STREAMS: usize = 3;
const EVERYBODY: &str = "
- {name: all, action: Allow}
";
const FRONTEND_ONLY: &str = "
- {name: readers, action: Allow, from: [{serviceAccounts: [frontend]}]}
";

/// Listeners `http` and `tcp`, whose filters come from files and their programs from a server.
struct Sidecar {
    mesh: Mesh,
    envoy: Envoy,
    _web: HttpBackend,
    _raw: TcpBackend,
    files: [DiscoveryFile; 2],
}

impl Sidecar {
    async fn start(server: &PolicyServer) -> Sidecar {
        let mesh = Mesh::new();
        let files = ["http", "tcp"]
            .map(|name| DiscoveryFile::new(mesh.folder.path(), &format!("{name}.json")));
        let firewall = |resource: &str, file: &DiscoveryFile| Firewall {
            module: module(),
            program: Program::Discovered(Discovery {
                resource: resource.to_owned(),
                source: ConfigSource::File(file.path().to_path_buf()),
            }),
        };
        let tcp = Protocol::Tcp(Tcp {
            cluster: "raw".to_owned(),
        });
        let listeners = vec![
            inbound(
                &mesh,
                "http",
                Protocol::Http(http()),
                firewall("http", &files[0]),
            ),
            inbound(&mesh, "tcp", tcp, firewall("tcp", &files[1])),
        ];
        let web = HttpBackend::start().await.unwrap();
        let speech = Speech::ServerFirst(GREETING.to_vec());
        let raw = TcpBackend::start(speech).await.unwrap();
        let clusters = vec![
            cluster("web", web.address(), UpstreamProtocol::AsDownstream),
            cluster("raw", raw.address(), UpstreamProtocol::Tcp),
            cluster(CLUSTER, server.address, UpstreamProtocol::Http2),
        ];
        configure(&files, 0);
        let launch = Launch::new(&mesh.envoy).concurrency(WORKERS);
        let envoy = launch.start(&config(listeners, clusters)).await.unwrap();
        Sidecar {
            mesh,
            envoy,
            _web: web,
            _raw: raw,
            files,
        }
    }

    /// The status of a request on a new connection.
    async fn ask(&self, peer: &Peer) -> u16 {
        let address = self.envoy.listener("http").unwrap();
        let client = self.mesh.client(peer);
        let request = Request::get("/");
        let answer = client.request(address, Version::Http2, &request).await;
        answer.unwrap().status
    }

    /// Whether the TCP server's greeting arrives.
    async fn is_greeted(&self, peer: &Peer) -> bool {
        let address = self.envoy.listener("tcp").unwrap();
        let mut connection = self.mesh.client(peer).open(address, &[]).await.unwrap();
        let expect = GREETING.len();
        let end = connection.exchange(Exchange { send: b"", expect }).await;
        end.received() == GREETING
    }

    /// Asks as often as it takes to have met all workers.
    async fn assert_only_frontend(&self) {
        for _ in 0..6 {
            assert_eq!(self.ask(&FRONTEND).await, 200);
            assert_eq!(self.ask(&CONSOLE).await, 403);
            assert!(self.is_greeted(&FRONTEND).await);
            assert!(!self.is_greeted(&CONSOLE).await);
        }
    }

    async fn counted(&self, event: &str) -> u64 {
        let metrics = self.envoy.prometheus().await.unwrap();
        let name = format!("meshwall_delivery_total{{reason=\"{event}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.parse().unwrap())
    }
}

/// Gives the filters their bootstrap, in other words for each number.
fn configure(files: &[DiscoveryFile; 2], number: usize) {
    let bootstrap = format!(
        r#"{{"policyServer": {{"cluster": "{CLUSTER}"}}, {}"direction": "ingress"}}"#,
        " ".repeat(number)
    );
    let kinds = [("http", FilterKind::Http), ("tcp", FilterKind::Network)];
    for (file, (name, kind)) in files.iter().zip(kinds) {
        let filter = discovered_filter(name, kind, &module(), bootstrap.as_bytes());
        file.publish(&number.to_string(), &[filter]).unwrap();
    }
}

#[tokio::test]
async fn programs_reach_all_workers_and_what_lives_on_them() {
    let server = PolicyServer::start().await;
    let mut sidecar = Sidecar::start(&server).await;
    server
        .until(|server| server.stream_count() == STREAMS)
        .await;
    assert_eq!(sidecar.ask(&FRONTEND).await, 403, "there is no program yet");
    assert!(!sidecar.is_greeted(&FRONTEND).await);

    server.publish(&policy(EVERYBODY), STREAMS).await;
    assert_eq!(sidecar.ask(&CONSOLE).await, 200);
    let address = sidecar.envoy.listener("http").unwrap();
    let mut live = Vec::new();
    for peer in [&FRONTEND, &CONSOLE] {
        let client = sidecar.mesh.client(peer);
        let mut connection = client.http(address, Version::Http2).await.unwrap();
        let mut stream = connection.stream(&Request::get("/stream")).await.unwrap();
        assert!(stream.next().await.unwrap().is_some());
        live.push((connection, stream));
    }
    let (took, _) = server.publish(&policy(FRONTEND_ONLY), STREAMS).await;
    println!("from publishing to being in force in {STREAMS} virtual machines: {took:?}");
    sidecar.assert_only_frontend().await;
    let (_cut, stream) = &mut live[1];
    while let Ok(piece) = stream.next().await {
        assert!(piece.is_some(), "it must not look like an orderly end");
    }
    let (_kept, stream) = &mut live[0];
    assert!(stream.next().await.unwrap().is_some());
    assert_eq!(sidecar.counted("accepted").await, 2 * STREAMS as u64);
    assert!(sidecar.envoy.status().is_none());
}

#[tokio::test]
async fn a_large_program_comes_in_pieces() {
    let server = PolicyServer::start().await;
    let sidecar = Sidecar::start(&server).await;
    let rule = |number: usize| {
        let path = format!("/service-{number}").repeat(20);
        format!("\n- {{name: r{number}, action: Allow, operations: [{{paths: [{path}]}}]}}")
    };
    let rules: String = (0..900).map(rule).collect();
    let documents = policy(&rules);
    let (took, chunks) = server.publish(&documents, STREAMS).await;
    println!("{chunks} chunks to {STREAMS} virtual machines: {took:?}");
    assert!(chunks > 5, "{chunks} chunks");
    assert_eq!(sidecar.ask(&CONSOLE).await, 403);
    let one_more = policy(&format!("{rules}{FRONTEND_ONLY}"));
    server.publish(&one_more, STREAMS).await;
    assert_eq!(sidecar.ask(&FRONTEND).await, 200);
    assert_eq!(sidecar.ask(&CONSOLE).await, 403);
}

#[tokio::test]
async fn a_server_that_comes_back_has_nothing_to_send() {
    let server = PolicyServer::start().await;
    let sidecar = Sidecar::start(&server).await;
    server.publish(&policy(FRONTEND_ONLY), STREAMS).await;
    let address = server.stop().await;
    sidecar.assert_only_frontend().await;

    let server = PolicyServer::start_at(address).await;
    let (version, _) = server.offer(&policy(FRONTEND_ONLY));
    server
        .until(|server| in_force(server, &version) == STREAMS)
        .await;
    assert_eq!(server.server.counters().responses, 0);
    sidecar.assert_only_frontend().await;
    assert_eq!(sidecar.counted("accepted").await, STREAMS as u64);
    server.publish(&policy(EVERYBODY), STREAMS).await;
    assert_eq!(sidecar.ask(&CONSOLE).await, 200);
}

#[tokio::test]
async fn configurations_and_servers_come_and_go() {
    let mut server = PolicyServer::start().await;
    let mut sidecar = Sidecar::start(&server).await;
    server.publish(&policy(FRONTEND_ONLY), STREAMS).await;
    for round in 1..=8 {
        if round % 2 == 0 {
            let address = server.stop().await;
            server = PolicyServer::start_at(address).await;
            server.offer(&policy(FRONTEND_ONLY));
        }
        configure(&sidecar.files, round);
        let reloads = round as u64 + 1;
        let reloaded = |stats: &meshwall_testbed::rig::envoy::Stats| {
            ["http_filter.http", "network_filter.tcp"]
                .iter()
                .all(|filter| {
                    let name = format!("extension_config_discovery.{filter}.config_reload");
                    stats.value(&name) >= reloads
                })
        };
        sidecar.envoy.wait_for_stats(SOON, reloaded).await.unwrap();
        sidecar.assert_only_frontend().await;
    }
    let (version, _) = server.offer(&policy(FRONTEND_ONLY));
    server
        .until(|server| in_force(server, &version) == STREAMS)
        .await;
    server
        .until(|server| server.stream_count() == STREAMS)
        .await;
    sidecar.assert_only_frontend().await;
    assert!(
        sidecar.envoy.status().is_none(),
        "{}",
        sidecar.envoy.log().unwrap()
    );
}
