//! A real Envoy: found, asked to validate, started on free ports, asked questions, killed.
//!
//! [`Binary`] finds the program. [`Launch`] starts it with a configuration given as JSON,
//! waits until its listeners take connections and gives an [`Envoy`], which is the
//! process: it ends, and its files go, when that value is dropped.
//!
//! Two things in the configuration are the rig's: the admin listener is moved to a free
//! port of 127.0.0.1, and standard output is captured, so that access logs written there
//! can be read back ([`Envoy::access_log`]). Listeners should ask for port 0; the ports
//! that the kernel picked are known afterwards ([`Envoy::listener`]).

mod admin;
mod binary;
mod discovery;
mod process;
mod usage;

pub use self::admin::Stats;
pub use self::binary::Binary;
pub use self::discovery::{DiscoveryFile, extension};
pub use self::process::{Envoy, Launch};
pub use self::usage::{CpuTime, Memory};

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::client;

/// What can go wrong with an Envoy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no Envoy where one was looked for.
    #[error(
        "no Envoy at `{}`; run scripts/get-envoy, or set MESHWALL_ENVOY to the path of one",
        path.display()
    )]
    NotFound {
        /// The last place that was looked at.
        path: PathBuf,
    },
    /// The program could not be started.
    #[error("cannot run `{}`: {source}", path.display())]
    Run {
        /// The program.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Envoy does not accept a configuration.
    #[error("Envoy refuses the configuration: {reason}")]
    Refused {
        /// Envoy's own words.
        reason: String,
    },
    /// Envoy ended by itself.
    #[error("Envoy ended with {status}: {log}")]
    Ended {
        /// Its exit status.
        status: ExitStatus,
        /// What its log complains of, or the last lines of it.
        log: String,
    },
    /// Something did not come about in time.
    #[error("{what}: not within {within:?}; Envoy's log: {log}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
        /// What Envoy's log complains of, or the last lines of it.
        log: String,
    },
    /// Envoy's admin interface gave no answer.
    #[error("Envoy's admin interface, `{path}`: {source}")]
    Admin {
        /// The path with the query.
        path: String,
        /// Why not.
        source: Box<client::Error>,
    },
    /// Envoy's admin interface answered something else than was asked for.
    #[error("Envoy's admin interface, `{path}`, answered {status}: {body}")]
    AdminAnswer {
        /// The path with the query.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// Envoy has no active listener of that name.
    #[error("Envoy has no listener `{name}`")]
    NoListener {
        /// The name.
        name: String,
    },
    /// A file could not be read or written.
    #[error("`{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What an error message should say of a log: the complaints in it, or else its end.
fn tail(log: &str) -> String {
    const LINES: usize = 8;
    let is_complaint = |line: &&str| line.contains("][critical]") || line.contains("][error]");
    let mut lines: Vec<&str> = log.lines().filter(is_complaint).collect();
    if lines.is_empty() {
        lines = log.lines().collect();
    }
    lines
        .get(lines.len().saturating_sub(LINES)..)
        .unwrap_or_default()
        .join("\n")
}
