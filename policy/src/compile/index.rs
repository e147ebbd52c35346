//! Builds the index of one side: for each dimension, which clauses remain possible for which
//! value.
//!
//! A clause has at most one predicate in the index of a dimension; where it has none, the
//! dimension does not restrict it and it is in the posting `any`. What the index cannot decide
//! (negations, regular expressions, networks with exceptions, further predicates on the same
//! field) is evaluated on the candidates.

use std::collections::{BTreeMap, BTreeSet};

use twox_hash::XxHash64;
use zerocopy::little_endian::{U16, U32};

use crate::peers::{is_mapped, mapped};
use crate::program::FieldCode;
use crate::program::layout::{
    Affix, Dimension, NONE, NetEntry, PortStep, SetEntry, Slot, Span, TemplateEdge, TemplateNode,
    Text,
};
use crate::program::writer::{ClauseSet, Writer, index, span_from};
use crate::spec::{
    Cidr, Network, PathTemplate, Patterns, PortRange, StringPattern, TemplateSegment,
};

/// Seed of the hashes in programs.
pub(crate) const HASH_SEED: u64 = 0;

/// The index of one side under construction.
pub(super) struct IndexBuilder {
    clauses: u32,
    positions: BTreeMap<(u8, String), u32>,
    dimensions: BTreeMap<u32, DimensionBuilder>,
}

/// One dimension under construction.
struct DimensionBuilder {
    code: FieldCode,
    key: Text,
    restricted: BTreeSet<u32>,
    exact: BTreeMap<String, ClauseSet>,
    prefixes: BTreeMap<Vec<u8>, ClauseSet>,
    suffixes: BTreeMap<Vec<u8>, ClauseSet>,
    templates: TemplateTree,
    non_empty: ClauseSet,
    present: ClauseSet,
    networks: BTreeMap<([u8; 16], u8), ClauseSet>,
    ports: Vec<(u16, u16, u32)>,
    sets: BTreeMap<u32, ClauseSet>,
}

/// The predicates of one clause, as they enter the index.
pub(super) struct ClauseEntry<'a> {
    builder: &'a mut IndexBuilder,
    clause: u32,
    indexed: BTreeSet<u32>,
}

impl IndexBuilder {
    /// An index of these dimensions, in order, so that a dimension is found by its key.
    pub(super) fn new(fields: BTreeSet<(u8, String)>) -> IndexBuilder {
        let positions = fields.into_iter().zip(0..).collect();
        IndexBuilder {
            clauses: 0,
            positions,
            dimensions: BTreeMap::new(),
        }
    }

    pub(super) fn clause(&mut self, clause: usize) -> ClauseEntry<'_> {
        let clause = index(clause).get();
        ClauseEntry {
            builder: self,
            clause,
            indexed: BTreeSet::new(),
        }
    }

    pub(super) fn write(self, writer: &mut Writer, sets: usize) {
        let clauses = self.clauses;
        for dimension in self.dimensions.into_values() {
            let record = dimension.write(writer, clauses, sets);
            writer.dimensions.push(record);
        }
    }
}

impl ClauseEntry<'_> {
    /// Adds a predicate. Returns its dimension, and whether the index decides it.
    pub(super) fn add(
        &mut self,
        code: FieldCode,
        key: String,
        key_text: Text,
        patterns: &Patterns,
        sets: &[u32],
        negated: bool,
    ) -> (u32, bool) {
        let position = self
            .builder
            .positions
            .get(&(code as u8, key))
            .copied()
            .unwrap_or(NONE);
        let dimension = self
            .builder
            .dimensions
            .entry(position)
            .or_insert_with(|| DimensionBuilder::new(code, key_text));
        if negated || !indexable(patterns) || self.indexed.contains(&position) {
            return (position, false);
        }
        self.indexed.insert(position);
        (position, dimension.add(self.clause, patterns, sets))
    }

    /// Ends the clause.
    pub(super) fn finish(self) {
        self.builder.clauses = self.builder.clauses.max(self.clause + 1);
    }
}

