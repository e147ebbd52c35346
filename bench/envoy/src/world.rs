//! One Envoy for each filter that is compared, and a client for each number of rules.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use meshwall_bench_decider::rules;
use meshwall_mesh_config::envoy::{
    Bootstrap, Certificate, DataSource, Direction, Firewall, Http, Listener, Module, Node, Paths,
    Program, Protocol, ServerTls, Trust,
};
use meshwall_policy::compile::{compile, peer_table};
use meshwall_policy::{bundle, spec};
use meshwall_testbed::rig::client::Client;
use meshwall_testbed::rig::envoy::{Binary, Envoy, Launch};
use meshwall_testbed::rig::pki::{Authority, Leaf, write_bundle};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rbac;

/// Port that the rules are about; the listener stands for it, whatever its own is.
const PORT: u16 = 8080;
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What stands between the listener and the route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filter {
    /// Nothing.
    None,
    /// A module that does nothing.
    Idle,
    /// The firewall with so many rules.
    Firewall(usize),
    /// Envoy's RBAC filter with so many rules.
    Rbac(usize),
}

impl Filter {
    /// Name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Filter::None => "no filter",
            Filter::Idle => "module that does nothing",
            Filter::Firewall(_) => "firewall",
            Filter::Rbac(_) => "native RBAC",
        }
    }

    /// How many rules it has.
    pub fn rules(self) -> Option<usize> {
        match self {
            Filter::None | Filter::Idle => None,
            Filter::Firewall(rules) | Filter::Rbac(rules) => Some(rules),
        }
    }

    /// The rule that requests are for: the last one.
    pub fn last_rule(self) -> usize {
        self.rules().map_or(0, |rules| rules - 1)
    }
}

/// Certificates and modules.
pub struct World {
    envoy: Binary,
    authority: Authority,
    firewall: PathBuf,
    folder: TempDir,
}

impl World {
    /// With this firewall.
    pub fn new(firewall: PathBuf) -> Result<World> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new("cluster.local")?;
        write_bundle(folder.path(), "mesh", &[&authority])?;
        let server = authority.workload("shop", "payments")?;
        server.write_to(folder.path(), "server")?;
        let idle = wat::parse_str(include_str!("idle.wat"))?;
        std::fs::write(folder.path().join("idle.wasm"), idle)?;
        Ok(World {
            envoy: Binary::find(None)?,
            authority,
            firewall,
            folder,
        })
    }

    /// The firewall's module.
    pub fn module(&self) -> &Path {
        &self.firewall
    }

    /// Starts an Envoy that answers each permitted request itself.
    pub async fn start(&self, filter: Filter, listeners: usize, workers: u32) -> Result<Envoy> {
        let config = self.config(filter, listeners)?;
        let launch = Launch::new(&self.envoy).concurrency(workers);
        launch
            .log_level("warning", "")
            .start(&config)
            .await
            .with_context(|| format!("starting Envoy with {filter:?}"))
    }

    /// The client that the rule `number` is for.
    pub fn client(&self, number: usize) -> Result<Client> {
        let identity = self.authority.issue(&Leaf::uri(rules::principal(number)))?;
        Ok(Client::mtls(&identity, &[&self.authority])?)
    }

    fn config(&self, filter: Filter, listeners: usize) -> Result<Value> {
        let firewall = match filter {
            Filter::None | Filter::Rbac(_) => None,
            Filter::Idle => Some(plugin(&self.file("idle.wasm"), Vec::new())),
            Filter::Firewall(rules) => Some(plugin(&self.firewall, bundle_of(rules)?)),
        };
        let listener = |number: usize| Listener {
            name: format!("listener-{number}"),
            address: LOOPBACK,
            direction: Direction::Inbound,
            tls: Some(ServerTls {
                certificate: Certificate {
                    chain: DataSource::File(self.file("server.pem")),
                    key: DataSource::File(self.file("server.key")),
                },
                trust: Trust::AnyAuthority(DataSource::File(self.file("mesh.pem"))),
            }),
            protocol: Protocol::Http(Http {
                cluster: "none".to_owned(),
                jwt_issuers: Vec::new(),
                paths: Paths::AsSent,
                trusted_hops: 0,
            }),
            firewall: firewall.clone(),
        };
        let bootstrap = Bootstrap {
            heading: String::new(),
            node: Node {
                id: "payments-0.shop".to_owned(),
                cluster: "payments".to_owned(),
            },
            admin: None,
            listeners: (0..listeners).map(listener).collect(),
            clusters: Vec::new(),
        };
        let mut config = bootstrap.to_json();
        for number in 0..listeners {
            let at = format!("/static_resources/listeners/{number}/filter_chains/0/filters/1");
            let manager = config
                .pointer_mut(&format!("{at}/typed_config"))
                .context("no connection manager where it was")?;
            answer_directly(manager)?;
            if let Filter::Rbac(rules) = filter {
                let filters = manager["http_filters"].as_array_mut();
                filters
                    .context("no HTTP filters")?
                    .insert(0, rbac::filter(rules));
            }
        }
        Ok(config)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// What the firewall is configured with for so many rules.
pub fn bundle_of(count: usize) -> Result<Vec<u8>> {
    let (config, inventory) = rules::world();
    let policies = rules::policies(count);
    let compiled = compile(&config, &policies, &inventory, &rules::workload())?;
    let peers = peer_table(&compiled.sets, &inventory)?;
    let direction = spec::Direction::Ingress;
    Ok(bundle::encode(
        direction,
        Some(PORT),
        &compiled.program,
        &peers,
    ))
}

fn plugin(module: &Path, program: Vec<u8>) -> Firewall {
    Firewall {
        module: Module {
            path: module.to_owned(),
            sha256: None,
        },
        program: Program::Inline(program),
    }
}

/// Takes the upstream and the access log out of the measurement: both cost more than any filter
/// does, and both are the same with all of them.
fn answer_directly(manager: &mut Value) -> Result<()> {
    let settings = manager.as_object_mut().context("no settings")?;
    settings.remove("access_log");
    let route = manager
        .pointer_mut("/route_config/virtual_hosts/0/routes/0")
        .and_then(Value::as_object_mut)
        .context("no route")?;
    route.remove("route");
    route.insert(
        "direct_response".to_owned(),
        json!({ "status": 200, "body": { "inline_string": "ok" } }),
    );
    Ok(())
}
