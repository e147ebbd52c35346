//! The table: a line for each question, as soon as it has been answered.
//!
//! It is 100 columns wide, as wide as most terminals are, and it needs no terminal.

use std::io::{self, Write as _};

use anstyle::Style;
use meshwall_policy::decision::Verdict;
use meshwall_testbed::demo::{Act, Door, Entry, Plan};
use meshwall_testbed::scenario::{Answer, Outcome};

use super::Reply;
use crate::cli::Exit;
use crate::cli::style::{BAD, BOLD, DIM, GOOD, WARN};

/// Columns in all.
const WIDTH: usize = 100;
/// Columns of the fields whose width does not depend on what is in them.
const EXPECTED: usize = 8;
const ENVOY: usize = 5;
const TEST_BED: usize = 8;
const ADDED: usize = 7;

/// Writes the table to standard output.
pub(super) struct Table {
    with_envoy: bool,
    who: usize,
    what: usize,
    cause: usize,
    asked: usize,
    denied: usize,
    /// What there is to say of answers that are not as expected.
    failures: Vec<String>,
    /// Times without the firewall, in microseconds.
    without: Vec<u128>,
}

impl Table {
    pub(super) fn new(plan: &Plan, with_envoy: bool) -> Table {
        let width = |text: &str| text.chars().count();
        let who = plan.entries().map(|entry| width(&entry.who)).max();
        let what = plan.entries().map(|entry| width(&entry.what)).max();
        let (who, what) = (who.unwrap_or(0).max(3), what.unwrap_or(0).max(4));
        let mut others = 2 + who + 1 + what + 1 + EXPECTED + 1 + TEST_BED + 1;
        if with_envoy {
            others += ENVOY + 1 + ADDED + 1;
        }
        Table {
            with_envoy,
            who,
            what,
            // If names are long, the table grows rather than say nothing.
            cause: WIDTH.saturating_sub(others).max(20),
            asked: 0,
            denied: 0,
            failures: Vec::new(),
            without: Vec::new(),
        }
    }

    pub(super) fn head(&self) -> io::Result<()> {
        let Table { who, what, .. } = self;
        let intro = if self.with_envoy {
            "Each -> is a sidecar: an Envoy with firewall.wasm and a server behind it. Who asks shows \
             a SPIFFE\ncertificate and speaks from its pod's address; what is HTTP goes by HTTP/1.1 \
             and by HTTP/2."
        } else {
            "Each -> is a sidecar in the test bed: firewall.wasm in a WebAssembly host that acts \
             as Envoy does."
        };
        let mut line = format!(
            "  {:who$} {:what$} {:EXPECTED$} ",
            "who", "what", "expected"
        );
        if self.with_envoy {
            line.push_str(&format!("{:ENVOY$} ", "Envoy"));
        }
        line.push_str(&format!("{:TEST_BED$} ", "test bed"));
        if self.with_envoy {
            line.push_str(&format!("{:>ADDED$} ", "added"));
        }
        line.push_str("cause");
        let mut out = anstream::stdout().lock();
        writeln!(out, "\n{intro}\n\n{BOLD}{line}{BOLD:#}")?;
        writeln!(out, "{DIM}{}{DIM:#}", "-".repeat(WIDTH))
    }

    /// Begins the questions to one workload.
    pub(super) fn act(&self, act: &Act, doors: &[&Door]) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        write!(out, "{BOLD}-> {}{BOLD:#}", act.whom)?;
        for Door { name, address, .. } in doors {
            write!(out, "  {DIM}{name} {address}{DIM:#}")?;
        }
        writeln!(out)
    }

    pub(super) fn row(&mut self, entry: &Entry, reply: &Reply) -> io::Result<()> {
        let Table {
            who, what, cause, ..
        } = *self;
        let Reply { envoy, bed, added } = reply;
        let expected = entry.expected.verdict;
        let is_met = |answer: &Answer| entry.expected.is_met_by(answer);
        let is_good = is_met(bed)
            && envoy
                .as_ref()
                .is_none_or(|envoy| is_met(envoy) && envoy == bed);
        let mut line = format!("  {:who$} {:what$} ", entry.who, entry.what);
        line.push_str(&format!(
            "{expected:EXPECTED$} ",
            expected = expected.to_string()
        ));
        if let Some(envoy) = envoy {
            line.push_str(&verdict(envoy, expected, ENVOY));
        }
        line.push_str(&verdict(bed, expected, TEST_BED));
        if self.with_envoy {
            let added = added.map(|added| added_text(added.micros));
            line.push_str(&format!("{:>ADDED$} ", added.unwrap_or_default()));
        }
        let shown = envoy.as_ref().unwrap_or(bed);
        let style = if is_good { DIM } else { BAD };
        let text = shortened(&shown.enforced.cause, cause);
        line.push_str(&format!("{style}{text}{style:#}"));

        let mut out = anstream::stdout().lock();
        writeln!(out, "{line}")?;
        if let Some(Outcome { verdict, cause }) = &shown.would_be {
            let indent = 2 + who + 1;
            let cause = short(cause);
            let note = format!("monitored, not enforced yet: {verdict} by {cause}");
            writeln!(out, "{:indent$}{DIM}{note}{DIM:#}", "")?;
        }
        self.asked += 1;
        self.denied += usize::from(expected == Verdict::Deny);
        self.without
            .extend(added.map(|added| added.without.as_micros()));
        if !is_good {
            self.failures.push(failure(entry, reply));
        }
        Ok(())
    }

    /// Says what came of it all.
    pub(super) fn end(self) -> io::Result<Exit> {
        let Table {
            with_envoy,
            asked,
            denied,
            failures,
            without,
            ..
        } = self;
        let allowed = asked - denied;
        let mut out = anstream::stdout().lock();
        writeln!(out, "{DIM}{}{DIM:#}", "-".repeat(WIDTH))?;
        if let (Some(least), Some(most)) = (without.iter().min(), without.iter().max()) {
            writeln!(
                out,
                "{DIM}added: what the firewall adds to a request, or to a new connection: the median \
                 difference of pairs\nwith and without it in the same Envoy, in turn. Without it they \
                 take {least} to {most} µs here.{DIM:#}"
            )?;
        }
        for failure in &failures {
            writeln!(out, "\n{failure}")?;
        }
        if failures.is_empty() {
            let (place, kept_out) = if with_envoy {
                ("in Envoy and in the test bed", ", and kept out")
            } else {
                ("in the test bed", "")
            };
            writeln!(
                out,
                "\n{GOOD}all {asked} as expected, {place}: {allowed} permitted; {denied} \
                 denied{kept_out}{GOOD:#}"
            )?;
            Ok(Exit::Success)
        } else {
            let failed = failures.len();
            writeln!(out, "\n{BAD}{failed} of {asked} not as expected{BAD:#}")?;
            Ok(Exit::Findings)
        }
    }
}