fn indexable(patterns: &Patterns) -> bool {
    match patterns {
        Patterns::Strings(strings) => !strings
            .iter()
            .any(|string| matches!(string, StringPattern::Regex(_))),
        Patterns::Networks(_) | Patterns::Ports(_) | Patterns::Sets(_) | Patterns::Present => true,
        Patterns::MeshTrustDomains => false,
    }
}

impl DimensionBuilder {
    fn new(code: FieldCode, key: Text) -> DimensionBuilder {
        DimensionBuilder {
            code,
            key,
            restricted: BTreeSet::new(),
            exact: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            suffixes: BTreeMap::new(),
            templates: TemplateTree::default(),
            non_empty: ClauseSet::default(),
            present: ClauseSet::default(),
            networks: BTreeMap::new(),
            ports: Vec::new(),
            sets: BTreeMap::new(),
        }
    }

    /// Adds the clause under each of the patterns; whether that decides the predicate.
    fn add(&mut self, clause: u32, patterns: &Patterns, sets: &[u32]) -> bool {
        self.restricted.insert(clause);
        match patterns {
            Patterns::Strings(strings) => {
                let exact: Vec<bool> = strings
                    .iter()
                    .map(|string| self.string(clause, string))
                    .collect();
                exact.iter().all(|exact| *exact)
            }
            Patterns::Networks(networks) => {
                let mut exact = true;
                for Network {
                    cidr:
                        Cidr {
                            address,
                            prefix_len,
                        },
                    except,
                } in networks
                {
                    let prefix = if address.is_ipv4() {
                        prefix_len + 96
                    } else {
                        *prefix_len
                    };
                    self.networks
                        .entry((mapped(*address), prefix))
                        .or_default()
                        .insert(clause);
                    exact &= except.is_empty();
                }
                exact
            }
            Patterns::Ports(ranges) => {
                self.ports
                    .extend(ranges.iter().filter_map(|range| match range {
                        PortRange::Numbers(range) => Some((*range.start(), *range.end(), clause)),
                        PortRange::Named(_) => None,
                    }));
                true
            }
            Patterns::Sets(_) => {
                for set in sets {
                    self.sets.entry(*set).or_default().insert(clause);
                }
                true
            }
            Patterns::Present => {
                self.present.insert(clause);
                true
            }
            Patterns::MeshTrustDomains => false,
        }
    }

    fn string(&mut self, clause: u32, string: &StringPattern) -> bool {
        let set = match string {
            StringPattern::Exact(text) => self.exact.entry(text.clone()).or_default(),
            StringPattern::Prefix(text) => {
                self.prefixes.entry(text.clone().into_bytes()).or_default()
            }
            StringPattern::Suffix(text) => self
                .suffixes
                .entry(text.bytes().rev().collect())
                .or_default(),
            StringPattern::NonEmpty => &mut self.non_empty,
            StringPattern::Template(template) => {
                return self.templates.insert(template, clause);
            }
            StringPattern::Regex(_) => &mut self.present,
        };
        set.insert(clause);
        true
    }

    fn write(self, writer: &mut Writer, clauses: u32, sets: usize) -> Dimension {
        let mut any = ClauseSet::default();
        for clause in (0..clauses).filter(|clause| !self.restricted.contains(clause)) {
            any.insert(clause);
        }
        let (networks4, networks6) = write_networks(writer, &self.networks);
        Dimension {
            field: self.code as u8,
            padding: [0; 3],
            key: self.key,
            any: posting(writer, &any),
            exact: write_slots(writer, &self.exact),
            prefixes: write_affixes(writer, &self.prefixes, false),
            suffixes: write_affixes(writer, &self.suffixes, true),
            templates: self.templates.write(writer),
            non_empty: posting(writer, &self.non_empty),
            present: posting(writer, &self.present),
            networks4,
            networks6,
            ports: write_ports(writer, &self.ports),
            sets: write_sets(writer, &self.sets, sets),
        }
    }
}

