//! What to write instead: the help for who mistyped, or who comes from another policy language.

use serde_json::Value;

use super::error::{Suggestion, quotable};
use super::position::Mark;
use super::reason::Type;
use super::scalar_text;

/// How alike two words must be for one to be offered for the other, from 0 to 1.
const ALIKE: f64 = 0.65;

/// Words of other policy languages for ours.
const SYNONYMS: [(&str, &str); 13] = [
    ("accept", "Allow"),
    ("permit", "Allow"),
    ("block", "Deny"),
    ("drop", "Deny"),
    ("forbid", "Deny"),
    ("reject", "Deny"),
    ("delegate", "Pass"),
    ("skip", "Pass"),
    ("audit", "Monitor"),
    ("dryrun", "Monitor"),
    ("log", "Monitor"),
    ("permissive", "Monitor"),
    ("enforcing", "Enforce"),
];

/// The word of an enumeration that was probably meant; `owner` is its definition.
pub(super) fn word(written: &str, owner: &str, words: &[String]) -> Option<Suggestion> {
    if owner == "PolicyAction" && written.eq_ignore_ascii_case("pass") {
        return Some(Suggestion::Hint(
            "only a ClusterFirewallPolicy has it".into(),
        ));
    }
    let synonym = SYNONYMS
        .iter()
        .find(|(other, _)| written.eq_ignore_ascii_case(other));
    let synonym = synonym.filter(|(_, word)| words.iter().any(|known| known == word));
    let word = match synonym {
        Some((_, word)) => word,
        None => closest(written, words.iter().map(String::as_str))?,
    };
    Some(Suggestion::Replace(word.to_owned()))
}

/// The word that is most like the one that was written, if it is alike enough.
pub(super) fn closest<'a>(written: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Likeness is computed in time that grows with the product of the lengths.
    if written.len() > 64 {
        return None;
    }
    let written = written.to_lowercase();
    words
        .map(|word| {
            let likeness = strsim::normalized_damerau_levenshtein(&written, &word.to_lowercase());
            (word, likeness)
        })
        .filter(|(_, likeness)| *likeness >= ALIKE)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(word, _)| word)
}

/// What a list lists, by the name of its field.
pub(super) fn items(field: &str) -> &'static str {
    match field {
        "ingress" | "egress" => "rules",
        "from" | "to" => "peers",
        "operations" => "operations",
        "when" => "conditions",
        _ => "values",
    }
}

/// What to write instead of an empty list, by the name of its field.
pub(super) fn empty_list(field: &str) -> &'static str {
    match field {
        "ingress" | "egress" => {
            "to deny everything write one rule `action: Deny`, to say nothing remove the field"
        }
        "from" | "to" => "to match anyone remove the field",
        "operations" => "to match anything remove the field",
        _ => "to restrict nothing remove the field",
    }
}

/// What to write instead of a value of the wrong type.
pub(super) fn wrong_type(
    value: &Value,
    mark: Option<&Mark>,
    expected: &[Type],
) -> Option<Suggestion> {
    let expects = |expected_type| expected.contains(&expected_type);
    let written = scalar_text(value, mark).map(|written| quotable(&written));
    match (value, written) {
        (Value::Bool(_) | Value::Number(_), Some(written)) if expects(Type::Text) => Some(
            Suggestion::Hint(format!("put it in quotes: `\"{written}\"`").into()),
        ),
        (Value::String(text), _) if expects(Type::WholeNumber) && text.parse::<i64>().is_ok() => {
            Some(Suggestion::Hint("write it without quotes".into()))
        }
        (Value::String(text), _)
            if expects(Type::Boolean) && matches!(text.as_str(), "true" | "false") =>
        {
            Some(Suggestion::Hint("write it without quotes".into()))
        }
        (_, Some(written)) if expects(Type::List) => {
            Some(Suggestion::Replace(format!("[{written}]")))
        }
        (Value::Object(_), _) if expects(Type::List) => Some(Suggestion::Hint(
            "make it the item of a list: begin it with `- `".into(),
        )),
        _ => None,
    }
}

/// What to write where a field is missing.
pub(super) fn missing(kind: &str, owner: &str, field: &str) -> Option<Suggestion> {
    let hint = match (owner, field) {
        (_, "action") if kind == "ClusterFirewallPolicy" => {
            "write `action: Allow`, `action: Deny` or `action: Pass`"
        }
        (_, "action") => "write `action: Allow` or `action: Deny`",
        (_, "tier") => "write `tier: Admin` or `tier: Baseline`",
        (_, "priority") => "write a number within 0-1000, the lowest is asked first",
        (_, "subject") => "to protect all pods write `subject: {namespaceSelector: {}}`",
        ("Subject", "namespaceSelector") => "for all namespaces write `namespaceSelector: {}`",
        _ => return None,
    };
    Some(Suggestion::Hint(hint.into()))
}

