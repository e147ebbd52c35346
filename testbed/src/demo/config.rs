//! The configuration of a sidecar: what `meshwall render` writes, on this machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use meshwall_mesh_config::envoy::{
    Bootstrap, Certificate, DataSource, Endpoints, JwtIssuer, Listener, Module, Protocol,
    ServerTls, Trust, TrustDomain,
};
use meshwall_mesh_config::sidecar::{LOOPBACK, Sidecar, SidecarError};
use meshwall_policy::inventory::Workload;

use crate::rig::pki::PemFiles;
use crate::rig::token::TokenIssuer;
use crate::scenario::World;

/// What all sidecars have in common.
pub(super) struct Common<'a> {
    pub(super) world: &'a World,
    /// The module, where Envoy finds it.
    pub(super) module: PathBuf,
    /// Trust domains, and where the certificates of their authorities are.
    pub(super) authorities: Vec<(String, PathBuf)>,
    pub(super) issuer: &'a TokenIssuer,
}

/// A port of a workload, as its sidecar has it.
pub(super) struct Port {
    /// Its name, which is also that of the listener.
    pub(super) name: String,
    pub(super) number: u16,
    pub(super) is_http: bool,
}

/// The name of the listener that does the same without a firewall, to compare with.
pub(super) fn bare(listener: &str) -> String {
    format!("{listener}-bare")
}

impl Common<'_> {
    /// The configuration of a workload's sidecar before it knows of backends, and its ports.
    pub(super) fn bootstrap(
        &self,
        workload: &Workload,
        identity: &PemFiles,
    ) -> Result<(Bootstrap, Vec<Port>), SidecarError> {
        let file = |path: &PathBuf| DataSource::File(path.clone());
        let domains = self.authorities.iter().map(|(name, path)| TrustDomain {
            name: name.clone(),
            authorities: file(path),
        });
        let sidecar = Sidecar {
            config: &self.world.config,
            policies: &self.world.policies,
            inventory: &self.world.inventory,
            workload,
            module: Module {
                path: self.module.clone(),
                sha256: None,
            },
            tls: ServerTls {
                certificate: Certificate {
                    chain: file(&identity.certificate),
                    key: file(&identity.key),
                },
                trust: Trust::PerDomain(domains.collect()),
            },
            jwt_issuers: vec![JwtIssuer {
                name: "shop".to_owned(),
                issuer: self.issuer.issuer().to_owned(),
                audiences: Vec::new(),
                jwks: self.issuer.jwks(),
            }],
            listen: None,
            backend: LOOPBACK,
            admin: None,
        };
        let mut bootstrap = sidecar.bootstrap()?;
        let ports = bootstrap.listeners.iter().map(|listener| Port {
            name: listener.name.clone(),
            number: listener.address.port(),
            is_http: matches!(listener.protocol, Protocol::Http(_)),
        });
        let ports = ports.collect();
        // The numbers of the shop may be taken here; the programs have been told them.
        for listener in &mut bootstrap.listeners {
            listener.address.set_port(0);
        }
        let without = bootstrap.listeners.iter().map(|listener| Listener {
            name: bare(&listener.name),
            firewall: None,
            ..listener.clone()
        });
        let without: Vec<Listener> = without.collect();
        bootstrap.listeners.extend(without);
        Ok((bootstrap, ports))
    }
}

/// Sends what is permitted on each port, by its number, to a backend.
pub(super) fn connect(bootstrap: &mut Bootstrap, backends: &BTreeMap<u16, SocketAddr>) {
    for cluster in &mut bootstrap.clusters {
        if let Endpoints::Addresses(addresses) = &mut cluster.endpoints {
            for address in addresses {
                if let Some(backend) = backends.get(&address.port()) {
                    *address = *backend;
                }
            }
        }
    }
}
