//! Whether one rule matches whatever another one matches, decided field by field.

use crate::compile::contains;
use crate::peers::mapped;
use crate::spec::{Alternatives, Network, Patterns, PortRange, Predicate, Rule, StringPattern};

/// Whether `wide` matches at least what `narrow` matches. `false` also where that is not seen.
pub(super) fn covers(wide: &Rule, narrow: &Rule) -> bool {
    alternatives(&wide.peers, &narrow.peers)
        && alternatives(&wide.operations, &narrow.operations)
        && conjunction(&wide.conditions, &narrow.conditions)
        // What is unknown on a TCP connection counts against the rule, by its action.
        && (wide.action == narrow.action || !asks_for_http(wide))
}

fn asks_for_http(rule: &Rule) -> bool {
    let operations: &[Vec<Predicate>] = match &rule.operations {
        Alternatives::Any => &[],
        Alternatives::OneOf(listed) => listed,
    };
    let mut predicates = operations.iter().flatten().chain(&rule.conditions);
    predicates.any(|predicate| predicate.field.is_http())
}

fn alternatives(wide: &Alternatives, narrow: &Alternatives) -> bool {
    match (wide, narrow) {
        (Alternatives::Any, _) => true,
        (Alternatives::OneOf(wide), Alternatives::Any) => wide.iter().any(Vec::is_empty),
        (Alternatives::OneOf(wide), Alternatives::OneOf(narrow)) => narrow
            .iter()
            .all(|narrow| wide.iter().any(|wide| conjunction(wide, narrow))),
    }
}

/// Each predicate of `wide` follows from one of `narrow`.
fn conjunction(wide: &[Predicate], narrow: &[Predicate]) -> bool {
    wide.iter()
        .all(|wide| narrow.iter().any(|narrow| follows(wide, narrow)))
}

fn follows(wide: &Predicate, narrow: &Predicate) -> bool {
    if wide.field != narrow.field || wide.negated != narrow.negated {
        return false;
    }
    if wide.negated {
        subset(&wide.patterns, &narrow.patterns)
    } else {
        subset(&narrow.patterns, &wide.patterns)
    }
}

/// Whatever matches `small` matches `large`.
fn subset(small: &Patterns, large: &Patterns) -> bool {
    match (small, large) {
        (_, Patterns::Present) => true,
        (Patterns::Strings(small), Patterns::Strings(large)) => small
            .iter()
            .all(|small| large.iter().any(|large| string(small, large))),
        (Patterns::Networks(small), Patterns::Networks(large)) => small
            .iter()
            .all(|small| large.iter().any(|large| network(small, large))),
        (Patterns::Ports(small), Patterns::Ports(large)) => small
            .iter()
            .all(|small| large.iter().any(|large| ports(small, large))),
        (Patterns::Sets(small), Patterns::Sets(large)) => {
            small.iter().all(|small| large.contains(small))
        }
        (Patterns::MeshTrustDomains, Patterns::MeshTrustDomains) => true,
        _ => false,
    }
}

fn string(small: &StringPattern, large: &StringPattern) -> bool {
    use StringPattern::{Exact, NonEmpty, Prefix, Suffix, Template};
    match (small, large) {
        _ if small == large => true,
        (Exact(text), Prefix(prefix)) | (Prefix(text), Prefix(prefix)) => text.starts_with(prefix),
        (Exact(text), Suffix(suffix)) | (Suffix(text), Suffix(suffix)) => text.ends_with(suffix),
        (Exact(text), Template(template)) => template.matches(text.as_bytes()),
        (Exact(text) | Prefix(text) | Suffix(text), NonEmpty) => !text.is_empty(),
        (Template(_), NonEmpty) => true,
        (Template(_), Prefix(prefix)) => prefix == "/",
        _ => false,
    }
}

fn network(small: &Network, large: &Network) -> bool {
    let same_family = small.cidr.address.is_ipv4() == large.cidr.address.is_ipv4();
    let family_bits = if large.cidr.address.is_ipv4() { 96 } else { 0 };
    let inside = same_family
        && small.cidr.prefix_len >= large.cidr.prefix_len
        && contains(
            &mapped(large.cidr.address),
            large.cidr.prefix_len + family_bits,
            &mapped(small.cidr.address),
        );
    inside && (large.except.is_empty() || small == large)
}

fn ports(small: &PortRange, large: &PortRange) -> bool {
    match (small, large) {
        (PortRange::Numbers(small), PortRange::Numbers(large)) => {
            large.start() <= small.start() && small.end() <= large.end()
        }
        (PortRange::Named(small), PortRange::Named(large)) => small == large,
        _ => false,
    }
}
