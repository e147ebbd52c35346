//! Evaluates predicates one by one: what the index left open, and everything for the linear
//! evaluation and for explanations.

use regex_automata::dfa::Automaton;
use regex_automata::{Anchored, Input};

use super::facts::Facts;
use crate::peers::is_mapped;
use crate::program::layout::{
    ACTION_DENY, Clause, Dimension, NetworkRecord, PREDICATE_ALL, PREDICATE_INDEXED,
    PREDICATE_NEGATED, Pattern, PredicateRecord, Side, Text, pattern,
};
use crate::program::{FieldCode, Program};
use crate::spec::PathTemplate;

/// Whether a predicate holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It asks for something of HTTP, and this is not HTTP.
    Unknown,
}

/// Whether all predicates of a clause hold. What cannot be known never permits and always
/// denies. `None` if the program is damaged.
pub(crate) fn clause_holds(
    program: &Program,
    side: &Side,
    facts: &Facts<'_>,
    clause: &Clause,
    trust_index: bool,
) -> Option<bool> {
    let dimensions = program.dimensions(side);
    for predicate in program.predicates(clause) {
        let dimension = dimensions.get(predicate.dimension.get() as usize)?;
        if trust_index && decided_by_index(dimension, predicate, facts)? {
            continue;
        }
        match predicate_holds(program, dimension, predicate, facts)? {
            Truth::True => {}
            Truth::False => return Some(false),
            Truth::Unknown if program.rule(clause.rule.get())?.action == ACTION_DENY => {}
            Truth::Unknown => return Some(false),
        }
    }
    Some(true)
}

/// Whether being a candidate means that the predicate holds.
fn decided_by_index(
    dimension: &Dimension,
    predicate: &PredicateRecord,
    facts: &Facts<'_>,
) -> Option<bool> {
    let flags = predicate.flags.get();
    if flags & PREDICATE_INDEXED == 0 {
        return Some(false);
    }
    if facts.http.is_none() && FieldCode::from_code(dimension.field)?.is_http() {
        return Some(false);
    }
    // The index finds that some value matches.
    Some(flags & PREDICATE_ALL == 0 || facts.values(predicate.dimension.get()).nth(1).is_none())
}

/// Whether a predicate holds. `None` if the program is damaged.
pub(crate) fn predicate_holds(
    program: &Program,
    dimension: &Dimension,
    predicate: &PredicateRecord,
    facts: &Facts<'_>,
) -> Option<Truth> {
    let field = FieldCode::from_code(dimension.field)?;
    if field.is_http() && facts.http.is_none() {
        return Some(Truth::Unknown);
    }
    let patterns = program.patterns(predicate);
    let flags = predicate.flags.get();
    let matches = match field {
        FieldCode::PeerSet => patterns.iter().any(|pattern| {
            facts
                .workload
                .is_some_and(|workload| workload.is_in(pattern.a.get()))
        }),
        FieldCode::PeerAddress => in_networks(program, patterns, &facts.address)?,
        FieldCode::RemoteAddress => in_networks(program, patterns, &facts.remote_address)?,
        FieldCode::Port => {
            let port = u32::from(facts.port);
            patterns
                .iter()
                .any(|ports| (ports.a.get()..=ports.b.get()).contains(&port))
        }
        field if field.is_multiple() => {
            let mut values = facts.values(predicate.dimension.get()).peekable();
            let present = values.peek().is_some();
            let test = |value: &[u8]| string_matches_any(program, patterns, value);
            if flags & PREDICATE_ALL == 0 {
                any(values, test)?
            } else {
                present && all(values, test)?
            }
        }
        field => match facts.single(field) {
            Some(value) => string_matches_any(program, patterns, value)?,
            None => false,
        },
    };
    let holds = matches != (flags & PREDICATE_NEGATED != 0);
    Some(if holds { Truth::True } else { Truth::False })
}

fn any<'v>(
    values: impl Iterator<Item = &'v [u8]>,
    test: impl Fn(&[u8]) -> Option<bool>,
) -> Option<bool> {
    for value in values {
        if test(value)? {
            return Some(true);
        }
    }
    Some(false)
}

fn all<'v>(
    values: impl Iterator<Item = &'v [u8]>,
    test: impl Fn(&[u8]) -> Option<bool>,
) -> Option<bool> {
    for value in values {
        if !test(value)? {
            return Some(false);
        }
    }
    Some(true)
}

fn string_matches_any(program: &Program, patterns: &[Pattern], value: &[u8]) -> Option<bool> {
    for pattern in patterns {
        if string_matches(program, pattern, value)? {
            return Some(true);
        }
    }
    Some(false)
}

fn string_matches(program: &Program, pattern: &Pattern, value: &[u8]) -> Option<bool> {
    let text = || {
        program.raw_text(Text {
            offset: pattern.a,
            bytes: pattern.b,
        })
    };
    Some(match pattern.kind.get() {
        pattern::EXACT => value == text(),
        pattern::PREFIX => value.starts_with(text()),
        pattern::SUFFIX => value.ends_with(text()),
        pattern::NON_EMPTY => !value.is_empty(),
        pattern::PRESENT => true,
        pattern::TEMPLATE => PathTemplate::text_matches(text(), value),
        pattern::REGEX => regex_matches(program, pattern.a.get(), value)?,
        _ => return None,
    })
}

fn regex_matches(program: &Program, index: u32, value: &[u8]) -> Option<bool> {
    let input = Input::new(value).anchored(Anchored::Yes);
    let found = program.automaton(index)?.try_search_fwd(&input).ok()?;
    Some(found.is_some_and(|found| found.offset() == value.len()))
}

fn in_networks(program: &Program, patterns: &[Pattern], address: &[u8; 16]) -> Option<bool> {
    for pattern in patterns {
        let (network, excepts) = program.network(pattern.a.get())?;
        if contains(network, address) && !excepts.iter().any(|except| contains(except, address)) {
            return Some(true);
        }
    }
    Some(false)
}

fn contains(network: &NetworkRecord, address: &[u8; 16]) -> bool {
    let family = if is_mapped(address) { 4 } else { 6 };
    network.family == family && crate::compile::contains(&network.address, network.prefix, address)
}
