//! A sidecar whose filters come from files.

use meshwall_mesh_config::envoy::{
    ConfigSource, Discovery, FilterKind, Firewall, Http, JwtIssuer, Module, Program, Protocol, Tcp,
    UpstreamProtocol, discovered_filter,
};
use meshwall_testbed::rig::backend::{HttpBackend, Speech, TcpBackend};
use meshwall_testbed::rig::client::{Client, Connection, End, Exchange, Request, Version};
use meshwall_testbed::rig::envoy::{DiscoveryFile, Envoy, Launch, Stats};
use meshwall_testbed::rig::token::TokenIssuer;

use super::{Mesh, Peer, SOON, bundle, cluster, config, http, inbound, module, policy};

/// What the TCP server says first.
pub(crate) const GREETING: &[u8] = b"220 ready\r\n";

/// Listeners `http` and `tcp` whose filters, of the same names, come from a file each.
pub(crate) struct Published {
    pub(crate) mesh: Mesh,
    pub(crate) envoy: Envoy,
    pub(crate) web: HttpBackend,
    pub(crate) raw: TcpBackend,
    pub(crate) issuer: TokenIssuer,
    files: [DiscoveryFile; 2],
}

impl Published {
    /// One with two workers. There is nothing in the files yet.
    pub(crate) async fn start() -> Published {
        let mesh = Mesh::new();
        let files = ["http", "tcp"]
            .map(|name| DiscoveryFile::new(mesh.folder.path(), &format!("{name}.json")));
        for file in &files {
            file.publish("0", &[]).unwrap();
        }
        let firewall = |resource: &str, file: &DiscoveryFile| Firewall {
            module: module(),
            program: Program::Discovered(Discovery {
                resource: resource.to_owned(),
                source: ConfigSource::File(file.path().to_path_buf()),
            }),
        };
        let issuer = TokenIssuer::new("https://issuer.example").unwrap();
        let web_settings = Protocol::Http(Http {
            jwt_issuers: vec![JwtIssuer {
                name: "shop".to_owned(),
                issuer: issuer.issuer().to_owned(),
                audiences: Vec::new(),
                jwks: issuer.jwks(),
            }],
            ..http()
        });
        let raw_settings = Protocol::Tcp(Tcp {
            cluster: "raw".to_owned(),
        });
        let listeners = vec![
            inbound(&mesh, "http", web_settings, firewall("http", &files[0])),
            inbound(&mesh, "tcp", raw_settings, firewall("tcp", &files[1])),
        ];
        let web = HttpBackend::start().await.unwrap();
        let speech = Speech::ServerFirst(GREETING.to_vec());
        let raw = TcpBackend::start(speech).await.unwrap();
        let clusters = vec![
            cluster("web", web.address(), UpstreamProtocol::AsDownstream),
            cluster("raw", raw.address(), UpstreamProtocol::Tcp),
        ];
        let launch = Launch::new(&mesh.envoy).concurrency(2);
        let envoy = launch.start(&config(listeners, clusters)).await.unwrap();
        Published {
            mesh,
            envoy,
            web,
            raw,
            issuer,
            files,
        }
    }

    /// One with a policy of these rules.
    pub(crate) async fn start_with(rules: &str) -> Published {
        let sidecar = Published::start().await;
        sidecar.publish("1", rules).await;
        sidecar
    }

    /// Publishes a policy of these rules, and waits until Envoy has taken it.
    pub(crate) async fn publish(&self, version: &str, rules: &str) {
        self.publish_documents(version, &policy(rules)).await;
    }

    /// Publishes what these documents mean, and waits until Envoy has taken it.
    pub(crate) async fn publish_documents(&self, version: &str, documents: &str) {
        let before = self.count("config_reload").await;
        self.offer(version, &module(), &bundle(documents));
        self.until(|stats| least(stats, "config_reload") > before)
            .await;
    }

    /// Puts these bytes in the place of a program, and waits until Envoy has refused them.
    pub(crate) async fn publish_bad(&self, version: &str, module: &Module, program: &[u8]) {
        let before = self.count("config_fail").await;
        self.offer(version, module, program);
        self.until(|stats| least(stats, "config_fail") > before)
            .await;
    }

    fn offer(&self, version: &str, module: &Module, program: &[u8]) {
        let kinds = [("http", FilterKind::Http), ("tcp", FilterKind::Network)];
        for (file, (name, kind)) in self.files.iter().zip(kinds) {
            let filter = discovered_filter(name, kind, module, program);
            file.publish(version, &[filter]).unwrap();
        }
    }

    async fn count(&self, name: &str) -> u64 {
        least(&self.envoy.stats().await.unwrap(), name)
    }

    async fn until(&self, condition: impl Fn(&Stats) -> bool) {
        self.envoy.wait_for_stats(SOON, condition).await.unwrap();
    }

    /// The status of a request by a peer.
    pub(crate) async fn ask(&self, peer: &Peer, version: Version) -> u16 {
        let address = self.envoy.listener("http").unwrap();
        let client = self.mesh.client(peer);
        let answer = client.request(address, version, &Request::get("/")).await;
        answer.unwrap().status
    }

    /// Whether a peer is greeted by the TCP server. If not, it is told nothing.
    pub(crate) async fn is_greeted(&self, peer: &Peer) -> bool {
        let (_, end) = self.connect(&self.mesh.client(peer)).await;
        if end.received() == GREETING {
            return true;
        }
        assert!(end.is_ended() && end.received().is_empty(), "{end:?}");
        false
    }

    /// A connection to the TCP server, and its first words.
    pub(crate) async fn connect(&self, client: &Client) -> (Connection, End) {
        let address = self.envoy.listener("tcp").unwrap();
        let mut connection = client.open(address, &[]).await.unwrap();
        let expect = GREETING.len();
        let end = connection.exchange(Exchange { send: b"", expect }).await;
        (connection, end)
    }
}

/// The count of an event for that of the two filters that has had fewer.
fn least(stats: &Stats, event: &str) -> u64 {
    let [http, tcp] = ["http_filter.http", "network_filter.tcp"]
        .map(|filter| stats.value(&format!("extension_config_discovery.{filter}.{event}")));
    http.min(tcp)
}
