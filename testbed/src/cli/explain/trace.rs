//! How a decision came about, for people and for scripts.

use std::io::{self, Write};

use meshwall_policy::decision::Verdict;
use meshwall_policy::explain::{Explanation, PredicateTrace, RuleTrace, TierTrace};
use meshwall_policy::spec::{Action, Tier};
use meshwall_testbed::scenario::{self, Answer, Firewall, Question};
use serde_json::{Value, json};

use crate::cli::report::plural;
use crate::cli::style::{BAD, BOLD, DIM, GOOD, WARN, paint};

/// Which rules are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Detail {
    /// Those that matched, and near misses that would have changed the verdict, with what failed.
    Near,
    /// All, with all that they ask for.
    All,
}

/// Writes whose firewall is asked.
pub(super) fn head(out: &mut impl Write, question: &Question) -> io::Result<()> {
    let workload = &question.workload;
    let (direction, name) = (question.direction, scenario::workload_name(workload));
    writeln!(
        out,
        "{BOLD}{direction} of {name}{BOLD:#} {DIM}(pod {}, {}){DIM:#}",
        workload.name,
        workload.principal()
    )
}

/// Writes the verdict and the trace.
pub(crate) fn write(
    out: &mut impl Write,
    firewall: &Firewall,
    explanation: &Explanation,
    detail: Detail,
) -> io::Result<()> {
    let Explanation {
        decision,
        facts,
        tiers,
    } = explanation;
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in facts {
        writeln!(out, "  {DIM}{name:width$}{DIM:#}  {value}")?;
    }
    if decision.identity_mismatch {
        let what = "the certificate is not that of the workload at the peer's address: label \
                    selectors match nothing";
        writeln!(out, "  {WARN}identity mismatch{WARN:#}: {what}")?;
    }
    let Answer { enforced, would_be } = Answer::new(firewall.program(), decision);
    let mut is_decided = false;
    for tier in tiers {
        if is_decided && detail == Detail::Near {
            writeln!(out, "\n{BOLD}{}{BOLD:#}{DIM}: not asked{DIM:#}", tier.tier)?;
            continue;
        }
        write_tier(out, tier, enforced.verdict, detail)?;
        let by_none = format!("no_rule_matched/{}", tier.tier);
        is_decided |= tier.rules.iter().any(|rule| rule.decisive) || enforced.cause == by_none;
    }
    let verdict = paint(colour(enforced.verdict), enforced.verdict);
    let reason = reason(&enforced.cause);
    writeln!(out, "\n{verdict}  {BOLD}{}{BOLD:#}{reason}", enforced.cause)?;
    if let Some(would_be) = would_be {
        let verdict = paint(colour(would_be.verdict), would_be.verdict);
        let cause = would_be.cause;
        writeln!(
            out,
            "would be {verdict} by {cause} if every policy were enforced"
        )?;
    }
    Ok(())
}

fn write_tier(
    out: &mut impl Write,
    trace: &TierTrace,
    verdict: Verdict,
    detail: Detail,
) -> io::Result<()> {
    let how = match trace.tier {
        Tier::Admin | Tier::Baseline => "the first rule that matches decides",
        Tier::Namespace => "a Deny that matches denies, else an Allow has to match",
    };
    writeln!(out, "\n{BOLD}{}{BOLD:#}{DIM}: {how}{DIM:#}", trace.tier)?;
    let mut hidden = 0;
    for rule in &trace.rules {
        let matters = rule.matched || rule.is_near_miss() && opposes(rule, verdict);
        if detail == Detail::Near && !matters {
            hidden += 1;
            continue;
        }
        write_rule(out, rule, detail)?;
    }
    if hidden > 0 {
        let others = plural(
            hidden,
            if hidden == trace.rules.len() {
                "rule"
            } else {
                "other rule"
            },
        );
        let verb = if hidden == 1 { "does" } else { "do" };
        writeln!(out, "  {DIM}{others} {verb} not match{DIM:#}")?;
    }
    Ok(())
}

