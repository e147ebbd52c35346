//! Any xDS server, at an address: what can be measured without telling it what to publish.
//!
//! Deliveries are counted while it publishes of its own accord; memory and processor time need
//! its process.

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
    let Target { plan, process } = target;
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
    let (bytes, resource_bytes) = clients.bytes();
    println!("{:48} {streams}", "streams");
    println!("{:48} {}", "connections", plan.connections);
    println!(
        "{:48} {:.0}",
        "all answered after, in ms",
        connected.as_secs_f64() * 1e3
    );
    println!("{:48} {}", "resources after 5 s", idle.resources);
    println!("{:48} {memory}", "memory for each stream, in kB");
    println!(
        "{:48} {}",
        "processor time for each stream so far, in us",
        idle.micros_each(&before, streams)
    );
    println!("{:48} {rate:.0}", "deliveries a second, in the next 10 s");
    println!(
        "{:48} {}",
        "processor time for each, in us",
        watched.micros_each(&idle, deliveries)
    );
    println!("{:48} {bytes}", "bytes of responses");
    println!("{:48} {resource_bytes}", "bytes of resources in them");
    Ok(())
}
