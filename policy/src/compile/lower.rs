//! Lowers the predicates of a rule to records.

use std::collections::BTreeSet;

use zerocopy::little_endian::U32;

use super::index::ClauseEntry;
use super::{CompileError, Compiler, MAX_PATTERN_BYTES, Place, Problem, regex};
use crate::peers::mapped;
use crate::program::FieldCode;
use crate::program::layout::{
    NetworkRecord, PREDICATE_ALL, PREDICATE_INDEXED, PREDICATE_NEGATED, Pattern, PredicateRecord,
    RegexRecord, pattern,
};
use crate::program::writer::{index, span_from};
use crate::spec::{
    Action, Alternatives, Cidr, Direction, Field, Network, Patterns, PeerSet, PortRange, Predicate,
    Rule, StringPattern,
};

const SCHEME: &str = "spiffe://";

impl<'a> Compiler<'a> {
    pub(super) fn predicate(
        &mut self,
        place: &Place<'a>,
        predicate: &Predicate,
        entry: &mut ClauseEntry<'_>,
    ) -> Result<(), CompileError> {
        let Predicate {
            field,
            patterns,
            negated,
        } = predicate;
        let patterns = self.resolve(field, patterns);
        let first = self.writer.patterns.len();
        let mut sets = Vec::new();
        match &patterns {
            Patterns::Strings(strings) => {
                for string in strings {
                    let record = self.string(place, string)?;
                    self.writer.patterns.push(record);
                }
            }
            Patterns::Networks(networks) => {
                for network in networks {
                    let record = self.network(network);
                    self.writer.patterns.push(record);
                }
            }
            Patterns::Ports(ranges) => {
                for range in ranges {
                    let PortRange::Numbers(range) = range else {
                        continue;
                    };
                    let (a, b) = (u32::from(*range.start()), u32::from(*range.end()));
                    self.push(pattern::PORTS, a, b);
                }
            }
            Patterns::Sets(listed) => {
                for set in listed {
                    let set = self.set(set);
                    sets.push(set.get());
                    self.push(pattern::SET, set.get(), 0);
                }
            }
            Patterns::MeshTrustDomains => {}
            Patterns::Present => self.push(pattern::PRESENT, 0, 0),
        }
        let (code, key) = FieldCode::of(field);
        let key_text = self.writer.text(&key);
        // A repeated header permits nothing new: what permits must hold for each value, and
        // what denies for one. A negated predicate holds for one value if not all match.
        let repeats = matches!(code, FieldCode::Header | FieldCode::Query);
        let all = repeats && ((place.rule.action == Action::Deny) == *negated);
        let (dimension, indexed) = entry.add(code, key, key_text, &patterns, &sets, *negated);
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        self.writer.predicates.push(PredicateRecord {
            dimension: U32::new(dimension),
            flags: U32::new(
                flag(*negated, PREDICATE_NEGATED)
                    | flag(indexed, PREDICATE_INDEXED)
                    | flag(all, PREDICATE_ALL),
            ),
            patterns: span_from(&self.writer.patterns, first),
        });
        Ok(())
    }

    fn push(&mut self, kind: u32, a: u32, b: u32) {
        let record = Pattern {
            kind: U32::new(kind),
            a: U32::new(a),
            b: U32::new(b),
        };
        self.writer.patterns.push(record);
    }

    fn string(
        &mut self,
        place: &Place<'a>,
        string: &StringPattern,
    ) -> Result<Pattern, CompileError> {
        let (kind, text) = match string {
            StringPattern::Exact(text) => (pattern::EXACT, text.clone()),
            StringPattern::Prefix(text) => (pattern::PREFIX, text.clone()),
            StringPattern::Suffix(text) => (pattern::SUFFIX, text.clone()),
            StringPattern::Template(template) => (pattern::TEMPLATE, template.to_string()),
            StringPattern::NonEmpty => {
                let zero = U32::ZERO;
                return Ok(Pattern {
                    kind: U32::new(pattern::NON_EMPTY),
                    a: zero,
                    b: zero,
                });
            }
            StringPattern::Regex(source) => {
                let a = self
                    .regex(&source.0)
                    .map_err(|problem| place.error(problem))?;
                return Ok(Pattern {
                    kind: U32::new(pattern::REGEX),
                    a,
                    b: U32::ZERO,
                });
            }
        };
        if text.len() > MAX_PATTERN_BYTES {
            return Err(place.error(Problem::TooLong { bytes: text.len() }));
        }
        let text = self.writer.text(&text);
        Ok(Pattern {
            kind: U32::new(kind),
            a: text.offset,
            b: text.bytes,
        })
    }

