//! `meshwall check`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use meshwall_mesh_config::inventory::Why;
use meshwall_policy::document::Sourced;
use meshwall_policy::lint::{Finding, Mesh, lint};
use meshwall_policy::spec::{Config, Policy, Timestamp};
use meshwall_testbed::scenario::{Documents, Files, Staged};

use super::Exit;
use super::input::Now;
use super::report::{self, Counts, Diagnostic, Texts, plural};
use super::style::{BAD, DIM, GOOD, WARN};

/// Check policies, inventories and scenarios
///
/// Reads all documents together, as the policy server does, and reports everything that is wrong
/// with them, and rules that are right but cannot be meant: shadowed, duplicate, not enforceable
/// where they are put, selecting nothing. docs/lints.md explains each. What needs to know the
/// workloads is only checked if they are among the files.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files with documents
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,

    /// Form of the output
    #[arg(long, value_name = "FORM", default_value = "human")]
    format: Format,

    /// Let warnings fail the check, too
    #[arg(long)]
    deny_warnings: bool,

    #[command(flatten)]
    now: Now,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// For scripts
    Json,
    /// For code review: SARIF 2.1.0
    Sarif,
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let now = self.now.get();
        let files = Files::read(&self.files)?;
        let documents = Documents::read(&files.plain);
        let mut diagnostics: Vec<Diagnostic> =
            documents.problems.iter().map(Diagnostic::from).collect();
        diagnostics.extend(lints(&documents, now));
        let mut scenarios = 0;
        for source in &files.scenarios {
            for staged in Staged::read(source, now) {
                scenarios += 1;
                // The other files of the world are checked if they were named.
                let own = staged.problems.iter().filter(|problem| {
                    let position = problem.position();
                    position.is_none_or(|position| position.source == source.name)
                });
                diagnostics.extend(own.map(Diagnostic::from));
            }
        }
        diagnostics.sort_by(|a, b| (&a.position, a.severity).cmp(&(&b.position, b.severity)));
        diagnostics.dedup();

        let counts = Counts::of(&diagnostics);
        let mut out = anstream::stdout().lock();
        match self.format {
            Format::Human => {
                report::write_human(&mut out, &diagnostics, &Texts::of(files.all()))?;
                writeln!(out, "{}", summary(&documents, scenarios, &files, counts))?;
                if let Some(line) = left_out(&documents) {
                    writeln!(out, "{DIM}{line}{DIM:#}")?;
                }
            }
            Format::Json => writeln!(out, "{:#}", report::to_json(&diagnostics))?,
            Format::Sarif => writeln!(out, "{:#}", report::to_sarif(&diagnostics))?,
        }
        Ok(
            if counts.errors > 0 || self.deny_warnings && counts.warnings > 0 {
                Exit::Findings
            } else {
                Exit::Success
            },
        )
    }
}

/// What the lints find in the policies.
fn lints(documents: &Documents, now: Timestamp) -> Vec<Diagnostic> {
    let config = documents.config.as_ref();
    let config = config.map_or_else(Config::default, |config| config.value.clone());
    let policies: Vec<Policy> = documents
        .policies
        .iter()
        .map(|policy| policy.value.clone())
        .collect();
    let inventory = &documents.inventory.inventory;
    let findings = lint(&Mesh {
        config: &config,
        policies: &policies,
        inventory: documents.has_inventory.then_some(inventory),
        now,
    });
    let diagnostics = findings.into_iter().map(|finding| {
        let Finding {
            lint,
            object,
            path,
            message,
            help,
        } = finding;
        let mut sourced = documents.policies.iter();
        let source: Option<&Sourced<Policy>> = sourced.find(|policy| policy.object == object);
        Diagnostic {
            severity: lint.severity().into(),
            code: lint.code(),
            position: source.and_then(|policy| policy.positions.value(&path)),
            object: Some(object),
            path,
            message,
            help,
        }
    });
    diagnostics.collect()
}

/// `2 errors, 1 warning in 5 policies, 12 workloads and 1 scenario (4 files)`.
fn summary(documents: &Documents, scenarios: usize, files: &Files, counts: Counts) -> String {
    let Counts {
        errors,
        warnings,
        notes,
    } = counts;
    let mut found = Vec::new();
    for (count, what, style) in [
        (errors, "error", BAD),
        (warnings, "warning", WARN),
        (notes, "note", WARN),
    ] {
        if count > 0 {
            let text = plural(count, what);
            found.push(format!("{style}{text}{style:#}"));
        }
    }
    if found.is_empty() {
        found.push(format!("{GOOD}nothing to report{GOOD:#}"));
    }
    let policies = plural(documents.policies.len(), "policy");
    let workloads = plural(documents.inventory.inventory.workloads.len(), "workload");
    let scenarios = plural(scenarios, "scenario");
    let count = plural(files.all().count(), "file");
    format!(
        "{} in {policies}, {workloads} and {scenarios} ({count})",
        found.join(", ")
    )
}

/// `of the pods, 1 has ended and 2 use the network of their node: no peer is taken for them`.
fn left_out(documents: &Documents) -> Option<String> {
    let left_out = &documents.inventory.left_out;
    let reasons = [
        (Why::Ended, "has ended", "have ended"),
        (Why::Deleted, "is being deleted", "are being deleted"),
        (
            Why::HostNetwork,
            "uses the network of its node",
            "use the network of their node",
        ),
        (Why::NoAddress, "has no address", "have no address"),
    ];
    let told = reasons.into_iter().filter_map(|(why, one, many)| {
        let count = left_out
            .iter()
            .filter(|left_out| left_out.why == why)
            .count();
        match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{count} {many}")),
        }
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| {
        format!(
            "of the pods, {}: no peer is taken for these",
            told.join(", ")
        )
    })
}
