//! Denied paths that leave open what is below them.

use super::place::{Place, written};
use super::{Findings, Lint, Mesh};
use crate::spec::{Action, Field, Patterns, Predicate, StringPattern};

pub(super) fn check(mesh: &Mesh<'_>, findings: &mut Findings) {
    let denials = mesh.rules().filter(|rule| rule.rule.action == Action::Deny);
    for rule in denials {
        for (at, operation) in written(&rule.rule.operations) {
            if !is_grpc(operation) {
                look(&rule, at, operation, findings);
            }
        }
    }
}

fn look(rule: &Place<'_>, at: usize, operation: &[Predicate], findings: &mut Findings) {
    for predicate in operation {
        let Patterns::Strings(patterns) = &predicate.patterns else {
            continue;
        };
        if predicate.field != Field::Path || predicate.negated {
            continue;
        }
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
                let place = rule.operation(at).field("paths").index(path_at);
                let message = format!("`{path}` is denied, and `{below}` is not");
                findings.push(Lint::PathWithoutSubpaths, rule.policy, place, message);
                findings.help(format!("add `{below}*` if what is below is meant, too"));
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
