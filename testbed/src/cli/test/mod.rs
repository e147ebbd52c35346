//! `meshwall test`.

mod junit;
pub(crate) mod module;
mod output;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use meshwall_testbed::host::Module;
use meshwall_testbed::scenario::{self, Case, Files, Finding, Runner, Scenario, Staged};

use self::output::Output;
use super::Exit;
use super::input::{self, Now};

/// Run scenarios against the firewall that is shipped
///
/// Puts the questions of each Scenario document to firewall.wasm, as Envoy would, and to the
/// library, and compares the answers with the expected ones and with each other. With --native, the
/// library alone is asked, and firewall.wasm is not needed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
firewall.wasm is found by --wasm, by the variable MESHWALL_FIREWALL_WASM, beside this program, or \
in target/wasm of the repository that the current folder is in, where scripts/build-wasm puts it.")]
pub(crate) struct Args {
    /// Files with scenarios
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,

    /// Ask the library only
    #[arg(long, conflicts_with = "wasm")]
    native: bool,

    /// The module to ask
    #[arg(long, value_name = "FILE", env = "MESHWALL_FIREWALL_WASM")]
    wasm: Option<PathBuf>,

    /// Run only cases that have this in their name
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,

    /// Write the results as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    #[command(flatten)]
    now: Now,
}

/// What became of one case.
struct Result {
    case: Case,
    finding: Finding,
    took: Duration,
}

/// What became of one scenario.
struct Suite {
    name: String,
    /// Where the scenario is.
    file: String,
    results: Vec<Result>,
}

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let start = Instant::now();
        let files = Files::read(&self.files)?;
        if files.scenarios.is_empty() {
            anyhow::bail!("none of the files has a Scenario document");
        }
        let module = if self.native {
            None
        } else {
            Some(module::read(&module::find(self.wasm.as_deref())?)?)
        };
        let now = self.now.get();
        let mut out = Output::new(module.is_some());
        let mut suites = Vec::new();
        for source in &files.scenarios {
            for staged in Staged::read(source, now) {
                match &staged.scenario {
                    Some(scenario) => {
                        let suite = self.suite(scenario, &staged, module.as_ref(), &mut out)?;
                        suites.push(suite);
                    }
                    None => {
                        input::show(&staged.problems, &staged.sources)?;
                        out.unusable();
                    }
                }
            }
        }
        if let Some(filter) = self.filter.as_deref().filter(|_| out.skipped_all()) {
            anyhow::bail!("no case has `{}` in its name", scenario::shown(filter));
        }
        if let Some(path) = &self.junit {
            let xml = junit::write(&suites);
            fs::write(path, xml).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        out.finish(start.elapsed())
    }

    fn suite(
        &self,
        scenario: &Scenario,
        staged: &Staged,
        module: Option<&Module>,
        out: &mut Output,
    ) -> anyhow::Result<Suite> {
        let mut suite = Suite {
            name: scenario.object.name.clone(),
            file: staged
                .sources
                .first()
                .map(|source| source.name.to_string())
                .unwrap_or_default(),
            results: Vec::new(),
        };
        out.begin(&suite);
        let mut runner = Runner::new(&staged.world, module);
        for case in &scenario.cases {
            let filter = self.filter.as_deref();
            if filter.is_some_and(|filter| !case.name.contains(filter)) {
                out.skip();
                continue;
            }
            let (finding, took) = runner.run(case);
            let result = Result {
                case: case.clone(),
                finding,
                took,
            };
            out.result(&result, &staged.world)?;
            suite.results.push(result);
        }
        Ok(suite)
    }
}
