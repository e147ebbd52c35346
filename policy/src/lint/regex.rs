//! Regular expressions that ask for less than they seem to.

use super::place::{Place, written};
use super::{Findings, Lint, Mesh};
use crate::document::FieldPath;
use crate::spec::{Field, Patterns, Predicate, StringPattern};

pub(super) fn check(mesh: &Mesh<'_>, findings: &mut Findings) {
    for rule in mesh.rules() {
        for (at, operation) in written(&rule.rule.operations) {
            let mut headers = 0..;
            let mut parameters = 0..;
            for predicate in operation {
                let list = match &predicate.field {
                    Field::Header(_) => headers.next().map(|at| ("headers", at)),
                    Field::Query(_) => parameters.next().map(|at| ("query", at)),
                    _ => None,
                };
                if let Some((name, index)) = list {
                    let path = rule.operation(at).field(name).index(index);
                    look(&rule, predicate, path, findings);
                }
            }
        }
        for (at, condition) in rule.rule.conditions.iter().enumerate() {
            look(&rule, condition, rule.condition(at), findings);
        }
    }
}

fn look(rule: &Place<'_>, predicate: &Predicate, path: FieldPath, findings: &mut Findings) {
    let Patterns::Strings(patterns) = &predicate.patterns else {
        return;
    };
    for pattern in patterns {
        let StringPattern::Regex(regex) = pattern else {
            continue;
        };
        let parsed = regex_syntax::parse(&regex.0);
        if parsed.is_ok_and(|parsed| parsed.properties().minimum_len() == Some(0)) {
            let path = path.clone().field("regex");
            let message = format!("`{}` matches the empty text, too", regex.0);
            findings.push(Lint::RegexMatchesEmpty, rule.policy, path, message);
            findings.help("write `present: true` if that is meant");
        }
    }
}
