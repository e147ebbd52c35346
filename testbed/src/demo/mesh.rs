//! The real parts: authorities, certificates, backends and sidecars.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use meshwall_mesh_config::sidecar::SidecarError;
use meshwall_policy::inventory::Workload;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::config::{self, Common, Port};
use super::plan::{Act, Plan};
use crate::rig::backend::{HttpBackend, Speech, TcpBackend};
use crate::rig::client::{self, Client};
use crate::rig::envoy::{self, Binary, Envoy, Launch};
use crate::rig::pki::{self, Authority, Leaf, PemFiles, write_bundle};
use crate::rig::token::{KeyError, TokenIssuer};

/// What the server that speaks first says.
pub(super) const GREETING: &[u8] = b"ledger ready\n";
/// Who signs tokens, unless a question says.
const ISSUER: &str = "https://id.shop.example";
/// The name of the files of a sidecar's certificate, and of its configuration.
const SERVER: &str = "server";
const CONFIGURATION: &str = "envoy.yaml";

/// What it takes to start a mesh.
#[derive(Debug, Clone)]
pub struct Options {
    /// Envoy.
    pub envoy: Binary,
    /// The firewall, as a file for Envoy to load.
    pub module: PathBuf,
}

/// What went wrong with the real parts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The policies of a workload cannot be compiled.
    #[error(transparent)]
    Sidecar(#[from] SidecarError),
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] pki::Error),
    /// A token could not be signed.
    #[error(transparent)]
    Token(#[from] KeyError),
    /// Envoy does not start, or does not answer.
    #[error(transparent)]
    Envoy(#[from] envoy::Error),
    /// A socket or a file could not be opened.
    #[error("cannot start the real parts: {0}")]
    Io(#[from] io::Error),
    /// A question got no answer.
    #[error("{who} got no answer to `{what}`: {source}")]
    Client {
        /// Who asked.
        who: String,
        /// What.
        what: String,
        /// Why not.
        source: client::Error,
    },
    /// Envoy did something that is neither a permission nor a denial, or did it differently
    /// for the versions of HTTP.
    #[error("`{what}`: {reason}")]
    Odd {
        /// What was asked.
        what: String,
        /// What happened.
        reason: String,
    },
}

/// A sidecar that has started, for those who watch.
#[derive(Debug, Clone)]
pub struct Started {
    /// The workload.
    pub whom: String,
    /// The process.
    pub pid: u32,
    /// Its listeners.
    pub doors: Vec<Door>,
    /// From the start of the process to its first connection.
    pub took: Duration,
}

/// A listener of a sidecar, and what is behind it.
#[derive(Debug, Clone)]
pub struct Door {
    /// Name of the port, as in `grpc`.
    pub name: String,
    /// Number of the port as policies know it.
    pub number: u16,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where the same listens without a firewall.
    pub bare: SocketAddr,
    /// Where the application listens.
    pub backend: SocketAddr,
}

/// Everything that runs.
#[derive(Debug)]
pub struct Mesh {
    // Dropped in this order: first the processes, then the folder that they read.
    sidecars: BTreeMap<(String, String), Running>,
    /// By principal.
    peers: BTreeMap<String, Peer>,
    pub(super) issuer: TokenIssuer,
    folder: TempDir,
}

/// Somebody with a certificate.
#[derive(Debug)]
struct Peer {
    client: Client,
    files: PemFiles,
}

/// A sidecar with its backends, by the numbers of the ports.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) envoy: Envoy,
    pub(super) doors: BTreeMap<u16, Door>,
    pub(super) backends: BTreeMap<u16, Backend>,
}

/// An application.
#[derive(Debug)]
pub(super) enum Backend {
    Http(HttpBackend),
    Tcp(TcpBackend),
}

impl Backend {
    async fn start(is_http: bool) -> io::Result<Backend> {
        Ok(if is_http {
            Backend::Http(HttpBackend::start().await?)
        } else {
            let speech = Speech::ServerFirst(GREETING.to_vec());
            Backend::Tcp(TcpBackend::start(speech).await?)
        })
    }

    fn address(&self) -> SocketAddr {
        match self {
            Backend::Http(backend) => backend.address(),
            Backend::Tcp(backend) => backend.address(),
        }
    }
}

impl Mesh {
    /// Starts everything that a plan needs, and tells of each sidecar when it is there.
    ///
    /// # Errors
    ///
    /// If something does not start.
    pub async fn start(
        plan: &Plan,
        options: &Options,
        mut tell: impl FnMut(&Started),
    ) -> Result<Mesh, Error> {
        let folder = tempfile::Builder::new()
            .prefix("meshwall-demo-")
            .tempdir()?;
        let issuer = TokenIssuer::new(ISSUER)?;
        let authorities = authorities(plan)?;
        let peers = peers(plan, &authorities, folder.path())?;
        let common = Common {
            world: &plan.world,
            module: options.module.clone(),
            authorities: write_authorities(&authorities, folder.path())?,
            issuer: &issuer,
        };
        let mut starting = JoinSet::new();
        for act in &plan.acts {
            let files = folder.path().join(&act.whom);
            fs::create_dir_all(&files)?;
            let authority = authorities.get(&act.workload.trust_domain);
            let Some(authority) = authority else { continue };
            let identity = authority
                .workload(&act.workload.namespace, &act.workload.service_account)?
                .write_to(&files, SERVER)?;
            let (mut bootstrap, ports) = common.bootstrap(&act.workload, &identity)?;
            let mut backends = BTreeMap::new();
            for Port {
                number, is_http, ..
            } in &ports
            {
                backends.insert(*number, Backend::start(*is_http).await?);
            }
            let addresses = backends
                .iter()
                .map(|(number, backend)| (*number, backend.address()));
            config::connect(&mut bootstrap, &addresses.collect());
            fs::write(files.join(CONFIGURATION), bootstrap.to_yaml())?;
            let launch = Launch::new(&options.envoy);
            let key = key(&act.workload);
            let whom = act.whom.clone();
            starting.spawn(async move {
                let start = Instant::now();
                let envoy = launch.start(&bootstrap.to_json()).await?;
                let took = start.elapsed();
                Ok::<_, Error>((key, whom, envoy, ports, backends, took))
            });
        }
        let mut sidecars = BTreeMap::new();
        while let Some(started) = starting.join_next().await {
            let (key, whom, envoy, ports, backends, took) = match started {
                Ok(started) => started?,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => continue,
                },
            };
            let mut doors = BTreeMap::new();
            for Port { name, number, .. } in ports {
                let Some(backend) = backends.get(&number) else {
                    continue;
                };
                let door = Door {
                    address: envoy.listener(&name)?,
                    bare: envoy.listener(&config::bare(&name))?,
                    backend: backend.address(),
                    name,
                    number,
                };
                doors.insert(number, door);
            }
            tell(&Started {
                whom,
                pid: envoy.pid(),
                doors: doors.values().cloned().collect(),
                took,
            });
            let running = Running {
                envoy,
                doors,
                backends,
            };
            sidecars.insert(key, running);
        }
        Ok(Mesh {
            sidecars,
            peers,
            issuer,
            folder,
        })
    }

    /// Where the commented configuration of an act's sidecar is; the one that runs is the same
    /// without comments.
    #[must_use]
    pub fn configuration(&self, act: &Act) -> PathBuf {
        self.folder.path().join(&act.whom).join(CONFIGURATION)
    }

    /// The certificate of a principal who asks, and its key.
    #[must_use]
    pub fn certificate(&self, principal: &str) -> Option<&PemFiles> {
        self.peers.get(principal).map(|peer| &peer.files)
    }

    /// The listeners of an act's workload.
    pub fn doors(&self, act: &Act) -> impl Iterator<Item = &Door> {
        let sidecar = self.sidecar(&act.workload);
        sidecar
            .into_iter()
            .flat_map(|running| running.doors.values())
    }

    pub(super) fn sidecar(&self, workload: &Workload) -> Option<&Running> {
        self.sidecars.get(&key(workload))
    }

    /// Whoever has the certificate of a principal.
    pub(super) fn client(&self, principal: &str) -> Option<&Client> {
        self.peers.get(principal).map(|peer| &peer.client)
    }
}

