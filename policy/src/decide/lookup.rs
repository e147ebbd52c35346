//! Finds, for each dimension, the sets of clauses that the facts leave possible.

use twox_hash::XxHash64;

use super::candidates::Scratch;
use super::facts::Facts;
use crate::compile::HASH_SEED;
use crate::peers::is_mapped;
use crate::program::layout::{
    Affix, Dimension, NONE, NetEntry, PortStep, Posting, SetEntry, Side, Slot, Span, Table,
    TemplateEdge, TemplateNode, Text,
};
use crate::program::{FieldCode, Program, slice};

/// Most steps through the tree of templates for one path. A tree can be built to branch at each
/// segment; beyond this many steps all its templates count as possible and are evaluated.
const MAX_TEMPLATE_STEPS: usize = 4_096;

/// Collects the sets of every dimension that the facts can be compared with. On a TCP connection
/// the HTTP dimensions do not restrict: what a missing request means depends on the rule.
pub(super) fn collect(program: &Program, side: &Side, facts: &Facts<'_>, sets: &mut Scratch) {
    sets.clear();
    let tables = Tables::new(program);
    for (position, dimension) in (0..).zip(program.dimensions(side)) {
        let Some(field) = FieldCode::from_code(dimension.field) else {
            continue;
        };
        if field.is_http() && facts.http.is_none() {
            continue;
        }
        sets.offer(tables.postings, dimension.any.get());
        match field {
            FieldCode::PeerSet => {
                let entries = slice(tables.set_entries, dimension.sets);
                for set in facts.workload.iter().flat_map(|workload| workload.sets()) {
                    if let Some(entry) = entries.get(set as usize) {
                        sets.offer(tables.postings, entry.posting.get());
                    }
                }
            }
            FieldCode::PeerAddress => tables.network(dimension, &facts.address, sets),
            FieldCode::RemoteAddress => tables.network(dimension, &facts.remote_address, sets),
            FieldCode::Port => tables.port(dimension, facts.port, sets),
            field if field.is_multiple() => {
                for value in facts.values(position) {
                    tables.string(dimension, value, sets);
                }
            }
            field => {
                if let Some(value) = facts.single(field) {
                    tables.string(dimension, value, sets);
                }
            }
        }
        sets.end_dimension();
    }
}

struct Tables<'a> {
    text: &'a [u8],
    postings: &'a [Posting],
    slots: &'a [Slot],
    affixes: &'a [Affix],
    net_entries: &'a [NetEntry],
    port_steps: &'a [PortStep],
    set_entries: &'a [SetEntry],
    template_nodes: &'a [TemplateNode],
    template_edges: &'a [TemplateEdge],
}

impl<'a> Tables<'a> {
    fn new(program: &'a Program) -> Tables<'a> {
        Tables {
            text: program.table(Table::Text),
            postings: program.table(Table::Postings),
            slots: program.table(Table::Slots),
            affixes: program.table(Table::Affixes),
            net_entries: program.table(Table::NetEntries),
            port_steps: program.table(Table::PortSteps),
            set_entries: program.table(Table::SetEntries),
            template_nodes: program.table(Table::TemplateNodes),
            template_edges: program.table(Table::TemplateEdges),
        }
    }

    fn text(&self, text: Text) -> &'a [u8] {
        let start = text.offset.get() as usize;
        self.text
            .get(start..start.saturating_add(text.bytes.get() as usize))
            .unwrap_or_default()
    }

    fn string(&self, dimension: &Dimension, value: &[u8], sets: &mut Scratch) {
        sets.offer(self.postings, dimension.present.get());
        if !value.is_empty() {
            sets.offer(self.postings, dimension.non_empty.get());
        }
        self.exact(dimension.exact, value, sets);
        self.affix(dimension.prefixes, value, sets, Order::Forwards);
        self.affix(dimension.suffixes, value, sets, Order::Backwards);
        self.template(dimension, value, sets);
    }

    fn exact(&self, span: Span, value: &[u8], sets: &mut Scratch) {
        let slots = slice(self.slots, span);
        if slots.is_empty() {
            return;
        }
        let hash = XxHash64::oneshot(HASH_SEED, value);
        let tag = (hash >> 32) as u32;
        let mask = slots.len() - 1;
        let start = (hash as usize) & mask;
        for step in 0..slots.len() {
            let Some(slot) = slots.get((start + step) & mask) else {
                return;
            };
            if slot.posting.get() == NONE {
                return;
            }
            if slot.tag.get() == tag && self.text(slot.text) == value {
                sets.offer(self.postings, slot.posting.get());
                return;
            }
        }
    }

