//! What `/proc` says of a process.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// How often it is asked whether a process rests, and what rest is: less than 2% of a processor,
/// several times in a row, because on a busy machine a process may just be waiting for its turn.
const GLANCE: Duration = Duration::from_millis(20);
const RESTING_NANOS: u64 = 400_000;
const GLANCES_OF_REST: usize = 3;
const MAX_GLANCES: usize = 500;

/// A process.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    pub fn this() -> Self {
        Self(std::process::id())
    }

    /// Time that its threads have been on a processor, in nanoseconds, user and system together.
    pub fn nanos(self) -> Result<u64> {
        let mut total = 0;
        let threads = fs::read_dir(format!("/proc/{}/task", self.0));
        for thread in threads.with_context(|| format!("process `{}`", self.0))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let first = text.split_whitespace().next();
            total += first.context("no time in schedstat")?.parse::<u64>()?;
        }
        Ok(total)
    }

    /// Memory that it has in RAM, in bytes.
    pub fn resident(self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next());
        let kib: f64 = kib.context("no Rss in smaps_rollup")?.parse()?;
        Ok(kib * 1024.0)
    }

    /// Waits until it has nothing to do, or ten seconds.
    pub async fn rest(self) -> Result<()> {
        let mut before = self.nanos()?;
        let mut resting = 0;
        for _ in 0..MAX_GLANCES {
            tokio::time::sleep(GLANCE).await;
            let now = self.nanos()?;
            resting = if now - before < RESTING_NANOS {
                resting + 1
            } else {
                0
            };
            if resting == GLANCES_OF_REST {
                break;
            }
            before = now;
        }
        Ok(())
    }
}
