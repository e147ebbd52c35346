//! What a change costs that few want: one of many names, while each stream has some of them.

use std::time::Instant;

use anyhow::Result;
use meshwall_xds_server::protocol::type_url::EXTENSION_CONFIG;

use crate::clients::{Clients, Plan, Subscription};
use crate::command::{Command, Content, SHARED_VIEW, Sharing, client_view, shared_name};
use crate::server::Server;
use crate::{median, percentile};

const STREAMS: usize = 2_000;
const NAMES_EACH: usize = 5;
const NAMES: usize = STREAMS * NAMES_EACH;
const CONNECTIONS: usize = 200;
const BYTES: usize = 1_024;
const WARM_UP: usize = 2;
const ROUNDS: usize = 20;
const UPDATES: usize = 200;
/// Takes the changes all over the names; it has no common factor with their number.
const STRIDE: usize = 7_919;

/// Measures and prints a table.
pub async fn print() -> Result<()> {
    println!(
        "One of {NAMES} names of one view changes, which one of {STREAMS} streams with \
         {NAMES_EACH} names each has: medians of {ROUNDS} rounds of\n{UPDATES} updates, one after \
         the other. `server`: its processor time for each, in microseconds; half of the rounds \
         are within\n`middle half`. `arrives`: microseconds from the order to publish until the \
         client has it.\n"
    );
    let mut server = Server::start().await?;
    let mut content = Content {
        version: 1,
        bytes: BYTES,
        sharing: Sharing::Own,
    };
    let count = NAMES;
    server.obey(Command::Names { count, content }).await?;
    let streams = (0..STREAMS).map(|stream| Subscription {
        node: client_view(stream),
        cluster: SHARED_VIEW.to_owned(),
        names: (0..NAMES_EACH)
            .map(|name| shared_name(stream + name * STREAMS))
            .collect(),
    });
    let clients = Clients::connect(&Plan {
        address: server.address,
        connections: CONNECTIONS,
        streams: streams.collect(),
        type_url: EXTENSION_CONFIG.to_owned(),
        held: None,
    })
    .await?;
    clients.got(NAMES).await?;
    let (mut micros, mut arrivals) = (Vec::new(), Vec::new());
    let mut got = NAMES;
    for round in 0..WARM_UP + ROUNDS {
        server.process.rest().await?;
        let before = server.process.nanos()?;
        let mut times = Vec::new();
        for _ in 0..UPDATES {
            content.version += 1;
            got += 1;
            clients.expect(content.version);
            let index = got * STRIDE % NAMES;
            let start = Instant::now();
            server.obey(Command::One { index, content }).await?;
            clients.got(got).await?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        server.process.rest().await?;
        if round >= WARM_UP {
            let spent = server.process.nanos()? - before;
            micros.push(spent as f64 / UPDATES as f64 / 1_000.0);
            arrivals.extend(times);
        }
    }
    clients.check()?;
    println!(
        "{:>8} {:>18} {:>12} {:>12}",
        "server", "middle half", "arrives, p50", "p99"
    );
    println!(
        "{:>8.0} {:>18} {:>12.0} {:>12.0}",
        median(&micros),
        format!(
            "{:.0} to {:.0}",
            percentile(&micros, 25),
            percentile(&micros, 75)
        ),
        median(&arrivals),
        percentile(&arrivals, 99)
    );
    Ok(())
}
