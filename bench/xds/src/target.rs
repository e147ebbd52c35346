//! Any xDS server, at an address: what can be measured without telling it what to publish.
//!
//! Deliveries are counted while it publishes of its own accord; memory and processor time need
//! its process. Those who come back claim the version that came last to any of them, so that
//! reconnection says something if all have the same and it does not change meanwhile.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use meshwall_xds_server::protocol::type_url::EXTENSION_CONFIG;

use crate::clients::{Clients, Plan, Subscription};
use crate::command::{PROGRAM, client_view};
use crate::idle::{CONNECTIONS, STREAMS};
use crate::probe::Process;

/// How long a server has to answer the subscriptions, and is then watched.
const SETTLE: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_secs(10);

/// What the command line says about the server.
pub struct Target {
    plan: Plan,
    process: Option<Process>,
}

impl Target {
    /// Reads options, each with its value.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let (mut address, mut process) = (None::<SocketAddr>, None);
        let mut type_url = EXTENSION_CONFIG.to_owned();
        let mut name = PROGRAM.to_owned();
        let (mut streams, mut connections) = (STREAMS, CONNECTIONS[0]);
        while let Some(option) = arguments.next() {
            let value = arguments.next();
            let value = value.with_context(|| format!("`{option}` needs a value"))?;
            match option.as_str() {
                "--target" => address = Some(value.parse().context("`--target`")?),
                "--pid" => process = Some(Process(value.parse().context("`--pid`")?)),
                "--type" => type_url = value,
                "--name" => name = value,
                "--streams" => streams = value.parse().context("`--streams`")?,
                "--connections" => connections = value.parse().context("`--connections`")?,
                other => bail!("unknown option `{other}`\n{}", crate::USAGE),
            }
        }
        let streams = (0..streams).map(|index| Subscription {
            node: client_view(index),
            cluster: client_view(index),
            names: vec![name.clone()],
        });
        let plan = Plan {
            address: address.context("`--target` is missing")?,
            connections,
            streams: streams.collect(),
            type_url,
            held: None,
        };
        Ok(Self { plan, process })
    }
}

/// What a process has used until now.
struct Use {
    at: Instant,
    resources: u64,
    nanos: Option<u64>,
    resident: Option<f64>,
}

impl Use {
    fn now(clients: Option<&Clients>, process: Option<Process>) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            resources: clients.map_or(0, Clients::resources),
            nanos: process.map(Process::nanos).transpose()?,
            resident: process.map(Process::resident).transpose()?,
        })
    }

    /// Microseconds of processor time since an earlier one, for each of so many things.
    fn micros_each(&self, before: &Self, things: u64) -> String {
        match (self.nanos, before.nanos) {
            (Some(now), Some(then)) if things > 0 => {
                format!("{:.1}", (now - then) as f64 / things as f64 / 1_000.0)
            }
            _ => "not known".to_owned(),
        }
    }
}

/// Measures and prints what was seen.
pub async fn print(target: Target) -> Result<()> {
    let Target { mut plan, process } = target;
    let streams = plan.streams.len() as u64;
    let before = Use::now(None, process)?;
    let clients = Clients::connect(&plan).await?;
    let connected = before.at.elapsed();
    tokio::time::sleep(SETTLE).await;
    let idle = Use::now(Some(&clients), process)?;
    tokio::time::sleep(WATCH).await;
    let watched = Use::now(Some(&clients), process)?;
    clients.check()?;
    let memory = match (idle.resident, before.resident) {
        (Some(now), Some(then)) => format!("{:.1}", (now - then) / streams as f64 / 1_000.0),
        _ => "not known".to_owned(),
    };
    let deliveries = watched.resources - idle.resources;
    let rate = deliveries as f64 / (watched.at - idle.at).as_secs_f64();
    plan.held = clients.last_version();
    clients.close().await;
    print_row("streams", &streams);
    print_row("connections", &plan.connections);
    print_row("all answered after, in ms", &millis(connected));
    print_row("resources after 5 s", &idle.resources);
    print_row("memory for each stream, in kB", &memory);
    print_row(
        "processor time for each stream so far, in us",
        &idle.micros_each(&before, streams),
    );
    print_row(
        "deliveries a second, in the next 10 s",
        &format!("{rate:.0}"),
    );
    print_row(
        "processor time for each, in us",
        &watched.micros_each(&idle, deliveries),
    );
    tokio::time::sleep(SETTLE).await;
    reconnect(&plan).await
}

/// Comes back with the version that the clients have.
async fn reconnect(plan: &Plan) -> Result<()> {
    let start = Instant::now();
    let clients = Clients::open(plan)?;
    let answered = clients.answered(plan.streams.len());
    let all = match tokio::time::timeout(SETTLE, answered).await {
        Ok(answered) => {
            answered?;
            let time = start.elapsed();
            tokio::time::sleep(SETTLE).await;
            millis(time)
        }
        Err(_) => "not within 5 s".to_owned(),
    };
    clients.check()?;
    let (bytes, resource_bytes) = clients.bytes();
    print_row("reconnected: all answered after, in ms", &all);
    print_row("reconnected: bytes of responses", &bytes);
    print_row("reconnected: bytes of resources in them", &resource_bytes);
    Ok(())
}

fn millis(time: Duration) -> String {
    format!("{:.0}", time.as_secs_f64() * 1_000.0)
}

fn print_row(what: &str, value: &dyn Display) {
    println!("{what:48} {value}");
}
