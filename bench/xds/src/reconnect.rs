//! Clients that come back, and have what they need: how long it takes, and what is sent.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::clients::Clients;
use crate::command::{Command, Content, Sharing};
use crate::idle::{CONNECTIONS, STREAMS};
use crate::median;
use crate::push::plan;
use crate::server::Server;

const BYTES: usize = 20 * 1024;
const ROUNDS: usize = 5;

/// Measures and prints a table.
pub async fn print() -> Result<()> {
    println!(
        "{STREAMS} clients connect at once, with resources of {} KiB, as new and with the versions \
         that they have: medians of {ROUNDS} rounds.\n`time`: until the last is answered, and, if \
         new, served, in milliseconds. `server`: its processor time for each, in\nmicroseconds. \
         Bytes are all that came, in kB. That those who come back do get the next version is \
         checked.\n",
        BYTES / 1024
    );
    println!(
        "{:10} {:>12} {:>8} {:>8} {:>14} {:>14}",
        "clients", "connections", "time", "server", "of responses", "of resources"
    );
    for connections in CONNECTIONS {
        rows(connections).await?;
    }
    Ok(())
}

/// By round.
#[derive(Default)]
struct Rounds {
    millis: Vec<f64>,
    server_micros: Vec<f64>,
    bytes: Vec<f64>,
    resource_bytes: Vec<f64>,
}

async fn rows(connections: usize) -> Result<()> {
    let mut server = Server::start().await?;
    let (mut new, mut back) = (Rounds::default(), Rounds::default());
    let mut version = 1;
    server.obey(publish(version)).await?;
    for _ in 0..ROUNDS {
        new.round(&mut server, connections, None)
            .await?
            .close()
            .await;
        server.no_streams().await?;
        let held = Some(version.to_string());
        let clients = back.round(&mut server, connections, held).await?;
        // Whoever was not subscribed would not get this.
        let before = usize::try_from(clients.resources())?;
        version += 1;
        clients.expect(version);
        server.obey(publish(version)).await?;
        clients.got(before + STREAMS).await?;
        clients.check()?;
        clients.close().await;
        server.no_streams().await?;
    }
    new.print("new", connections);
    back.print("back", connections);
    Ok(())
}

fn publish(version: u64) -> Command {
    Command::All {
        clients: STREAMS,
        content: Content {
            version,
            bytes: BYTES,
            sharing: Sharing::Own,
        },
    }
}

impl Rounds {
    async fn round(
        &mut self,
        server: &mut Server,
        connections: usize,
        held: Option<String>,
    ) -> Result<Clients> {
        let expected = if held.is_some() { 0 } else { STREAMS };
        let plan = plan(server.address, STREAMS, connections, held);
        server.process.rest().await?;
        let before = server.process.nanos()?;
        let start = Instant::now();
        let clients = Clients::connect(&plan).await?;
        clients.got(expected).await?;
        let time = start.elapsed();
        server.process.rest().await?;
        let streams = server.obey(Command::Streams).await?;
        ensure!(streams == STREAMS, "{streams} streams instead of {STREAMS}");
        let nanos = server.process.nanos()? - before;
        let (bytes, resource_bytes) = clients.bytes();
        self.millis.push(time.as_secs_f64() * 1_000.0);
        self.server_micros
            .push(nanos as f64 / STREAMS as f64 / 1_000.0);
        self.bytes.push(bytes as f64 / 1_000.0);
        self.resource_bytes.push(resource_bytes as f64 / 1_000.0);
        Ok(clients)
    }

    fn print(&self, who: &str, connections: usize) {
        println!(
            "{who:10} {connections:>12} {:>8.0} {:>8.0} {:>14.1} {:>14.1}",
            median(&self.millis),
            median(&self.server_micros),
            median(&self.bytes),
            median(&self.resource_bytes)
        );
    }
}
