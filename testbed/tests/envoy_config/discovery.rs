//! Filters that Envoy fetches: closed until there is one, and changed while running.

use meshwall_mesh_config::envoy::{
    ConfigSource, Discovery, FilterKind, Firewall, Http, Listener, Module, Program, Protocol, Tcp,
    UpstreamProtocol, discovered_filter,
};
use meshwall_testbed::rig::backend::{HttpBackend, Speech, TcpBackend};
use meshwall_testbed::rig::client::{End, Exchange, Request, Version};
use meshwall_testbed::rig::envoy::{DiscoveryFile, Envoy, Launch};

use crate::support::{SOON, World, bootstrap, cluster, http, seen};

struct Sidecar {
    world: World,
    files: [DiscoveryFile; 2],
    envoy: Envoy,
    web: HttpBackend,
    mail: TcpBackend,
}

/// Listeners `http` and `tcp` whose filters `http` and `tcp` come from a file each; there is
/// none in them.
async fn start() -> Sidecar {
    let world = World::new();
    let files = ["http", "tcp"]
        .map(|name| DiscoveryFile::new(world.folder.path(), &format!("{name}.json")));
    for file in &files {
        file.publish("0", &[]).unwrap();
    }
    let firewall = |resource: &str, file: &DiscoveryFile| {
        let source = ConfigSource::File(file.path().to_path_buf());
        let discovery = Discovery {
            resource: resource.to_owned(),
            source,
        };
        Some(Firewall {
            module: world.module(),
            program: Program::Discovered(discovery),
        })
    };
    let listeners = vec![
        Listener {
            firewall: firewall("http", &files[0]),
            ..world.inbound(
                "http",
                Protocol::Http(Http {
                    cluster: "web".to_owned(),
                    ..http()
                }),
            )
        },
        Listener {
            firewall: firewall("tcp", &files[1]),
            ..world.inbound(
                "tcp",
                Protocol::Tcp(Tcp {
                    cluster: "mail".to_owned(),
                }),
            )
        },
    ];
    let web = HttpBackend::start().await.unwrap();
    let mail = TcpBackend::start(Speech::ServerFirst(b"220 ".to_vec()))
        .await
        .unwrap();
    let clusters = vec![
        cluster("web", web.address(), UpstreamProtocol::Http1),
        cluster("mail", mail.address(), UpstreamProtocol::Tcp),
    ];
    let config = bootstrap(listeners, clusters).to_json();
    let envoy = Launch::new(&world.envoy).start(&config).await.unwrap();
    Sidecar {
        world,
        files,
        envoy,
        web,
        mail,
    }
}

impl Sidecar {
    fn publish(&self, version: &str, module: &Module, program: &[u8]) {
        let [http, tcp] = &self.files;
        let filter = |name, kind| [discovered_filter(name, kind, module, program)];
        http.publish(version, &filter("http", FilterKind::Http))
            .unwrap();
        tcp.publish(version, &filter("tcp", FilterKind::Network))
            .unwrap();
    }

    async fn reloaded(&self, times: u64) {
        let done = self.envoy.wait_for_stats(SOON, |stats| {
            ["http_filter.http", "network_filter.tcp"]
                .into_iter()
                .all(|filter| {
                    stats.value(&format!(
                        "extension_config_discovery.{filter}.config_reload"
                    )) >= times
                })
        });
        done.await.unwrap();
    }

    async fn request(&self) -> u16 {
        let address = self.envoy.listener("http").unwrap();
        let client = self.world.frontend();
        client
            .request(address, Version::Http2, &Request::get("/"))
            .await
            .unwrap()
            .status
    }

    async fn greeting(&self) -> End {
        let address = self.envoy.listener("tcp").unwrap();
        self.world
            .frontend()
            .exchange(
                address,
                Exchange {
                    send: b"",
                    expect: 4,
                },
            )
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn nothing_passes_before_there_is_a_filter() {
    let sidecar = start().await;
    assert_eq!(sidecar.request().await, 403);
    // A peer that is silent is not greeted by a server that speaks first.
    assert_eq!(sidecar.greeting().await, End::Closed(Vec::new()));
    assert_eq!(sidecar.web.traffic().connections, 0);
    assert_eq!(sidecar.mail.traffic().connections, 0);
}

#[tokio::test]
async fn a_filter_is_live_when_it_is_published() {
    let sidecar = start().await;
    sidecar.publish("1", &sidecar.world.module(), b"program 1");
    sidecar.reloaded(1).await;
    assert_eq!(sidecar.request().await, 200);
    assert_eq!(sidecar.greeting().await, End::Received(b"220 ".to_vec()));
    sidecar.publish("2", &sidecar.world.module(), b"program 2");
    sidecar.reloaded(2).await;
    sidecar
        .envoy
        .wait_for_log("C program 2", SOON)
        .await
        .unwrap();
    assert_eq!(sidecar.request().await, 200);
    let peer = "spiffe://cluster.local/ns/shop/sa/frontend";
    assert_eq!(
        seen(&sidecar.envoy, 'H', "filter_state/meshwall.peer_uri_sans").await,
        peer
    );
}

#[tokio::test]
async fn a_module_that_does_not_load_is_refused_and_the_last_one_stays() {
    let sidecar = start().await;
    sidecar.publish("1", &sidecar.world.module(), b"program 1");
    sidecar.reloaded(1).await;
    let broken = Module {
        path: sidecar.files[0].path().to_path_buf(),
        sha256: None,
    };
    sidecar.publish("2", &broken, b"program 2");
    let refused = |stats: &meshwall_testbed::rig::envoy::Stats| {
        stats.value("extension_config_discovery.http_filter.http.config_fail") > 0
    };
    sidecar.envoy.wait_for_stats(SOON, refused).await.unwrap();
    assert_eq!(sidecar.request().await, 200);
    assert_eq!(sidecar.greeting().await, End::Received(b"220 ".to_vec()));
}
