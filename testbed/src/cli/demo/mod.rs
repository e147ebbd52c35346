//! `meshwall demo`.

mod next;
mod table;

use std::collections::BTreeSet;
use std::env;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use meshwall_policy::decision::Verdict;
use meshwall_policy::spec::Direction;
use meshwall_testbed::demo::{self, Act, Added, Door, Mesh, Options, Plan, PlanError, Started};
use meshwall_testbed::host::Module;
use meshwall_testbed::rig::envoy::Binary;
use meshwall_testbed::scenario::{Answer, Sidecar};
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::table::Table;
use super::style::{BOLD, DIM};
use super::test::module;
use super::{Exit, input};

/// The shop in a repository.
const SHOP: &str = "testbed/examples/shop";

/// Show the firewall at work: real Envoys, real certificates, and each verdict beside the test bed's
///
/// Starts the sidecars of a small shop, each an Envoy with firewall.wasm in front of a real server,
/// and sends the shop's traffic through them: HTTP/1.1, HTTP/2, gRPC, and TCP on which the server
/// speaks first. Everybody has a certificate, and speaks from an address of 127.0.0.0/8. Nothing is
/// installed, and nothing is left behind.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Exits with 1 if a verdict or its cause is not the expected one.

firewall.wasm is found by --wasm, by the variable MESHWALL_FIREWALL_WASM, beside this program, or \
in target/wasm of the repository that the current folder is in, where scripts/build-wasm puts it; \
Envoy by --envoy, by the variable MESHWALL_ENVOY, or where scripts/get-envoy puts it.")]
pub(crate) struct Args {
    /// No Envoy: ask the test bed only
    #[arg(long)]
    offline: bool,

    /// The Envoy to start
    #[arg(long, value_name = "PATH", conflicts_with = "offline")]
    envoy: Option<PathBuf>,

    /// The module to load
    #[arg(long, value_name = "FILE", env = "MESHWALL_FIREWALL_WASM")]
    wasm: Option<PathBuf>,

    /// Leave the sidecars running when all is shown, until Ctrl-C, and say how to reach them
    #[arg(long, conflicts_with = "offline")]
    keep: bool,

    /// The shop to show [default: testbed/examples/shop of the repository that the current folder is
    /// in, or else the same as it is built in]
    #[arg(long, value_name = "FOLDER")]
    shop: Option<PathBuf>,
}

/// Where the shop is.
struct Shop {
    folder: PathBuf,
    /// The folder that it was unpacked to, if it is the one that is built in.
    unpacked: Option<TempDir>,
}

/// The answers to a question.
struct Reply {
    /// That of a real Envoy, if there is one.
    envoy: Option<Answer>,
    /// That of the test bed.
    bed: Answer,
    /// What the firewall adds, if it could be measured.
    added: Option<Added>,
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let shop = Shop::find(self.shop.as_deref())?;
        let plan = match Plan::read(&shop.folder, input::present()) {
            Ok(plan) => plan,
            Err(PlanError::Documents { problems, sources }) => {
                input::refuse(&problems, &sources)?;
                return Ok(Exit::Unusable);
            }
            Err(error) => return Err(error.into()),
        };
        let wasm = module::find(self.wasm.as_deref())?;
        if self.offline {
            let exit = offline(&plan, &module::read(&wasm)?)?;
            next::write(&shop, &plan)?;
            return Ok(exit);
        }
        let options = Options {
            envoy: Binary::find(self.envoy.as_deref())?,
            module: std::path::absolute(&wasm)?,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start")?;
        runtime.block_on(async {
            let mut signals = Signals::new()?;
            // What an interrupted show has started ends when it is dropped.
            let (exit, mesh) = tokio::select! {
                shown = show(&plan, &options) => shown?,
                () = signals.any() => {
                    farewell()?;
                    return Ok(Exit::Interrupted);
                }
            };
            if self.keep {
                next::reach(&plan, &mesh)?;
                signals.any().await;
                drop(mesh);
                farewell()?;
            } else {
                next::write(&shop, &plan)?;
            }
            Ok(exit)
        })
    }
}

impl Shop {
    fn find(given: Option<&Path>) -> anyhow::Result<Shop> {
        let repository = || {
            let current = env::current_dir().ok()?;
            let mut folders = current.ancestors().map(|folder| folder.join(SHOP));
            let found = folders.find(|folder| folder.is_dir())?;
            Some(short(&found))
        };
        if let Some(folder) = given.map(Path::to_path_buf).or_else(repository) {
            return Ok(Shop {
                folder,
                unpacked: None,
            });
        }
        let unpacked = tempfile::Builder::new()
            .prefix("meshwall-shop-")
            .tempdir()?;
        demo::unpack(unpacked.path())?;
        Ok(Shop {
            folder: unpacked.path().to_path_buf(),
            unpacked: Some(unpacked),
        })
    }
}

