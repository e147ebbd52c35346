//! Answers the questions of peer sets for every address of an inventory.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use super::{PeerSets, PeerTableError};
use crate::bundle::MAX_PEER_TABLE_BYTES;
use crate::inventory::{Inventory, Workload};
use crate::peers::{self, PeerTableBuilder, mapped, sets_digest};
use crate::spec::{
    Field, LabelOperator, LabelRequirement, LabelSelector, NamespaceScope, PeerSet, StringPattern,
};

/// The peer table for the sets of a program. Only workloads that matter to it are in it
/// ([`PeerSets::deciding`]).
///
/// # Errors
///
/// If it would be larger than a filter accepts.
pub fn peer_table(sets: &PeerSets, inventory: &Inventory) -> Result<Vec<u8>, PeerTableError> {
    let names: Vec<String> = sets.iter().map(PeerSet::to_string).collect();
    let mut table = PeerTableBuilder::new(sets_digest(names.iter().map(String::as_str)));
    for workload in &inventory.workloads {
        let members: BTreeSet<u32> = (0..)
            .zip(sets.iter())
            .filter(|(_, set)| set.contains(workload, inventory))
            .map(|(index, _)| index)
            .collect();
        for address in &workload.addresses {
            table.insert(*address, &workload.principal(), &members);
        }
    }
    checked(table.finish(|members| sets.matters(members)), sets, |set| {
        let workloads = inventory.workloads.iter();
        let members = workloads.filter(|workload| set.contains(workload, inventory));
        members.map(|workload| workload.addresses.len()).sum()
    })
}

/// A workload at an address, with the sets of a program that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its address.
    pub address: IpAddr,
    /// Its SPIFFE id.
    pub principal: &'a str,
    /// Positions of its sets in the list of the program, ascending.
    pub sets: &'a [u32],
}

/// The peer table for the sets of a program, of members that are known already.
///
/// Of several members at one address none is taken, unless they are one workload's as far as
/// anyone can tell: those who keep track of members say so by naming each address once, with the
/// sets that all who claim it have in common.
///
/// # Errors
///
/// If it would be larger than a filter accepts.
pub fn peer_table_of(
    sets: &PeerSets,
    members: &mut [Member<'_>],
) -> Result<Vec<u8>, PeerTableError> {
    members.sort_unstable_by_key(|member| mapped(member.address));
    let rows = members
        .chunk_by(|a, b| mapped(a.address) == mapped(b.address))
        .filter_map(|same| match same {
            [one] if sets.matters(one.sets) => Some(peers::Row {
                address: mapped(one.address),
                principal: one.principal,
                sets: one.sets,
            }),
            _ => None,
        });
    let names: Vec<String> = sets.iter().map(PeerSet::to_string).collect();
    let table = peers::write(sets_digest(names.iter().map(String::as_str)), rows);
    checked(table, sets, |set| {
        let position = sets.iter().position(|other| other == set);
        let position = position.and_then(|position| u32::try_from(position).ok());
        let members = members.iter();
        members
            .filter(|member| position.is_some_and(|position| member.sets.contains(&position)))
            .count()
    })
}

/// A table that is within its limit.
fn checked(
    table: Vec<u8>,
    sets: &[PeerSet],
    addresses: impl Fn(&PeerSet) -> usize,
) -> Result<Vec<u8>, PeerTableError> {
    let bytes = table.len();
    if bytes <= MAX_PEER_TABLE_BYTES {
        return Ok(table);
    }
    let sizes = sets.iter().map(|set| (addresses(set), set.to_string()));
    let (addresses, set) = sizes.max_by_key(|(size, _)| *size).unwrap_or_default();
    Err(PeerTableError {
        bytes,
        addresses,
        set,
    })
}

impl PeerSet {
    /// Whether a workload belongs to the set.
    pub fn contains(&self, workload: &Workload, inventory: &Inventory) -> bool {
        match self {
            PeerSet::Labels { namespaces, pods } => {
                pods.matches(&workload.labels)
                    && inventory.namespace_matches(namespaces, &workload.namespace)
            }
            PeerSet::Identity { .. } | PeerSet::NamedPort { .. } => {
                self.contains_by_itself(workload)
            }
        }
    }

    /// Whether a workload belongs to the set, if its namespace is in the set's scope.
    pub fn contains_by_itself(&self, workload: &Workload) -> bool {
        match self {
            PeerSet::Labels { pods, .. } => pods.matches(&workload.labels),
            PeerSet::Identity { field, pattern } => {
                let Workload {
                    namespace,
                    service_account,
                    trust_domain,
                    ..
                } = workload;
                match field {
                    Field::TrustDomain => pattern.matches_plain(trust_domain),
                    Field::Namespace => pattern.matches_plain(namespace),
                    Field::ServiceAccount => {
                        pattern.matches_plain(&format!("{namespace}/{service_account}"))
                    }
                    Field::Principal => pattern.matches_plain(&workload.principal()),
                    _ => false,
                }
            }
            PeerSet::NamedPort { name, number } => workload.ports.get(name) == Some(number),
        }
    }
}

impl StringPattern {
    /// Whether the pattern matches, for the kinds that identities are compared with; templates
    /// and regular expressions are for requests and never match here.
    fn matches_plain(&self, value: &str) -> bool {
        match self {
            StringPattern::Exact(text) => value == text,
            StringPattern::Prefix(text) => value.starts_with(text.as_str()),
            StringPattern::Suffix(text) => value.ends_with(text.as_str()),
            StringPattern::NonEmpty => !value.is_empty(),
            StringPattern::Template(_) | StringPattern::Regex(_) => false,
        }
    }
}

/// The canonical words of a set: equal sets have equal words, different sets different ones.
impl fmt::Display for PeerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerSet::Labels { namespaces, pods } => {
                write!(f, "pods ({pods}) in namespaces ({namespaces})")
            }
            PeerSet::Identity { field, pattern } => {
                let field = match field {
                    Field::TrustDomain => "trust domain",
                    Field::Namespace => "namespace",
                    Field::ServiceAccount => "service account",
                    _ => "principal",
                };
                write!(f, "workloads with {field} ({pattern})")
            }
            PeerSet::NamedPort { name, number } => {
                write!(f, "workloads with port {name} ({number})")
            }
        }
    }
}

impl fmt::Display for NamespaceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamespaceScope::All => f.write_str("all"),
            NamespaceScope::Named(name) => write!(f, "name={name}"),
            NamespaceScope::Selected(selector) => write!(f, "labels {selector}"),
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.requirements.is_empty() {
            return f.write_str("any");
        }
        for (position, requirement) in self.requirements.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

/// The notation of `kubectl --selector`.
impl fmt::Display for LabelRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.operator {
            LabelOperator::In(values) => match values.as_slice() {
                [value] => write!(f, "{key}={value}"),
                values => write!(f, "{key} in ({})", values.join(",")),
            },
            LabelOperator::NotIn(values) => write!(f, "{key} notin ({})", values.join(",")),
            LabelOperator::Exists => f.write_str(key),
            LabelOperator::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

/// The notation of policies: `*` for what is left open.
impl fmt::Display for StringPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StringPattern::Exact(text) => f.write_str(text),
            StringPattern::Prefix(text) => write!(f, "{text}*"),
            StringPattern::Suffix(text) => write!(f, "*{text}"),
            StringPattern::NonEmpty => f.write_str("*"),
            StringPattern::Template(template) => write!(f, "{template}"),
            StringPattern::Regex(regex) => write!(f, "regex {}", regex.0),
        }
    }
}
