//! The mesh: who is in it, and what the policies of `ledger` compile to.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use meshwall_mesh_config::envoy::{Certificate, DataSource, ServerTls, Trust, TrustDomain};
use meshwall_policy::bundle;
use meshwall_policy::compile::{compile, peer_table};
use meshwall_policy::document::{Set, parse};
use meshwall_policy::inventory::{Inventory, Labels, Workload};
use meshwall_policy::spec::Direction;
use meshwall_testbed::rig::client::Client;
use meshwall_testbed::rig::envoy::Binary;
use meshwall_testbed::rig::pki::{Authority, Identity, Leaf, spiffe_id, write_bundle};
use tempfile::TempDir;

/// The trust domain of the mesh.
const TRUST_DOMAIN: &str = "cluster.local";
/// Another trust domain, whose authority is believed for its own names.
const PARTNER_DOMAIN: &str = "partner.example";

/// A workload that speaks to `ledger`, or `ledger` itself.
pub(crate) struct Peer {
    trust_domain: &'static str,
    namespace: &'static str,
    service_account: &'static str,
    address: Ipv4Addr,
    labels: &'static [(&'static str, &'static str)],
}

pub(crate) const LEDGER: Peer = Peer {
    trust_domain: TRUST_DOMAIN,
    namespace: "shop",
    service_account: "ledger",
    address: Ipv4Addr::new(127, 0, 0, 9),
    labels: &[("app", "ledger")],
};
pub(crate) const FRONTEND: Peer = Peer {
    trust_domain: TRUST_DOMAIN,
    namespace: "shop",
    service_account: "frontend",
    address: Ipv4Addr::new(127, 0, 1, 1),
    labels: &[("app", "frontend"), ("tier", "front")],
};
/// Runs as the service account of `FRONTEND`, at another address and with other labels.
pub(crate) const CANARY: Peer = Peer {
    trust_domain: TRUST_DOMAIN,
    namespace: "shop",
    service_account: "frontend",
    address: Ipv4Addr::new(127, 0, 1, 2),
    labels: &[("app", "frontend"), ("tier", "canary")],
};
pub(crate) const CONSOLE: Peer = Peer {
    trust_domain: TRUST_DOMAIN,
    namespace: "ops",
    service_account: "console",
    address: Ipv4Addr::new(127, 0, 2, 1),
    labels: &[("role", "console")],
};
/// Has the name of `FRONTEND` in another namespace.
pub(crate) const DEV: Peer = Peer {
    trust_domain: TRUST_DOMAIN,
    namespace: "dev",
    service_account: "frontend",
    address: Ipv4Addr::new(127, 0, 3, 1),
    labels: &[("app", "frontend"), ("tier", "front")],
};
/// Has the name of `FRONTEND` in another mesh.
pub(crate) const PARTNER: Peer = Peer {
    trust_domain: PARTNER_DOMAIN,
    namespace: "shop",
    service_account: "frontend",
    address: Ipv4Addr::new(127, 0, 4, 1),
    labels: &[],
};

/// Everybody whose address and labels are known.
const WORKLOADS: [&Peer; 5] = [&LEDGER, &FRONTEND, &CANARY, &CONSOLE, &DEV];
const NAMESPACES: [(&str, &str); 3] = [("shop", "prod"), ("ops", "prod"), ("dev", "test")];

impl Peer {
    pub(crate) fn principal(&self) -> String {
        spiffe_id(self.trust_domain, self.namespace, self.service_account)
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    fn workload(&self) -> Workload {
        Workload {
            namespace: self.namespace.to_owned(),
            name: format!("{}-0", self.service_account),
            labels: labels(self.labels),
            service_account: self.service_account.to_owned(),
            trust_domain: self.trust_domain.to_owned(),
            addresses: vec![self.address.into()],
            ports: BTreeMap::new(),
        }
    }
}

/// Authorities, an Envoy, and a folder with the certificates of `ledger`.
pub(crate) struct Mesh {
    pub(crate) folder: TempDir,
    pub(crate) envoy: Binary,
    pub(crate) authority: Authority,
    pub(crate) partner: Authority,
    /// Claims to be the mesh's authority; nobody believes it.
    pub(crate) impostor: Authority,
}

impl Mesh {
    pub(crate) fn new() -> Mesh {
        let mesh = Mesh {
            folder: tempfile::tempdir().unwrap(),
            envoy: Binary::find(None).unwrap(),
            authority: Authority::new(TRUST_DOMAIN).unwrap(),
            partner: Authority::new(PARTNER_DOMAIN).unwrap(),
            impostor: Authority::new(TRUST_DOMAIN).unwrap(),
        };
        let folder = mesh.folder.path();
        write_bundle(folder, "mesh", &[&mesh.authority]).unwrap();
        write_bundle(folder, "partner", &[&mesh.partner]).unwrap();
        write_bundle(folder, "both", &[&mesh.authority, &mesh.partner]).unwrap();
        let ledger = mesh.authority.workload("shop", "ledger").unwrap();
        ledger.write_to(folder, "ledger").unwrap();
        mesh
    }

