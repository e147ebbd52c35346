//! The engine, the linear evaluation and the plainly written semantics agree on generated cases.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use meshwall_policy::cases::Case;
use meshwall_policy::compile::{compile, peer_table};
use meshwall_policy::decide::{Scratch, decide, decide_linear};
use meshwall_policy::decision::Verdict;
use meshwall_policy::explain::explain;
use meshwall_policy::reference::World;

/// Cases to generate; each has a world, policies and this many questions.
const CASES: u64 = 3_000;
const QUESTIONS: usize = 20;

#[test]
fn all_evaluations_agree() {
    let (allowed, by_rule) = compare(Case::generate);
    let asked = CASES as u32 * QUESTIONS as u32;
    assert!(
        (asked / 5..asked * 4 / 5).contains(&allowed),
        "{allowed} of {asked} allowed"
    );
    assert!(
        by_rule > asked / 5,
        "only {by_rule} of {asked} decided by a rule"
    );
}

#[test]
fn all_evaluations_agree_on_what_an_adversary_asks() {
    let (allowed, by_rule) = compare(Case::hostile);
    let asked = CASES as u32 * QUESTIONS as u32;
    assert!(allowed > asked / 10, "{allowed} of {asked} allowed");
    assert!(
        by_rule > asked / 10,
        "only {by_rule} of {asked} decided by a rule"
    );
}

/// Asks the questions of all seeds of all evaluations. How many were allowed, and how many decided
/// by a rule.
fn compare(case: impl Fn(u64, usize) -> Case) -> (u32, u32) {
    let mut scratch = Scratch::default();
    let mut allowed = 0;
    let mut by_rule = 0;
    for seed in 0..CASES {
        let case = case(seed, QUESTIONS);
        let Case {
            config,
            policies,
            inventory,
            workload,
            questions,
        } = &case;
        let (program, peers) = case.load().unwrap();
        let world = World {
            config,
            policies,
            inventory,
            workload,
        };
        for (number, question) in questions.iter().enumerate() {
            let (decision, linear, explained, plain) = question.ask(|attributes| {
                (
                    decide(&program, &peers, attributes, &mut scratch),
                    decide_linear(&program, &peers, attributes, &mut scratch),
                    explain(&program, &peers, attributes, &mut scratch),
                    world.decide(attributes),
                )
            });
            let place = || format!("seed {seed}, question {number}: {question:#?}\n{policies:#?}");
            assert_eq!(decision, linear, "indexed and linear differ: {}", place());
            assert_eq!(decision, explained.decision, "{}", place());
            let verdicts = (decision.enforced.verdict, decision.combined.verdict);
            assert_eq!(verdicts, plain, "engine and semantics differ: {}", place());
            allowed += u32::from(verdicts.0 == Verdict::Allow);
            by_rule += explained
                .tiers
                .iter()
                .flat_map(|tier| &tier.rules)
                .filter(|rule| rule.decisive)
                .count() as u32;
        }
    }
    (allowed, by_rule)
}

#[test]
fn compiling_is_deterministic() {
    for seed in 0..50 {
        let mut case = Case::generate(seed, 0);
        let first = compile(
            &case.config,
            &case.policies,
            &case.inventory,
            &case.workload,
        )
        .unwrap();
        case.policies.reverse();
        case.inventory.workloads.reverse();
        let second = compile(
            &case.config,
            &case.policies,
            &case.inventory,
            &case.workload,
        )
        .unwrap();
        assert_eq!(first.program, second.program, "seed {seed}");
        assert_eq!(
            peer_table(&first.sets, &case.inventory),
            peer_table(&second.sets, &case.inventory)
        );
    }
}