fn posting(writer: &mut Writer, set: &ClauseSet) -> U32 {
    if set.is_empty() {
        U32::new(NONE)
    } else {
        writer.posting(set)
    }
}

/// An open-addressed table at most half full, with linear probing from the low bits of the hash.
fn write_slots(writer: &mut Writer, exact: &BTreeMap<String, ClauseSet>) -> Span {
    let first = writer.slots.len();
    if exact.is_empty() {
        return span_from(&writer.slots, first);
    }
    let capacity = (exact.len() * 2).next_power_of_two();
    let empty = Text {
        offset: U32::ZERO,
        bytes: U32::ZERO,
    };
    let mut slots = vec![
        Slot {
            text: empty,
            posting: U32::new(NONE),
            tag: U32::ZERO
        };
        capacity
    ];
    for (text, clauses) in exact {
        let hash = XxHash64::oneshot(HASH_SEED, text.as_bytes());
        let start = (hash as usize) & (capacity - 1);
        let (before, after) = slots.split_at_mut(start);
        let free = after
            .iter_mut()
            .chain(before)
            .find(|slot| slot.posting.get() == NONE);
        if let Some(slot) = free {
            *slot = Slot {
                text: writer.text(text),
                posting: writer.posting(clauses),
                tag: U32::new((hash >> 32) as u32),
            };
        }
    }
    writer.slots.extend(slots);
    span_from(&writer.slots, first)
}

/// Affixes in order; each knows the longest other one that it begins with. Suffixes come reversed,
/// which makes them prefixes, and are stored forwards.
fn write_affixes(
    writer: &mut Writer,
    affixes: &BTreeMap<Vec<u8>, ClauseSet>,
    reversed: bool,
) -> Span {
    let first = writer.affixes.len();
    let mut open: Vec<(&[u8], U32)> = Vec::new();
    for (bytes, clauses) in affixes {
        while open
            .pop_if(|(outer, _)| !bytes.starts_with(outer))
            .is_some()
        {}
        let parent = open
            .last()
            .map_or(U32::new(NONE), |(_, position)| *position);
        let position = index(writer.affixes.len());
        open.push((bytes, position));
        let mut text = bytes.clone();
        if reversed {
            text.reverse();
        }
        let affix = Affix {
            text: writer.text(&String::from_utf8_lossy(&text)),
            parent,
            posting: writer.posting(clauses),
        };
        writer.affixes.push(affix);
    }
    span_from(&writer.affixes, first)
}

/// Networks in order; each knows the smallest other one that contains it.
fn write_networks(
    writer: &mut Writer,
    networks: &BTreeMap<([u8; 16], u8), ClauseSet>,
) -> (Span, Span) {
    let mut family = |ipv4: bool| {
        let first = writer.net_entries.len();
        let mut open: Vec<([u8; 16], u8, U32)> = Vec::new();
        for ((address, prefix), clauses) in networks {
            // `::/0` contains the IPv4-mapped addresses on paper; they are another family.
            if (is_mapped(address) && *prefix >= 96) != ipv4 {
                continue;
            }
            let outside = |outer: &mut ([u8; 16], u8, U32)| !contains(&outer.0, outer.1, address);
            while open.pop_if(outside).is_some() {}
            let parent = open
                .last()
                .map_or(U32::new(NONE), |(_, _, position)| *position);
            let position = index(writer.net_entries.len());
            open.push((*address, *prefix, position));
            let posting = writer.posting(clauses);
            writer.net_entries.push(NetEntry {
                address: *address,
                prefix: *prefix,
                padding: [0; 3],
                parent,
                posting,
            });
        }
        span_from(&writer.net_entries, first)
    };
    (family(true), family(false))
}

