//! What lints say about rules holds for the engine, on generated policies and questions: a rule
//! that is said never to decide never does, and one that is said to be redundant can go.

#![cfg(test)]

use meshwall_policy::cases::{Case, Choices};
use meshwall_policy::compile::{compile, peer_table};
use meshwall_policy::decide::{Scratch, decide};
use meshwall_policy::decision::{CauseName, Decision, Verdict};
use meshwall_policy::document::Segment;
use meshwall_policy::lint::{Finding, Lint, Mesh, lint};
use meshwall_policy::peers::PeerTable;
use meshwall_policy::program::Program;
use meshwall_policy::spec::{Alternatives, Direction, Policy, Rule};

/// Cases to generate; each has a world, policies and this many questions.
const CASES: u64 = 400;
const QUESTIONS: usize = 60;

/// The policies of a case, each with some rules in it that are narrower copies of others.
fn crowded(case: &Case, seed: u64) -> Vec<Policy> {
    let mut choices = Choices::new(seed);
    let mut policies = case.policies.clone();
    let rules: Vec<(Direction, Rule)> = policies
        .iter()
        .flat_map(|policy| {
            let ingress = policy.ingress.iter().map(|rule| (Direction::Ingress, rule));
            let egress = policy.egress.iter().map(|rule| (Direction::Egress, rule));
            ingress.chain(egress)
        })
        .map(|(direction, rule)| (direction, rule.clone()))
        .collect();
    if rules.is_empty() {
        return policies;
    }
    for (copy, policy) in policies.iter_mut().enumerate() {
        let (direction, rule) = &rules[choices.below(rules.len())];
        let (_, other) = &rules[choices.below(rules.len())];
        let mut narrowed = rule.clone();
        narrowed.name = format!("copy-{copy}");
        if choices.chance(50) {
            narrowed.conditions.extend(other.conditions.iter().cloned());
        }
        if let (Alternatives::OneOf(listed), Alternatives::OneOf(more), true) = (
            &mut narrowed.operations,
            &other.operations,
            choices.chance(50),
        ) {
            listed
                .iter_mut()
                .for_each(|one| one.extend(more[0].iter().cloned()));
        }
        if choices.chance(30) {
            narrowed.action = other.action;
        }
        match direction {
            Direction::Ingress => policy.ingress.push(narrowed),
            Direction::Egress => policy.egress.push(narrowed),
        }
    }
    policies
}

/// The policy and rule of a finding.
fn rule_of(finding: &Finding, policies: &[Policy]) -> (usize, Direction, usize) {
    let policy = policies
        .iter()
        .position(|policy| policy.origin == finding.object);
    let [_, Segment::Field(direction), Segment::Index(index), ..] = finding.path.segments() else {
        panic!("{} is no rule", finding.path);
    };
    let direction = match direction.as_str() {
        "ingress" => Direction::Ingress,
        _ => Direction::Egress,
    };
    (policy.unwrap(), direction, *index)
}

fn rules(policy: &mut Policy, direction: Direction) -> &mut Vec<Rule> {
    match direction {
        Direction::Ingress => &mut policy.ingress,
        Direction::Egress => &mut policy.egress,
    }
}

/// The program and the decisions on all questions.
fn decisions(case: &Case, policies: &[Policy]) -> (Program, Vec<Decision>) {
    let compiled = compile(&case.config, policies, &case.inventory, &case.workload).unwrap();
    let peers = PeerTable::load(peer_table(&compiled.sets, &case.inventory).unwrap()).unwrap();
    let program = Program::load(compiled.program).unwrap();
    let mut scratch = Scratch::default();
    let decisions = case
        .questions
        .iter()
        .map(|question| question.ask(|asked| decide(&program, &peers, asked, &mut scratch)));
    let decisions = decisions.collect();
    (program, decisions)
}

fn verdicts(decisions: &[Decision]) -> Vec<(Verdict, Verdict)> {
    let verdicts = |decision: &Decision| (decision.enforced.verdict, decision.combined.verdict);
    decisions.iter().map(verdicts).collect()
}

#[test]
fn what_lints_say_about_rules_holds() {
    let mut shadowed = 0;
    let mut redundant = 0;
    for seed in 0..CASES {
        let case = Case::generate(seed, QUESTIONS);
        let policies = crowded(&case, seed);
        let findings = lint(&Mesh {
            config: &case.config,
            policies: &policies,
            inventory: Some(&case.inventory),
            now: case.questions[0].now,
        });
        let (program, all) = decisions(&case, &policies);
        for finding in &findings {
            match finding.lint {
                Lint::ShadowedRule => {
                    shadowed += 1;
                    let (policy, direction, index) = rule_of(finding, &policies);
                    let mut policy = policies[policy].clone();
                    let name = rules(&mut policy, direction)[index].name.clone();
                    let decided = case.questions.iter().zip(&all).any(|(question, decision)| {
                        let causes = [decision.enforced.cause, decision.combined.cause];
                        question.direction == direction
                            && causes.into_iter().any(|cause| {
                                matches!(
                                    program.cause(cause),
                                    CauseName::Rule { document, rule }
                                        if document == policy.origin && rule == name
                                )
                            })
                    });
                    assert!(
                        !decided,
                        "seed {seed}: {}: {}",
                        finding.path, finding.message
                    );
                }
                Lint::DuplicateRule | Lint::RedundantRule => {
                    redundant += 1;
                    let (policy, direction, index) = rule_of(finding, &policies);
                    let mut fewer = policies.clone();
                    rules(&mut fewer[policy], direction).remove(index);
                    let (_, without) = decisions(&case, &fewer);
                    assert_eq!(
                        verdicts(&all),
                        verdicts(&without),
                        "seed {seed}: {}: {}",
                        finding.path,
                        finding.message
                    );
                }
                _ => {}
            }
        }
    }
    assert!(shadowed > 100, "only {shadowed} rules are shadowed");
    assert!(redundant > 30, "only {redundant} rules are redundant");
}
