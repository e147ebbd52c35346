//! Compiles policies into the program of one workload.
//!
//! Selection, order, names, aliases, ports and expressions are settled here, once for each change
//! of a policy, so that nothing is left to work out when a request comes. The result depends on
//! its arguments only and is the same byte for byte everywhere.

mod error;
mod index;
mod lower;
mod peers;
mod regex;
mod sets;
mod target;

use std::collections::{BTreeMap, BTreeSet};

use zerocopy::little_endian::{I64, U16, U32};

pub use error::{CompileError, PeerTableError, Problem};
pub(crate) use index::{HASH_SEED, contains};
pub use peers::{Member, peer_table, peer_table_of};
pub use sets::PeerSets;
pub use target::{NamedPorts, Target};

use crate::bundle::MAX_PROGRAM_BYTES;
use crate::decision::tier_code;
use crate::inventory::{Inventory, Workload};
use crate::peers::sets_digest;
use crate::program::FieldCode;
use crate::program::layout::{
    ACTION_ALLOW, ACTION_DENY, ACTION_PASS, Clause, Document, RULE_MONITOR, RuleRecord,
    SETTINGS_EXPIRY, SETTINGS_MONITOR, SetRecord, Settings, Side, TIER_ORDERED, TIER_SET,
    TierRecord,
};
use crate::program::writer::{Writer, index, span_from};
use crate::spec::{
    Action, Alternatives, Config, DefaultAction, Direction, Mode, ObjectRef, PeerSet, Policy,
    Predicate, Rule, Tier,
};

/// Most rules of both directions in one program.
pub const MAX_RULES: usize = 100_000;

/// Most clauses (peers times operations, summed over the rules) in one program.
pub const MAX_CLAUSES: usize = 400_000;

/// Most characters of a value that a policy can name.
pub const MAX_PATTERN_BYTES: usize = 8_192;

/// What compiling gives.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The program, for [`crate::program::Program::load`].
    pub program: Vec<u8>,
    /// The peer sets that the program refers to, in its order; [`peer_table`] answers for them.
    pub sets: PeerSets,
}

/// Compiles what applies to one workload.
///
/// Of the inventory, the program depends only on the labels of the workload's namespace and, for
/// named ports of egress rules, on the ports that workloads declare.
pub fn compile(
    config: &Config,
    policies: &[Policy],
    inventory: &Inventory,
    workload: &Workload,
) -> Result<Compiled, CompileError> {
    let selected = select(policies, inventory, workload);
    let target = Target {
        name: format!("{}/{}", workload.namespace, workload.name),
        ..Target::of(&selected, &inventory.workloads, workload)
    };
    compile_selected(config, &selected, &target)
}

/// The policies that apply to a workload, in the order of evaluation.
pub fn select<'a>(
    policies: &'a [Policy],
    inventory: &Inventory,
    workload: &Workload,
) -> Vec<&'a Policy> {
    let mut selected: Vec<&Policy> = policies
        .iter()
        .filter(|policy| selects(policy, inventory, workload))
        .collect();
    selected.sort_by(|a, b| (a.tier, a.priority, &a.origin).cmp(&(b.tier, b.priority, &b.origin)));
    selected
}

/// Compiles policies that were selected before. They are evaluated in this order within each tier.
///
/// The program depends on the arguments and on nothing else: workloads for which they are equal
/// have the same program.
pub fn compile_selected(
    config: &Config,
    selected: &[&Policy],
    target: &Target,
) -> Result<Compiled, CompileError> {
    let mut compiler = Compiler {
        config,
        target,
        writer: Writer::default(),
        documents: BTreeMap::new(),
        sets: PeerSets::default(),
        set_indexes: BTreeMap::new(),
        regexes: BTreeMap::new(),
    };
    for direction in [Direction::Ingress, Direction::Egress] {
        compiler.side(direction, selected)?;
    }
    compiler.finish(selected)
}

fn selects(policy: &Policy, inventory: &Inventory, workload: &Workload) -> bool {
    policy.subject.pods.matches(&workload.labels)
        && inventory.namespace_matches(&policy.subject.namespaces, &workload.namespace)
}