/// Places of fields, as definitions and in words, for a field that was written somewhere else.
const PLACES: [(&str, &str); 8] = [
    ("IngressPeer", "an item of `from`"),
    ("EgressPeer", "an item of `to`"),
    ("Operation", "an item of `operations`"),
    ("Condition", "an item of `when`"),
    ("IngressRule_PolicyAction", "a rule"),
    ("IngressRule_ClusterAction", "a rule"),
    ("FirewallPolicySpec", "`spec`"),
    ("ClusterFirewallPolicySpec", "`spec`"),
];

/// What to write instead of a field that does not exist where it was written.
///
/// `owner` is the definition that lacks the field and `known` its fields; `elsewhere` tells
/// whether another definition of the same kind has it.
pub(super) fn unknown_field<'a, K: Iterator<Item = &'a str>>(
    field: &str,
    owner: &str,
    known: impl Fn() -> K,
    elsewhere: impl Fn(&str) -> bool,
) -> Option<Suggestion> {
    if let Some(suggestion) = from_habit(field, owner) {
        return Some(suggestion);
    }
    if let Some(name) = closest(field, known()) {
        return Some(Suggestion::Replace(name.to_owned()));
    }
    let place = PLACES
        .iter()
        .find(|(definition, _)| *definition != owner && elsewhere(definition));
    place.map(|(_, place)| Suggestion::Hint(format!("`{field}` is a field of {place}").into()))
}

/// Fields that people write out of habit, from the other direction, the other kind, or another
/// policy language.
fn from_habit(field: &str, owner: &str) -> Option<Suggestion> {
    let replace = |with: &str| Some(Suggestion::Replace(with.to_owned()));
    let hint = |hint: &'static str| Some(Suggestion::Hint(hint.into()));
    let peer = matches!(owner, "IngressPeer" | "EgressPeer");
    let ingress = owner.starts_with("IngressRule");
    let egress = owner.starts_with("EgressRule");
    let policy = owner == "FirewallPolicySpec";
    let cluster = owner == "ClusterFirewallPolicySpec";
    match field {
        "to" if ingress => hint("an ingress rule has `from`; `to` belongs to `egress`"),
        "from" if egress => hint("an egress rule has `to`; `from` belongs to `ingress`"),
        "peers" | "source" | "sources" | "clients" if ingress => replace("from"),
        "peers" | "destination" | "destinations" if egress => replace("to"),
        "effect" | "verdict" if ingress || egress => replace("action"),
        "conditions" | "condition" if ingress || egress => replace("when"),
        "operation" if ingress || egress => replace("operations"),
        "podSelector" | "workloadSelector" if policy => replace("selector"),
        "selector" | "podSelector" | "workloadSelector" | "targetRefs" if cluster => {
            hint("a ClusterFirewallPolicy names its pods in `subject`")
        }
        "rules" if policy || cluster => hint("rules are listed under `ingress` or `egress`"),
        "action" if policy || cluster => hint("each rule has its own `action`"),
        "policyTypes" if policy || cluster => {
            hint("a direction is restricted as soon as there are rules for it")
        }
        "tier" | "priority" | "subject" if policy => {
            hint("only a ClusterFirewallPolicy has this field")
        }
        "source" | "operation" if peer || owner == "Operation" => {
            let hint = format!("write the fields of `{field}` here, without `{field}` around them");
            Some(Suggestion::Hint(hint.into()))
        }
        _ if owner == "LabelSelector" && !field.starts_with("match") => {
            hint("labels are listed under `matchLabels`")
        }
        "remoteIpBlocks" if owner == "EgressPeer" => {
            hint("the address of a destination is matched by `ipBlocks`")
        }
        "requestPrincipals" if peer => {
            hint("write `when: [{claim: iss, values: [...]}, {claim: sub, values: [...]}]`")
        }
        "ipBlock" | "cidr" | "cidrs" | "networks" if peer => replace("ipBlocks"),
        "user" | "users" | "spiffe" if peer => replace("principals"),
        "pods" if peer => replace("podSelector"),
        "protocol" | "protocols" if owner == "Operation" => {
            hint("ports are TCP ports; other protocols do not pass through the proxy")
        }
        "key" if owner == "Condition" => hint("a condition names a `claim`, or `sni`"),
        _ if is_negation(field) && (peer || matches!(owner, "Operation" | "Condition")) => {
            hint("nothing is negated here; deny what is excepted by a rule with `action: Deny`")
        }
        _ => None,
    }
}

/// `notPaths` and its like, of AuthorizationPolicy.
fn is_negation(field: &str) -> bool {
    field
        .strip_prefix("not")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}
