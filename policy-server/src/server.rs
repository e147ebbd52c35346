//! The server put together: sources, driver, sockets.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use meshwall_mesh_config::envoy::Module;
use meshwall_policy::spec::Config;
use meshwall_xds_server::{Security, Server, Settings, TlsFiles};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::admin;
use crate::admission::{self, CertificateFiles};
use crate::driver::{Ask, Board, Driver};
use crate::flags::Flags;
use crate::identity::Identities;
use crate::index::{ClusterName, Index, Kind, Mesh};
use crate::memory::{Memory, Restored};
use crate::overview::Overview;
use crate::publish::Publisher;
use crate::source::{Event, Health, files, kubernetes};
use crate::status::{self, Writing};
use crate::telemetry::Metrics;
use crate::web::tls::Certificates;

/// Events that wait for the driver; a source that is faster waits.
const EVENTS: usize = 1_024;

/// Questions that wait for the driver.
const ASKS: usize = 64;

/// How long clients have to go to another server when this one stops.
const DRAIN: Duration = Duration::from_secs(10);

/// A server that runs. It stops when this is dropped, or, in order, by [`Running::stop`].
pub struct Running {
    /// Where proxies are served.
    pub address: SocketAddr,
    /// Where the admin port is.
    pub admin: SocketAddr,
    /// How sources are doing.
    pub health: Health,
    /// How things are.
    pub board: Board,
    /// For questions about workloads.
    pub asks: mpsc::Sender<Ask>,
    xds: Server,
    sources: Sources,
    status: Writing,
    ports: JoinSet<()>,
    driver: JoinHandle<()>,
}

/// The tasks that watch. They end when this is dropped.
#[derive(Default)]
struct Sources {
    _clusters: Vec<kubernetes::Watching>,
    /// Their clients, for what is written.
    clients: Vec<(ClusterName, kube::Client)>,
    _files: Option<files::Looking>,
}

/// Starts a server.
///
/// # Errors
///
/// If the flags contradict each other, or something that they name cannot be used.
pub async fn start(flags: &Flags) -> anyhow::Result<Running> {
    let clusters = flags.clusters()?;
    let security = security(flags);
    let proven = matches!(security, Security::Tls(_));
    let identities = Arc::new(Identities::new(clusters.iter().cloned(), proven));
    let xds = Server::new(Settings::default(), identities.clone());

    let (memory, remembered) = match &flags.state {
        Some(folder) => {
            let Restored {
                memory,
                events,
                damage,
            } = Memory::open(folder, SystemTime::now())
                .with_context(|| format!("--state `{}`", folder.display()))?;
            if let Some(damage) = damage {
                error!(%damage, "the state on disk cannot be used; it is set aside");
            }
            (Some(memory), events)
        }
        None => (None, Vec::new()),
    };
    let module = Module {
        path: flags.module.clone(),
        sha256: None,
    };
    let metrics = Arc::new(Metrics::new());
    let mut driver = Driver::new(
        Index::new(mesh(&clusters)?),
        memory,
        identities.clone(),
        Publisher::new(module, random()),
        xds.clone(),
        metrics.clone(),
        flags.window(),
    );
    // Before anyone is served: who connects again has what was in force, and hears of nothing.
    driver.restore(remembered);
    let board = driver.board();

    let (events, told) = mpsc::channel(EVENTS);
    let (asks, asked) = mpsc::channel(ASKS);
    let health = Health::default();
    let mut sources = sources(flags, &events, &health).await?;
    let driver = run(driver, told, asked)?;
    let address = xds
        .listen(flags.listen, security)
        .await
        .context("cannot serve proxies")?;
    let known = status::Known {
        board: board.clone(),
        xds: xds.clone(),
        health: health.clone(),
        policy_cluster: clusters.first().context("no cluster")?.0.clone(),
    };
    let overview = Overview {
        board: board.clone(),
        health: health.clone(),
        xds: xds.clone(),
        identities,
        asks: asks.clone(),
        metrics,
    };
    let (admin, ports) = ports(flags, overview).await?;
    let clients = std::mem::take(&mut sources.clients);
    let status = status::start(clients, &replica(), known, status::Timing::default());
    Ok(Running {
        address,
        admin,
        health,
        board,
        asks,
        xds,
        sources,
        status,
        ports,
        driver,
    })
}

