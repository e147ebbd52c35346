//! Rules that never decide, that repeat others, or that say more than they seem to.

use super::cover::covers;
use super::{Findings, Lint, Mesh, rule_path, rules};
use crate::spec::{
    Action, Alternatives, Direction, Field, LabelSelector, Mode, NamespaceScope, Patterns, Policy,
    Predicate, Rule, StringPattern, Tier,
};

pub(super) fn check(mesh: &Mesh<'_>, policy: &Policy, findings: &mut Findings) {
    for (direction, index, rule) in rules(policy) {
        if let Some(message) = decided_elsewhere(mesh, policy, direction, index, rule) {
            findings.push(
                Lint::ShadowedRule,
                policy,
                rule_path(direction, index),
                message,
            );
        } else if let Some(twin) = duplicate(policy, direction, index, rule) {
            let message = format!("the rule matches the same as `{}`", twin.name);
            findings.push(
                Lint::DuplicateRule,
                policy,
                rule_path(direction, index),
                message,
            );
        }
        if is_everything(rule) && rule.action == Action::Allow && policy.tier != Tier::Baseline {
            let message = format!("the rule permits all {direction} traffic of everyone");
            findings.push(
                Lint::AllowsEveryone,
                policy,
                rule_path(direction, index),
                message,
            );
            findings.help("say who in `from` or `to`, or what in `operations`");
        }
        if rule.action == Action::Deny {
            paths_without_subpaths(policy, direction, index, rule, findings);
        }
    }
}

/// The rule that decides before this one whatever this one matches, in words.
fn decided_elsewhere(
    mesh: &Mesh<'_>,
    policy: &Policy,
    direction: Direction,
    index: usize,
    rule: &Rule,
) -> Option<String> {
    let own = of(policy, direction);
    if policy.tier == Tier::Namespace {
        let denies = own.iter().find(|other| {
            rule.action == Action::Allow && other.action == Action::Deny && covers(other, rule)
        })?;
        return Some(format!(
            "whatever the rule permits is denied by `{}`",
            denies.name
        ));
    }
    if let Some(earlier) = own.iter().take(index).find(|earlier| covers(earlier, rule)) {
        return Some(format!(
            "`{}` decides before it whatever it matches",
            earlier.name
        ));
    }
    let earlier = mesh.policies.iter().filter(|other| {
        other.tier == policy.tier
            && other.priority < policy.priority
            && other.mode == Mode::Enforce
            && other.expires.is_none()
            && protects_at_least(other, policy)
    });
    earlier
        .flat_map(|other| of(other, direction).iter().map(move |rule| (other, rule)))
        .find(|(_, earlier)| covers(earlier, rule))
        .map(|(other, earlier)| {
            let (origin, name) = (&other.origin, &earlier.name);
            format!("`{name}` of {origin} decides before it whatever it matches")
        })
}

fn of(policy: &Policy, direction: Direction) -> &[Rule] {
    match direction {
        Direction::Ingress => &policy.ingress,
        Direction::Egress => &policy.egress,
    }
}

fn protects_at_least(one: &Policy, other: &Policy) -> bool {
    one.subject == other.subject
        || (one.subject.namespaces == NamespaceScope::All
            && one.subject.pods == LabelSelector::default())
}

fn duplicate<'a>(
    policy: &'a Policy,
    direction: Direction,
    index: usize,
    rule: &Rule,
) -> Option<&'a Rule> {
    of(policy, direction).iter().take(index).find(|earlier| {
        earlier.action == rule.action && covers(earlier, rule) && covers(rule, earlier)
    })
}

fn is_everything(rule: &Rule) -> bool {
    rule.peers == Alternatives::Any
        && rule.operations == Alternatives::Any
        && rule.conditions.is_empty()
}

fn paths_without_subpaths(
    policy: &Policy,
    direction: Direction,
    index: usize,
    rule: &Rule,
    findings: &mut Findings,
) {
    let Alternatives::OneOf(operations) = &rule.operations else {
        return;
    };
    for (at, operation) in operations.iter().enumerate() {
        let paths = operation.iter().filter(|predicate| {
            predicate.field == Field::Path && !predicate.negated && !is_grpc(operation)
        });
        for predicate in paths {
            let Patterns::Strings(patterns) = &predicate.patterns else {
                continue;
            };
            for (path_at, path) in patterns.iter().enumerate() {
                let StringPattern::Exact(path) = path else {
                    continue;
                };
                let below = format!("{}/", path.trim_end_matches('/'));
                let covered = patterns.iter().any(|other| match other {
                    StringPattern::Prefix(prefix) => below.starts_with(prefix.as_str()),
                    StringPattern::Template(template) => template.matches(below.as_bytes()),
                    StringPattern::NonEmpty => true,
                    _ => false,
                });
                if !covered {
                    let place = rule_path(direction, index).field("operations").index(at);
                    let message = format!("`{path}` is denied, and `{below}` is not");
                    let place = place.field("paths").index(path_at);
                    findings.push(Lint::PathWithoutSubpaths, policy, place, message);
                    findings.help(format!("add `{below}*` if what is below is meant, too"));
                }
            }
        }
    }
}

/// The paths of gRPC methods have nothing below them.
fn is_grpc(operation: &[Predicate]) -> bool {
    operation
        .iter()
        .any(|predicate| predicate.field == Field::Grpc)
}
