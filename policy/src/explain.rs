//! Explains a decision: every rule that was looked at, whether it matched, and for those that did
//! not, which predicate failed and what it was compared with.
//!
//! This is the slow path, for people. It evaluates every rule and asserts nothing that
//! [`crate::decide`] did not decide.

use std::fmt;

use serde::Serialize;

use crate::attributes::Attributes;
use crate::decide::{self, Facts, Scratch, Truth};
use crate::decision::{Cause, Decision, Outcome, tier_of};
use crate::peers::{PeerTable, is_mapped};
use crate::program::layout::{
    ACTION_ALLOW, ACTION_DENY, Clause, Dimension, NetworkRecord, PREDICATE_ALL, PREDICATE_NEGATED,
    Pattern, PredicateRecord, RULE_MONITOR, RuleRecord, Side, Table, Text, TierRecord, pattern,
};
use crate::program::{FieldCode, Program};
use crate::spec::{Action, Tier};

/// A decision and how it came about.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// What the rules were compared with, in normal form: name and value.
    pub facts: Vec<(&'static str, String)>,
    /// The tiers in the order of evaluation, up to the end, also behind the one that decided.
    pub tiers: Vec<TierTrace>,
}

/// A tier and its rules.
#[derive(Clone, Debug, Serialize)]
pub struct TierTrace {
    /// Name of the tier.
    #[serde(serialize_with = "display")]
    pub tier: Tier,
    /// Its rules in the order of evaluation.
    pub rules: Vec<RuleTrace>,
}

/// A rule, and how near it came to matching.
#[derive(Clone, Debug, Serialize)]
pub struct RuleTrace {
    /// `kind/namespace/name` of the document.
    pub document: String,
    /// Name of the rule.
    pub rule: String,
    /// What it does to what it matches.
    #[serde(serialize_with = "display")]
    pub action: Action,
    /// The policy is monitored, not enforced.
    pub monitored: bool,
    /// The policy has expired and counts as absent.
    pub expired: bool,
    /// Whether the rule matched.
    pub matched: bool,
    /// Whether the rule is the cause of the enforced verdict.
    pub decisive: bool,
    /// The predicates of the clause that came nearest.
    pub predicates: Vec<PredicateTrace>,
}

/// A predicate, and what it was compared with.
#[derive(Clone, Debug, Serialize)]
pub struct PredicateTrace {
    /// What the predicate asks for, such as `path is /api/* or /health`.
    pub expects: String,
    /// What was there; `None` if nothing was.
    pub found: Option<String>,
    /// Whether it holds; `None` if it asks for HTTP where there is none.
    pub holds: Option<bool>,
}

impl RuleTrace {
    /// Whether the rule would have matched but for one predicate.
    pub fn is_near_miss(&self) -> bool {
        let failed = |predicate: &&PredicateTrace| predicate.holds != Some(true);
        !self.matched && !self.expired && self.predicates.iter().filter(failed).count() == 1
    }
}

fn display<T: fmt::Display, S: serde::Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Decides, and says why.
pub fn explain(
    program: &Program,
    peers: &PeerTable,
    attributes: &Attributes<'_>,
    scratch: &mut Scratch,
) -> Explanation {
    let decision = decide::decide(program, peers, attributes, scratch);
    let mut buffers = decide::FactScratch::default();
    let facts = match Facts::derive(program, peers, attributes, &mut buffers) {
        Ok(facts) if program.accepts(peers) => facts,
        _ => {
            return Explanation {
                decision,
                facts: Vec::new(),
                tiers: Vec::new(),
            };
        }
    };
    let side = program.side(attributes.direction);
    let tracer = Tracer {
        program,
        side,
        facts: &facts,
        now: attributes.now.0,
        decision,
    };
    Explanation {
        decision,
        facts: shown(&facts),
        tiers: program
            .tiers(side)
            .iter()
            .filter_map(|tier| tracer.tier(tier))
            .collect(),
    }
}

fn shown(facts: &Facts<'_>) -> Vec<(&'static str, String)> {
    let fields = [
        FieldCode::Principal,
        FieldCode::Sni,
        FieldCode::Method,
        FieldCode::Host,
        FieldCode::Path,
    ];
    let mut shown: Vec<_> = fields
        .into_iter()
        .filter_map(|field| Some((field.name(), lossy(facts.single(field)?))))
        .collect();
    shown.push((FieldCode::PeerAddress.name(), address(&facts.address)));
    if facts.remote_address != facts.address {
        shown.push((
            FieldCode::RemoteAddress.name(),
            address(&facts.remote_address),
        ));
    }
    shown.push((FieldCode::Port.name(), facts.port.to_string()));
    shown
}

struct Tracer<'a> {
    program: &'a Program,
    side: &'a Side,
    facts: &'a Facts<'a>,
    now: i64,
    decision: Decision,
}