/// A verdict in its column: green or yellow, or red if it is not the expected one.
fn verdict(answer: &Answer, expected: Verdict, width: usize) -> String {
    let Outcome { verdict, .. } = answer.enforced;
    let style: Style = match verdict {
        _ if verdict != expected => BAD,
        Verdict::Allow => GOOD,
        Verdict::Deny => WARN,
    };
    let text = verdict.to_string();
    format!("{style}{text:width$}{style:#} ")
}

/// Microseconds, as far as they can be told from noise.
fn added_text(micros: i64) -> String {
    match micros {
        ..1 => "~0 µs".to_owned(),
        1..10_000 => format!("+{micros} µs"),
        _ => format!("+{} ms", micros / 1_000),
    }
}

/// A cause without the kind and the namespace of the document.
fn short(cause: &str) -> &str {
    let mut parts = cause.splitn(2, '/');
    let rest = match (parts.next(), parts.next()) {
        (Some("ClusterFirewallPolicy"), Some(rest)) => Some(rest),
        (Some("FirewallPolicy"), Some(rest)) => rest.split_once('/').map(|(_, rest)| rest),
        _ => None,
    };
    rest.unwrap_or(cause)
}

/// The same in so many columns: of a rule that is too long for them, less of its document.
fn shortened(cause: &str, width: usize) -> String {
    let cause = short(cause);
    if cause.chars().count() <= width {
        return cause.to_owned();
    }
    let (document, rule) = cause.rsplit_once('/').unwrap_or((cause, ""));
    let left = width.saturating_sub(rule.chars().count() + 2);
    let document: String = document.chars().take(left).collect();
    format!("{document}…/{rule}")
}

/// What is wrong with an answer.
fn failure(entry: &Entry, reply: &Reply) -> String {
    let Entry {
        who,
        what,
        expected,
        ..
    } = entry;
    let answered = |answer: &Answer| match &answer.would_be {
        None => answer.enforced.to_string(),
        Some(would_be) => format!("{}, would be {would_be}", answer.enforced),
    };
    let mut text = format!("{BAD}{who}: {what}{BAD:#}");
    let cause = expected.cause.as_deref().unwrap_or_default();
    let would_be = expected
        .would_be
        .map(|verdict| format!(", would be {verdict}"));
    text.push_str(&format!(
        "\n  expected  {} {cause}{}",
        expected.verdict,
        would_be.unwrap_or_default()
    ));
    if let Some(envoy) = &reply.envoy {
        text.push_str(&format!("\n  Envoy     {}", answered(envoy)));
    }
    text.push_str(&format!("\n  test bed  {}", answered(&reply.bed)));
    text
}

#[cfg(test)]
mod tests {
    use super::{added_text, shortened};

    #[test]
    fn a_cause_fits_and_keeps_its_rule() {
        for (cause, width, expected) in [
            ("FirewallPolicy/shop/payments/charge", 20, "payments/charge"),
            ("ClusterFirewallPolicy/stages/others", 20, "stages/others"),
            ("no_rule_matched/Namespace", 25, "no_rule_matched/Namespace"),
            ("default", 20, "default"),
            (
                "FirewallPolicy/data/ledger-for-analytics/job",
                12,
                "ledger-…/job",
            ),
        ] {
            assert_eq!(shortened(cause, width), expected);
        }
    }

    #[test]
    fn small_differences_are_noise() {
        let texts = [-5, 0, 1, 9_999, 10_000].map(added_text);
        assert_eq!(texts, ["~0 µs", "~0 µs", "+1 µs", "+9999 µs", "+10 ms"]);
    }
}
