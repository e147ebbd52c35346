//! A mesh with a partner, and the probe in place of the firewall.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use meshwall_mesh_config::envoy::{
    Bootstrap, Certificate, Cluster, DataSource, Direction, Endpoints, Firewall, Http, Listener,
    Module, Node, Paths, Program, Protocol, ServerTls, Tcp, Trust, TrustDomain, UpstreamProtocol,
};
use meshwall_testbed::rig::backend::HttpBackend;
use meshwall_testbed::rig::client::Client;
use meshwall_testbed::rig::envoy::{Binary, Envoy, Launch};
use meshwall_testbed::rig::pki::{Authority, Identity, Leaf, write_bundle};
use tempfile::TempDir;

/// As long as anything here may take.
pub(crate) const SOON: Duration = Duration::from_secs(10);
pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// A program that only a binary field can carry.
pub(crate) const PROGRAM: &[u8] = b"\x00\xff\xfeprogram 1";

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) envoy: Binary,
    pub(crate) mesh: Authority,
    pub(crate) partner: Authority,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            envoy: Binary::find(None).unwrap(),
            mesh: Authority::new("cluster.local").unwrap(),
            partner: Authority::new("partner.example").unwrap(),
        };
        let folder = world.folder.path();
        fs::write(
            folder.join("probe.wasm"),
            wat::parse_str(include_str!("probe.wat")).unwrap(),
        )
        .unwrap();
        write_bundle(folder, "mesh", &[&world.mesh]).unwrap();
        write_bundle(folder, "partner", &[&world.partner]).unwrap();
        write_bundle(folder, "both", &[&world.mesh, &world.partner]).unwrap();
        world
            .mesh
            .workload("shop", "ledger")
            .unwrap()
            .write_to(folder, "ledger")
            .unwrap();
        world
            .mesh
            .workload("shop", "frontend")
            .unwrap()
            .write_to(folder, "frontend")
            .unwrap();
        world
    }

    pub(crate) fn frontend(&self) -> Client {
        self.client(&self.mesh.workload("shop", "frontend").unwrap())
    }

    pub(crate) fn client(&self, identity: &Identity) -> Client {
        Client::mtls(identity, &[&self.mesh, &self.partner]).unwrap()
    }

    pub(crate) fn client_with(&self, leaf: &Leaf) -> Client {
        self.client(&self.mesh.issue(leaf).unwrap())
    }

    pub(crate) fn file(&self, name: &str) -> DataSource {
        DataSource::File(self.folder.path().join(name))
    }

    pub(crate) fn certificate(&self, name: &str) -> Certificate {
        Certificate {
            chain: self.file(&format!("{name}.pem")),
            key: self.file(&format!("{name}.key")),
        }
    }

    pub(crate) fn per_domain(&self) -> Trust {
        let domain = |name: &str, bundle| TrustDomain {
            name: name.to_owned(),
            authorities: self.file(bundle),
        };
        Trust::PerDomain(vec![
            domain("cluster.local", "mesh.pem"),
            domain("partner.example", "partner.pem"),
        ])
    }

    pub(crate) fn any_authority(&self) -> Trust {
        Trust::AnyAuthority(self.file("both.pem"))
    }

    pub(crate) fn server_tls(&self, trust: Trust) -> ServerTls {
        ServerTls {
            certificate: self.certificate("ledger"),
            trust,
        }
    }

    pub(crate) fn module(&self) -> Module {
        Module {
            path: self.folder.path().join("probe.wasm"),
            sha256: None,
        }
    }

    pub(crate) fn inline(&self) -> Firewall {
        Firewall {
            module: self.module(),
            program: Program::Inline(PROGRAM.to_vec()),
        }
    }

    /// An inbound listener in front of the cluster `app`, with TLS and the probe.
    pub(crate) fn inbound(&self, name: &str, protocol: Protocol) -> Listener {
        Listener {
            name: name.to_owned(),
            address: LOOPBACK,
            direction: Direction::Inbound,
            tls: Some(self.server_tls(self.any_authority())),
            protocol,
            firewall: Some(self.inline()),
        }
    }

    pub(crate) async fn start(
        &self,
        listeners: Vec<Listener>,
        app: SocketAddr,
        protocol: UpstreamProtocol,
    ) -> Envoy {
        let config = bootstrap(listeners, vec![cluster("app", app, protocol)]).to_json();
        Launch::new(&self.envoy).start(&config).await.unwrap()
    }
}

pub(crate) fn http() -> Http {
    Http {
        cluster: "app".to_owned(),
        jwt_issuers: Vec::new(),
        paths: Paths::Normalised,
        trusted_hops: 0,
    }
}

pub(crate) fn tcp() -> Protocol {
    Protocol::Tcp(Tcp {
        cluster: "app".to_owned(),
    })
}

pub(crate) fn cluster(name: &str, address: SocketAddr, protocol: UpstreamProtocol) -> Cluster {
    Cluster {
        name: name.to_owned(),
        endpoints: Endpoints::Addresses(vec![address]),
        protocol,
        tls: None,
    }
}

pub(crate) fn bootstrap(listeners: Vec<Listener>, clusters: Vec<Cluster>) -> Bootstrap {
    Bootstrap {
        heading: "The sidecar of ledger.\n\nGenerated.".to_owned(),
        node: Node {
            id: "ledger-0.shop".to_owned(),
            cluster: "ledger".to_owned(),
        },
        admin: None,
        listeners,
        clusters,
    }
}

/// One HTTP listener called `http`, a backend behind it and an Envoy around it.
pub(crate) async fn http_sidecar(world: &World, settings: Http) -> (Envoy, HttpBackend) {
    let backend = HttpBackend::start().await.unwrap();
    let listener = world.inbound("http", Protocol::Http(settings));
    let envoy = world
        .start(
            vec![listener],
            backend.address(),
            UpstreamProtocol::AsDownstream,
        )
        .await;
    (envoy, backend)
}

/// What the probe logged last of a property, NUL written as `/`; waits for it.
pub(crate) async fn seen(envoy: &Envoy, callback: char, property: &str) -> String {
    let wanted = format!("{callback} {}=", property.replace('/', "\0"));
    envoy.wait_for_log(&wanted, SOON).await.unwrap();
    let log = envoy.log().unwrap();
    let line = log.lines().rfind(|line| line.contains(&wanted)).unwrap();
    line.split_once(&wanted).unwrap().1.to_owned()
}
