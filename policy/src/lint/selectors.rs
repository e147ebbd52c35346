//! Selectors and names of ports that pick nothing.

use super::place::{Place, protected, spec, written};
use super::{Findings, Lint, Mesh};
use crate::inventory::Inventory;
use crate::spec::{Direction, NamespaceScope, Patterns, PortRange};

pub(super) fn check(mesh: &Mesh<'_>, findings: &mut Findings) {
    let Some(inventory) = mesh.inventory else {
        return;
    };
    for policy in mesh.active() {
        if protected(policy, inventory).next().is_none() {
            let (path, message) = match &policy.subject.namespaces {
                NamespaceScope::Named(name) => (
                    spec().field("selector"),
                    format!("no workload of the namespace `{name}` is selected"),
                ),
                NamespaceScope::All | NamespaceScope::Selected(_) => (
                    spec().field("subject"),
                    "no workload of the inventory is selected".to_owned(),
                ),
            };
            findings.push(Lint::SelectsNothing, policy, path, message);
        }
    }
    for rule in mesh.rules() {
        ports(&rule, inventory, findings);
    }
}

fn ports(rule: &Place<'_>, inventory: &Inventory, findings: &mut Findings) {
    let is_known = |name: &str| match rule.direction {
        Direction::Ingress => {
            let mut protected = rule.protected(inventory).peekable();
            // A policy that protects nothing is told of by itself.
            protected.peek().is_none()
                || protected.any(|workload| workload.ports.contains_key(name))
        }
        Direction::Egress => {
            let mut workloads = inventory.workloads.iter();
            workloads.any(|workload| workload.ports.contains_key(name))
        }
    };
    for (at, operation) in written(&rule.rule.operations) {
        for predicate in operation {
            let Patterns::Ports(ranges) = &predicate.patterns else {
                continue;
            };
            for (range_at, range) in ranges.iter().enumerate() {
                let PortRange::Named(name) = range else {
                    continue;
                };
                if !is_known(name) {
                    let path = rule.operation(at).field("ports").index(range_at);
                    let whose = match rule.direction {
                        Direction::Ingress => "protected workload",
                        Direction::Egress => "workload",
                    };
                    let message = format!("no {whose} has a port named `{name}`");
                    findings.push(Lint::UnknownPort, rule.policy, path, message);
                }
            }
        }
    }
}
