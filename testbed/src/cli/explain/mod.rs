//! `meshwall explain`.

mod flags;
mod trace;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;
use meshwall_policy::spec::Timestamp;
use meshwall_testbed::scenario::{self, Files, Question, Staged, World};

use self::flags::Flags;
pub(crate) use self::trace::{Detail, write as write_trace};
use super::Exit;
use super::input::{self, Now};

/// Say what the firewall decides about one connection or request, and why
///
/// Prints the verdict, its cause, and how each rule was judged: those that matched, and near misses
/// with the condition that failed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Does checkout get through to payments?
    meshwall explain --to shop/payments --port 8080 --from shop/checkout \\
        --method POST --path /v1/charges policies/ inventory.yaml

  And a stranger with a certificate of another mesh, over plain TCP?
    meshwall explain --to data/ledger --port 5432 --tcp \\
        --principal spiffe://partner.example/ns/data/sa/etl policies/ inventory.yaml

  Why does a test fail?
    meshwall explain --case 'checkout charges' scenario.yaml")]
pub(crate) struct Args {
    /// Policies and workloads; with --case, files with scenarios
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    question: Flags,

    /// Take the question from the case of a scenario whose name contains this
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "question",
        help_heading = "Question"
    )]
    case: Option<String>,

    /// Show every rule with all that it asks for
    #[arg(long)]
    all: bool,

    /// Form of the output
    #[arg(long, value_name = "FORM", default_value = "human")]
    format: Format,

    #[command(flatten)]
    now: Now,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// For scripts
    Json,
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let now = self.now.get();
        let (world, question) = match &self.case {
            Some(name) => self.case(name, now)?,
            None => {
                let world = input::world(&self.files)?;
                let question = self.question.ask(&world.inventory, now)?;
                (world, question)
            }
        };
        let firewall = world.firewall(&question.workload)?;
        let explanation = firewall.explain(&question);
        let mut out = anstream::stdout().lock();
        match self.format {
            Format::Human => {
                trace::head(&mut out, &question)?;
                let detail = if self.all { Detail::All } else { Detail::Near };
                trace::write(&mut out, &firewall, &explanation, detail)?;
            }
            Format::Json => {
                let json = trace::to_json(&question, &firewall, &explanation);
                writeln!(out, "{json:#}")?;
            }
        }
        Ok(Exit::Success)
    }

    /// The one case whose name contains this, and its world.
    fn case(&self, name: &str, now: Timestamp) -> anyhow::Result<(World, Question)> {
        let files = Files::read(&self.files)?;
        let mut found: Option<(World, String, Question)> = None;
        for source in &files.scenarios {
            for staged in Staged::read(source, now) {
                input::refuse(&staged.problems, &staged.sources)?;
                let cases = staged.scenario.map(|scenario| scenario.cases);
                for case in cases.into_iter().flatten() {
                    let exact = case.name == name;
                    if !exact && !case.name.contains(name) {
                        continue;
                    }
                    match &found {
                        Some((_, known, _)) if known == name && !exact => continue,
                        Some((_, known, _)) if known == name || !exact => anyhow::bail!(
                            "`{name}` is in the names of several cases: `{known}`, `{}`",
                            case.name
                        ),
                        Some(_) | None => {}
                    }
                    found = Some((staged.world.clone(), case.name, case.question));
                }
            }
        }
        let (world, _, question) = found
            .with_context(|| format!("no case has `{}` in its name", scenario::shown(name)))?;
        Ok((world, question))
    }
}