fn key(workload: &Workload) -> (String, String) {
    (workload.namespace.clone(), workload.name.clone())
}

/// An authority for each trust domain that anybody is of.
fn authorities(plan: &Plan) -> Result<BTreeMap<String, Authority>, Error> {
    let asking = plan
        .entries()
        .filter_map(|entry| entry.question.principal.as_deref())
        .map(trust_domain);
    let asked = plan
        .acts
        .iter()
        .map(|act| act.workload.trust_domain.as_str());
    let domains: BTreeSet<&str> = asking.chain(asked).collect();
    let authorities = domains
        .into_iter()
        .map(|domain| Ok((domain.to_owned(), Authority::new(domain)?)));
    authorities.collect()
}

/// The trust domain of a SPIFFE id; of anything else, whatever is in its place.
fn trust_domain(principal: &str) -> &str {
    let rest = principal.strip_prefix("spiffe://").unwrap_or(principal);
    rest.split('/').next().unwrap_or_default()
}

fn write_authorities(
    authorities: &BTreeMap<String, Authority>,
    folder: &Path,
) -> Result<Vec<(String, PathBuf)>, Error> {
    let written = authorities.iter().map(|(domain, authority)| {
        let path = write_bundle(folder, domain, &[authority])?;
        Ok((domain.clone(), path))
    });
    written.collect()
}

/// Everybody who asks, with a certificate, which is also written for other clients to use.
fn peers(
    plan: &Plan,
    authorities: &BTreeMap<String, Authority>,
    folder: &Path,
) -> Result<BTreeMap<String, Peer>, Error> {
    let trusted: Vec<&Authority> = authorities.values().collect();
    let mut peers = BTreeMap::new();
    for entry in plan.entries() {
        let Some(principal) = &entry.question.principal else {
            continue;
        };
        let Some(authority) = authorities.get(trust_domain(principal)) else {
            continue;
        };
        if peers.contains_key(principal) {
            continue;
        }
        let identity = authority.issue(&Leaf::uri(principal.as_str()))?;
        let files = identity.write_to(folder, &format!("peer-{}", peers.len()))?;
        let client = Client::mtls(&identity, &trusted).map_err(|source| Error::Client {
            who: entry.who.clone(),
            what: entry.what.clone(),
            source,
        })?;
        peers.insert(principal.clone(), Peer { client, files });
    }
    Ok(peers)
}
