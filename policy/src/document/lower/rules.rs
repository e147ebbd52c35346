//! Rules: names, actions, and the parts that the other modules lower.

use std::collections::HashMap;

use super::super::field_path::FieldPath;
use super::super::types::{Condition, EgressRule, IngressRule, Operation, RuleAction};
use super::{At, Error, Findings, Reason, Scope, limits, names, operations, peers};
use crate::spec::{self, Direction};

/// Lowers the rules of a policy, of both directions, and checks their number.
pub(super) fn both<A: RuleAction>(
    policy: &At<'_>,
    ingress: Option<&[IngressRule<A>]>,
    egress: Option<&[EgressRule<A>]>,
    namespace: Option<&str>,
    findings: &mut Findings,
) -> (Vec<spec::Rule>, Vec<spec::Rule>) {
    if ingress.is_none() && egress.is_none() {
        let error = Error::new(policy, Reason::NoRules);
        findings.push(error.hint("list them under `ingress`, `egress` or both"));
    }
    let (ingress, egress) = (ingress.unwrap_or_default(), egress.unwrap_or_default());
    if ingress.len() + egress.len() > limits::MAX_RULES {
        let reason = Reason::TooMany {
            what: "rules",
            limit: limits::MAX_RULES,
        };
        findings.push(Error::new(policy, reason));
    }
    let scope = |direction| Scope {
        direction,
        namespace,
    };
    (
        self::ingress(policy, ingress, scope(Direction::Ingress), findings),
        self::egress(policy, egress, scope(Direction::Egress), findings),
    )
}

/// Lowers the rules for connections to the protected pods.
fn ingress<A: RuleAction>(
    policy: &At<'_>,
    rules: &[IngressRule<A>],
    scope: Scope<'_>,
    findings: &mut Findings,
) -> Vec<spec::Rule> {
    let list = policy.field("ingress");
    let mut taken = HashMap::new();
    let rules = rules.iter().enumerate().map(|(index, rule)| {
        let at = list.index(index);
        let from = rule.from.as_deref().map(|from| {
            peers::alternatives(
                &at.field("from"),
                from.iter().map(Into::into),
                scope,
                findings,
            )
        });
        spec::Rule {
            name: name(&at, rule.name.as_deref(), &mut taken, findings),
            action: rule.action.into(),
            peers: from.unwrap_or(spec::Alternatives::Any),
            operations: asked(&at, rule.operations.as_deref(), findings),
            conditions: conditions(&at, rule.when.as_deref(), findings),
        }
    });
    rules.collect()
}

/// Lowers the rules for connections from the protected pods.
fn egress<A: RuleAction>(
    policy: &At<'_>,
    rules: &[EgressRule<A>],
    scope: Scope<'_>,
    findings: &mut Findings,
) -> Vec<spec::Rule> {
    let list = policy.field("egress");
    let mut taken = HashMap::new();
    let rules = rules.iter().enumerate().map(|(index, rule)| {
        let at = list.index(index);
        let to = rule.to.as_deref().map(|to| {
            peers::alternatives(&at.field("to"), to.iter().map(Into::into), scope, findings)
        });
        spec::Rule {
            name: name(&at, rule.name.as_deref(), &mut taken, findings),
            action: rule.action.into(),
            peers: to.unwrap_or(spec::Alternatives::Any),
            operations: asked(&at, rule.operations.as_deref(), findings),
            conditions: conditions(&at, rule.when.as_deref(), findings),
        }
    });
    rules.collect()
}

/// The name of a rule: its own, or one made of its place.
fn name(
    at: &At<'_>,
    name: Option<&str>,
    taken: &mut HashMap<String, FieldPath>,
    findings: &mut Findings,
) -> String {
    let Some(name) = name else { return place(at) };
    let field = at.field("name");
    findings.take(&field, name, names::rule(name));
    match taken.get(name) {
        Some(first) => {
            findings.push(Error::new(&field, Reason::NameTaken(first.clone())).value(name));
        }
        None => {
            taken.insert(name.to_owned(), FieldPath::from(at));
        }
    }
    name.to_owned()
}

/// `ingress[0]`.
fn place(at: &At<'_>) -> String {
    match at {
        At::Index(list, index) => format!("{}[{index}]", list.name().unwrap_or_default()),
        At::Root | At::Field(..) => String::new(),
    }
}

fn asked(
    rule: &At<'_>,
    operations: Option<&[Operation]>,
    findings: &mut Findings,
) -> spec::Alternatives {
    let Some(operations) = operations else {
        return spec::Alternatives::Any;
    };
    let list = rule.field("operations");
    let operations = operations.iter().enumerate();
    let lowered = operations
        .map(|(index, operation)| operations::operation(&list.index(index), operation, findings));
    spec::Alternatives::OneOf(lowered.collect())
}

fn conditions(
    rule: &At<'_>,
    conditions: Option<&[Condition]>,
    findings: &mut Findings,
) -> Vec<spec::Predicate> {
    let list = rule.field("when");
    let conditions = conditions.unwrap_or_default().iter().enumerate();
    conditions
        .filter_map(|(index, condition)| {
            operations::condition(&list.index(index), condition, findings)
        })
        .collect()
}
