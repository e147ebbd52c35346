//! The sidecar of one workload: its policies compiled, in front of each of its ports.
//!
//! For Envoys without a control plane, and for tests: the configuration is complete and has the
//! program in it. Each named TCP port of the workload becomes a listener on the workload's own
//! address, which forwards what is permitted to the same port on loopback; so the application
//! listens on loopback only, and nothing gets to it around the sidecar.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use meshwall_policy::bundle;
use meshwall_policy::compile::{CompileError, PeerTableError, compile, peer_table};
use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::spec::{self, Config, DefaultAction, ObjectRef, Policy};

use crate::envoy::{
    Bootstrap, Cluster, Direction, Endpoints, Firewall, Http, JwtIssuer, Listener, Module, Node,
    Paths, Program, Protocol, ServerTls, Tcp, UpstreamProtocol,
};

/// Beginnings of port names, up to the first dash, that say HTTP; the convention is Istio's
/// ("Explicit protocol selection"). Any other port is TCP to the sidecar.
const HTTP_NAMES: [&str; 4] = ["http", "http2", "grpc", "grpcweb"];

/// What the sidecar of a workload is made from.
#[derive(Debug)]
pub struct Sidecar<'a> {
    /// What holds for the mesh.
    pub config: &'a Config,
    /// All policies; those that apply are selected.
    pub policies: &'a [Policy],
    /// All workloads, for peers by label.
    pub inventory: &'a Inventory,
    /// The workload.
    pub workload: &'a Workload,
    /// The firewall, as Envoy finds it.
    pub module: Module,
    /// What peers are shown, and which are let in.
    pub tls: ServerTls,
    /// Issuers whose tokens are verified.
    pub jwt_issuers: Vec<JwtIssuer>,
    /// Where listeners bind; the workload's first address if there is none.
    pub listen: Option<IpAddr>,
    /// Where the application listens.
    pub backend: IpAddr,
    /// Where Envoy's admin interface listens.
    pub admin: Option<SocketAddr>,
}

/// Why there is no sidecar.
#[derive(Debug)]
pub enum SidecarError {
    /// A policy cannot be compiled.
    Compile(CompileError),
    /// The selectors of the policies have too many peers.
    PeerTable(PeerTableError),
    /// The workload names no TCP port, so there is nothing to listen on.
    NoPorts,
    /// The workload has no address, and none was given to listen on.
    NoAddress,
}

impl fmt::Display for SidecarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SidecarError::Compile(error) => fmt::Display::fmt(error, f),
            SidecarError::PeerTable(error) => fmt::Display::fmt(error, f),
            SidecarError::NoPorts => f.write_str(
                "the workload has no named TCP port to listen on; name its ports in the \
                 containers of the pod",
            ),
            SidecarError::NoAddress => {
                f.write_str("the workload has no address; say where to listen")
            }
        }
    }
}

impl std::error::Error for SidecarError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SidecarError::Compile(error) => Some(error),
            SidecarError::PeerTable(error) => Some(error),
            SidecarError::NoPorts | SidecarError::NoAddress => None,
        }
    }
}

