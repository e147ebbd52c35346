//! Results for people.

use std::io::Write as _;
use std::time::Duration;

use meshwall_testbed::scenario::{Answer, Expected, Finding, World};

use super::{Exit, Result, Suite};
use crate::cli::explain::{Detail, write_trace};
use crate::cli::style::{BAD, BOLD, DIM, GOOD, WARN};

/// Writes results as they come, and what to know about the failures at the end.
pub(super) struct Output {
    with_module: bool,
    scenario: String,
    /// The line that goes in front of the first result of a scenario.
    heading: Option<String>,
    /// What there is to say about the failures.
    failures: Vec<u8>,
    passed: usize,
    failed: usize,
    skipped: usize,
    unusable: usize,
    worst: Exit,
}

impl Output {
    pub(super) fn new(with_module: bool) -> Output {
        Output {
            with_module,
            scenario: String::new(),
            heading: None,
            failures: Vec::new(),
            passed: 0,
            failed: 0,
            skipped: 0,
            unusable: 0,
            worst: Exit::Success,
        }
    }

    pub(super) fn begin(&mut self, suite: &Suite) {
        let Suite { name, file, .. } = suite;
        self.scenario.clone_from(name);
        self.heading = Some(format!("{BOLD}{name}{BOLD:#} {DIM}{file}{DIM:#}"));
    }

    pub(super) fn skip(&mut self) {
        self.skipped += 1;
    }

    pub(super) fn unusable(&mut self) {
        self.unusable += 1;
        self.worst = self.worst.max(Exit::Unusable);
    }

    pub(super) fn result(&mut self, result: &Result, world: &World) -> anyhow::Result<()> {
        let (style, word, exit) = match &result.finding {
            Finding::Passed => (GOOD, "ok", Exit::Success),
            Finding::Failed(_) => (BAD, "FAILED", Exit::Findings),
            Finding::NoFirewall(_) => (BAD, "ERROR", Exit::Unusable),
            Finding::Differs { .. } | Finding::NoAnswer(_) => (BAD, "DIFFERS", Exit::Disagreement),
        };
        self.worst = self.worst.max(exit);
        let mut out = anstream::stdout().lock();
        if let Some(heading) = self.heading.take() {
            writeln!(out, "{heading}")?;
        }
        writeln!(out, "  {style}{word:7}{style:#} {}", result.case.name)?;
        if exit == Exit::Success {
            self.passed += 1;
            return Ok(());
        }
        self.failed += 1;
        self.failure(result, world)
    }

    fn failure(&mut self, result: &Result, world: &World) -> anyhow::Result<()> {
        let Result { case, finding, .. } = result;
        let out = &mut self.failures;
        let (scenario, name) = (&self.scenario, &case.name);
        write!(out, "\n{BAD}{scenario}: {name}{BAD:#}")?;
        if let Some(position) = &case.position {
            write!(out, " {DIM}{position}{DIM:#}")?;
        }
        writeln!(out)?;
        match finding {
            Finding::Passed => {}
            Finding::Failed(answer) => {
                writeln!(out, "  expected  {}", expected(&case.expected))?;
                writeln!(out, "  answered  {}", answered(answer))?;
                if let Ok(firewall) = world.firewall(&case.question.workload) {
                    let explanation = firewall.explain(&case.question);
                    let mut trace = Vec::new();
                    write_trace(&mut trace, &firewall, &explanation, Detail::Near)?;
                    for line in String::from_utf8_lossy(&trace).lines() {
                        let indented = format!("    {line}");
                        writeln!(out, "{}", indented.trim_end())?;
                    }
                }
            }
            Finding::Differs { library, module } => {
                writeln!(out, "  the library says  {}", answered(library))?;
                writeln!(out, "  the module says   {}", answered(module))?;
            }
            Finding::NoFirewall(error) => writeln!(out, "  {error}")?,
            Finding::NoAnswer(error) => writeln!(out, "  the module gave no answer: {error}")?,
        }
        Ok(())
    }

    /// Whether no question was put, though there were some.
    pub(super) fn skipped_all(&self) -> bool {
        self.skipped > 0 && self.passed + self.failed + self.unusable == 0
    }

    /// Writes what failed and how many did.
    pub(super) fn finish(self, took: Duration) -> anyhow::Result<Exit> {
        let mut out = anstream::stdout().lock();
        if !self.failures.is_empty() {
            writeln!(out, "\n{BOLD}failures:{BOLD:#}")?;
            out.write_all(&self.failures)?;
        }
        let style = if self.worst == Exit::Success {
            GOOD
        } else {
            BAD
        };
        let (passed, failed) = (self.passed, self.failed);
        write!(out, "\n{style}{passed} passed, {failed} failed{style:#}")?;
        if self.skipped > 0 {
            write!(out, ", {} skipped", self.skipped)?;
        }
        if self.unusable > 0 {
            write!(out, ", {WARN}{} not run{WARN:#}", self.unusable)?;
        }
        let asked = if self.with_module {
            "firewall.wasm and the library"
        } else {
            "the library only"
        };
        let seconds = took.as_secs_f64();
        writeln!(out, "{DIM}; asked {asked}, in {seconds:.2} s{DIM:#}")?;
        Ok(self.worst)
    }
}

/// What was expected, in a line.
pub(super) fn expected(expected: &Expected) -> String {
    let Expected {
        verdict,
        cause,
        would_be,
    } = expected;
    let mut line = verdict.to_string();
    if let Some(cause) = cause {
        line.push_str(&format!(" {cause}"));
    }
    if let Some(would_be) = would_be {
        line.push_str(&format!(", would be {would_be}"));
    }
    line
}

/// What was answered, in a line.
pub(super) fn answered(answer: &Answer) -> String {
    let Answer { enforced, would_be } = answer;
    match would_be {
        None => enforced.to_string(),
        Some(would_be) => format!("{enforced}, would be {would_be}"),
    }
}