impl Tracer<'_> {
    fn tier(&self, tier: &TierRecord) -> Option<TierTrace> {
        let first = tier.rules.first.get();
        let end = first.checked_add(tier.rules.count.get())?;
        let rules = (first..end).filter_map(|index| self.rule(index)).collect();
        Some(TierTrace {
            tier: tier_of(tier.name)?,
            rules,
        })
    }

    fn rule(&self, index: u32) -> Option<RuleTrace> {
        let rule: &RuleRecord = self.program.rule(index)?;
        let clauses = self.program.clauses(self.side);
        let first = clauses.partition_point(|clause| clause.rule.get() < index);
        let of_rule = clauses
            .get(first..)?
            .iter()
            .take_while(|clause| clause.rule.get() == index);
        let mut matched = false;
        let mut nearest: Option<Vec<PredicateTrace>> = None;
        for clause in of_rule {
            matched |= decide::clause_holds(self.program, self.side, self.facts, clause, false)?;
            let traced = self.clause(clause)?;
            let missed = |traced: &[PredicateTrace]| {
                traced
                    .iter()
                    .filter(|predicate| predicate.holds != Some(true))
                    .count()
            };
            if nearest
                .as_deref()
                .is_none_or(|known| missed(&traced) < missed(known))
            {
                nearest = Some(traced);
            }
        }
        Some(RuleTrace {
            document: self.program.document(rule)?.to_string(),
            rule: self.program.text(rule.name).to_owned(),
            action: match rule.action {
                ACTION_DENY => Action::Deny,
                ACTION_ALLOW => Action::Allow,
                _ => Action::Pass,
            },
            monitored: rule.flags & RULE_MONITOR != 0,
            expired: self.now >= rule.expires.get(),
            matched,
            decisive: matches!(
                self.decision.enforced,
                Outcome { cause: Cause::Rule(decisive), .. } if decisive == index
            ),
            predicates: nearest.unwrap_or_default(),
        })
    }

    fn clause(&self, clause: &Clause) -> Option<Vec<PredicateTrace>> {
        let dimensions = self.program.dimensions(self.side);
        self.program
            .predicates(clause)
            .iter()
            .map(|predicate| {
                let position = predicate.dimension.get();
                let dimension = dimensions.get(position as usize)?;
                let truth =
                    decide::predicate_holds(self.program, dimension, predicate, self.facts)?;
                Some(PredicateTrace {
                    expects: self.expects(dimension, predicate)?,
                    found: self.found(dimension, position)?,
                    holds: match truth {
                        Truth::True => Some(true),
                        Truth::False => Some(false),
                        Truth::Unknown => None,
                    },
                })
            })
            .collect()
    }

    fn expects(&self, dimension: &Dimension, predicate: &PredicateRecord) -> Option<String> {
        let field = FieldCode::from_code(dimension.field)?;
        let mut text = field.name().to_owned();
        let key = self.program.text(dimension.key);
        if !key.is_empty() {
            text.push_str(&format!(" `{}`", key.replace('\0', ".")));
        }
        let flags = predicate.flags.get();
        let negated = flags & PREDICATE_NEGATED != 0;
        let patterns = self.program.patterns(predicate);
        if let [only] = patterns
            && only.kind.get() == pattern::PRESENT
        {
            text.push_str(if negated { " is absent" } else { " is present" });
            return Some(text);
        }
        if flags & PREDICATE_ALL != 0 {
            text.push_str(" (each)");
        }
        text.push_str(if negated { " is not " } else { " is " });
        let shown: Option<Vec<String>> = patterns
            .iter()
            .map(|pattern| self.pattern(field, pattern))
            .collect();
        let shown = shown?;
        text.push_str(&if shown.is_empty() {
            "nothing".to_owned()
        } else {
            shown.join(" or ")
        });
        Some(text)
    }

    fn pattern(&self, field: FieldCode, record: &Pattern) -> Option<String> {
        let text = || {
            let text = self.program.text(Text {
                offset: record.a,
                bytes: record.b,
            });
            if field == FieldCode::ServiceAccount {
                text.trim_start_matches("/ns/").replace("/sa/", "/")
            } else {
                text.to_owned()
            }
        };
        Some(match record.kind.get() {
            pattern::EXACT | pattern::TEMPLATE => text(),
            pattern::PREFIX => format!("{}*", text()),
            pattern::SUFFIX => format!("*{}", text()),
            pattern::NON_EMPTY => "*".to_owned(),
            pattern::PRESENT => "present".to_owned(),
            pattern::REGEX => format!("/{}/", self.program.regex_source(record.a.get())),
            pattern::NETWORK => {
                let (record, excepts) = self.program.network(record.a.get())?;
                let excepts: Vec<String> = excepts.iter().map(network).collect();
                match excepts.as_slice() {
                    [] => network(record),
                    excepts => format!("{} except {}", network(record), excepts.join(", ")),
                }
            }
            pattern::PORTS if record.a == record.b => record.a.to_string(),
            pattern::PORTS => format!("{}-{}", record.a, record.b),
            pattern::SET => {
                let sets = self
                    .program
                    .table::<crate::program::layout::SetRecord>(Table::Sets);
                self.program
                    .text(sets.get(record.a.get() as usize)?.text)
                    .to_owned()
            }
            _ => return None,
        })
    }

    fn found(&self, dimension: &Dimension, position: u32) -> Option<Option<String>> {
        let facts = self.facts;
        let field = FieldCode::from_code(dimension.field)?;
        Some(match field {
            FieldCode::PeerSet => facts.workload.map(|workload| lossy(workload.principal)),
            FieldCode::PeerAddress => Some(address(&facts.address)),
            FieldCode::RemoteAddress => Some(address(&facts.remote_address)),
            FieldCode::Port => Some(facts.port.to_string()),
            FieldCode::ServiceAccount => facts.single(field).map(|account| {
                lossy(account)
                    .trim_start_matches("/ns/")
                    .replace("/sa/", "/")
            }),
            field if field.is_multiple() => {
                let values: Vec<String> = facts.values(position).map(lossy).collect();
                (!values.is_empty()).then(|| values.join(", "))
            }
            field => facts.single(field).map(lossy),
        })
    }
}

/// What a peer sent, safe to print: control characters and invalid bytes are escaped.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn address(address: &[u8; 16]) -> String {
    std::net::Ipv6Addr::from(*address)
        .to_canonical()
        .to_string()
}

fn network(record: &NetworkRecord) -> String {
    let offset = if is_mapped(&record.address) && record.family == 4 {
        96
    } else {
        0
    };
    format!(
        "{}/{}",
        address(&record.address),
        record.prefix.saturating_sub(offset)
    )
}
