//! Lowers the predicates of a rule to records.

use std::collections::BTreeSet;

use zerocopy::little_endian::U32;

use super::index::ClauseEntry;
use super::sets::Asked;
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
    /// Lowers a predicate. What it asks of the peer's sets, if it does.
    pub(super) fn predicate(
        &mut self,
        place: &Place<'a>,
        predicate: &Predicate,
        entry: &mut ClauseEntry<'_>,
    ) -> Result<Option<Asked>, CompileError> {
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
                let named: Vec<PeerSet> =
                    listed.iter().flat_map(|set| self.with_names(set)).collect();
                for set in named {
                    let set = self.set(&set);
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
        let asks = matches!(patterns, Patterns::Sets(_));
        let negated = *negated;
        Ok(asks.then_some(Asked { sets, negated }))
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
        self.sets.add(set.clone());
        self.set_indexes.insert(set.clone(), stored);
        stored
    }

    /// A set that names one of the mesh's trust domains stands for the sets that name the others.
    fn with_names(&self, set: &PeerSet) -> Vec<PeerSet> {
        let PeerSet::Identity { field, pattern } = set else {
            return vec![set.clone()];
        };
        let scheme = match field {
            Field::Principal => SCHEME,
            Field::TrustDomain => "",
            _ => return vec![set.clone()],
        };
        let patterns = self.with_aliases(std::slice::from_ref(pattern), scheme);
        let named = patterns.into_iter().map(|pattern| PeerSet::Identity {
            field: field.clone(),
            pattern,
        });
        named.collect()
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
                            let number = *self.target.ports.get(name)?;
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

    /// On egress, a named port is a different number at different destinations. An operation that
    /// uses one becomes several, for the numbers that destinations give the name and for the
    /// destinations that do.
    pub(super) fn resolve_ports(&self, direction: Direction, rule: &Rule) -> Alternatives {
        let Alternatives::OneOf(operations) = &rule.operations else {
            return Alternatives::Any;
        };
        if direction == Direction::Ingress {
            return Alternatives::OneOf(operations.clone());
        }
        let resolved = operations.iter().flat_map(|operation| {
            operation
                .iter()
                .fold(vec![Vec::new()], |conjunctions, predicate| {
                    let options = self.port_options(predicate);
                    let extended = conjunctions
                        .iter()
                        .flat_map(|conjunction: &Vec<Predicate>| {
                            options
                                .iter()
                                .map(|option| [conjunction.as_slice(), option].concat())
                        });
                    extended.collect()
                })
        });
        Alternatives::OneOf(resolved.collect())
    }

    /// The ways in which a predicate can hold, without named ports: conjunctions of which one
    /// must hold.
    fn port_options(&self, predicate: &Predicate) -> Vec<Vec<Predicate>> {
        let names: BTreeSet<&str> = named_ports(predicate).collect();
        let Patterns::Ports(ranges) = &predicate.patterns else {
            return vec![vec![predicate.clone()]];
        };
        if names.is_empty() {
            return vec![vec![predicate.clone()]];
        }
        let numbers = ranges
            .iter()
            .filter(|range| matches!(range, PortRange::Numbers(_)));
        let numbers = Predicate {
            patterns: Patterns::Ports(numbers.cloned().collect()),
            ..predicate.clone()
        };
        let declared = self.declared(&names);
        let one = |(name, number): (&str, u16)| {
            let port = Predicate {
                patterns: Patterns::Ports(vec![PortRange::Numbers(number..=number)]),
                ..predicate.clone()
            };
            let set = PeerSet::NamedPort {
                name: name.to_owned(),
                number,
            };
            let peer = Predicate {
                field: Field::PeerSet,
                patterns: Patterns::Sets(vec![set]),
                negated: predicate.negated,
            };
            (port, peer)
        };
        if predicate.negated {
            // None of the numbers, and of each named port another number or another peer.
            return declared
                .into_iter()
                .fold(vec![vec![numbers]], |conjunctions, named| {
                    let (port, peer) = one(named);
                    let extended = conjunctions.iter().flat_map(|conjunction| {
                        [&port, &peer].map(|other| {
                            let mut extended = conjunction.clone();
                            extended.push(other.clone());
                            extended
                        })
                    });
                    extended.collect()
                });
        }
        let named = declared.into_iter().map(|named| {
            let (port, peer) = one(named);
            vec![port, peer]
        });
        std::iter::once(vec![numbers]).chain(named).collect()
    }

    fn declared<'n>(&self, names: &BTreeSet<&'n str>) -> BTreeSet<(&'n str, u16)> {
        let numbers = names.iter().flat_map(|name| {
            let numbers = self.target.declared.get(*name).into_iter().flatten();
            numbers.map(|number| (*name, *number))
        });
        numbers.collect()
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

pub(super) fn named_ports(predicate: &Predicate) -> impl Iterator<Item = &str> {
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