impl Running {
    /// The xDS server, for reports on streams.
    #[must_use]
    pub fn xds(&self) -> &Server {
        &self.xds
    }

    /// Lets clients go to another server, stops, and closes what is on disk.
    pub async fn stop(self) {
        info!("stopping");
        let Running {
            asks,
            xds,
            sources,
            status,
            ports,
            driver,
            ..
        } = self;
        // That proxies leave is not a fact about policies.
        drop(status);
        xds.shut_down(DRAIN).await;
        // Nobody tells or asks the driver anything any more, so it ends.
        drop((asks, sources, ports));
        let ended = tokio::task::spawn_blocking(|| driver.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            error!("the driver has panicked");
        }
    }
}

/// The driver has a thread of its own: it computes, and waits for the disk.
fn run(
    driver: Driver,
    events: mpsc::Receiver<Event>,
    asks: mpsc::Receiver<Ask>,
) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let thread = std::thread::Builder::new().name("driver".to_owned());
    Ok(thread.spawn(move || runtime.block_on(driver.run(events, asks)))?)
}

/// The admin port, whose address is returned, and the webhook if there is one.
async fn ports(flags: &Flags, overview: Overview) -> anyhow::Result<(SocketAddr, JoinSet<()>)> {
    let mut ports = JoinSet::new();
    if let (Some(address), Some(chain), Some(key)) = (
        flags.webhook,
        &flags.webhook_certificate,
        &flags.webhook_key,
    ) {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("--webhook `{address}`"))?;
        let files = CertificateFiles {
            chain: chain.clone(),
            key: key.clone(),
        };
        // What cannot be used now is an error now; later, the last good ones stay.
        Certificates::load(files.clone()).context("the certificate of the webhook")?;
        // Policies are compiled by themselves, as the index does when it reads them.
        let config = Arc::new(Config::default());
        let config = move || Arc::clone(&config);
        let metrics = Arc::clone(&overview.metrics);
        let serve = admission::serve(listener, files, config, metrics, pending());
        ports.spawn(async move {
            if let Err(error) = serve.await {
                error!(%error, "the webhook does not serve");
            }
        });
        info!(%address, "reviewing policies");
    }
    let listener = TcpListener::bind(flags.admin)
        .await
        .with_context(|| format!("--admin `{}`", flags.admin))?;
    let address = listener.local_addr()?;
    ports.spawn(admin::serve(listener, overview, pending()));
    info!(%address, "admin port");
    Ok((address, ports))
}

async fn sources(
    flags: &Flags,
    events: &mpsc::Sender<Event>,
    health: &Health,
) -> anyhow::Result<Sources> {
    let mut sources = Sources::default();
    for cluster in &flags.cluster {
        let client = kubernetes::connect(&cluster.access)
            .await
            .with_context(|| format!("cluster `{}`", cluster.name))?;
        let timing = kubernetes::Timing::default();
        let watching =
            kubernetes::watch(&cluster.name, &client, &Kind::ALL, timing, events, health);
        sources._clusters.push(watching);
        sources.clients.push((cluster.name.clone(), client));
        info!(cluster = %cluster.name, "watching a cluster");
    }
    if let Some(folder) = &flags.files {
        let looking = files::watch(&flags.local(), folder, files::INTERVAL, events, health);
        sources._files = Some(looking);
        info!(folder = %folder.display(), "watching a folder");
    }
    Ok(sources)
}

/// The first of the clusters is the policy cluster.
fn mesh(clusters: &[(ClusterName, String)]) -> anyhow::Result<Mesh> {
    let ((first, domain), others) = clusters.split_first().context("no cluster")?;
    let mesh = Mesh::new(first.clone(), domain);
    Ok(others
        .iter()
        .fold(mesh, |mesh, (name, domain)| mesh.with(name.clone(), domain)))
}

fn security(flags: &Flags) -> Security {
    match (&flags.certificate, &flags.key, &flags.authorities) {
        (Some(certificate), Some(key), Some(authorities)) => Security::Tls(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            client_authorities: Some(authorities.clone()),
        }),
        _ => Security::Plaintext,
    }
}

/// A name that no other replica has; that of the pod is in it.
fn replica() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "meshwall-server".to_owned());
    format!("{host}-{:016x}", random())
}

/// A number that no other process has.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}