    fn regex(&mut self, source: &str) -> Result<U32, Problem> {
        if let Some(known) = self.regexes.get(source) {
            return Ok(*known);
        }
        let bytes = regex::automaton(source)?;
        let record = RegexRecord {
            offset: index(self.writer.blob.len()),
            bytes: index(bytes.len()),
            source: self.writer.text(source),
        };
        self.writer.blob.extend_from_slice(&bytes);
        let stored = index(self.writer.regexes.len());
        self.writer.regexes.push(record);
        self.regexes.insert(source.to_owned(), stored);
        Ok(stored)
    }

    fn network(&mut self, network: &Network) -> Pattern {
        let stored = index(self.writer.networks.len());
        let excepts = u16::try_from(network.except.len()).unwrap_or(u16::MAX);
        self.writer
            .networks
            .push(network_record(&network.cidr, excepts));
        let excepts = network.except.iter().take(usize::from(excepts));
        self.writer
            .networks
            .extend(excepts.map(|cidr| network_record(cidr, 0)));
        Pattern {
            kind: U32::new(pattern::NETWORK),
            a: stored,
            b: U32::ZERO,
        }
    }

    fn set(&mut self, set: &PeerSet) -> U32 {
        if let Some(known) = self.set_indexes.get(set) {
            return *known;
        }
        let stored = index(self.sets.len());
        self.sets.push(set.clone());
        self.set_indexes.insert(set.clone(), stored);
        stored
    }

    /// Replaces what depends on the mesh or on the workload by what it stands for there.
    fn resolve(&self, field: &Field, patterns: &Patterns) -> Patterns {
        match (field, patterns) {
            (Field::TrustDomain, Patterns::MeshTrustDomains) => {
                let names = self.trust_domains();
                Patterns::Strings(
                    names
                        .map(|name| StringPattern::Exact(name.to_owned()))
                        .collect(),
                )
            }
            (Field::TrustDomain, Patterns::Strings(strings)) => {
                Patterns::Strings(self.with_aliases(strings, ""))
            }
            (Field::Principal, Patterns::Strings(strings)) => {
                Patterns::Strings(self.with_aliases(strings, SCHEME))
            }
            (Field::ServiceAccount, Patterns::Strings(strings)) => {
                Patterns::Strings(strings.iter().map(service_account).collect())
            }
            (_, Patterns::Ports(ranges)) => Patterns::Ports(
                ranges
                    .iter()
                    .filter_map(|range| match range {
                        PortRange::Numbers(_) => Some(range.clone()),
                        PortRange::Named(name) => {
                            let number = *self.workload.ports.get(name)?;
                            Some(PortRange::Numbers(number..=number))
                        }
                    })
                    .collect(),
            ),
            (_, other) => other.clone(),
        }
    }

    fn trust_domains(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let config = self.config;
        std::iter::once(config.trust_domain.as_str())
            .chain(config.trust_domain_aliases.iter().map(String::as_str))
    }

    /// A value that names one of the mesh's trust domains stands for all of them.
    fn with_aliases(&self, strings: &[StringPattern], scheme: &str) -> Vec<StringPattern> {
        let mut expanded = Vec::new();
        for string in strings {
            let named = match string {
                StringPattern::Exact(text) => self.named_domain(text, scheme),
                StringPattern::Prefix(text) if !scheme.is_empty() => self
                    .named_domain(text, scheme)
                    .filter(|(_, rest)| rest.starts_with('/')),
                _ => None,
            };
            let Some((_, rest)) = named else {
                expanded.push(string.clone());
                continue;
            };
            for domain in self.trust_domains() {
                let text = format!("{scheme}{domain}{rest}");
                expanded.push(match string {
                    StringPattern::Prefix(_) => StringPattern::Prefix(text),
                    _ => StringPattern::Exact(text),
                });
            }
        }
        expanded.sort();
        expanded.dedup();
        expanded
    }

