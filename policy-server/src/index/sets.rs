//! Peer sets that programs ask for, and who belongs to which.
//!
//! A set is found by the namespace that it names or by a label that it requires, so that a pod that
//! changes is held against the few sets that could have it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use meshwall_policy::inventory::Workload;
use meshwall_policy::spec::{
    Field, LabelOperator, LabelSelector, NamespaceScope, PeerSet, StringPattern,
};

use super::tables::TableId;
use super::world::{Pod, PodId, World};

/// A peer set by number. Numbers are used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct SetId(u32);

#[derive(Debug, Default)]
pub(super) struct Sets {
    sets: HashMap<SetId, Set>,
    ids: HashMap<PeerSet, SetId>,
    free: Vec<SetId>,
    finder: Finder,
    /// The sets of each pod, ascending.
    of_pods: HashMap<PodId, Vec<SetId>>,
}

#[derive(Debug)]
struct Set {
    set: PeerSet,
    members: BTreeSet<PodId>,
    /// Tables that ask for the set, and whether it decides there who has a row.
    tables: BTreeMap<TableId, bool>,
}

impl Sets {
    /// Adds a set for a peer table that asks for it. `decides`: whether its members have a row
    /// there in any case.
    pub(super) fn add(
        &mut self,
        set: &PeerSet,
        table: TableId,
        decides: bool,
        world: &World,
    ) -> SetId {
        let id = self.ids.get(set).copied();
        let id = id.unwrap_or_else(|| self.register(set, world));
        if let Some(known) = self.sets.get_mut(&id) {
            known.tables.insert(table, decides);
        }
        id
    }

    fn register(&mut self, set: &PeerSet, world: &World) -> SetId {
        let id = self
            .free
            .pop()
            .unwrap_or_else(|| SetId(u32::try_from(self.sets.len()).unwrap_or(u32::MAX)));
        let scope = match set {
            PeerSet::Labels { namespaces, .. } => namespaces,
            PeerSet::Identity { .. } | PeerSet::NamedPort { .. } => &NamespaceScope::All,
        };
        let members: BTreeSet<PodId> = world
            .candidates(scope)
            .filter(|pod| world.pod(*pod).is_some_and(|pod| contains(set, pod, world)))
            .collect();
        for pod in &members {
            let sets = self.of_pods.entry(*pod).or_default();
            if let Err(at) = sets.binary_search(&id) {
                sets.insert(at, id);
            }
        }
        self.finder.add(set, id);
        self.ids.insert(set.clone(), id);
        let tables = BTreeMap::new();
        let set = set.clone();
        self.sets.insert(
            id,
            Set {
                set,
                members,
                tables,
            },
        );
        id
    }

    /// Takes a table off a set, and forgets the set if it was the last.
    pub(super) fn release(&mut self, id: SetId, table: TableId) {
        let Some(set) = self.sets.get_mut(&id) else {
            return;
        };
        set.tables.remove(&table);
        if !set.tables.is_empty() {
            return;
        }
        let Some(Set { set, members, .. }) = self.sets.remove(&id) else {
            return;
        };
        for pod in members {
            if let Some(sets) = self.of_pods.get_mut(&pod) {
                sets.retain(|set| *set != id);
            }
        }
        self.finder.remove(&set, id);
        self.ids.remove(&set);
        self.free.push(id);
    }

    /// Works out anew which sets a pod belongs to. The sets that it belonged to or does now, and
    /// those of them that it has joined or left.
    pub(super) fn settle(
        &mut self,
        id: PodId,
        world: &World,
    ) -> (BTreeSet<SetId>, BTreeSet<SetId>) {
        let mut now = Vec::new();
        if let Some(pod) = world.pod(id).filter(|pod| pod.workload.is_some()) {
            now = self.finder.find(pod);
            now.retain(|set| {
                self.sets
                    .get(set)
                    .is_some_and(|set| contains(&set.set, pod, world))
            });
            now.sort_unstable();
            now.dedup();
        }
        let before = if now.is_empty() {
            self.of_pods.remove(&id).unwrap_or_default()
        } else {
            self.of_pods.insert(id, now.clone()).unwrap_or_default()
        };
        let before: BTreeSet<SetId> = before.into_iter().collect();
        let now: BTreeSet<SetId> = now.into_iter().collect();
        for left in before.difference(&now) {
            if let Some(set) = self.sets.get_mut(left) {
                set.members.remove(&id);
            }
        }
        for joined in now.difference(&before) {
            if let Some(set) = self.sets.get_mut(joined) {
                set.members.insert(id);
            }
        }
        let differing = before.symmetric_difference(&now).copied().collect();
        (before.union(&now).copied().collect(), differing)
    }

    pub(super) fn of_pod(&self, pod: PodId) -> &[SetId] {
        self.of_pods
            .get(&pod)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    pub(super) fn members(&self, set: SetId) -> impl Iterator<Item = PodId> {
        let set = self.sets.get(&set);
        set.into_iter().flat_map(|set| set.members.iter().copied())
    }

    /// The tables in which members of one of these sets have rows.
    pub(super) fn decided<'a>(
        &self,
        sets: impl IntoIterator<Item = &'a SetId>,
    ) -> BTreeSet<TableId> {
        let sets = sets.into_iter().filter_map(|set| self.sets.get(set));
        let tables = sets.flat_map(|set| &set.tables);
        tables
            .filter(|(_, decides)| **decides)
            .map(|(table, _)| *table)
            .collect()
    }

