//! Rules that permit everyone everything.

use super::cover::network::is_everything;
use super::{Findings, Lint, Mesh};
use crate::spec::{Action, Alternatives, Patterns, Predicate, Tier};

pub(super) fn check(mesh: &Mesh<'_>, findings: &mut Findings) {
    for rule in mesh.rules() {
        let spec = rule.rule;
        let is_open = spec.action == Action::Allow
            && rule.policy.tier != Tier::Baseline
            && is_any(&spec.peers)
            && is_any(&spec.operations)
            && spec.conditions.is_empty();
        if is_open {
            let message = format!("permits all {} traffic of everyone", rule.direction);
            findings.push(Lint::AllowsEveryone, rule.policy, rule.path(), message);
            findings.help("say who, or what; a default is a rule of tier Baseline");
        }
    }
}

fn is_any(alternatives: &Alternatives) -> bool {
    match alternatives {
        Alternatives::Any => true,
        Alternatives::OneOf(listed) => listed.iter().any(|one| one.iter().all(is_everyone)),
    }
}

/// Whether a predicate holds for everyone, at least over IPv4.
fn is_everyone(predicate: &Predicate) -> bool {
    match &predicate.patterns {
        Patterns::Networks(networks) => networks
            .iter()
            .any(|network| network.cidr.address.is_ipv4() && is_everything(network)),
        _ => false,
    }
}
