//! Label selectors, in canonical order.

use super::super::types::{LabelSelector, MatchExpression, Operator};
use super::{At, Error, Findings, Reason, names};
use crate::spec::{self, LabelOperator, LabelRequirement, NamespaceScope};

/// Lowers a selector of namespaces.
pub(super) fn namespaces(
    at: &At<'_>,
    selector: &LabelSelector,
    findings: &mut Findings,
) -> NamespaceScope {
    let selector = labels(at, selector, findings);
    if selector.requirements.is_empty() {
        NamespaceScope::All
    } else {
        NamespaceScope::Selected(selector)
    }
}

/// Lowers a selector.
pub(super) fn labels(
    at: &At<'_>,
    selector: &LabelSelector,
    findings: &mut Findings,
) -> spec::LabelSelector {
    let mut requirements = Vec::new();
    let list = at.field("matchLabels");
    for (key, value) in selector.match_labels.iter().flatten() {
        let at = list.field(key);
        findings.take(&at, key, names::label_key(key));
        findings.take(&at, value, names::label_value(value));
        let operator = LabelOperator::In(vec![value.clone()]);
        requirements.push(LabelRequirement {
            key: key.clone(),
            operator,
        });
    }
    let list = at.field("matchExpressions");
    for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
        requirements.push(requirement(&list.index(index), expression, findings));
    }
    requirements.sort();
    requirements.dedup();
    spec::LabelSelector { requirements }
}

fn requirement(
    at: &At<'_>,
    expression: &MatchExpression,
    findings: &mut Findings,
) -> LabelRequirement {
    let MatchExpression {
        key,
        operator,
        values,
    } = expression;
    findings.take(&at.field("key"), key, names::label_key(key));
    let list = at.field("values");
    let needs_values = matches!(operator, Operator::In | Operator::NotIn);
    match values {
        None if needs_values => {
            let hint = "`In` and `NotIn` compare with `values`";
            findings.push(Error::new(&list, Reason::Missing).hint(hint));
        }
        Some(_) if !needs_values => {
            let word = if *operator == Operator::Exists {
                "operator: Exists"
            } else {
                "operator: DoesNotExist"
            };
            findings.push(Error::new(&list, Reason::Conflict(word)));
        }
        None | Some(_) => {}
    }
    let values = values.as_deref().unwrap_or_default();
    let mut values = findings.take_all(&list, values, |value| {
        names::label_value(value).map(|()| value.to_owned())
    });
    values.sort();
    values.dedup();
    let operator = match operator {
        Operator::In => LabelOperator::In(values),
        Operator::NotIn => LabelOperator::NotIn(values),
        Operator::Exists => LabelOperator::Exists,
        Operator::DoesNotExist => LabelOperator::DoesNotExist,
    };
    LabelRequirement {
        key: key.clone(),
        operator,
    }
}