fn rules_of(policy: &Policy, direction: Direction) -> &[Rule] {
    match direction {
        Direction::Ingress => &policy.ingress,
        Direction::Egress => &policy.egress,
    }
}

struct Compiler<'a> {
    config: &'a Config,
    target: &'a Target,
    writer: Writer,
    documents: BTreeMap<&'a ObjectRef, U32>,
    sets: PeerSets,
    set_indexes: BTreeMap<PeerSet, U32>,
    regexes: BTreeMap<String, U32>,
}

/// Where an error is: the policy, and the rule within it.
#[derive(Clone, Copy)]
struct Place<'a> {
    direction: Direction,
    policy: &'a Policy,
    rule: &'a Rule,
}

impl Place<'_> {
    fn error(&self, problem: Problem) -> CompileError {
        CompileError {
            policy: Box::new(self.policy.origin.clone()),
            direction: self.direction,
            rule: self.rule.name.clone(),
            problem,
        }
    }
}

impl<'a> Compiler<'a> {
    fn side(&mut self, direction: Direction, selected: &[&'a Policy]) -> Result<(), CompileError> {
        let first_tier = self.writer.tiers.len();
        let first_clause = self.writer.clauses.len();
        let mut index = index::IndexBuilder::new(self.fields(direction, selected));
        for tier in [Tier::Admin, Tier::Namespace, Tier::Baseline] {
            let first_rule = self.writer.rules.len();
            let policies = selected.iter().filter(|policy| policy.tier == tier);
            let mut allow = AllowUntil::default();
            for policy in policies {
                for rule in rules_of(policy, direction) {
                    allow.count(policy, rule);
                    self.rule(
                        Place {
                            direction,
                            policy,
                            rule,
                        },
                        first_clause,
                        &mut index,
                    )?;
                }
            }
            if self.writer.rules.len() > first_rule {
                self.writer.tiers.push(TierRecord {
                    gate: 0,
                    kind: if tier == Tier::Namespace {
                        TIER_SET
                    } else {
                        TIER_ORDERED
                    },
                    name: tier_code(tier),
                    padding: 0,
                    rules: span_from(&self.writer.rules, first_rule),
                    allow_until: I64::new(allow.enforced),
                    allow_until_combined: I64::new(allow.combined),
                });
            }
        }
        let first_dimension = self.writer.dimensions.len();
        index.write(&mut self.writer, self.sets.len());
        self.writer.sides.push(Side {
            tiers: span_from(&self.writer.tiers, first_tier),
            clauses: span_from(&self.writer.clauses, first_clause),
            dimensions: span_from(&self.writer.dimensions, first_dimension),
        });
        Ok(())
    }

    /// Codes and keys of all fields that the rules of a direction look at.
    fn fields(&self, direction: Direction, selected: &[&'a Policy]) -> BTreeSet<(u8, String)> {
        let mut fields = BTreeSet::new();
        for policy in selected {
            for rule in rules_of(policy, direction) {
                let operations = self.resolve_ports(direction, rule);
                let predicates = alternatives(&rule.peers)
                    .chain(alternatives(&operations))
                    .flatten()
                    .chain(&rule.conditions);
                fields.extend(predicates.map(|predicate| {
                    let (code, key) = FieldCode::of(&predicate.field);
                    (code as u8, key)
                }));
            }
        }
        fields
    }

    fn rule(
        &mut self,
        place: Place<'a>,
        first_clause: usize,
        index_builder: &mut index::IndexBuilder,
    ) -> Result<(), CompileError> {
        let rule_index = index(self.writer.rules.len());
        if self.writer.rules.len() >= MAX_RULES {
            return Err(place.error(Problem::TooManyRules));
        }
        let document = self.document(&place.policy.origin);
        let name = self.writer.text(&place.rule.name);
        self.writer.rules.push(RuleRecord {
            document,
            name,
            action: action_code(place.rule.action),
            flags: if place.policy.mode == Mode::Monitor {
                RULE_MONITOR
            } else {
                0
            },
            padding: U16::ZERO,
            expires: I64::new(place.policy.expires.map_or(i64::MAX, |expires| expires.0)),
        });
        let operations = self.resolve_ports(place.direction, place.rule);
        for peer in alternatives(&place.rule.peers) {
            for operation in alternatives(&operations) {
                if self.writer.clauses.len() >= MAX_CLAUSES {
                    return Err(place.error(Problem::TooManyClauses));
                }
                let first = self.writer.predicates.len();
                let clause = self.writer.clauses.len() - first_clause;
                let mut entry = index_builder.clause(clause);
                let all = peer.iter().chain(operation).chain(&place.rule.conditions);
                let mut asked = Vec::new();
                for predicate in all {
                    asked.extend(self.predicate(&place, predicate, &mut entry)?);
                }
                entry.finish();
                self.sets.matter_to(&asked);
                self.writer.clauses.push(Clause {
                    rule: rule_index,
                    predicates: span_from(&self.writer.predicates, first),
                });
            }
        }
        Ok(())
    }

    fn document(&mut self, origin: &'a ObjectRef) -> U32 {
        if let Some(known) = self.documents.get(origin) {
            return *known;
        }
        let document = Document {
            kind: self.writer.text(&origin.kind),
            namespace: self
                .writer
                .text(origin.namespace.as_deref().unwrap_or_default()),
            name: self.writer.text(&origin.name),
        };
        let stored = index(self.writer.documents.len());
        self.writer.documents.push(document);
        self.documents.insert(origin, stored);
        stored
    }

    fn finish(mut self, selected: &[&Policy]) -> Result<Compiled, CompileError> {
        let mut flags = 0;
        for policy in selected {
            if policy.mode == Mode::Monitor {
                flags |= SETTINGS_MONITOR;
            }
            if policy.expires.is_some() {
                flags |= SETTINGS_EXPIRY;
            }
        }
        let names: Vec<String> = self.sets.iter().map(PeerSet::to_string).collect();
        for name in &names {
            let text = self.writer.text(name);
            self.writer.sets.push(SetRecord { text });
        }
        self.writer.settings = Some(Settings {
            default_ingress: u8::from(self.config.default_ingress == DefaultAction::Allow),
            default_egress: u8::from(self.config.default_egress == DefaultAction::Allow),
            trusted_proxies: self.config.trusted_proxies,
            flags,
            denial_status: U16::new(self.config.denial.status),
            denial_body: self.writer.text(&self.config.denial.body),
            workload: self.writer.text(&self.target.name),
            sets: sets_digest(names.iter().map(String::as_str)),
        });
        let program = self.writer.finish();
        if program.len() > MAX_PROGRAM_BYTES {
            return Err(CompileError::too_large(selected, program.len()));
        }
        Ok(Compiled {
            program,
            sets: self.sets,
        })
    }
}

fn action_code(action: Action) -> u8 {
    match action {
        Action::Deny => ACTION_DENY,
        Action::Allow => ACTION_ALLOW,
        Action::Pass => ACTION_PASS,
    }
}

fn alternatives(alternatives: &Alternatives) -> impl Iterator<Item = &[Predicate]> {
    let (any, listed): (Option<&[Predicate]>, &[Vec<Predicate>]) = match alternatives {
        Alternatives::Any => (Some(&[]), &[]),
        Alternatives::OneOf(listed) => (None, listed),
    };
    any.into_iter().chain(listed.iter().map(Vec::as_slice))
}

/// Until when a tier has an Allow rule that counts.
struct AllowUntil {
    enforced: i64,
    combined: i64,
}

impl Default for AllowUntil {
    fn default() -> Self {
        AllowUntil {
            enforced: i64::MIN,
            combined: i64::MIN,
        }
    }
}

impl AllowUntil {
    fn count(&mut self, policy: &Policy, rule: &Rule) {
        if rule.action != Action::Allow {
            return;
        }
        let expires = policy.expires.map_or(i64::MAX, |expires| expires.0);
        self.combined = self.combined.max(expires);
        if policy.mode == Mode::Enforce {
            self.enforced = self.enforced.max(expires);
        }
    }
}