fn write_rule(out: &mut impl Write, rule: &RuleTrace, detail: Detail) -> io::Result<()> {
    let RuleTrace {
        document,
        rule: name,
        action,
        monitored,
        expired,
        matched,
        decisive,
        predicates,
    } = rule;
    let (style, what) = match () {
        () if *decisive => (GOOD, "decides"),
        () if *matched && *expired => (DIM, "expired"),
        () if *matched && *monitored => (WARN, "monitored"),
        () if *matched => (GOOD, "matches"),
        () if rule.is_near_miss() => (WARN, "near miss"),
        () => (DIM, "no match"),
    };
    let action = action.to_string();
    writeln!(
        out,
        "  {style}{what:9}{style:#}  {action:5}  {document}/{name}"
    )?;
    for predicate in predicates {
        if detail == Detail::All || (!matched && predicate.holds != Some(true)) {
            write_predicate(out, predicate)?;
        }
    }
    Ok(())
}

fn write_predicate(out: &mut impl Write, predicate: &PredicateTrace) -> io::Result<()> {
    let PredicateTrace {
        expects,
        found,
        holds,
    } = predicate;
    let (style, mark) = match holds {
        Some(true) => (GOOD, "+"),
        Some(false) => (BAD, "-"),
        None => (WARN, "?"),
    };
    write!(out, "             {style}{mark}{style:#} {expects}")?;
    match (holds, found) {
        (Some(true), _) => writeln!(out),
        (None, _) => writeln!(out, "{DIM}, but this is not HTTP{DIM:#}"),
        (Some(false), Some(found)) => writeln!(out, "{DIM}, found {DIM:#}{found}"),
        (Some(false), None) => writeln!(out, "{DIM}, found none{DIM:#}"),
    }
}

/// Whether a rule that missed would have spoken against the verdict. A Deny with one predicate is
/// always one predicate away.
fn opposes(rule: &RuleTrace, verdict: Verdict) -> bool {
    match rule.action {
        Action::Allow => verdict == Verdict::Deny,
        Action::Deny => verdict == Verdict::Allow && rule.predicates.len() > 1,
        Action::Pass => false,
    }
}

fn colour(verdict: Verdict) -> anstyle::Style {
    match verdict {
        Verdict::Allow => GOOD,
        Verdict::Deny => BAD,
    }
}

/// What a cause means that is no rule.
fn reason(cause: &str) -> String {
    let text = match cause.split_once('/') {
        Some(("no_rule_matched", tier)) => {
            format!("tier {tier} has Allow rules, and none of them matches")
        }
        Some(("refused", _)) => "it has no normal form, so no rule was asked".to_owned(),
        None if cause == "default" => "no rule says anything about it".to_owned(),
        _ => return String::new(),
    };
    format!("\n      {DIM}{text}{DIM:#}")
}

/// The question, the verdict and the trace.
pub(super) fn to_json(
    question: &Question,
    firewall: &Firewall,
    explanation: &Explanation,
) -> Value {
    let Explanation {
        decision,
        facts,
        tiers,
    } = explanation;
    let Answer { enforced, would_be } = Answer::new(firewall.program(), decision);
    let outcome = |outcome: scenario::Outcome| json!({"verdict": outcome.verdict.to_string(), "cause": outcome.cause});
    let facts = facts.iter();
    let facts: serde_json::Map<String, Value> = facts
        .map(|(name, value)| ((*name).to_owned(), Value::String(value.clone())))
        .collect();
    json!({
        "version": 1,
        "workload": {
            "namespace": question.workload.namespace,
            "name": question.workload.name,
            "principal": question.workload.principal(),
        },
        "direction": question.direction.to_string(),
        "enforced": outcome(enforced),
        "wouldBe": would_be.map(outcome),
        "identityMismatch": decision.identity_mismatch,
        "facts": facts,
        "tiers": tiers,
    })
}
