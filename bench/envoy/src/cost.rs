//! Processor time of the proxy for each request.

use std::fs;

use anyhow::{Context, Result, ensure};
use meshwall_testbed::rig::envoy::Envoy;

use crate::load::{self, Load};
use crate::median;
use crate::world::{Filter, World};

/// What is compared, the base first.
const FILTERS: [Filter; 10] = [
    Filter::None,
    Filter::Idle,
    Filter::Firewall(1),
    Filter::Firewall(10),
    Filter::Firewall(100),
    Filter::Firewall(1_000),
    Filter::Rbac(1),
    Filter::Rbac(10),
    Filter::Rbac(100),
    Filter::Rbac(1_000),
];
const ROUNDS: usize = 11;
const REQUESTS: usize = 5_000;
/// V8 compiles a function a second time, better, when it has been called often enough.
const WARM_UP: usize = 10_000;

/// How busy the proxy is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pressure {
    /// Always: the next request is there before the last one is answered.
    Saturated,
    /// It waits for each request, and wakes up for it.
    OneAtATime,
}

impl Pressure {
    fn connections(self) -> usize {
        match self {
            Pressure::Saturated => 16,
            Pressure::OneAtATime => 1,
        }
    }
}

struct Candidate {
    filter: Filter,
    envoy: Envoy,
    load: Load,
    /// Microseconds for each request, by round.
    micros: Vec<f64>,
}

/// Measures all filters in turns and prints a table.
pub async fn print(world: &World, pressure: Pressure) -> Result<()> {
    let connections = pressure.connections();
    let mut candidates = Vec::new();
    for filter in FILTERS {
        let envoy = world.start(filter, 1, 1).await?;
        let address = envoy.listener("listener-0")?;
        let number = filter.last_rule();
        let client = world.client(number)?;
        if filter.rules().is_some() {
            ensure!(
                load::refuses(&client, address, number).await?,
                "{filter:?} permits what no rule does"
            );
        }
        let mut load = Load::new(&client, address, number, connections).await?;
        load.run(WARM_UP).await?;
        candidates.push(Candidate {
            filter,
            envoy,
            load,
            micros: Vec::new(),
        });
    }
    for round in 0..ROUNDS {
        // Another one begins each time: none always follows the same one.
        candidates.rotate_left(round % 3 + 1);
        for candidate in &mut candidates {
            let before = nanos(candidate.envoy.pid())?;
            let requests = candidate.load.run(REQUESTS).await?;
            let spent = nanos(candidate.envoy.pid())? - before;
            candidate
                .micros
                .push(spent as f64 / requests as f64 / 1_000.0);
        }
    }
    table(candidates, connections)
}

fn table(mut candidates: Vec<Candidate>, connections: usize) -> Result<()> {
    let order = |filter: &Filter| FILTERS.iter().position(|known| known == filter);
    candidates.sort_by_key(|candidate| order(&candidate.filter));
    let base = candidates.first().context("nothing was measured")?;
    let base = base.micros.clone();
    println!(
        "Processor time of the proxy for each request, in microseconds: medians of {ROUNDS} rounds \
         of {REQUESTS} requests,\nin turns, connections: {connections}. `added` and `ratio` are against no \
         filter in the same round; half of the rounds\nare within `middle half`.\n"
    );
    println!(
        "{:26} {:>6} {:>8} {:>8} {:>15} {:>7}",
        "filter", "rules", "time", "added", "middle half", "ratio"
    );
    for candidate in &candidates {
        let pairs = || candidate.micros.iter().zip(&base);
        let mut added: Vec<f64> = pairs().map(|(time, base)| time - base).collect();
        let ratio = median(pairs().map(|(time, base)| time / base).collect());
        added.sort_by(f64::total_cmp);
        let quartile = |quarters: usize| added[(added.len() - 1) * quarters / 4];
        let rules = candidate.filter.rules();
        println!(
            "{:26} {:>6} {:>8.1} {:>8.1} {:>15} {:>7.2}",
            candidate.filter.name(),
            rules.map_or(String::new(), |rules| rules.to_string()),
            median(candidate.micros.clone()),
            quartile(2),
            format!("{:.1} to {:.1}", quartile(1), quartile(3)),
            ratio,
        );
    }
    Ok(())
}

/// Time that all threads of a process have been on a processor, in nanoseconds. (The user and
/// system times that the rig gives are in steps of 10 ms, too coarse here.)
fn nanos(pid: u32) -> Result<u64> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split_whitespace().next();
        total += first.context("no time in schedstat")?.parse::<u64>()?;
    }
    Ok(total)
}
