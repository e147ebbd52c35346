//! The peer sets of a program, and which of them a pod must be in to matter.
//!
//! A rule about a port by name asks two things of a destination: to be one of the rule's peers, and
//! to have a port of that name, as perhaps every pod of the mesh has. Who is not a peer need not be
//! in the table. So of the sets that a clause asks for together, one *decides*: whoever is in none
//! of the sets that decide for some clause has no row, and loses nothing by it.

use std::collections::BTreeSet;
use std::ops::Deref;

use crate::program::writer::index;
use crate::spec::PeerSet;

/// The peer sets of a program, in its order.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PeerSets {
    list: Vec<PeerSet>,
    deciding: BTreeSet<u32>,
}

/// What a predicate asks of the sets of a peer.
#[derive(Debug)]
pub(super) struct Asked {
    /// To be in one of these.
    pub(super) sets: Vec<u32>,
    /// To be in none of them instead.
    pub(super) negated: bool,
}

impl PeerSets {
    /// Positions of the sets that decide who is in the peer table, ascending.
    pub fn deciding(&self) -> &BTreeSet<u32> {
        &self.deciding
    }

    /// Whether a member of these sets is in the peer table.
    pub(crate) fn matters<'a>(&self, sets: impl IntoIterator<Item = &'a u32>) -> bool {
        sets.into_iter().any(|set| self.deciding.contains(set))
    }

    pub(super) fn add(&mut self, set: PeerSet) {
        self.list.push(set);
    }

    /// Chooses what decides for a clause that asks all this: of the demands to be in some set, the
    /// one that is likely to have the fewest members. Who is in a set that a negation names has to
    /// be known in any case.
    pub(super) fn matter_to(&mut self, asked: &[Asked]) {
        let breadth = |set: &u32| match self.list.get(*set as usize) {
            Some(PeerSet::Labels { .. }) => 0,
            Some(PeerSet::Identity { .. }) => 1,
            Some(PeerSet::NamedPort { .. }) | None => 2,
        };
        let demands = asked.iter().filter(|asked| !asked.negated);
        let narrowest = demands.min_by_key(|asked| asked.sets.iter().map(breadth).max());
        let negated = asked.iter().filter(|asked| asked.negated);
        let deciding = narrowest.into_iter().chain(negated);
        let deciding: Vec<u32> = deciding.flat_map(|asked| asked.sets.clone()).collect();
        self.deciding.extend(deciding);
    }
}

/// Sets of which each matters by itself.
impl From<Vec<PeerSet>> for PeerSets {
    fn from(list: Vec<PeerSet>) -> PeerSets {
        PeerSets {
            deciding: (0..index(list.len()).get()).collect(),
            list,
        }
    }
}

impl Deref for PeerSets {
    type Target = [PeerSet];

    fn deref(&self) -> &[PeerSet] {
        &self.list
    }
}
