//! Rules behind rules that decide all that they match.

use super::cover::covers;
use super::place::Place;
use super::{Findings, Lint, Mesh};
use crate::spec::{Action, Direction, Tier};

pub(super) fn check(mesh: &Mesh<'_>, findings: &mut Findings) {
    let admin = in_order(mesh, Tier::Admin);
    let baseline = in_order(mesh, Tier::Baseline);
    let final_words = final_words(&admin);
    let denials: Vec<Place<'_>> = mesh
        .rules()
        .filter(|rule| rule.policy.tier == Tier::Namespace && rule.rule.action == Action::Deny)
        .collect();
    for rule in mesh.rules() {
        let above = match rule.policy.tier {
            Tier::Admin => first(mesh, before(&admin, &rule), &rule),
            Tier::Namespace => first(mesh, final_words.iter().copied(), &rule),
            Tier::Baseline => {
                let above = final_words.iter().copied();
                first(mesh, above.chain(before(&baseline, &rule)), &rule)
            }
        };
        let beside = match (rule.policy.tier, rule.rule.action) {
            (Tier::Namespace, Action::Allow) => first(mesh, denials.iter(), &rule),
            _ => None,
        };
        let (other, does) = match (above, beside) {
            (Some(above), _) => (above, "decides all of it before"),
            (None, Some(beside)) => (beside, "denies all of it"),
            (None, None) => continue,
        };
        let message = format!("never decides: {} {does}", other.name());
        findings.push(Lint::ShadowedRule, rule.policy, rule.path(), message);
        findings.help("narrow the other rule, or remove this one");
    }
}

/// The rules of an ordered tier that are asked before one of them.
fn before<'r, 'a>(
    ordered: &'r [Place<'a>],
    rule: &Place<'_>,
) -> impl Iterator<Item = &'r Place<'a>> + use<'r, 'a> {
    let is_same = |other: &Place<'_>| std::ptr::eq(other.rule, rule.rule);
    let at = ordered.iter().position(is_same).unwrap_or(0);
    ordered.iter().take(at)
}

/// The first of some rules that covers a rule as long as that one lasts.
fn first<'a, 'p: 'a>(
    mesh: &Mesh<'_>,
    mut others: impl Iterator<Item = &'a Place<'p>>,
    rule: &Place<'_>,
) -> Option<&'a Place<'p>> {
    others.find(|other| other.outlives(rule) && covers(other, rule, mesh.config))
}

/// The rules of an ordered tier in the order of evaluation.
fn in_order<'a>(mesh: &Mesh<'a>, tier: Tier) -> Vec<Place<'a>> {
    let rules = mesh.rules().filter(|rule| rule.policy.tier == tier);
    let mut rules: Vec<Place<'_>> = rules.collect();
    rules.sort_by_key(|rule| (rule.policy.priority, &rule.policy.origin, rule.index));
    rules
}

/// The rules of tier Admin whose word is the last: those in front of which nothing is passed on.
fn final_words<'r, 'a>(admin: &'r [Place<'a>]) -> Vec<&'r Place<'a>> {
    let mut passing: Vec<Direction> = Vec::new();
    let mut result = Vec::new();
    for rule in admin {
        if rule.rule.action == Action::Pass {
            passing.push(rule.direction);
        } else if !passing.contains(&rule.direction) {
            result.push(rule);
        }
    }
    result
}