    /// Splits a value behind the trust domain that it names, if that is one of the mesh's.
    fn named_domain<'t>(&self, text: &'t str, scheme: &str) -> Option<(&'a str, &'t str)> {
        let text = text.strip_prefix(scheme)?;
        self.trust_domains().find_map(|domain| {
            let rest = text.strip_prefix(domain)?;
            (rest.is_empty() || rest.starts_with('/')).then_some((domain, rest))
        })
    }

    /// On egress, a named port is a different number at different destinations: each operation
    /// that uses one becomes an operation for each number, for the peers that use the number.
    pub(super) fn resolve_ports(&self, direction: Direction, rule: &Rule) -> Alternatives {
        let Alternatives::OneOf(operations) = &rule.operations else {
            return Alternatives::Any;
        };
        if direction == Direction::Ingress {
            return Alternatives::OneOf(operations.clone());
        }
        let mut resolved = Vec::new();
        for operation in operations {
            let names: BTreeSet<&str> = operation.iter().flat_map(named_ports).collect();
            if names.is_empty() {
                resolved.push(operation.clone());
                continue;
            }
            let mut numbered = operation.clone();
            let mut has_numbers = true;
            for predicate in &mut numbered {
                if let Patterns::Ports(ranges) = &mut predicate.patterns {
                    ranges.retain(|range| matches!(range, PortRange::Numbers(_)));
                    has_numbers &= !ranges.is_empty();
                }
            }
            if has_numbers {
                resolved.push(numbered.clone());
            }
            for (name, number) in self.declared(&names) {
                let mut one = numbered.clone();
                for predicate in &mut one {
                    if let Patterns::Ports(ranges) = &mut predicate.patterns {
                        *ranges = vec![PortRange::Numbers(number..=number)];
                    }
                }
                one.push(Predicate {
                    field: Field::PeerSet,
                    patterns: Patterns::Sets(vec![PeerSet::NamedPort {
                        name: name.to_owned(),
                        number,
                    }]),
                    negated: false,
                });
                resolved.push(one);
            }
        }
        Alternatives::OneOf(resolved)
    }

    fn declared<'n>(&self, names: &BTreeSet<&'n str>) -> BTreeSet<(&'n str, u16)> {
        let workloads = self.inventory.workloads.iter();
        workloads
            .flat_map(|workload| {
                names
                    .iter()
                    .filter_map(|name| Some((*name, *workload.ports.get(*name)?)))
            })
            .collect()
    }
}

/// A pattern over `namespace/name` as a pattern over `/ns/namespace/sa/name`, the form that the
/// account has in a SPIFFE id.
fn service_account(pattern: &StringPattern) -> StringPattern {
    let with_namespace = |text: &str| match text.split_once('/') {
        Some((namespace, name)) => format!("/ns/{namespace}/sa/{name}"),
        None => format!("/ns/{text}"),
    };
    match pattern {
        StringPattern::Exact(text) => StringPattern::Exact(with_namespace(text)),
        StringPattern::Prefix(text) => StringPattern::Prefix(with_namespace(text)),
        StringPattern::Suffix(text) => StringPattern::Suffix(text.replacen('/', "/sa/", 1)),
        other => other.clone(),
    }
}

fn named_ports(predicate: &Predicate) -> impl Iterator<Item = &str> {
    let ranges = match &predicate.patterns {
        Patterns::Ports(ranges) => ranges.as_slice(),
        _ => &[],
    };
    ranges.iter().filter_map(|range| match range {
        PortRange::Named(name) => Some(name.as_str()),
        PortRange::Numbers(_) => None,
    })
}

fn network_record(cidr: &Cidr, excepts: u16) -> NetworkRecord {
    let (prefix, family) = if cidr.address.is_ipv4() {
        (cidr.prefix_len.saturating_add(96), 4)
    } else {
        (cidr.prefix_len, 6)
    };
    NetworkRecord {
        address: mapped(cidr.address),
        prefix,
        family,
        excepts: excepts.into(),
    }
}
