//! `meshwall status`.

use std::io::{self, Write};

use super::Options;
use super::answer::{Policy, PolicyState, Source, SourceState, Status};
use super::table::{self, Cell, Row};
use crate::cli::Exit;
use crate::cli::report::plural;
use crate::cli::style::{BAD, DIM, GOOD, WARN};

/// Show how meshwall-server is doing: what it hears of clusters, and what has become of policies
///
/// For each policy: whether it is accepted, why not and what holds instead, and how many of the
/// connected proxies that it concerns enforce it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Exit codes:
  0  everything is as it should be
  1  the server is not ready, a source is failing, a policy is refused by the server, conflicts,
     cannot be enforced or is refused by a proxy, or the state on disk cannot be written
  2  the server cannot be asked")]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let answer = self.options.ask::<Status>("/status")?;
        self.options.print(&answer, write)?;
        Ok(if is_well(&answer.understood) {
            Exit::Success
        } else {
            Exit::Findings
        })
    }
}

fn is_well(status: &Status) -> bool {
    let failing = |source: &Source| source.state == SourceState::Failing;
    // One that is accepted has a reason if some workload cannot enforce it.
    let wrong = |policy: &Policy| {
        policy.reason.is_some()
            || policy.proxies.refused > 0
            || matches!(policy.state, PolicyState::Refused | PolicyState::Conflicted)
    };
    status.readiness.ready
        && status.state_error.is_none()
        && !status.readiness.sources.iter().any(failing)
        && !status.policies.iter().any(wrong)
}

fn write(out: &mut impl Write, status: &Status) -> io::Result<()> {
    let Status {
        readiness,
        policies,
        workloads,
        state_error,
    } = status;
    match (readiness.ready, readiness.from_disk) {
        (true, false) => writeln!(out, "{GOOD}ready{GOOD:#}")?,
        (true, true) => writeln!(
            out,
            "{WARN}ready{WARN:#}: what was in force before is served from disk"
        )?,
        (false, _) => writeln!(out, "{BAD}not ready{BAD:#}")?,
    }
    if let Some(reason) = state_error {
        writeln!(
            out,
            "{BAD}the state on disk cannot be written{BAD:#}: {reason}"
        )?;
    }
    let workloads = plural(*workloads, "workload");
    let count = plural(policies.len(), "policy");
    writeln!(out, "{workloads}, {count}")?;
    if !readiness.sources.is_empty() {
        writeln!(out)?;
        let rows = readiness.sources.iter().map(source).collect();
        table::write(out, ["cluster", "kind", "state", "last heard of"], rows)?;
    }
    if !policies.is_empty() {
        writeln!(out)?;
        let rows = policies.iter().map(policy).collect();
        table::write(out, ["cluster", "policy", "state", "proxies"], rows)?;
    }
    Ok(())
}

fn source(source: &Source) -> Row<4> {
    let Source {
        cluster,
        kind,
        synced,
        state,
        reason,
        silence,
    } = source;
    let (style, state) = match state {
        SourceState::Listing => (WARN, "listing"),
        SourceState::Watching => (GOOD, "watching"),
        SourceState::Absent => (DIM, "absent"),
        SourceState::Failing => (BAD, "failing"),
        SourceState::Unknown => (WARN, "unknown"),
    };
    let (style, state) = if *synced {
        (style, state.to_owned())
    } else {
        (style, format!("{state}, not synced"))
    };
    let silence = silence.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds} s ago"));
    Row {
        cells: [
            Cell::plain(cluster),
            Cell::plain(kind),
            Cell::new(style, state),
            Cell::plain(silence),
        ],
        notes: reason.iter().map(Cell::plain).collect(),
    }
}

fn policy(policy: &Policy) -> Row<4> {
    let Policy {
        cluster,
        name,
        state,
        reason,
        proxies,
    } = policy;
    let (style, state) = match state {
        PolicyState::Accepted => (GOOD, "accepted"),
        PolicyState::Repeated => (DIM, "repeated"),
        PolicyState::Refused => (BAD, "refused"),
        PolicyState::Conflicted => (BAD, "conflicted"),
        PolicyState::Unknown => (WARN, "unknown"),
    };
    let programmed = format!("{} of {} enforce it", proxies.programmed, proxies.selected);
    let enforced = match proxies.refused {
        _ if proxies.selected == 0 => Cell::new(DIM, "concerns none"),
        0 if proxies.programmed == proxies.selected => Cell::plain(programmed),
        0 => Cell::new(WARN, programmed),
        refused => Cell::new(BAD, format!("{programmed}, {refused} refused")),
    };
    Row {
        cells: [
            Cell::plain(cluster),
            Cell::plain(name),
            Cell::new(style, state),
            enforced,
        ],
        notes: reason.iter().map(Cell::plain).collect(),
    }
}