    /// Whether a table asks for one of these sets.
    pub(super) fn concern(&self, sets: &BTreeSet<SetId>, table: TableId) -> bool {
        let mut sets = sets.iter().filter_map(|set| self.sets.get(set));
        sets.any(|set| set.tables.contains_key(&table))
    }

    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }
}

fn contains(set: &PeerSet, pod: &Pod, world: &World) -> bool {
    let in_scope = match set {
        PeerSet::Labels { namespaces, .. } => world.is_in_scope(namespaces, &pod.key),
        PeerSet::Identity { .. } | PeerSet::NamedPort { .. } => true,
    };
    in_scope
        && pod
            .workload
            .as_ref()
            .is_some_and(|workload| set.contains_by_itself(workload))
}

/// Finds the sets that could have a pod.
#[derive(Debug, Default)]
struct Finder {
    by_namespace: HashMap<String, ByLabel>,
    anywhere: ByLabel,
    exact: HashMap<Field, HashMap<String, SetId>>,
    by_port: HashMap<String, BTreeSet<SetId>>,
    /// Those that nothing but looking at them tells.
    others: BTreeSet<SetId>,
}

/// Selectors by a label that they require.
#[derive(Debug, Default)]
struct ByLabel {
    anchored: HashMap<String, HashMap<String, BTreeSet<SetId>>>,
    others: BTreeSet<SetId>,
}

impl Finder {
    fn add(&mut self, set: &PeerSet, id: SetId) {
        self.change(set, &mut |ids| {
            ids.insert(id);
        });
        if let PeerSet::Identity {
            field,
            pattern: StringPattern::Exact(text),
        } = set
        {
            let texts = self.exact.entry(field.clone()).or_default();
            texts.insert(text.clone(), id);
        }
    }

    fn remove(&mut self, set: &PeerSet, id: SetId) {
        self.change(set, &mut |ids| {
            ids.remove(&id);
        });
        if let PeerSet::Identity {
            field,
            pattern: StringPattern::Exact(text),
        } = set
            && let Some(texts) = self.exact.get_mut(field)
        {
            texts.remove(text);
        }
    }

    /// Changes the list in which a set is found, unless it is found by an exact text.
    fn change(&mut self, set: &PeerSet, change: &mut dyn FnMut(&mut BTreeSet<SetId>)) {
        match set {
            PeerSet::Labels { namespaces, pods } => match namespaces {
                NamespaceScope::Named(name) => {
                    let by_label = self.by_namespace.entry(name.clone()).or_default();
                    by_label.change(pods, change);
                    if by_label.is_empty() {
                        self.by_namespace.remove(name);
                    }
                }
                NamespaceScope::All | NamespaceScope::Selected(_) => {
                    self.anywhere.change(pods, change);
                }
            },
            PeerSet::Identity {
                pattern: StringPattern::Exact(_),
                ..
            } => {}
            PeerSet::Identity { .. } => change(&mut self.others),
            PeerSet::NamedPort { name, .. } => {
                let ids = self.by_port.entry(name.clone()).or_default();
                change(ids);
                if ids.is_empty() {
                    self.by_port.remove(name);
                }
            }
        }
    }

    /// A superset of the sets that a pod belongs to.
    fn find(&self, pod: &Pod) -> Vec<SetId> {
        let mut found: Vec<SetId> = self.others.iter().copied().collect();
        let Some(workload) = &pod.workload else {
            return found;
        };
        self.anywhere.find(workload, &mut found);
        if let Some(by_label) = self.by_namespace.get(&workload.namespace) {
            by_label.find(workload, &mut found);
        }
        for (field, texts) in &self.exact {
            let Workload {
                namespace,
                service_account,
                trust_domain,
                ..
            } = workload;
            let id = match field {
                Field::TrustDomain => texts.get(trust_domain),
                Field::Namespace => texts.get(namespace),
                Field::ServiceAccount => texts.get(&format!("{namespace}/{service_account}")),
                _ => texts.get(&workload.principal()),
            };
            found.extend(id);
        }
        for name in workload.ports.keys() {
            found.extend(self.by_port.get(name).into_iter().flatten());
        }
        found
    }
}

impl ByLabel {
    fn change(&mut self, selector: &LabelSelector, change: &mut dyn FnMut(&mut BTreeSet<SetId>)) {
        let anchor =
            selector
                .requirements
                .iter()
                .find_map(|requirement| match &requirement.operator {
                    LabelOperator::In(values) => Some((&requirement.key, values)),
                    LabelOperator::NotIn(_)
                    | LabelOperator::Exists
                    | LabelOperator::DoesNotExist => None,
                });
        let Some((key, values)) = anchor else {
            change(&mut self.others);
            return;
        };
        let anchored = self.anchored.entry(key.clone()).or_default();
        for value in values {
            let ids = anchored.entry(value.clone()).or_default();
            change(ids);
            if ids.is_empty() {
                anchored.remove(value);
            }
        }
        if anchored.is_empty() {
            self.anchored.remove(key);
        }
    }

    fn find(&self, workload: &Workload, found: &mut Vec<SetId>) {
        found.extend(&self.others);
        if self.anchored.len() <= workload.labels.len() {
            for (key, values) in &self.anchored {
                let ids = workload.labels.get(key).and_then(|value| values.get(value));
                found.extend(ids.into_iter().flatten());
            }
        } else {
            for (key, value) in &workload.labels {
                let ids = self.anchored.get(key).and_then(|values| values.get(value));
                found.extend(ids.into_iter().flatten());
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.anchored.is_empty() && self.others.is_empty()
    }
}
