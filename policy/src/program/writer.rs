//! Writes programs: collects records, shares equal text and equal postings, and lays the tables
//! out. The same input gives the same bytes.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes};

use super::layout::{
    Affix, Block, Clause, Dimension, Document, FORMAT, HEADER_BYTES, Header, MAGIC, NetEntry,
    NetworkRecord, Pattern, PortStep, Posting, PredicateRecord, RegexRecord, RuleRecord, Section,
    SetEntry, SetRecord, Settings, Side, Slot, Span, Table, TemplateEdge, TemplateNode, Text,
    TierRecord,
};

/// A set of clauses of one side, by position.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ClauseSet(BTreeMap<u32, u64>);

impl ClauseSet {
    pub(crate) fn insert(&mut self, clause: u32) {
        *self.0.entry(clause / 64).or_default() |= 1 << (clause % 64);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Tables under construction.
#[derive(Default)]
pub(crate) struct Writer {
    text: Vec<u8>,
    texts: HashMap<String, Text>,
    known_postings: HashMap<ClauseSet, u32>,
    pub(crate) blob: Vec<u8>,
    pub(crate) settings: Option<Settings>,
    pub(crate) documents: Vec<Document>,
    pub(crate) sides: Vec<Side>,
    pub(crate) tiers: Vec<TierRecord>,
    pub(crate) rules: Vec<RuleRecord>,
    pub(crate) clauses: Vec<Clause>,
    pub(crate) predicates: Vec<PredicateRecord>,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) networks: Vec<NetworkRecord>,
    pub(crate) dimensions: Vec<Dimension>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) affixes: Vec<Affix>,
    pub(crate) net_entries: Vec<NetEntry>,
    pub(crate) port_steps: Vec<PortStep>,
    pub(crate) set_entries: Vec<SetEntry>,
    pub(crate) template_nodes: Vec<TemplateNode>,
    pub(crate) template_edges: Vec<TemplateEdge>,
    pub(crate) sets: Vec<SetRecord>,
    pub(crate) regexes: Vec<RegexRecord>,
    postings: Vec<Posting>,
    blocks: Vec<Block>,
}

/// The records from `first` to the end of a table, as a span.
pub(crate) fn span_from<T>(table: &[T], first: usize) -> Span {
    Span {
        first: index(first),
        count: index(table.len() - first),
    }
}

/// An index as it is written. Programs are far smaller than 4 GiB: the size is limited, and
/// [`Writer::finish`] reports a program that is larger before anyone reads its indexes.
pub(crate) fn index(index: usize) -> U32 {
    U32::new(u32::try_from(index).unwrap_or(u32::MAX))
}

impl Writer {
    /// Stores a text once.
    pub(crate) fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let stored = Text {
            offset: index(self.text.len()),
            bytes: index(text.len()),
        };
        self.text.extend_from_slice(text.as_bytes());
        self.texts.insert(text.to_owned(), stored);
        stored
    }

    /// Stores a set of clauses once.
    pub(crate) fn posting(&mut self, set: &ClauseSet) -> U32 {
        if let Some(known) = self.known_postings.get(set) {
            return U32::new(*known);
        }
        let first = self.blocks.len();
        let blocks = set.0.iter().map(|(word, bits)| Block {
            word: U32::new(*word),
            bits: U64::new(*bits),
        });
        self.blocks.extend(blocks);
        let stored = index(self.postings.len());
        self.postings.push(Posting {
            blocks: span_from(&self.blocks, first),
        });
        self.known_postings.insert(set.clone(), stored.get());
        stored
    }

    /// Lays the tables out behind a header.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut layout = Layout::new();
        layout.table(Table::Settings, self.settings.as_slice());
        layout.table(Table::Text, &self.text);
        layout.table(Table::Blob, &self.blob);
        layout.table(Table::Documents, &self.documents);
        layout.table(Table::Sides, &self.sides);
        layout.table(Table::Tiers, &self.tiers);
        layout.table(Table::Rules, &self.rules);
        layout.table(Table::Clauses, &self.clauses);
        layout.table(Table::Predicates, &self.predicates);
        layout.table(Table::Patterns, &self.patterns);
        layout.table(Table::Networks, &self.networks);
        layout.table(Table::Dimensions, &self.dimensions);
        layout.table(Table::Slots, &self.slots);
        layout.table(Table::Affixes, &self.affixes);
        layout.table(Table::NetEntries, &self.net_entries);
        layout.table(Table::PortSteps, &self.port_steps);
        layout.table(Table::SetEntries, &self.set_entries);
        layout.table(Table::TemplateNodes, &self.template_nodes);
        layout.table(Table::TemplateEdges, &self.template_edges);
        layout.table(Table::Postings, &self.postings);
        layout.table(Table::Blocks, &self.blocks);
        layout.table(Table::Sets, &self.sets);
        layout.table(Table::Regexes, &self.regexes);
        layout.finish()
    }
}

struct Layout {
    sections: Vec<Section>,
    body: Vec<u8>,
}

impl Layout {
    fn new() -> Layout {
        let empty = Section {
            offset: U32::ZERO,
            bytes: U32::ZERO,
        };
        Layout {
            sections: vec![empty; Table::COUNT],
            body: Vec::new(),
        }
    }

    fn table<T: IntoBytes + Immutable>(&mut self, table: Table, records: &[T]) {
        let start = HEADER_BYTES + Table::COUNT * size_of::<Section>() + self.body.len();
        let bytes = records.as_bytes();
        if let Some(section) = self.sections.get_mut(table as usize) {
            *section = Section {
                offset: index(start),
                bytes: index(bytes.len()),
            };
        }
        self.body.extend_from_slice(bytes);
    }

    fn finish(self) -> Vec<u8> {
        let Layout { sections, body } = self;
        let digest = Sha256::new()
            .chain_update(sections.as_bytes())
            .chain_update(&body)
            .finalize();
        let length = HEADER_BYTES + sections.as_bytes().len() + body.len();
        let header = Header {
            magic: MAGIC,
            format: U32::new(FORMAT),
            length: index(length),
            digest: digest.into(),
        };
        let mut program = Vec::with_capacity(length);
        program.extend_from_slice(header.as_bytes());
        program.extend_from_slice(sections.as_bytes());
        program.extend_from_slice(&body);
        program
    }
}
