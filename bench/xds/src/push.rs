//! Deliveries to all streams: how many in a second, and what each costs the server.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Result;
use meshwall_xds_server::protocol::type_url::EXTENSION_CONFIG;

use crate::clients::{Clients, Plan, Subscription};
use crate::command::{Command, Content, PROGRAM, Sharing, client_view};
use crate::idle::{CONNECTIONS, STREAMS};
use crate::probe::Process;
use crate::server::Server;
use crate::{median, percentile};

const BYTES: usize = 1_024;
const WARM_UP: u64 = 5;
const ROUNDS: u64 = 30;

/// Clients with a view and one resource each.
pub fn plan(address: SocketAddr, streams: usize, connections: usize, held: Option<String>) -> Plan {
    let streams = (0..streams).map(|index| Subscription {
        node: client_view(index),
        cluster: client_view(index),
        names: vec![PROGRAM.to_owned()],
    });
    Plan {
        address,
        connections,
        streams: streams.collect(),
        type_url: EXTENSION_CONFIG.to_owned(),
        held,
    }
}

/// Measures and prints a table.
pub async fn print() -> Result<()> {
    println!(
        "Deliveries of {BYTES} bytes to {STREAMS} streams, each with a view of its own: medians of \
         {ROUNDS} pushes to all.\n`a second` counts until the last client has it, with the clients \
         on the same processors; half of the pushes are\nwithin `middle half`. `server` and \
         `clients`: microseconds of processor time for each delivery and its answer.\n"
    );
    println!(
        "{:10} {:>12} {:>10} {:>18} {:>8} {:>8}",
        "resources", "connections", "a second", "middle half", "server", "clients"
    );
    for connections in CONNECTIONS {
        let mut server = Server::start().await?;
        let clients = Clients::connect(&plan(server.address, STREAMS, connections, None)).await?;
        let mut version = 0;
        for sharing in [Sharing::One, Sharing::Own] {
            let rounds = Rounds::run(&mut server, &clients, sharing, &mut version).await?;
            rounds.print(sharing, connections);
        }
    }
    Ok(())
}

/// By round.
#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    server_micros: Vec<f64>,
    client_micros: Vec<f64>,
}

impl Rounds {
    async fn run(
        server: &mut Server,
        clients: &Clients,
        sharing: Sharing,
        version: &mut u64,
    ) -> Result<Self> {
        let mut rounds = Self::default();
        let each = |nanos: u64| nanos as f64 / STREAMS as f64 / 1_000.0;
        for round in 0..WARM_UP + ROUNDS {
            *version += 1;
            let content = Content {
                version: *version,
                bytes: BYTES,
                sharing,
            };
            server.process.rest().await?;
            clients.expect(*version);
            let before = (server.process.nanos()?, Process::this().nanos()?);
            let start = Instant::now();
            let all = Command::All {
                clients: STREAMS,
                content,
            };
            server.obey(all).await?;
            clients.got(STREAMS * usize::try_from(*version)?).await?;
            let time = start.elapsed();
            // What is left to do is to take the answers.
            server.process.rest().await?;
            if round >= WARM_UP {
                rounds.rates.push(STREAMS as f64 / time.as_secs_f64());
                rounds
                    .server_micros
                    .push(each(server.process.nanos()? - before.0));
                rounds
                    .client_micros
                    .push(each(Process::this().nanos()? - before.1));
            }
        }
        clients.check()?;
        Ok(rounds)
    }

    fn print(&self, sharing: Sharing, connections: usize) {
        let Self {
            rates,
            server_micros,
            client_micros,
        } = self;
        let word = match sharing {
            Sharing::One => "shared",
            Sharing::Own => "own",
        };
        println!(
            "{word:10} {connections:>12} {:>10.0} {:>18} {:>8.1} {:>8.1}",
            median(rates),
            format!(
                "{:.0} to {:.0}",
                percentile(rates, 25),
                percentile(rates, 75)
            ),
            median(server_micros),
            median(client_micros)
        );
    }
}