impl Sidecar<'_> {
    /// Compiles the policies and puts the listeners together.
    ///
    /// # Errors
    ///
    /// If a policy cannot be compiled, or there is nothing to listen on.
    pub fn bootstrap(&self) -> Result<Bootstrap, SidecarError> {
        let Workload {
            namespace, name, ..
        } = self.workload;
        let compiled = compile(self.config, self.policies, self.inventory, self.workload)
            .map_err(SidecarError::Compile)?;
        let peers = peer_table(&compiled.sets, self.inventory).map_err(SidecarError::PeerTable)?;
        let address = self
            .listen
            .or_else(|| self.workload.addresses.first().copied())
            .ok_or(SidecarError::NoAddress)?;
        if self.workload.ports.is_empty() {
            return Err(SidecarError::NoPorts);
        }
        let mut listeners = Vec::new();
        let mut clusters = Vec::new();
        for (port_name, number) in &self.workload.ports {
            let is_http = is_http(port_name);
            let cluster = format!("{port_name}-application");
            let bundle = bundle::encode(
                spec::Direction::Ingress,
                Some(*number),
                &compiled.program,
                &peers,
            );
            listeners.push(Listener {
                name: port_name.clone(),
                address: SocketAddr::new(address, *number),
                direction: Direction::Inbound,
                tls: Some(self.tls.clone()),
                protocol: if is_http {
                    Protocol::Http(Http {
                        cluster: cluster.clone(),
                        jwt_issuers: self.jwt_issuers.clone(),
                        paths: Paths::AsSent,
                        trusted_hops: u32::from(self.config.trusted_proxies),
                    })
                } else {
                    Protocol::Tcp(Tcp {
                        cluster: cluster.clone(),
                    })
                },
                firewall: Some(Firewall {
                    module: self.module.clone(),
                    program: Program::Inline(bundle),
                }),
            });
            clusters.push(Cluster {
                name: cluster,
                endpoints: Endpoints::Addresses(vec![SocketAddr::new(self.backend, *number)]),
                protocol: if is_http {
                    UpstreamProtocol::AsDownstream
                } else {
                    UpstreamProtocol::Tcp
                },
                tls: None,
            });
        }
        let mut heading = format!(
            "The sidecar of {namespace}/{name}, with its policies compiled into it.\n\
             Written by `meshwall render`; render it again when policies or peers change."
        );
        for unenforced in self.unenforced() {
            heading.push_str("\nNot enforced here: ");
            heading.push_str(&unenforced.to_string());
        }
        Ok(Bootstrap {
            heading,
            node: Node {
                id: format!("{namespace}/{name}"),
                cluster: namespace.clone(),
            },
            admin: self.admin,
            listeners,
            clusters,
        })
    }
}

impl Sidecar<'_> {
    /// What is said about the workload's own connections. The listeners are those of its ports, so
    /// nothing here sees what it connects to.
    #[must_use]
    pub fn unenforced(&self) -> Vec<Unenforced<'_>> {
        let default =
            (self.config.default_egress == DefaultAction::Deny).then_some(Unenforced::Default);
        let selected = self.policies.iter().filter(|policy| {
            let namespaces = &policy.subject.namespaces;
            policy.subject.pods.matches(&self.workload.labels)
                && self
                    .inventory
                    .namespace_matches(namespaces, &self.workload.namespace)
        });
        selected
            .filter(|policy| !policy.egress.is_empty())
            .map(|policy| Unenforced::Rules(&policy.origin))
            .chain(default)
            .collect()
    }
}

/// Something that applies to a workload and that its rendered sidecar does not see to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unenforced<'a> {
    /// The egress rules of a policy.
    Rules(&'a ObjectRef),
    /// The default action for egress.
    Default,
}

impl fmt::Display for Unenforced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unenforced::Rules(policy) => write!(f, "the egress rules of {policy}"),
            Unenforced::Default => f.write_str("the default action for egress, Deny"),
        }
    }
}

/// Whether the mesh speaks HTTP on a port of this name.
pub fn is_http(port_name: &str) -> bool {
    let protocol = port_name.split('-').next().unwrap_or_default();
    HTTP_NAMES.contains(&protocol)
}

