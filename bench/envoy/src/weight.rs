//! What the firewall weighs: size of the module, time to start, memory of a virtual machine.

use std::time::Instant;

use anyhow::Result;

use crate::load::Load;
use crate::median;
use crate::world::{Filter, World, bundle_of};

const FILTERS: [Filter; 4] = [
    Filter::None,
    Filter::Idle,
    Filter::Firewall(10),
    Filter::Firewall(1_000),
];
const STARTS: usize = 7;
const LISTENERS: [usize; 2] = [1, 10];

/// Workers of the small and of the large Envoy that are compared. With one worker, memory that
/// the compiler of the module has used and left would hide what the next workers take.
const FEW: u32 = 8;
const MANY: u32 = 24;
const WEIGHINGS: usize = 3;
/// Connections are spread over the workers by chance; with so many, hardly any gets none.
const CONNECTIONS: usize = 96;
const REQUESTS: usize = 9_600;

/// Prints the size of the module and of programs.
pub fn print_sizes(world: &World) -> Result<()> {
    println!("Size of the module, and of a program with the peer table, in bytes.\n");
    let module = std::fs::metadata(world.module())?.len();
    println!("{:26} {module:>9}", "firewall.wasm");
    for rules in [1, 10, 100, 1_000, 10_000] {
        let name = format!("program of {rules} rules");
        println!("{name:26} {:>9}", bundle_of(rules)?.len());
    }
    Ok(())
}

/// Measures the time from starting Envoy until all listeners are active.
pub async fn print_start(world: &World) -> Result<()> {
    println!(
        "Time from starting Envoy until its listeners take connections, in milliseconds: medians \
         of {STARTS} starts, in turns.\n"
    );
    println!(
        "{:26} {:>6} {:>10} {:>12}",
        "filter", "rules", "1 listener", "10 listeners"
    );
    let mut times = vec![[const { Vec::new() }; LISTENERS.len()]; FILTERS.len()];
    for _ in 0..STARTS {
        for (filter, times) in FILTERS.iter().zip(&mut times) {
            for (listeners, times) in LISTENERS.iter().zip(times) {
                let start = Instant::now();
                let envoy = world.start(*filter, *listeners, 1).await?;
                times.push(start.elapsed().as_secs_f64() * 1_000.0);
                drop(envoy);
            }
        }
    }
    for (filter, [one, ten]) in FILTERS.iter().zip(times) {
        let rules = filter.rules();
        println!(
            "{:26} {:>6} {:>10.0} {:>12.0}",
            filter.name(),
            rules.map_or(String::new(), |rules| rules.to_string()),
            median(one),
            median(ten)
        );
    }
    Ok(())
}

/// Measures resident memory with few and with many workers.
pub async fn print_memory(world: &World) -> Result<()> {
    println!(
        "Resident memory in MiB after {REQUESTS} requests: medians of {WEIGHINGS} Envoys, in \
         turns.\n`each` is what a worker adds over a worker without filter; `beyond V8` what is \
         left of that over a module\nthat does nothing.\n"
    );
    println!(
        "{:26} {:>6} {:>9} {:>10} {:>7} {:>10}",
        "filter", "rules", "8 workers", "24 workers", "each", "beyond V8"
    );
    let mut weights = vec![[const { Vec::new() }; 2]; FILTERS.len()];
    for _ in 0..WEIGHINGS {
        for (filter, weights) in FILTERS.iter().zip(&mut weights) {
            for (workers, weights) in [FEW, MANY].into_iter().zip(weights) {
                weights.push(weigh(world, *filter, workers).await?);
            }
        }
    }
    let (mut plain, mut idle) = (0.0, 0.0);
    for (filter, [few, many]) in FILTERS.iter().zip(weights) {
        let (few, many) = (median(few), median(many));
        let worker = (many - few) / f64::from(MANY - FEW);
        match filter {
            Filter::None => plain = worker,
            Filter::Idle => idle = worker - plain,
            Filter::Firewall(_) | Filter::Rbac(_) => {}
        }
        let each = worker - plain;
        let (rules, beyond) = match filter.rules() {
            Some(rules) => (rules.to_string(), format!("{:.2}", each - idle)),
            None => (String::new(), String::new()),
        };
        println!(
            "{:26} {rules:>6} {few:>9.1} {many:>10.1} {each:>7.2} {beyond:>10}",
            filter.name()
        );
    }
    Ok(())
}

async fn weigh(world: &World, filter: Filter, workers: u32) -> Result<f64> {
    let envoy = world.start(filter, 1, workers).await?;
    let address = envoy.listener("listener-0")?;
    let number = filter.last_rule();
    let client = world.client(number)?;
    let mut load = Load::new(&client, address, number, CONNECTIONS).await?;
    load.run(REQUESTS).await?;
    Ok(envoy.memory().await?.resident as f64 / f64::from(1 << 20))
}
