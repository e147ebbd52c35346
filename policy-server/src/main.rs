//! The policy server.

use anyhow::Context as _;
use clap::Parser as _;
use meshwall_policy_server::flags::Flags;
use meshwall_policy_server::{server, telemetry};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    telemetry::start_log(flags.log, flags.log_format)?;
    let running = server::start(&flags).await?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    running.stop().await;
    Ok(())
}