    /// A client with the certificate and the address of a peer.
    pub(crate) fn client(&self, peer: &Peer) -> Client {
        let authority = match peer.trust_domain {
            PARTNER_DOMAIN => &self.partner,
            _ => &self.authority,
        };
        let identity = authority.workload(peer.namespace, peer.service_account);
        self.client_as(&identity.unwrap())
            .from_address(peer.address)
    }

    /// A client with a certificate of the mesh's authority that says this.
    pub(crate) fn client_with(&self, leaf: &Leaf) -> Client {
        self.client_as(&self.authority.issue(leaf).unwrap())
    }

    /// A client with this certificate.
    pub(crate) fn client_as(&self, identity: &Identity) -> Client {
        Client::mtls(identity, &[&self.authority]).unwrap()
    }

    /// A client that shows no certificate.
    pub(crate) fn anonymous(&self) -> Client {
        Client::tls(&[&self.authority]).unwrap()
    }

    /// What the sidecar shows, and that it believes each authority for its own trust domain.
    pub(crate) fn per_domain(&self) -> ServerTls {
        let domain = |name: &str, file| TrustDomain {
            name: name.to_owned(),
            authorities: DataSource::File(self.file(file)),
        };
        self.server_tls(Trust::PerDomain(vec![
            domain(TRUST_DOMAIN, "mesh.pem"),
            domain(PARTNER_DOMAIN, "partner.pem"),
        ]))
    }

    /// The same, but that it believes both authorities whatever they say.
    pub(crate) fn any_authority(&self) -> ServerTls {
        self.server_tls(Trust::AnyAuthority(DataSource::File(self.file("both.pem"))))
    }

    fn server_tls(&self, trust: Trust) -> ServerTls {
        let certificate = Certificate {
            chain: DataSource::File(self.file("ledger.pem")),
            key: DataSource::File(self.file("ledger.key")),
        };
        ServerTls { certificate, trust }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the mesh's folder with this content.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).unwrap();
        path
    }
}

/// A policy of `ledger` with these ingress rules, a YAML list.
pub(crate) fn policy(rules: &str) -> String {
    let rules = rules.replace('\n', "\n  ");
    format!(
        "apiVersion: meshwall.io/v1alpha1
kind: FirewallPolicy
metadata: {{name: ledger, namespace: shop}}
spec:
  ingress:{rules}"
    )
}

/// What these documents mean for connections to `ledger`. The filter asks the proxy for the
/// port that a connection came to.
pub(crate) fn bundle(documents: &str) -> Vec<u8> {
    bundle_on_port(documents, None)
}

/// The same for a listener that stands for this port.
pub(crate) fn bundle_on_port(documents: &str, port: Option<u16>) -> Vec<u8> {
    let parsed = parse("policies", documents);
    assert_eq!(parsed.errors, []);
    let set = Set::from(parsed.documents);
    assert_eq!(set.errors, []);
    let config = set.config.map(|config| config.value).unwrap_or_default();
    let policies: Vec<_> = set.policies.into_iter().map(|p| p.value).collect();
    let inventory = inventory();
    let compiled = compile(&config, &policies, &inventory, &LEDGER.workload()).unwrap();
    let peers = peer_table(&compiled.sets, &inventory).unwrap();
    bundle::encode(Direction::Ingress, port, &compiled.program, &peers)
}

fn inventory() -> Inventory {
    let stages = NAMESPACES.map(|(name, stage)| (name.to_owned(), labels(&[("stage", stage)])));
    Inventory {
        namespaces: stages.into(),
        workloads: WORKLOADS.map(Peer::workload).into(),
    }
}

fn labels(labels: &[(&str, &str)]) -> Labels {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    labels.iter().map(owned).collect()
}
