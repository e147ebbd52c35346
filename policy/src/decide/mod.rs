//! Decides: a program, the peers, what is asked; out comes a verdict with its cause.
//!
//! Three steps. The attributes are brought to their normal forms (`facts`). Each dimension of the
//! program narrows the set of clauses that can still match, and the sets meet (`candidates`);
//! what the index could not decide is evaluated on the few that are left (`verify`). The rules
//! that matched go through the tiers (`evaluate`). The time that takes depends on how many rules
//! match, not on how many there are.
//!
//! Nothing is allocated once the scratch memory has grown to what the program and the requests
//! need, and nothing panics: a program that cannot be evaluated is a denial.

mod candidates;
mod evaluate;
mod facts;
mod lookup;
mod verify;

pub(crate) use facts::{Facts, Scratch as FactScratch};
pub(crate) use verify::{Truth, clause_holds, predicate_holds};

use crate::attributes::Attributes;
use crate::decision::{Cause, Decision, Outcome, Verdict};
use crate::peers::PeerTable;
use crate::program::Program;

/// Memory that decisions use again and again. One for each thread.
#[derive(Debug, Default)]
pub struct Scratch {
    facts: facts::Scratch,
    candidates: candidates::Scratch,
    matched: Vec<u32>,
}

/// Decides about a connection or request.
///
/// `peers` must be a table for the peer sets of the program ([`Program::accepts`]); with any other
/// table, everything is denied.
pub fn decide(
    program: &Program,
    peers: &PeerTable,
    attributes: &Attributes<'_>,
    scratch: &mut Scratch,
) -> Decision {
    run(program, peers, attributes, scratch, matching)
}

/// Decides by looking at every rule. The same verdict in more time: what [`decide`] is tested and
/// measured against.
pub fn decide_linear(
    program: &Program,
    peers: &PeerTable,
    attributes: &Attributes<'_>,
    scratch: &mut Scratch,
) -> Decision {
    run(program, peers, attributes, scratch, matching_linear)
}

type Matching = fn(&Program, &Facts<'_>, &mut candidates::Scratch, &mut Vec<u32>) -> Option<()>;

fn run(
    program: &Program,
    peers: &PeerTable,
    attributes: &Attributes<'_>,
    scratch: &mut Scratch,
    matching: Matching,
) -> Decision {
    if !program.accepts(peers) {
        return denied(Cause::Fault, false);
    }
    let facts = match Facts::derive(program, peers, attributes, &mut scratch.facts) {
        Ok(facts) => facts,
        Err(cause) => return denied(cause, false),
    };
    let mismatch = facts.identity_mismatch;
    scratch.matched.clear();
    if matching(
        program,
        &facts,
        &mut scratch.candidates,
        &mut scratch.matched,
    )
    .is_none()
    {
        return denied(Cause::Fault, mismatch);
    }
    let enforced = evaluate::evaluate(
        program,
        attributes.direction,
        &scratch.matched,
        attributes.now,
        false,
    );
    let combined = if program.has_monitored() {
        evaluate::evaluate(
            program,
            attributes.direction,
            &scratch.matched,
            attributes.now,
            true,
        )
    } else {
        enforced
    };
    Decision {
        enforced,
        combined,
        identity_mismatch: mismatch,
    }
}

fn denied(cause: Cause, identity_mismatch: bool) -> Decision {
    let outcome = Outcome {
        verdict: Verdict::Deny,
        cause,
    };
    Decision {
        enforced: outcome,
        combined: outcome,
        identity_mismatch,
    }
}

/// Collects the matching rules, in order, by index.
fn matching(
    program: &Program,
    facts: &Facts<'_>,
    scratch: &mut candidates::Scratch,
    matched: &mut Vec<u32>,
) -> Option<()> {
    let side = program.side(facts.direction);
    let clauses = program.clauses(side);
    lookup::collect(program, side, facts, scratch);
    candidates::intersect(program, clauses.len(), scratch, |clause| {
        let clause = clauses.get(clause as usize)?;
        let rule = clause.rule.get();
        if matched.last() != Some(&rule) && clause_holds(program, side, facts, clause, true)? {
            matched.push(rule);
        }
        Some(())
    })
}

/// Collects the matching rules, in order, by looking at every clause.
fn matching_linear(
    program: &Program,
    facts: &Facts<'_>,
    _: &mut candidates::Scratch,
    matched: &mut Vec<u32>,
) -> Option<()> {
    let side = program.side(facts.direction);
    for clause in program.clauses(side) {
        let rule = clause.rule.get();
        if matched.last() != Some(&rule) && clause_holds(program, side, facts, clause, false)? {
            matched.push(rule);
        }
    }
    Some(())
}
