//! Memory of the server for each idle stream, and how often it has the bytes of a resource.

use anyhow::Result;

use crate::clients::Clients;
use crate::command::{Command, Content, Sharing};
use crate::push::plan;
use crate::server::Server;

pub const STREAMS: usize = 4_000;
/// Streams over fewer connections, as through a proxy, and one for each, as sidecars have it.
pub const CONNECTIONS: [usize; 2] = [400, 4_000];
const BYTES: usize = 20 * 1024;
const PUSHES: u64 = 5;
const MIB: f64 = 1_048_576.0;

/// Measures and prints a table.
pub async fn print() -> Result<()> {
    println!(
        "Memory of the server with {STREAMS} idle streams and resources of {} KiB, each in a view \
         of its own.\n`published`: what the resources add before there are streams, in MiB. `a \
         stream`: what streams add after that, in kB\nfor each; `after pushes`: the same after \
         {PUSHES} further versions.\n",
        BYTES / 1024
    );
    println!(
        "{:10} {:>12} {:>10} {:>10} {:>10} {:>13}",
        "resources", "connections", "distinct", "published", "a stream", "after pushes"
    );
    for sharing in [Sharing::One, Sharing::Own] {
        for connections in CONNECTIONS {
            row(sharing, connections).await?;
        }
    }
    Ok(())
}

async fn row(sharing: Sharing, connections: usize) -> Result<()> {
    let publish = |version| Command::All {
        clients: STREAMS,
        content: Content {
            version,
            bytes: BYTES,
            sharing,
        },
    };
    let mut server = Server::start().await?;
    let process = server.process;
    process.rest().await?;
    let empty = process.resident()?;
    server.obey(publish(1)).await?;
    process.rest().await?;
    let published = process.resident()?;
    let clients = Clients::connect(&plan(server.address, STREAMS, connections, None)).await?;
    clients.got(STREAMS).await?;
    process.rest().await?;
    let each = |now: f64| (now - published) / STREAMS as f64 / 1_000.0;
    let idle = each(process.resident()?);
    for push in 1..=PUSHES {
        server.obey(publish(1 + push)).await?;
        clients.got(STREAMS * (1 + push as usize)).await?;
    }
    process.rest().await?;
    let pushed = each(process.resident()?);
    clients.check()?;
    let (word, distinct) = match sharing {
        Sharing::One => ("shared", BYTES),
        Sharing::Own => ("own", BYTES * STREAMS),
    };
    println!(
        "{word:10} {connections:>12} {:>10.1} {:>10.1} {idle:>10.1} {pushed:>13.1}",
        distinct as f64 / MIB,
        (published - empty) / MIB
    );
    Ok(())
}
