//! Takes the rules that matched through the gates and tiers.

use crate::decision::{Cause, Outcome, Verdict};
use crate::program::Program;
use crate::program::layout::{
    ACTION_ALLOW, ACTION_DENY, ACTION_PASS, RULE_MONITOR, TIER_ORDERED, TierRecord,
};
use crate::spec::{Direction, Timestamp};

/// What a tier says.
enum TierSays {
    Decided(Outcome),
    /// Nothing, so the next tier decides.
    Nothing,
}

/// Evaluates the matched rules, which are in ascending order; `combined` counts monitored ones.
pub(super) fn evaluate(
    program: &Program,
    direction: Direction,
    matched: &[u32],
    now: Timestamp,
    combined: bool,
) -> Outcome {
    let mut rest = matched;
    for tier in program.tiers(program.side(direction)) {
        let first = tier.rules.first.get();
        let end = first.saturating_add(tier.rules.count.get());
        let until = rest
            .iter()
            .position(|rule| *rule >= end)
            .unwrap_or(rest.len());
        let (in_tier, after) = rest.split_at(until);
        rest = after;
        match tier_says(program, tier, in_tier, now, combined) {
            Some(TierSays::Decided(outcome)) => return outcome,
            Some(TierSays::Nothing) => {}
            None => {
                return Outcome {
                    verdict: Verdict::Deny,
                    cause: Cause::Fault,
                };
            }
        }
    }
    let settings = program.settings();
    let allowed = match direction {
        Direction::Ingress => settings.default_ingress,
        Direction::Egress => settings.default_egress,
    };
    let verdict = if allowed == 1 {
        Verdict::Allow
    } else {
        Verdict::Deny
    };
    Outcome {
        verdict,
        cause: Cause::Default,
    }
}

fn tier_says(
    program: &Program,
    tier: &TierRecord,
    matched: &[u32],
    now: Timestamp,
    combined: bool,
) -> Option<TierSays> {
    let decided = |verdict, rule| {
        Some(TierSays::Decided(Outcome {
            verdict,
            cause: Cause::Rule(rule),
        }))
    };
    let mut allowed = None;
    for &index in matched {
        let rule = program.rule(index)?;
        let counts = combined || rule.flags & RULE_MONITOR == 0;
        if !counts || now.0 >= rule.expires.get() {
            continue;
        }
        match rule.action {
            ACTION_DENY => return decided(Verdict::Deny, index),
            ACTION_ALLOW if tier.kind == TIER_ORDERED => return decided(Verdict::Allow, index),
            ACTION_ALLOW => allowed = allowed.or(Some(index)),
            ACTION_PASS if tier.kind == TIER_ORDERED => return Some(TierSays::Nothing),
            _ => return None,
        }
    }
    if let Some(index) = allowed {
        return decided(Verdict::Allow, index);
    }
    let until = if combined {
        tier.allow_until_combined
    } else {
        tier.allow_until
    };
    if tier.kind != TIER_ORDERED && now.0 < until.get() {
        let cause = Cause::NoRuleMatched(tier.name);
        return Some(TierSays::Decided(Outcome {
            verdict: Verdict::Deny,
            cause,
        }));
    }
    Some(TierSays::Nothing)
}