/// Where an application listens that only its sidecar should reach.
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use meshwall_policy::document::{self, Document};
    use meshwall_policy::inventory::{Inventory, Workload};
    use meshwall_policy::spec::{Config, DefaultAction};

    use super::{LOOPBACK, Sidecar, SidecarError};
    use crate::envoy::{Certificate, DataSource, Module, Protocol, ServerTls, Trust, TrustDomain};

    fn workload(ports: &[(&str, u16)]) -> Workload {
        Workload {
            namespace: "shop".to_owned(),
            name: "payments".to_owned(),
            labels: [].into(),
            service_account: "payments".to_owned(),
            trust_domain: "cluster.local".to_owned(),
            addresses: vec![[10, 0, 0, 1].into()],
            ports: ports
                .iter()
                .map(|(name, port)| ((*name).to_owned(), *port))
                .collect(),
        }
    }

    fn sidecar<'a>(
        config: &'a Config,
        inventory: &'a Inventory,
        workload: &'a Workload,
    ) -> Sidecar<'a> {
        let file = |name: &str| DataSource::File(PathBuf::from(name));
        Sidecar {
            config,
            policies: &[],
            inventory,
            workload,
            module: Module {
                path: PathBuf::from("/etc/meshwall/firewall.wasm"),
                sha256: None,
            },
            tls: ServerTls {
                certificate: Certificate {
                    chain: file("cert.pem"),
                    key: file("key.pem"),
                },
                trust: Trust::PerDomain(vec![TrustDomain {
                    name: "cluster.local".to_owned(),
                    authorities: file("ca.pem"),
                }]),
            },
            jwt_issuers: Vec::new(),
            listen: None,
            backend: LOOPBACK,
            admin: None,
        }
    }

    #[test]
    fn each_named_port_has_a_listener_of_its_protocol() {
        let (config, inventory) = (Config::default(), Inventory::default());
        let workload = workload(&[
            ("grpc-api", 9000),
            ("http", 8080),
            ("tcp-db", 5432),
            ("x", 7),
        ]);
        let bootstrap = sidecar(&config, &inventory, &workload).bootstrap().unwrap();
        let listeners: Vec<_> = bootstrap
            .listeners
            .iter()
            .map(|listener| {
                let http = matches!(listener.protocol, Protocol::Http(_));
                (listener.name.as_str(), listener.address.to_string(), http)
            })
            .collect();
        assert_eq!(
            listeners,
            [
                ("grpc-api", "10.0.0.1:9000".to_owned(), true),
                ("http", "10.0.0.1:8080".to_owned(), true),
                ("tcp-db", "10.0.0.1:5432".to_owned(), false),
                ("x", "10.0.0.1:7".to_owned(), false),
            ]
        );
    }

    #[test]
    fn what_is_said_of_egress_is_named() {
        let policy = |name: &str, spec: &str| {
            format!(
                "{{apiVersion: meshwall.io/v1alpha1, kind: FirewallPolicy, \
                 metadata: {{name: {name}, namespace: shop}}, spec: {{{spec}}}}}\n---\n"
            )
        };
        let text = policy("out", "egress: [{name: all, action: Allow}]")
            + &policy("in", "ingress: [{name: all, action: Allow}]")
            + &policy(
                "of-others",
                "selector: {matchLabels: {app: y}}, egress: [{name: all, action: Allow}]",
            );
        let policies: Vec<_> = document::parse("test.yaml", &text)
            .documents
            .iter()
            .map(|document| match document {
                Document::FirewallPolicy(policy) => policy.lower().unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        let inventory = Inventory::default();
        let workload = workload(&[("http", 8080)]);
        let denies = Config::default();
        let allows = Config {
            default_egress: DefaultAction::Allow,
            ..Config::default()
        };
        let unenforced = |config| {
            let sidecar = Sidecar {
                policies: &policies,
                ..sidecar(config, &inventory, &workload)
            };
            let unenforced = sidecar.unenforced();
            unenforced
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        let rules = "the egress rules of FirewallPolicy/shop/out";
        let default = "the default action for egress, Deny";
        assert_eq!(unenforced(&denies), [rules, default]);
        assert_eq!(unenforced(&allows), [rules]);
    }

    #[test]
    fn nothing_to_listen_on_is_an_error() {
        let (config, inventory) = (Config::default(), Inventory::default());
        let mut workload = workload(&[]);
        let none = sidecar(&config, &inventory, &workload).bootstrap();
        assert!(matches!(none, Err(SidecarError::NoPorts)));
        workload.addresses.clear();
        let none = sidecar(&config, &inventory, &workload).bootstrap();
        assert!(matches!(none, Err(SidecarError::NoAddress)));
    }
}
