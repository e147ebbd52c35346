//! `scripts/bench envoy`: what the firewall costs a real Envoy, beside no filter, a module that
//! does nothing, and Envoy's own RBAC filter with the same rules.
//!
//! Peers speak TLS and show certificates, as they do in a mesh; requests are for the last rule;
//! Envoy has one worker thread and answers permitted requests itself. Only its own processor
//! time counts, not the client's. Variants take turns, so that a busy machine slows all of them;
//! compare ratios.

mod cost;
mod load;
mod rbac;
mod weight;
mod world;

use anyhow::{Context, Result};

use crate::cost::Pressure;
use crate::world::World;

fn main() -> Result<()> {
    let firewall = std::env::args()
        .nth(1)
        .context("usage: meshwall-bench-envoy FIREWALL.wasm")?;
    let world = World::new(firewall.into())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        for pressure in [Pressure::Saturated, Pressure::OneAtATime] {
            cost::print(&world, pressure).await?;
            println!();
        }
        weight::print_sizes(&world)?;
        println!();
        weight::print_start(&world).await?;
        println!();
        weight::print_memory(&world).await
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
