//! Checks a program before it is used: every reference stays inside its table, every chain ends,
//! every order that lookups rely on holds.
//!
//! The digest finds damage, but it is not what safety rests on: whoever can write a program can
//! write its digest. A program that passes may still say nonsense; it cannot make a lookup run
//! in circles or read outside its tables.

use std::fmt;
use std::ops::Range;

use regex_automata::dfa::sparse::DFA;
use sha2::{Digest, Sha256};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::layout::{
    Affix, Block, Clause, Dimension, Document, FORMAT, HEADER_BYTES, Header, MAGIC, NONE, NetEntry,
    NetworkRecord, Pattern, PortStep, Posting, PredicateRecord, RegexRecord, RuleRecord, Section,
    SetEntry, SetRecord, Settings, Side, Slot, Span, Table, TemplateEdge, TemplateNode, Text,
    TierRecord, pattern,
};
use super::{FieldCode, Program};
use crate::bundle::MAX_PROGRAM_BYTES;

/// Why a program is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoadError {
    /// The buffer does not begin like a program.
    NotAProgram,
    /// The program was written in a format that this reader does not know.
    Format {
        /// Format of the program.
        found: u32,
    },
    /// The program is larger than [`MAX_PROGRAM_BYTES`].
    TooLarge {
        /// Size in bytes.
        bytes: usize,
    },
    /// The length in the header is not the length of the buffer.
    Length {
        /// Length in the header, in bytes.
        expected: usize,
        /// Length of the buffer, in bytes.
        found: usize,
    },
    /// The content does not have the hash that the header names.
    Digest,
    /// A table is not what it must be.
    Table {
        /// Name of the table.
        table: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotAProgram => f.write_str("not a Meshwall program"),
            LoadError::Format { found } => write!(
                f,
                "program format {found} is unknown; this filter reads format {FORMAT}: \
                 update the filter before the policy server"
            ),
            LoadError::TooLarge { bytes } => {
                write!(
                    f,
                    "program of {bytes} bytes exceeds the limit of {MAX_PROGRAM_BYTES}"
                )
            }
            LoadError::Length { expected, found } => {
                write!(f, "program of {expected} bytes arrived as {found} bytes")
            }
            LoadError::Digest => f.write_str("program does not match its hash; it is damaged"),
            LoadError::Table { table, problem } => {
                write!(f, "program is damaged: {table}: {problem}")
            }
        }
    }
}

impl std::error::Error for LoadError {}

pub(super) fn load(bytes: Vec<u8>) -> Result<Program, LoadError> {
    let tables = locate(&bytes)?;
    let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
    let (header, _) = Header::ref_from_prefix(&bytes).map_err(|_| LoadError::NotAProgram)?;
    if Sha256::digest(body).as_slice() != header.digest {
        return Err(LoadError::Digest);
    }
    check(bytes, tables)
}

/// Finds the tables; checks all that the digest is not needed for.
fn locate(bytes: &[u8]) -> Result<[Range<usize>; Table::COUNT], LoadError> {
    let (header, rest) = Header::ref_from_prefix(bytes).map_err(|_| LoadError::NotAProgram)?;
    if header.magic != MAGIC {
        return Err(LoadError::NotAProgram);
    }
    if header.format.get() != FORMAT {
        return Err(LoadError::Format {
            found: header.format.get(),
        });
    }
    if bytes.len() > MAX_PROGRAM_BYTES {
        return Err(LoadError::TooLarge { bytes: bytes.len() });
    }
    let expected = header.length.get() as usize;
    if expected != bytes.len() {
        return Err(LoadError::Length {
            expected,
            found: bytes.len(),
        });
    }
    let contents = "table of contents";
    let (sections, _) =
        <[Section]>::ref_from_prefix_with_elems(rest, Table::COUNT).map_err(|_| {
            LoadError::Table {
                table: contents,
                problem: "too short",
            }
        })?;
    let mut tables = [const { 0..0 }; Table::COUNT];
    for (range, section) in tables.iter_mut().zip(sections) {
        let start = section.offset.get() as usize;
        let end = start.saturating_add(section.bytes.get() as usize);
        if bytes.get(start..end).is_none() {
            return Err(LoadError::Table {
                table: contents,
                problem: "points outside",
            });
        }
        *range = start..end;
    }
    Ok(tables)
}

