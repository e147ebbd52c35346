//! `scripts/bench xds`: what an xDS server costs under thousands of streams.
//!
//! The load generator speaks plain delta ADS, so that any server can be measured: `--target` takes
//! the address of one. Without it, our own server is started as a process of its own, published to
//! by lines on its standard input, and read from `/proc`; only its processor time and memory
//! count, not the generator's. Both share the machine all the same, so rates are of the pair.

mod clients;
mod command;
mod idle;
mod probe;
mod push;
mod reconnect;
mod serve;
mod server;
mod sparse;
mod target;

use std::future::Future;

use anyhow::{Result, bail};

use crate::target::Target;

const USAGE: &str = "\
usage: meshwall-bench-xds [--target ADDRESS [OPTION...]]

  --target ADDRESS  measure the server that listens there, in plaintext, such as 127.0.0.1:18000
  --pid PID         its process, to read its processor time and memory from /proc
  --type URL        type of the resources to ask for; extension configurations by default
  --name NAME       name of the resource to ask for; `program` by default
  --streams N       streams, 4000 by default; each is a node `client-0`, `client-1` and so on
  --connections N   connections that they share, 400 by default";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    match arguments.peek().map(String::as_str) {
        None => block_on(measure()),
        Some("-h" | "--help") => {
            println!("{USAGE}");
            Ok(())
        }
        Some("serve") => serve::run(),
        Some("--target") => block_on(target::print(Target::parse(arguments)?)),
        Some(other) => bail!("unknown argument `{other}`\n{USAGE}"),
    }
}

fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(work)
}

/// All that is measured of our own server.
async fn measure() -> Result<()> {
    idle::print().await?;
    println!();
    push::print().await?;
    println!();
    sparse::print().await?;
    println!();
    reconnect::print().await
}

/// The value below which a share of the values lies, in percent.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}

fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}
