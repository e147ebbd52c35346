//! Rules of the tier Namespace that change nothing.

use super::cover::covers;
use super::place::Place;
use super::{Findings, Lint, Mesh};
use crate::spec::Tier;

pub(super) fn check(mesh: &Mesh<'_>, findings: &mut Findings) {
    let rules = mesh
        .rules()
        .filter(|rule| rule.policy.tier == Tier::Namespace);
    let rules: Vec<Place<'_>> = rules.collect();
    for (at, rule) in rules.iter().enumerate() {
        let mut redundant = None;
        let mut duplicate = None;
        for (other_at, other) in rules.iter().enumerate() {
            let is_alike = other_at != at && other.rule.action == rule.rule.action;
            if !is_alike || !other.outlives(rule) || !covers(other, rule, mesh.config) {
                continue;
            }
            let is_mutual = rule.outlives(other) && covers(rule, other, mesh.config);
            match (is_mutual, other_at < at) {
                (true, true) => duplicate = duplicate.or(Some(other)),
                // The later of the two is the one that is told of.
                (true, false) => {}
                (false, _) => redundant = redundant.or(Some(other)),
            }
        }
        if let Some(other) = duplicate {
            let message = format!("says the same as {}", other.name());
            findings.push(Lint::DuplicateRule, rule.policy, rule.path(), message);
            findings.help("remove one of them");
        } else if let Some(other) = redundant {
            let message = format!("matches only what {} matches, too", other.name());
            findings.push(Lint::RedundantRule, rule.policy, rule.path(), message);
            findings.help("remove it, or narrow the other");
        }
    }
}
