//! A world: policies, workloads, and what the policies mean for one of the workloads.

use std::fmt;

use meshwall_policy::attributes::{Attributes, Claim, Peer};
use meshwall_policy::bundle;
use meshwall_policy::compile::{self, CompileError, PeerTableError, peer_table};
use meshwall_policy::decide::{Scratch, decide};
use meshwall_policy::explain::{Explanation, explain};
use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::peers::{PeerTable, PeersError};
use meshwall_policy::program::{LoadError, Program};
use meshwall_policy::spec::{Config, Direction, Policy};

use super::documents::Documents;
use super::question::{Answer, Question};

/// Policies and workloads.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// What holds for the mesh.
    pub config: Config,
    /// The policies.
    pub policies: Vec<Policy>,
    /// The workloads.
    pub inventory: Inventory,
}

impl From<&Documents> for World {
    fn from(documents: &Documents) -> World {
        let config = documents.config.as_ref();
        let policies = documents.policies.iter();
        World {
            config: config
                .map(|config| config.value.clone())
                .unwrap_or_default(),
            policies: policies.map(|policy| policy.value.clone()).collect(),
            inventory: documents.inventory.inventory.clone(),
        }
    }
}

impl World {
    /// The firewall of a workload.
    ///
    /// # Errors
    ///
    /// If the policies do not compile.
    pub fn firewall(&self, workload: &Workload) -> Result<Firewall, FirewallError> {
        let World {
            config,
            policies,
            inventory,
        } = self;
        let compiled = compile::compile(config, policies, inventory, workload)
            .map_err(FirewallError::Compile)?;
        let peers = peer_table(&compiled.sets, inventory).map_err(FirewallError::PeerTable)?;
        Ok(Firewall {
            program: Program::load(compiled.program).map_err(FirewallError::Program)?,
            peers: PeerTable::load(peers).map_err(FirewallError::Peers)?,
        })
    }
}

/// Why a workload has no firewall.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FirewallError {
    /// A policy does not compile.
    Compile(CompileError),
    /// The program that was compiled is refused.
    Program(LoadError),
    /// The peer table is too large.
    PeerTable(PeerTableError),
    /// The peer table that was made is refused.
    Peers(PeersError),
}

impl fmt::Display for FirewallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FirewallError::Compile(error) => error.fmt(f),
            FirewallError::PeerTable(error) => error.fmt(f),
            FirewallError::Program(error) => error.fmt(f),
            FirewallError::Peers(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FirewallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            FirewallError::Compile(error) => error,
            FirewallError::PeerTable(error) => error,
            FirewallError::Program(error) => error,
            FirewallError::Peers(error) => error,
        })
    }
}

/// What the policies mean for one workload.
#[derive(Debug)]
pub struct Firewall {
    program: Program,
    peers: PeerTable,
}

impl Firewall {
    /// The program.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// What the filter of the workload is configured with. The filter asks its proxy for the port.
    #[must_use]
    pub fn bundle(&self, direction: Direction) -> Vec<u8> {
        bundle::encode(direction, None, self.program.bytes(), self.peers.bytes())
    }

    /// The library's answer.
    #[must_use]
    pub fn ask(&self, question: &Question) -> Answer {
        self.with(question, |attributes, scratch| {
            let decision = decide(&self.program, &self.peers, attributes, scratch);
            Answer::new(&self.program, &decision)
        })
    }

    /// The library's answer, and how it came about.
    #[must_use]
    pub fn explain(&self, question: &Question) -> Explanation {
        self.with(question, |attributes, scratch| {
            explain(&self.program, &self.peers, attributes, scratch)
        })
    }

    fn with<T>(
        &self,
        question: &Question,
        work: impl FnOnce(&Attributes<'_>, &mut Scratch) -> T,
    ) -> T {
        let Question {
            workload: _,
            direction,
            now,
            principal,
            address,
            remote_address,
            port,
            sni,
            request,
        } = question;
        let headers: Vec<(&[u8], &[u8])> = request
            .iter()
            .flat_map(|request| &request.headers)
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();
        let mut claims: Vec<(&str, String)> = Vec::new();
        for path in self.program.claims(*direction) {
            let values = request.iter().flat_map(|request| request.claim(path));
            claims.extend(values.map(|value| (path, value)));
        }
        let claims: Vec<Claim<'_>> = claims
            .iter()
            .map(|(path, value)| Claim {
                path,
                value: value.as_bytes(),
            })
            .collect();
        let request = request
            .as_ref()
            .map(|request| meshwall_policy::attributes::Request {
                method: request.header(":method").as_bytes(),
                authority: request.header(":authority").as_bytes(),
                path: request.header(":path").as_bytes(),
                headers: &headers,
                claims: &claims,
            });
        let attributes = Attributes {
            direction: *direction,
            now: *now,
            peer: Peer {
                principal: principal.as_deref().map(str::as_bytes),
                address: *address,
                remote_address: remote_address.filter(|_| self.program.trusted_proxies() > 0),
            },
            port: *port,
            sni: sni.as_deref().map(str::as_bytes),
            request,
        };
        work(&attributes, &mut Scratch::default())
    }
}
