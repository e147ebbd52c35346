//! Starting the sidecar.

use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use meshwall_mesh_config::envoy::{
    Bootstrap, Cluster, Direction, Endpoints, Firewall, Http, Listener, Module, Node, Paths,
    Program, Protocol, Tcp, UpstreamProtocol,
};
use meshwall_testbed::rig::backend::{HttpBackend, Speech, TcpBackend};
use meshwall_testbed::rig::envoy::{Envoy, Launch};
use serde_json::Value;

use super::Mesh;
use super::world::bundle;

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The firewall as it is shipped: where `MESHWALL_FIREWALL_WASM` says, else where
/// scripts/build-wasm puts it.
pub(crate) fn module() -> Module {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm/firewall.wasm");
    let path = env::var_os("MESHWALL_FIREWALL_WASM").map_or(built, PathBuf::from);
    assert!(
        path.is_file(),
        "no module at {}; run scripts/build-wasm",
        path.display()
    );
    Module { path, sha256: None }
}

/// The firewall with what these documents mean for connections to `ledger`.
pub(crate) fn firewall(documents: &str) -> Firewall {
    Firewall {
        module: module(),
        program: Program::Inline(bundle(documents)),
    }
}

/// Requests go to the cluster `web`.
pub(crate) fn http() -> Http {
    Http {
        cluster: "web".to_owned(),
        jwt_issuers: Vec::new(),
        paths: Paths::AsSent,
        trusted_hops: 0,
    }
}

/// An inbound listener of `ledger`.
pub(crate) fn inbound(mesh: &Mesh, name: &str, protocol: Protocol, firewall: Firewall) -> Listener {
    Listener {
        name: name.to_owned(),
        address: LOOPBACK,
        direction: Direction::Inbound,
        tls: Some(mesh.per_domain()),
        protocol,
        firewall: Some(firewall),
    }
}

/// A cluster of one endpoint without TLS.
pub(crate) fn cluster(name: &str, address: SocketAddr, protocol: UpstreamProtocol) -> Cluster {
    Cluster {
        name: name.to_owned(),
        endpoints: Endpoints::Addresses(vec![address]),
        protocol,
        tls: None,
    }
}

/// The configuration of the sidecar of `ledger`.
pub(crate) fn config(listeners: Vec<Listener>, clusters: Vec<Cluster>) -> Value {
    let bootstrap = Bootstrap {
        heading: "The sidecar of ledger.".to_owned(),
        node: Node {
            id: "ledger-0.shop".to_owned(),
            cluster: "ledger".to_owned(),
        },
        admin: None,
        listeners,
        clusters,
    };
    bootstrap.to_json()
}

/// A sidecar with one HTTP listener.
pub(crate) struct HttpSidecar {
    pub(crate) mesh: Mesh,
    pub(crate) envoy: Envoy,
    pub(crate) backend: HttpBackend,
    pub(crate) address: SocketAddr,
}

impl HttpSidecar {
    pub(crate) async fn start(documents: &str) -> HttpSidecar {
        HttpSidecar::start_with(documents, http(), |_, _| {}).await
    }

    /// Starts one with other settings. `edit` gets the listener, and may change what the
    /// generator would not.
    pub(crate) async fn start_with(
        documents: &str,
        settings: Http,
        edit: impl FnOnce(&Mesh, &mut Listener),
    ) -> HttpSidecar {
        HttpSidecar::start_edited(documents, settings, edit, |_| {}).await
    }

    /// The same, with a last word on the configuration as JSON.
    pub(crate) async fn start_edited(
        documents: &str,
        settings: Http,
        edit: impl FnOnce(&Mesh, &mut Listener),
        edit_json: impl FnOnce(&mut Value),
    ) -> HttpSidecar {
        let mesh = Mesh::new();
        let backend = HttpBackend::start().await.unwrap();
        let protocol = Protocol::Http(settings);
        let mut listener = inbound(&mesh, "http", protocol, firewall(documents));
        edit(&mesh, &mut listener);
        let web = cluster("web", backend.address(), UpstreamProtocol::AsDownstream);
        let mut config = config(vec![listener], vec![web]);
        edit_json(&mut config);
        let envoy = Launch::new(&mesh.envoy).start(&config).await.unwrap();
        let address = envoy.listener("http").unwrap();
        HttpSidecar {
            mesh,
            envoy,
            backend,
            address,
        }
    }
}

/// A sidecar with one TCP listener.
pub(crate) struct TcpSidecar {
    pub(crate) mesh: Mesh,
    pub(crate) envoy: Envoy,
    pub(crate) backend: TcpBackend,
    pub(crate) address: SocketAddr,
}

impl TcpSidecar {
    pub(crate) async fn start(documents: &str, speech: Speech) -> TcpSidecar {
        TcpSidecar::start_with(documents, speech, |_, _| {}).await
    }

    /// Starts one with another listener.
    pub(crate) async fn start_with(
        documents: &str,
        speech: Speech,
        edit: impl FnOnce(&Mesh, &mut Listener),
    ) -> TcpSidecar {
        let mesh = Mesh::new();
        let backend = TcpBackend::start(speech).await.unwrap();
        let protocol = Protocol::Tcp(Tcp {
            cluster: "raw".to_owned(),
        });
        let mut listener = inbound(&mesh, "tcp", protocol, firewall(documents));
        edit(&mesh, &mut listener);
        let raw = cluster("raw", backend.address(), UpstreamProtocol::Tcp);
        let config = config(vec![listener], vec![raw]);
        let envoy = Launch::new(&mesh.envoy).start(&config).await.unwrap();
        let address = envoy.listener("tcp").unwrap();
        TcpSidecar {
            mesh,
            envoy,
            backend,
            address,
        }
    }
}