/// A path from the current folder, if it leads down from there.
fn short(path: &Path) -> PathBuf {
    let current = env::current_dir().unwrap_or_default();
    path.strip_prefix(current).unwrap_or(path).to_path_buf()
}

/// Asks the test bed only.
fn offline(plan: &Plan, module: &Module) -> anyhow::Result<Exit> {
    let mut table = Table::new(plan, false);
    table.head()?;
    for act in &plan.acts {
        let sidecar = test_bed(plan, act, module)?;
        table.act(act, &[])?;
        for entry in &act.entries {
            let reply = Reply {
                envoy: None,
                bed: sidecar.ask(&entry.question)?,
                added: None,
            };
            table.row(entry, &reply)?;
        }
    }
    Ok(table.end()?)
}

/// Asks real Envoys and the test bed.
async fn show(plan: &Plan, options: &Options) -> anyhow::Result<(Exit, Mesh)> {
    let Options { envoy, module } = options;
    progress(
        "Envoy",
        format_args!("{}, {}", envoy.version()?, envoy.path().display()),
    )?;
    let size = std::fs::metadata(module).map_or(0, |file| file.len() / 1024);
    progress(
        "filter",
        format_args!("{}, {size} KiB", short(module).display()),
    )?;
    let asking = plan
        .entries()
        .map(|entry| &entry.who)
        .collect::<BTreeSet<_>>();
    progress(
        "starting",
        format_args!(
            "{} sidecars with servers behind them, and {} peers with certificates",
            plan.acts.len(),
            asking.len()
        ),
    )?;
    // Compiling it for the test bed takes as long as an Envoy takes to start.
    let file = module.clone();
    let module = tokio::task::spawn_blocking(move || module::read(&file));
    let mesh = Mesh::start(plan, options, |started| {
        // A terminal that is gone is noticed when the table is written.
        let _ = tell(started);
    })
    .await?;
    let module = module.await.context("cannot compile the filter")??;

    let mut table = Table::new(plan, true);
    table.head()?;
    for act in &plan.acts {
        let sidecar = test_bed(plan, act, &module)?;
        let doors: Vec<&Door> = mesh.doors(act).collect();
        table.act(act, &doors)?;
        for entry in &act.entries {
            let envoy = mesh.ask(entry).await?;
            let added = match envoy.enforced.verdict {
                Verdict::Allow => Some(mesh.measure(entry).await?),
                Verdict::Deny => None,
            };
            let reply = Reply {
                bed: sidecar.ask(&entry.question)?,
                envoy: Some(envoy),
                added,
            };
            table.row(entry, &reply)?;
        }
    }
    Ok((table.end()?, mesh))
}

/// The sidecar of a workload in the test bed.
fn test_bed(plan: &Plan, act: &Act, module: &Module) -> anyhow::Result<Sidecar> {
    let firewall = plan.world.firewall(&act.workload)?;
    let bundle = firewall.bundle(Direction::Ingress);
    Ok(Sidecar::start(module, &bundle, plan.now)?)
}

/// The signals by which whoever runs this ends it.
struct Signals([Signal; 3]);

impl Signals {
    /// Takes them from now on; before, they end the process.
    fn new() -> anyhow::Result<Signals> {
        Ok(Signals([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// Waits for one of them.
    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn farewell() -> anyhow::Result<()> {
    progress("interrupted", "stopping and removing everything")
}

/// Tells that a sidecar is there.
fn tell(started: &Started) -> anyhow::Result<()> {
    let Started {
        whom,
        pid,
        doors,
        took,
    } = started;
    let seconds = took.as_secs_f64();
    let mut what = format!("process {pid}, after {seconds:.1} s");
    for Door {
        name,
        number,
        address,
        backend,
        ..
    } in doors
    {
        what.push_str(&format!(
            "\n{name} {number}: {address}, server at {backend}"
        ));
    }
    progress(whom, what)
}

/// Writes what goes on to standard error; of several lines, the others below the first.
fn progress(what: &str, details: impl fmt::Display) -> anyhow::Result<()> {
    let mut out = anstream::stderr().lock();
    for (number, line) in details.to_string().lines().enumerate() {
        let what = if number == 0 { what } else { "" };
        writeln!(out, "{BOLD}{what:>12}{BOLD:#}  {DIM}{line}{DIM:#}")?;
    }
    Ok(())
}