    /// All affixes of the value. The last affix that is not greater than the value begins with
    /// the longest one that matches, and the shorter ones are its parents.
    fn affix(&self, span: Span, value: &[u8], sets: &mut Scratch, order: Order) {
        let affixes = slice(self.affixes, span);
        let after =
            affixes.partition_point(|affix| order.is_not_greater(self.text(affix.text), value));
        let mut next = after.checked_sub(1).and_then(|at| affixes.get(at));
        let mut matching = false;
        while let Some(affix) = next {
            matching = matching || order.begins_with(value, self.text(affix.text));
            if matching {
                sets.offer(self.postings, affix.posting.get());
            }
            next = self.affixes.get(affix.parent.get() as usize);
        }
    }

    fn network(&self, dimension: &Dimension, address: &[u8; 16], sets: &mut Scratch) {
        let span = if is_mapped(address) {
            dimension.networks4
        } else {
            dimension.networks6
        };
        let entries = slice(self.net_entries, span);
        let after = entries.partition_point(|entry| entry.address <= *address);
        let mut next = after.checked_sub(1).and_then(|at| entries.get(at));
        let mut matching = false;
        while let Some(entry) = next {
            matching = matching || crate::compile::contains(&entry.address, entry.prefix, address);
            if matching {
                sets.offer(self.postings, entry.posting.get());
            }
            next = self.net_entries.get(entry.parent.get() as usize);
        }
    }

    fn port(&self, dimension: &Dimension, port: u16, sets: &mut Scratch) {
        let steps = slice(self.port_steps, dimension.ports);
        let after = steps.partition_point(|step| step.first.get() <= port);
        if let Some(step) = after.checked_sub(1).and_then(|at| steps.get(at)) {
            sets.offer(self.postings, step.posting.get());
        }
    }

    fn template(&self, dimension: &Dimension, path: &[u8], sets: &mut Scratch) {
        let nodes = slice(self.template_nodes, dimension.templates);
        let Some(root) = nodes.first() else { return };
        let Some(path) = path.strip_prefix(b"/") else {
            return;
        };
        let mark = sets.mark();
        let mut steps = MAX_TEMPLATE_STEPS;
        if self.walk(root, Some(path), sets, &mut steps).is_none() {
            sets.reset(mark);
            for node in nodes {
                sets.offer(self.postings, node.rest.get());
                sets.offer(self.postings, node.end.get());
            }
        }
    }

    /// Offers what matches from a node on; `None` if there were too many steps.
    fn walk(
        &self,
        node: &TemplateNode,
        path: Option<&[u8]>,
        sets: &mut Scratch,
        steps: &mut usize,
    ) -> Option<()> {
        *steps = steps.checked_sub(1)?;
        let Some(path) = path else {
            sets.offer(self.postings, node.end.get());
            return Some(());
        };
        sets.offer(self.postings, node.rest.get());
        let (segment, rest) = match path.iter().position(|byte| *byte == b'/') {
            Some(at) => (path.get(..at)?, path.get(at + 1..)),
            None => (path, None),
        };
        let edges = slice(self.template_edges, node.edges);
        if let Ok(at) = edges.binary_search_by(|edge| self.text(edge.segment).cmp(segment)) {
            let next = self
                .template_nodes
                .get(edges.get(at)?.node.get() as usize)?;
            self.walk(next, rest, sets, steps)?;
        }
        if !segment.is_empty() && node.one.get() != NONE {
            let next = self.template_nodes.get(node.one.get() as usize)?;
            self.walk(next, rest, sets, steps)?;
        }
        Some(())
    }
}

/// From which end affixes are read.
#[derive(Clone, Copy)]
enum Order {
    Forwards,
    Backwards,
}

impl Order {
    fn is_not_greater(self, affix: &[u8], value: &[u8]) -> bool {
        match self {
            Order::Forwards => affix <= value,
            Order::Backwards => affix.iter().rev().le(value.iter().rev()),
        }
    }

    fn begins_with(self, value: &[u8], affix: &[u8]) -> bool {
        match self {
            Order::Forwards => value.starts_with(affix),
            Order::Backwards => value.ends_with(affix),
        }
    }
}
