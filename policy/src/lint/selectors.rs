//! Selectors and port names that pick nothing.

use super::{Findings, Lint, Mesh, protected, rule_path, rules};
use crate::document::FieldPath;
use crate::spec::{Alternatives, Direction, Patterns, Policy, PortRange, Predicate, Rule};

pub(super) fn check(mesh: &Mesh<'_>, policy: &Policy, findings: &mut Findings) {
    let Some(inventory) = mesh.inventory else {
        return;
    };
    let Some(protected) = protected(mesh, policy) else {
        return;
    };
    if protected.is_empty() {
        let selector = match policy.origin.namespace {
            Some(_) => "selector",
            None => "subject",
        };
        let path = FieldPath::root().field("spec").field(selector);
        let message = "no workload of the inventory is selected".to_owned();
        findings.push(Lint::SelectsNothing, policy, path, message);
    }
    for (direction, index, rule) in rules(policy) {
        let peers = match direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        for (at, predicate) in of_alternatives(&rule.peers) {
            let Patterns::Sets(sets) = &predicate.patterns else {
                continue;
            };
            let picks_someone = sets.iter().any(|set| {
                let mut workloads = inventory.workloads.iter();
                workloads.any(|workload| set.contains(workload, inventory))
            });
            if !picks_someone {
                let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
                let path = rule_path(direction, index).field(peers).index(at);
                let message = format!("the inventory has no {}", sets.join(" or "));
                findings.push(Lint::PeerSelectsNothing, policy, path, message);
            }
        }
        // On egress, a port may be named by destinations that are not in the inventory.
        if direction == Direction::Ingress && !protected.is_empty() {
            for (at, name) in named_ports(rule) {
                if !protected
                    .iter()
                    .any(|workload| workload.ports.contains_key(name))
                {
                    let path = rule_path(direction, index).field("operations").index(at);
                    let message = format!("no protected workload has a port named `{name}`");
                    findings.push(Lint::UnknownPort, policy, path.field("ports"), message);
                }
            }
        }
    }
}

fn of_alternatives(alternatives: &Alternatives) -> impl Iterator<Item = (usize, &Predicate)> {
    let listed: &[Vec<Predicate>] = match alternatives {
        Alternatives::Any => &[],
        Alternatives::OneOf(listed) => listed,
    };
    let listed = listed.iter().enumerate();
    listed.flat_map(|(at, predicates)| predicates.iter().map(move |predicate| (at, predicate)))
}

fn named_ports(rule: &Rule) -> impl Iterator<Item = (usize, &str)> {
    of_alternatives(&rule.operations).flat_map(|(at, predicate)| {
        let ranges = match &predicate.patterns {
            Patterns::Ports(ranges) => ranges.as_slice(),
            _ => &[],
        };
        ranges.iter().filter_map(move |range| match range {
            PortRange::Named(name) => Some((at, name.as_str())),
            PortRange::Numbers(_) => None,
        })
    })
}
