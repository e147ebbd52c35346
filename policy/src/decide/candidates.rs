//! Meets the sets of clauses that the dimensions leave possible.
//!
//! A set is a list of blocks of 64 clauses in ascending order. Each dimension offers a few sets
//! of which a candidate must be in at least one. The meeting leaps: the dimension that is
//! furthest ahead says where the others go on, so whole stretches of clauses are never looked at.

use crate::program::Program;
use crate::program::layout::{Block, NONE, Posting, Span, Table};
use crate::program::slice;

/// A set of clauses, and how far it has been read.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    blocks: Span,
    at: usize,
}

/// The sets of one dimension: a range of cursors.
#[derive(Clone, Copy, Debug)]
struct Group {
    first: usize,
    end: usize,
    size: u32,
}

/// The sets that meet.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    cursors: Vec<Cursor>,
    groups: Vec<Group>,
}

impl Scratch {
    pub(super) fn clear(&mut self) {
        self.cursors.clear();
        self.groups.clear();
    }

    /// Adds a set to the dimension that is being collected.
    #[inline]
    pub(super) fn offer(&mut self, postings: &[Posting], posting: u32) {
        if posting == NONE {
            return;
        }
        if let Some(posting) = postings.get(posting as usize) {
            self.cursors.push(Cursor {
                blocks: posting.blocks,
                at: 0,
            });
        }
    }

    /// How many sets there are so far.
    pub(super) fn mark(&self) -> usize {
        self.cursors.len()
    }

    /// Forgets the sets that were added since.
    pub(super) fn reset(&mut self, mark: usize) {
        self.cursors.truncate(mark);
    }

    /// Ends the dimension that is being collected.
    pub(super) fn end_dimension(&mut self) {
        let first = self.groups.last().map_or(0, |group| group.end);
        let end = self.cursors.len();
        let cursors = self.cursors.get(first..end).unwrap_or_default();
        let size = cursors.iter().fold(0u32, |size, cursor| {
            size.saturating_add(cursor.blocks.count.get())
        });
        self.groups.push(Group { first, end, size });
    }
}

/// Calls `found` with each clause that is in every dimension, in ascending order.
#[inline]
pub(super) fn intersect(
    program: &Program,
    clauses: usize,
    scratch: &mut Scratch,
    mut found: impl FnMut(u32) -> Option<()>,
) -> Option<()> {
    let blocks: &[Block] = program.table(Table::Blocks);
    let Scratch { cursors, groups } = scratch;
    if groups.is_empty() {
        return (0..u32::try_from(clauses).ok()?).try_for_each(found);
    }
    // The smallest set leads: it leaps furthest.
    if let Some(smallest) = (0..groups.len()).min_by_key(|at| groups.get(*at).map(|g| g.size)) {
        groups.swap(0, smallest);
    }
    let mut word = 0u32;
    'word: loop {
        let mut meet = u64::MAX;
        for group in groups.iter() {
            let mut next = u32::MAX;
            let mut bits = 0u64;
            for cursor in cursors.get_mut(group.first..group.end)? {
                let list = slice(blocks, cursor.blocks);
                cursor.at = seek(list, cursor.at, word);
                let Some(block) = list.get(cursor.at) else {
                    continue;
                };
                let at = block.word.get();
                if at == word {
                    bits |= block.bits.get();
                }
                next = next.min(at);
            }
            if next == u32::MAX {
                return Some(());
            }
            if next > word {
                word = next;
                continue 'word;
            }
            meet &= bits;
            if meet == 0 {
                break;
            }
        }
        while meet != 0 {
            found(word * 64 + meet.trailing_zeros())?;
            meet &= meet - 1;
        }
        word += 1;
    }
}

/// Position of the first block at or after a word, from a position on; doubling steps, then
/// halving ones.
#[inline]
fn seek(blocks: &[Block], from: usize, word: u32) -> usize {
    let before = |at: usize| blocks.get(at).is_some_and(|block| block.word.get() < word);
    if !before(from) {
        return from;
    }
    let mut step = 1;
    let mut low = from;
    while before(low + step) {
        low += step;
        step *= 2;
    }
    // `low` is before the word, `low + step` is not.
    let mut high = (low + step).min(blocks.len());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}