/// Whether an address lies in a network, both in the 128-bit form.
pub(crate) fn contains(network: &[u8; 16], prefix: u8, address: &[u8; 16]) -> bool {
    let difference = u128::from_be_bytes(*network) ^ u128::from_be_bytes(*address);
    difference.leading_zeros() >= u32::from(prefix)
}

/// The ports at which the set of clauses changes, and what it changes to.
fn write_ports(writer: &mut Writer, ranges: &[(u16, u16, u32)]) -> Span {
    let first = writer.port_steps.len();
    let mut starts = BTreeSet::new();
    for (from, to, _) in ranges {
        starts.insert(*from);
        starts.extend(to.checked_add(1));
    }
    for start in starts {
        let mut clauses = ClauseSet::default();
        for (from, to, clause) in ranges {
            if (*from..=*to).contains(&start) {
                clauses.insert(*clause);
            }
        }
        let step = PortStep {
            first: U16::new(start),
            padding: U16::ZERO,
            posting: posting(writer, &clauses),
        };
        writer.port_steps.push(step);
    }
    span_from(&writer.port_steps, first)
}

fn write_sets(writer: &mut Writer, sets: &BTreeMap<u32, ClauseSet>, count: usize) -> Span {
    let first = writer.set_entries.len();
    if !sets.is_empty() {
        for set in 0..index(count).get() {
            let posting = match sets.get(&set) {
                Some(clauses) => writer.posting(clauses),
                None => U32::new(NONE),
            };
            writer.set_entries.push(SetEntry { posting });
        }
    }
    span_from(&writer.set_entries, first)
}

/// Path templates as a tree of segments.
#[derive(Default)]
struct TemplateTree {
    literals: BTreeMap<String, TemplateTree>,
    one: Option<Box<TemplateTree>>,
    rest: ClauseSet,
    end: ClauseSet,
}

impl TemplateTree {
    /// Adds a template; whether reaching its posting means that it matches.
    fn insert(&mut self, template: &PathTemplate, clause: u32) -> bool {
        let mut node = self;
        for (position, segment) in template.segments.iter().enumerate() {
            node = match segment {
                TemplateSegment::Literal(text) => node.literals.entry(text.clone()).or_default(),
                TemplateSegment::One => node.one.get_or_insert_default(),
                TemplateSegment::Rest => {
                    node.rest.insert(clause);
                    return position + 1 == template.segments.len();
                }
            };
        }
        node.end.insert(clause);
        true
    }

    fn is_empty(&self) -> bool {
        self.literals.is_empty()
            && self.one.is_none()
            && self.rest.is_empty()
            && self.end.is_empty()
    }

    fn write(&self, writer: &mut Writer) -> Span {
        let first = writer.template_nodes.len();
        if !self.is_empty() {
            self.write_node(writer);
        }
        span_from(&writer.template_nodes, first)
    }

    /// Writes a node before its children, so that references only go forward.
    fn write_node(&self, writer: &mut Writer) -> U32 {
        let position = writer.template_nodes.len();
        let node = TemplateNode {
            edges: span_from(&writer.template_edges, writer.template_edges.len()),
            one: U32::new(NONE),
            rest: posting(writer, &self.rest),
            end: posting(writer, &self.end),
        };
        writer.template_nodes.push(node);
        let mut edges = Vec::with_capacity(self.literals.len());
        for (segment, child) in &self.literals {
            let segment = writer.text(segment);
            edges.push(TemplateEdge {
                segment,
                node: child.write_node(writer),
            });
        }
        let one = self.one.as_ref().map(|child| child.write_node(writer));
        let first_edge = writer.template_edges.len();
        writer.template_edges.extend(edges);
        let edges = span_from(&writer.template_edges, first_edge);
        if let Some(node) = writer.template_nodes.get_mut(position) {
            node.edges = edges;
            node.one = one.unwrap_or(U32::new(NONE));
        }
        index(position)
    }
}
