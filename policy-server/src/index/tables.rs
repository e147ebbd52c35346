//! Peer tables: one for each list of peer sets that some program asks about.
//!
//! An address that several pods claim is nobody's, unless all of them have the same principal, and
//! then it has the sets that they have in common: a right must not rest on a doubt, and what all
//! claimants have is none. That is the rule of [`meshwall_policy::compile::peer_table`], too. It
//! holds between the pods of one cluster and of several.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use meshwall_policy::compile::{Member, PeerSets, PeerTableError, peer_table_of};
use meshwall_policy::spec::PeerSet;

use super::publish::Part;
use super::sets::{SetId, Sets};
use super::world::{PodId, World};

/// A peer table by number. Numbers are used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct TableId(u32);

#[derive(Debug, Default)]
pub(super) struct Tables {
    tables: HashMap<TableId, Table>,
    ids: HashMap<PeerSets, TableId>,
    free: Vec<TableId>,
    /// Tables to make again in this update.
    stale: BTreeSet<TableId>,
}

#[derive(Debug)]
struct Table {
    names: PeerSets,
    sets: Vec<SetId>,
    /// Where each set stands in the list of the program.
    positions: HashMap<SetId, u32>,
    /// Number of programs that use it.
    programs: usize,
    part: Option<Result<Part, PeerTableError>>,
}

impl Tables {
    /// The table for a list of sets, for one more program.
    pub(super) fn acquire(&mut self, list: PeerSets, sets: &mut Sets, world: &World) -> TableId {
        let id = match self.ids.get(&list) {
            Some(id) => *id,
            None => self.add(list, sets, world),
        };
        if let Some(table) = self.tables.get_mut(&id) {
            table.programs = table.programs.saturating_add(1);
        }
        id
    }

    fn add(&mut self, list: PeerSets, sets: &mut Sets, world: &World) -> TableId {
        let id = self
            .free
            .pop()
            .unwrap_or_else(|| TableId(u32::try_from(self.tables.len()).unwrap_or(u32::MAX)));
        let numbers: Vec<SetId> = (0..)
            .zip(list.iter())
            .map(|(position, set)| {
                let decides = list.deciding().contains(&position);
                sets.add(set, id, decides, world)
            })
            .collect();
        let positions = numbers.iter().copied().zip(0..).collect();
        self.ids.insert(list.clone(), id);
        self.tables.insert(
            id,
            Table {
                names: list,
                sets: numbers,
                positions,
                programs: 0,
                part: None,
            },
        );
        self.stale.insert(id);
        id
    }

    /// A program no longer uses a table. Forgets the table if it was the last.
    pub(super) fn release(&mut self, id: TableId, sets: &mut Sets) {
        let Some(table) = self.tables.get_mut(&id) else {
            return;
        };
        table.programs = table.programs.saturating_sub(1);
        if table.programs > 0 {
            return;
        }
        if let Some(table) = self.tables.remove(&id) {
            for set in table.sets {
                sets.release(set, id);
            }
            self.ids.remove(&table.names);
            self.stale.remove(&id);
            self.free.push(id);
        }
    }

    /// Something that these sets say has changed.
    pub(super) fn invalidate(&mut self, stale: impl IntoIterator<Item = TableId>) {
        self.stale.extend(stale);
    }

    /// Makes the stale tables again. How many that were, and those that have changed.
    pub(super) fn refresh(&mut self, sets: &Sets, world: &World) -> (usize, BTreeSet<TableId>) {
        let stale = std::mem::take(&mut self.stale);
        let made = stale.len();
        let mut changed = BTreeSet::new();
        for id in stale {
            let Some(table) = self.tables.get_mut(&id) else {
                continue;
            };
            let part = table.make(sets, world);
            if table.part.as_ref() != Some(&part) {
                table.part = Some(part);
                changed.insert(id);
            }
        }
        (made, changed)
    }

    pub(super) fn part(&self, id: TableId) -> Option<&Result<Part, PeerTableError>> {
        self.tables.get(&id)?.part.as_ref()
    }

    /// The sets of a table, in the order of the program.
    pub(super) fn sets(&self, id: TableId) -> impl Iterator<Item = (&PeerSet, SetId)> {
        let table = self.tables.get(&id);
        table
            .into_iter()
            .flat_map(|table| table.names.iter().zip(table.sets.iter().copied()))
    }

    pub(super) fn len(&self) -> usize {
        self.tables.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let parts = self.tables.values().filter_map(|table| table.part.as_ref());
        parts.flatten().map(|part| part.bytes().len()).sum()
    }
}

impl Table {
    fn make(&self, sets: &Sets, world: &World) -> Result<Part, PeerTableError> {
        let members = self.members(sets);
        let mut resolved: HashMap<IpAddr, (PodId, Vec<u32>)> = HashMap::new();
        let mut rows = Vec::with_capacity(members.len());
        for (pod, list) in &members {
            let Some(settled) = world.pod(*pod).map(|pod| &pod.settled) else {
                continue;
            };
            for address in &settled.addresses {
                let mut claimants = world.claimants(*address);
                if (claimants.next(), claimants.next()) == (Some(*pod), None) {
                    rows.push(Member {
                        address: *address,
                        principal: &settled.principal,
                        sets: list,
                    });
                } else if let Some(common) = common(*address, &members, world) {
                    resolved.insert(*address, (*pod, common));
                }
            }
        }
        for (address, (pod, list)) in &resolved {
            if let Some(pod) = world.pod(*pod) {
                rows.push(Member {
                    address: *address,
                    principal: &pod.settled.principal,
                    sets: list,
                });
            }
        }
        peer_table_of(&self.names, &mut rows).map(Part::new)
    }

    /// The pods that have rows, with the positions of all sets of the table to which they belong.
    fn members(&self, sets: &Sets) -> BTreeMap<PodId, Vec<u32>> {
        let deciding = self.names.deciding().iter();
        let deciding = deciding.filter_map(|position| self.sets.get(*position as usize));
        let pods: BTreeSet<PodId> = deciding.flat_map(|set| sets.members(*set)).collect();
        let lists = pods.into_iter().map(|pod| {
            let positions = sets.of_pod(pod).iter();
            let positions = positions.filter_map(|set| self.positions.get(set).copied());
            let mut positions: Vec<u32> = positions.collect();
            positions.sort_unstable();
            (pod, positions)
        });
        lists.collect()
    }
}

/// What all that claim an address have in common; `None` if that is nothing, or if it cannot be
/// said whose principal belongs to it.
fn common(address: IpAddr, members: &BTreeMap<PodId, Vec<u32>>, world: &World) -> Option<Vec<u32>> {
    let mut claimants = world.claimants(address);
    let first = claimants.next()?;
    let principal = &world.pod(first)?.settled.principal;
    let mut common = members.get(&first)?.clone();
    for other in claimants {
        if world.pod(other)?.settled.principal != *principal {
            return None;
        }
        let list = members.get(&other)?;
        common.retain(|set| list.binary_search(set).is_ok());
    }
    Some(common).filter(|common| !common.is_empty())
}
