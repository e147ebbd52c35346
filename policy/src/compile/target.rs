//! What a program depends on besides configuration and policies: the numbers of named ports.
//!
//! A target has no more than that, so that it tells whether two workloads can share a program, and
//! whether a change of a workload concerns a program at all.

use std::collections::{BTreeMap, BTreeSet};

use super::lower::named_ports;
use super::{alternatives, rules_of};
use crate::inventory::Workload;
use crate::spec::{Direction, Policy};

/// What a program needs to know about the workload that it is for, and about its destinations.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Target {
    /// `namespace/name` of the workload, by which a filter tells workloads in one proxy apart;
    /// empty in a program that workloads share.
    pub name: String,
    /// The TCP ports to which the workload gives these names.
    pub ports: BTreeMap<String, u16>,
    /// The TCP ports to which any workload gives these names.
    pub declared: BTreeMap<String, BTreeSet<u16>>,
}

/// The names of ports that policies mention.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NamedPorts<'a> {
    /// Names that are resolved by the ports of the workload itself.
    pub own: BTreeSet<&'a str>,
    /// Names that are resolved by the ports of its destinations.
    pub declared: BTreeSet<&'a str>,
}

impl Target {
    /// What policies need to know about a workload, among all workloads. The name is left empty.
    pub fn of<'a>(
        policies: &[&Policy],
        workloads: impl IntoIterator<Item = &'a Workload>,
        workload: &Workload,
    ) -> Target {
        let NamedPorts { own, declared } = NamedPorts::of(policies.iter().copied());
        let mut target = Target {
            ports: numbers(&own, workload).collect(),
            ..Target::default()
        };
        if !declared.is_empty() {
            for (name, number) in workloads.into_iter().flat_map(|at| numbers(&declared, at)) {
                target.declared.entry(name).or_default().insert(number);
            }
        }
        target
    }
}

impl<'a> NamedPorts<'a> {
    /// The names that policies mention.
    pub fn of(policies: impl IntoIterator<Item = &'a Policy>) -> NamedPorts<'a> {
        let mut names = NamedPorts::default();
        for policy in policies {
            for direction in [Direction::Ingress, Direction::Egress] {
                for rule in rules_of(policy, direction) {
                    let operations = alternatives(&rule.operations).flatten();
                    match direction {
                        Direction::Ingress => names.own.extend(operations.flat_map(named_ports)),
                        Direction::Egress => {
                            names.declared.extend(operations.flat_map(named_ports));
                        }
                    }
                    let others = alternatives(&rule.peers).flatten().chain(&rule.conditions);
                    names.own.extend(others.flat_map(named_ports));
                }
            }
        }
        names
    }
}

/// The ports of a workload that have one of these names.
fn numbers(names: &BTreeSet<&str>, workload: &Workload) -> impl Iterator<Item = (String, u16)> {
    names.iter().filter_map(|name| {
        let (name, number) = workload.ports.get_key_value(*name)?;
        Some((name.clone(), *number))
    })
}