fn check(bytes: Vec<u8>, tables: [Range<usize>; Table::COUNT]) -> Result<Program, LoadError> {
    let reader = Reader {
        bytes: &bytes,
        tables: &tables,
    };
    let settings = reader.only::<Settings>(Table::Settings, "settings")?;
    let sides = reader.table::<Side>(Table::Sides, "sides")?;
    let [ingress, egress] = sides else {
        return Err(LoadError::Table {
            table: "sides",
            problem: "not two",
        });
    };
    let sides = [*ingress, *egress];
    let text = reader.table::<u8>(Table::Text, "text")?;
    if std::str::from_utf8(text).is_err() {
        return Err(LoadError::Table {
            table: "text",
            problem: "not utf-8",
        });
    }
    reader.text(settings.denial_body, "settings")?;
    reader.text(settings.workload, "settings")?;
    reader.documents()?;
    let sets = reader.sets()?;
    reader.postings()?;
    reader.affixes()?;
    reader.networks()?;
    reader.templates()?;
    reader.patterns(sets)?;
    let automata = reader.automata()?;
    for side in &sides {
        reader.side(side, sets)?;
    }
    Ok(Program {
        settings,
        sides,
        automata,
        tables,
        bytes: bytes.into_boxed_slice(),
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
    tables: &'a [Range<usize>; Table::COUNT],
}

type Checked = Result<(), LoadError>;

fn ensure(holds: bool, table: &'static str, problem: &'static str) -> Checked {
    if holds {
        Ok(())
    } else {
        Err(LoadError::Table { table, problem })
    }
}

fn within(span: Span, length: usize, table: &'static str) -> Checked {
    let end = u64::from(span.first.get()) + u64::from(span.count.get());
    ensure(end <= length as u64, table, "a span points outside")
}

fn optional(index: u32, length: usize, table: &'static str) -> Checked {
    ensure(
        index == NONE || (index as usize) < length,
        table,
        "an index points outside",
    )
}

impl<'a> Reader<'a> {
    fn table<T>(&self, table: Table, name: &'static str) -> Result<&'a [T], LoadError>
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        self.tables
            .get(table as usize)
            .and_then(|range| self.bytes.get(range.clone()))
            .and_then(|bytes| <[T]>::ref_from_bytes(bytes).ok())
            .ok_or(LoadError::Table {
                table: name,
                problem: "not a whole number of records",
            })
    }

    fn only<T>(&self, table: Table, name: &'static str) -> Result<T, LoadError>
    where
        T: Copy + FromBytes + Immutable + KnownLayout + Unaligned,
    {
        match self.table::<T>(table, name)? {
            [one] => Ok(*one),
            _ => Err(LoadError::Table {
                table: name,
                problem: "not exactly one",
            }),
        }
    }

    /// A text lies within the table and on character boundaries.
    fn text(&self, text: Text, name: &'static str) -> Result<&'a str, LoadError> {
        let all = self.table::<u8>(Table::Text, "text")?;
        let start = text.offset.get() as usize;
        all.get(start..start.saturating_add(text.bytes.get() as usize))
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .ok_or(LoadError::Table {
                table: name,
                problem: "a text points outside",
            })
    }

    fn documents(&self) -> Checked {
        for document in self.table::<Document>(Table::Documents, "documents")? {
            self.text(document.kind, "documents")?;
            self.text(document.namespace, "documents")?;
            self.text(document.name, "documents")?;
        }
        Ok(())
    }

    fn sets(&self) -> Result<usize, LoadError> {
        let sets = self.table::<SetRecord>(Table::Sets, "sets")?;
        for set in sets {
            self.text(set.text, "sets")?;
        }
        Ok(sets.len())
    }

    fn postings(&self) -> Checked {
        let blocks = self.table::<Block>(Table::Blocks, "blocks")?;
        for posting in self.table::<Posting>(Table::Postings, "postings")? {
            within(posting.blocks, blocks.len(), "postings")?;
            let words = super::slice(blocks, posting.blocks);
            ensure(
                words.is_sorted_by(|a, b| a.word < b.word),
                "postings",
                "blocks out of order",
            )?;
        }
        Ok(())
    }

    /// Clauses named by a posting exist in the side that uses it.
    fn posting(&self, posting: u32, clauses: usize) -> Checked {
        if posting == NONE {
            return Ok(());
        }
        let postings = self.table::<Posting>(Table::Postings, "postings")?;
        let blocks = self.table::<Block>(Table::Blocks, "blocks")?;
        let Some(posting) = postings.get(posting as usize) else {
            return ensure(false, "dimensions", "a posting points outside");
        };
        let Some(last) = super::slice(blocks, posting.blocks).last() else {
            return Ok(());
        };
        let highest = u64::from(last.word.get()) * 64 + 63
            - u64::from(last.bits.get().leading_zeros().min(63));
        ensure(
            highest < clauses as u64,
            "postings",
            "a clause does not exist",
        )
    }

    fn affixes(&self) -> Checked {
        for (index, affix) in self
            .table::<Affix>(Table::Affixes, "affixes")?
            .iter()
            .enumerate()
        {
            self.text(affix.text, "affixes")?;
            let parent = affix.parent.get();
            ensure(
                parent == NONE || (parent as usize) < index,
                "affixes",
                "a chain does not end",
            )?;
        }
        Ok(())
    }

    fn networks(&self) -> Checked {
        let entries = self.table::<NetEntry>(Table::NetEntries, "network index")?;
        for (index, entry) in entries.iter().enumerate() {
            let parent = entry.parent.get();
            let ends = parent == NONE || (parent as usize) < index;
            ensure(ends, "network index", "a chain does not end")?;
            ensure(entry.prefix <= 128, "network index", "a prefix is too long")?;
        }
        let networks = self.table::<NetworkRecord>(Table::Networks, "networks")?;
        for (index, network) in networks.iter().enumerate() {
            let after = index + 1 + usize::from(network.excepts.get());
            ensure(
                after <= networks.len(),
                "networks",
                "an exception is missing",
            )?;
            ensure(network.prefix <= 128, "networks", "a prefix is too long")?;
            ensure(
                matches!(network.family, 4 | 6),
                "networks",
                "an unknown family",
            )?;
        }
        Ok(())
    }

    fn templates(&self) -> Checked {
        let nodes = self.table::<TemplateNode>(Table::TemplateNodes, "templates")?;
        let edges = self.table::<TemplateEdge>(Table::TemplateEdges, "templates")?;
        for (index, node) in nodes.iter().enumerate() {
            within(node.edges, edges.len(), "templates")?;
            optional(node.one.get(), nodes.len(), "templates")?;
            ensure(
                node.one.get() as usize > index,
                "templates",
                "a tree goes back",
            )?;
            for edge in super::slice(edges, node.edges) {
                self.text(edge.segment, "templates")?;
                let next = edge.node.get() as usize;
                ensure(
                    next > index && next < nodes.len(),
                    "templates",
                    "a tree goes back",
                )?;
            }
        }
        Ok(())
    }

    fn patterns(&self, sets: usize) -> Checked {
        let networks = self
            .table::<NetworkRecord>(Table::Networks, "networks")?
            .len();
        let regexes = self.table::<RegexRecord>(Table::Regexes, "regexes")?.len();
        for record in self.table::<Pattern>(Table::Patterns, "patterns")? {
            let a = record.a.get() as usize;
            match record.kind.get() {
                pattern::EXACT | pattern::PREFIX | pattern::SUFFIX | pattern::TEMPLATE => {
                    self.text(
                        Text {
                            offset: record.a,
                            bytes: record.b,
                        },
                        "patterns",
                    )?;
                }
                pattern::NON_EMPTY | pattern::PRESENT | pattern::PORTS => {}
                pattern::REGEX => ensure(a < regexes, "patterns", "an automaton is missing")?,
                pattern::NETWORK => ensure(a < networks, "patterns", "a network is missing")?,
                pattern::SET => ensure(a < sets, "patterns", "a set is missing")?,
                _ => ensure(false, "patterns", "an unknown kind")?,
            }
        }
        Ok(())
    }

    fn automata(&self) -> Result<Vec<DFA<Vec<u8>>>, LoadError> {
        let blob = self.table::<u8>(Table::Blob, "automata")?;
        let damaged = LoadError::Table {
            table: "automata",
            problem: "an automaton is damaged",
        };
        let mut automata = Vec::new();
        for regex in self.table::<RegexRecord>(Table::Regexes, "regexes")? {
            self.text(regex.source, "regexes")?;
            let start = regex.offset.get() as usize;
            let end = start.saturating_add(regex.bytes.get() as usize);
            let bytes = blob.get(start..end).ok_or(damaged)?;
            let (automaton, _) = DFA::from_bytes(bytes).map_err(|_| damaged)?;
            automata.push(automaton.to_owned());
        }
        Ok(automata)
    }

    fn side(&self, side: &Side, sets: usize) -> Checked {
        let tiers = self.table::<TierRecord>(Table::Tiers, "tiers")?;
        let rules = self.table::<RuleRecord>(Table::Rules, "rules")?;
        let clauses = self.table::<Clause>(Table::Clauses, "clauses")?;
        let dimensions = self.table::<Dimension>(Table::Dimensions, "dimensions")?;
        within(side.tiers, tiers.len(), "sides")?;
        within(side.clauses, clauses.len(), "sides")?;
        within(side.dimensions, dimensions.len(), "sides")?;

        let documents = self.table::<Document>(Table::Documents, "documents")?.len();
        let mut next_rule = None;
        for tier in super::slice(tiers, side.tiers) {
            within(tier.rules, rules.len(), "tiers")?;
            let first = tier.rules.first.get();
            ensure(
                next_rule.is_none_or(|next| next == first),
                "tiers",
                "rules are not in order",
            )?;
            next_rule = Some(first + tier.rules.count.get());
            ensure(tier.kind <= 1, "tiers", "an unknown kind")?;
            for rule in super::slice(rules, tier.rules) {
                self.text(rule.name, "rules")?;
                ensure(rule.action <= 2, "rules", "an unknown action")?;
                let document = rule.document.get() as usize;
                ensure(document < documents, "rules", "a document is missing")?;
            }
        }
        let clauses = super::slice(clauses, side.clauses);
        ensure(
            clauses.is_sorted_by(|a, b| a.rule <= b.rule),
            "clauses",
            "not in rule order",
        )?;
        let predicates = self.table::<PredicateRecord>(Table::Predicates, "predicates")?;
        let patterns = self.table::<Pattern>(Table::Patterns, "patterns")?;
        for clause in clauses {
            let exists = (clause.rule.get() as usize) < rules.len();
            ensure(exists, "clauses", "a rule is missing")?;
            within(clause.predicates, predicates.len(), "clauses")?;
            for predicate in super::slice(predicates, clause.predicates) {
                within(predicate.patterns, patterns.len(), "predicates")?;
                let dimension = predicate.dimension.get();
                let known = dimension < side.dimensions.count.get();
                ensure(known, "predicates", "a dimension is missing")?;
            }
        }
        for dimension in super::slice(dimensions, side.dimensions) {
            self.dimension(dimension, clauses.len(), sets)?;
        }
        Ok(())
    }

    fn dimension(&self, dimension: &Dimension, clauses: usize, sets: usize) -> Checked {
        let name = "dimensions";
        ensure(
            FieldCode::from_code(dimension.field).is_some(),
            name,
            "an unknown field",
        )?;
        self.text(dimension.key, name)?;
        for posting in [dimension.any, dimension.non_empty, dimension.present] {
            self.posting(posting.get(), clauses)?;
        }

        let slots = self.table::<Slot>(Table::Slots, "slots")?;
        within(dimension.exact, slots.len(), name)?;
        let slots = super::slice(slots, dimension.exact);
        let fits = slots.is_empty() || slots.len().is_power_of_two();
        ensure(fits, "slots", "not a power of two")?;
        for slot in slots {
            self.text(slot.text, "slots")?;
            self.posting(slot.posting.get(), clauses)?;
        }

        let affixes = self.table::<Affix>(Table::Affixes, "affixes")?;
        for span in [dimension.prefixes, dimension.suffixes] {
            within(span, affixes.len(), name)?;
            for affix in super::slice(affixes, span) {
                self.posting(affix.posting.get(), clauses)?;
                let parent = affix.parent.get();
                let inside = parent == NONE || parent >= span.first.get();
                ensure(inside, "affixes", "a chain leaves its dimension")?;
            }
        }

        let networks = self.table::<NetEntry>(Table::NetEntries, "network index")?;
        for span in [dimension.networks4, dimension.networks6] {
            within(span, networks.len(), name)?;
            for entry in super::slice(networks, span) {
                self.posting(entry.posting.get(), clauses)?;
                let parent = entry.parent.get();
                let inside = parent == NONE || parent >= span.first.get();
                ensure(inside, "network index", "a chain leaves its dimension")?;
            }
        }

        let ports = self.table::<PortStep>(Table::PortSteps, "ports")?;
        within(dimension.ports, ports.len(), name)?;
        for step in super::slice(ports, dimension.ports) {
            self.posting(step.posting.get(), clauses)?;
        }

        let entries = self.table::<SetEntry>(Table::SetEntries, "set index")?;
        within(dimension.sets, entries.len(), name)?;
        let entries = super::slice(entries, dimension.sets);
        ensure(entries.len() <= sets, "set index", "a set is missing")?;
        for entry in entries {
            self.posting(entry.posting.get(), clauses)?;
        }

        let nodes = self.table::<TemplateNode>(Table::TemplateNodes, "templates")?;
        let edges = self.table::<TemplateEdge>(Table::TemplateEdges, "templates")?;
        within(dimension.templates, nodes.len(), name)?;
        let end =
            dimension.templates.first.get() as usize + dimension.templates.count.get() as usize;
        let inside = |node: u32| ensure((node as usize) < end, "templates", "leaves its dimension");
        for node in super::slice(nodes, dimension.templates) {
            self.posting(node.rest.get(), clauses)?;
            self.posting(node.end.get(), clauses)?;
            if node.one.get() != NONE {
                inside(node.one.get())?;
            }
            for edge in super::slice(edges, node.edges) {
                inside(edge.node.get())?;
            }
        }
        Ok(())
    }
}
