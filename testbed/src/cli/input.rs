//! What commands read.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::Args;
use meshwall_policy::spec::Timestamp;
use meshwall_testbed::scenario::{self, Documents, Files, Problem, Source, World};

use super::report::{Diagnostic, Texts, write_human};

/// The time that policies see.
#[derive(Debug, Args)]
pub(crate) struct Now {
    /// The moment for which policies that expire are judged, as in 2026-12-31T00:00:00Z
    /// [default: the present]
    #[arg(long = "now", value_name = "TIME", value_parser = time)]
    now: Option<Timestamp>,
}

impl Now {
    pub(crate) fn get(&self) -> Timestamp {
        self.now.unwrap_or_else(present)
    }
}

/// The present, in whole seconds.
pub(crate) fn present() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = elapsed.map(|elapsed| elapsed.as_secs()).unwrap_or_default();
    Timestamp(i64::try_from(seconds).unwrap_or(i64::MAX))
}

fn time(text: &str) -> Result<Timestamp, String> {
    scenario::timestamp(text).map_err(|reason| format!("it {reason}"))
}

/// The one world of all that a user names, without errors.
///
/// # Errors
///
/// If a file cannot be read, or a document has errors, which are printed.
pub(crate) fn world(paths: &[PathBuf]) -> anyhow::Result<World> {
    let files = Files::read(paths)?;
    let sources: Vec<&Source> = files.world().collect();
    let documents = Documents::read(sources.iter().copied());
    refuse(&documents.problems, sources)?;
    Ok(World::from(&documents))
}

/// Prints problems and fails, if there are any.
pub(crate) fn refuse<'a>(
    problems: &[Problem],
    sources: impl IntoIterator<Item = &'a Source>,
) -> anyhow::Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    show(problems, sources)?;
    anyhow::bail!("the documents have errors")
}

/// Prints problems to standard error.
pub(crate) fn show<'a>(
    problems: &[Problem],
    sources: impl IntoIterator<Item = &'a Source>,
) -> anyhow::Result<()> {
    let diagnostics: Vec<Diagnostic> = problems.iter().map(Diagnostic::from).collect();
    let mut out = anstream::stderr().lock();
    write_human(&mut out, &diagnostics, &Texts::of(sources)).context("cannot write")
}
