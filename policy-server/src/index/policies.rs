//! Policies and configurations as clusters define them, and those of them that are in force.
//!
//! What is refused leaves in force what was:
//!
//! - Of a policy that cannot be read or compiled the last good version stays. If there never was
//!   one and the object is in its first generation, nothing was in force, and nothing is. If the
//!   object has been changed before (`metadata.generation`), some version that this process has not
//!   seen was in force elsewhere: then what the policy may concern is *held*, and proxies keep what
//!   they have, until the policy is corrected or deleted.
//! - Definitions that contradict each other are settled by rank: the policy cluster before others,
//!   the older before the younger (`metadata.creationTimestamp`), then by name. So every replica
//!   comes to the same result, in whatever order it learns of them. See [`super::resolve`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use meshwall_policy::compile::NamedPorts;
use meshwall_policy::spec::{Config, NamespaceScope, Policy, Tier};

use super::key::{ClusterName, DefinitionKey, Kind, WorkloadKey};
use super::object::{self, Meaning, Refusal};
use super::world::World;

/// A version of a policy by number, never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct PolicyId(u64);

/// A version of a configuration by number, never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct ConfigId(pub(super) u64);

#[derive(Debug)]
pub(super) struct Policies {
    /// What holds for a cluster without a configuration.
    pub(super) defaults: Configs,
    pub(super) definitions: BTreeMap<DefinitionKey, Definition>,
    in_force: HashMap<PolicyId, InForce>,
    by_namespace: HashMap<String, BTreeSet<PolicyId>>,
    anywhere: BTreeSet<PolicyId>,
    configs: Configs,
    /// Clusters and namespaces for which nothing new is published.
    holds: BTreeSet<(Option<ClusterName>, Option<String>)>,
    next: u64,
    pub(super) changed: bool,
}

/// The configuration of each cluster.
type Configs = BTreeMap<ClusterName, (ConfigId, Arc<Config>)>;

/// A definition, with what was made of it.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) created: String,
    pub(super) generation: Option<i64>,
    /// The last version that could be read and compiled.
    pub(super) good: Option<Version>,
    /// Why the present version is not that.
    pub(super) refusal: Option<Arc<Refusal>>,
    /// The version that was in force at the last update.
    pub(super) in_force: Option<Version>,
}

/// A version of what a definition says.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) meaning: Meaning,
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.number == other.number
    }
}

/// A policy that is in force.
#[derive(Clone, Debug)]
pub(super) struct InForce {
    pub(super) policy: Arc<Policy>,
    pub(super) source: DefinitionKey,
    /// The cluster whose workloads it is for; `None` for all.
    pub(super) only: Option<ClusterName>,
    /// Another policy has the same place in the order of evaluation and comes first.
    pub(super) behind: bool,
    /// Names of ports that are resolved by the workload's own.
    pub(super) own_ports: Vec<String>,
    /// Names of ports that are resolved by those of destinations.
    pub(super) declared_ports: Vec<String>,
}

/// What [`Policies::replace`] has changed.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    /// Policies that are in force now and were not, or not in the same way.
    pub(super) added: Vec<PolicyId>,
    /// Policies that were in force.
    pub(super) removed: Vec<PolicyId>,
    /// Clusters that have another configuration.
    pub(super) configured: BTreeSet<ClusterName>,
    /// What is held is something else.
    pub(super) holds: bool,
}

/// What is to be in force.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) policies: HashMap<PolicyId, InForce>,
    pub(super) configs: Configs,
    pub(super) holds: BTreeSet<(Option<ClusterName>, Option<String>)>,
}

impl Policies {
    /// No policies, for clusters of these trust domains.
    pub(super) fn new<'a>(clusters: impl Iterator<Item = (&'a ClusterName, &'a str)>) -> Policies {
        let mut numbers = BTreeMap::new();
        let defaults = clusters.map(|(cluster, trust_domain)| {
            let next = ConfigId(numbers.len() as u64);
            let number = *numbers.entry(trust_domain.to_owned()).or_insert(next);
            let config = Config {
                trust_domain: trust_domain.to_owned(),
                ..Config::default()
            };
            (cluster.clone(), (number, Arc::new(config)))
        });
        let defaults: Configs = defaults.collect();
        Policies {
            next: numbers.len() as u64,
            configs: Configs::new(),
            definitions: BTreeMap::new(),
            in_force: HashMap::new(),
            by_namespace: HashMap::new(),
            anywhere: BTreeSet::new(),
            holds: BTreeSet::new(),
            changed: true,
            defaults,
        }
    }

    /// Takes what a definition says now. Whether that, or what is known about it, is something
    /// else.
    pub(super) fn apply(&mut self, key: DefinitionKey, object: object::Definition) -> bool {
        let object::Definition {
            created,
            generation,
            meaning,
            document: _,
        } = object;
        let mut changed = !self.definitions.contains_key(&key);
        let known = self.definitions.entry(key).or_insert_with(|| Definition {
            created: created.clone(),
            generation,
            good: None,
            refusal: None,
            in_force: None,
        });
        changed |= known.created != created || known.generation != generation;
        known.created = created;
        known.generation = generation;
        match meaning {
            Ok(meaning) => {
                changed |= known.refusal.take().is_some();
                if known.good.as_ref().map(|good| &good.meaning) != Some(&meaning) {
                    self.next = self.next.saturating_add(1);
                    known.good = Some(Version {
                        number: self.next,
                        meaning,
                    });
                    changed = true;
                }
            }
            Err(refusal) => {
                changed |= known.refusal.as_ref() != Some(&refusal);
                known.refusal = Some(refusal);
            }
        }
        self.changed |= changed;
        changed
    }

    /// Forgets a definition. Whether it was there.
    pub(super) fn delete(&mut self, key: &DefinitionKey) -> bool {
        let was_there = self.definitions.remove(key).is_some();
        self.changed |= was_there;
        was_there
    }

    /// The objects of a kind that a cluster defines.
    pub(super) fn of(&self, cluster: &ClusterName, kind: Kind) -> Vec<DefinitionKey> {
        let keys = self.definitions.keys();
        keys.filter(|key| key.cluster == *cluster && key.object.kind == kind)
            .cloned()
            .collect()
    }

    /// Puts into force what was resolved.
    pub(super) fn replace(&mut self, resolved: Resolved) -> Replaced {
        let Resolved {
            policies,
            configs,
            holds,
        } = resolved;
        let mut result = Replaced {
            holds: self.holds != holds,
            ..Replaced::default()
        };
        for (id, policy) in &self.in_force {
            if policies.get(id).is_none_or(|now| !now.applies_like(policy)) {
                result.removed.push(*id);
            }
        }
        for (id, policy) in &policies {
            let before = self.in_force.get(id);
            if before.is_none_or(|before| !before.applies_like(policy)) {
                result.added.push(*id);
            }
        }
        for (cluster, (id, _)) in &configs {
            if self.configs.get(cluster).map(|(before, _)| before) != Some(id) {
                result.configured.insert(cluster.clone());
            }
        }
        self.by_namespace.clear();
        self.anywhere.clear();
        for (id, policy) in &policies {
            match &policy.policy.subject.namespaces {
                NamespaceScope::Named(name) => {
                    self.by_namespace
                        .entry(name.clone())
                        .or_default()
                        .insert(*id);
                }
                NamespaceScope::All | NamespaceScope::Selected(_) => {
                    self.anywhere.insert(*id);
                }
            }
        }
        self.in_force = policies;
        self.configs = configs;
        self.holds = holds;
        result
    }

    pub(super) fn get(&self, id: PolicyId) -> Option<&InForce> {
        self.in_force.get(&id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (PolicyId, &InForce)> {
        self.in_force.iter().map(|(id, policy)| (*id, policy))
    }

    pub(super) fn config(&self, cluster: &ClusterName) -> Option<&(ConfigId, Arc<Config>)> {
        self.configs.get(cluster)
    }

    /// Whether nothing new may be published for a workload.
    pub(super) fn holds(&self, key: &WorkloadKey) -> bool {
        if self.holds.is_empty() {
            return false;
        }
        let clusters = [None, Some(key.cluster.clone())];
        clusters.into_iter().any(|cluster| {
            self.holds.contains(&(cluster.clone(), None))
                || self.holds.contains(&(cluster, Some(key.namespace.clone())))
        })
    }

    /// The policies that apply to a workload, in the order of evaluation.
    pub(super) fn select(
        &self,
        key: &WorkloadKey,
        labels: &meshwall_policy::inventory::Labels,
        world: &World,
    ) -> Vec<PolicyId> {
        let named = self.by_namespace.get(&key.namespace).into_iter().flatten();
        let candidates = named.chain(&self.anywhere);
        let mut selected: Vec<(&InForce, PolicyId)> = candidates
            .filter_map(|id| Some((self.in_force.get(id)?, *id)))
            .filter(|(policy, _)| policy.selects(key, labels, world))
            .collect();
        selected.sort_by(|(a, _), (b, _)| a.place().cmp(&b.place()));
        selected.into_iter().map(|(_, id)| id).collect()
    }
}

impl Definition {
    /// Whether something was in force before that is not known here.
    pub(super) fn is_unknown(&self) -> bool {
        self.good.is_none() && self.generation.is_some_and(|generation| generation > 1)
    }
}

impl Version {
    pub(super) fn policy(&self) -> Option<(PolicyId, &Arc<Policy>)> {
        match &self.meaning {
            Meaning::Policy(policy) => Some((PolicyId(self.number), policy)),
            Meaning::Config(_) => None,
        }
    }

    pub(super) fn config(&self) -> Option<(ConfigId, &Arc<Config>)> {
        match &self.meaning {
            Meaning::Config(config) => Some((ConfigId(self.number), config)),
            Meaning::Policy(_) => None,
        }
    }
}

impl InForce {
    pub(super) fn new(
        policy: &Arc<Policy>,
        source: DefinitionKey,
        only: Option<ClusterName>,
        behind: bool,
    ) -> InForce {
        let names = NamedPorts::of([policy.as_ref()]);
        let texts = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
        InForce {
            own_ports: texts(names.own),
            declared_ports: texts(names.declared),
            policy: Arc::clone(policy),
            source,
            only,
            behind,
        }
    }

    /// Whether it applies to the same workloads in the same place, its content being the same.
    fn applies_like(&self, other: &InForce) -> bool {
        self.only == other.only && self.behind == other.behind
    }

    pub(super) fn selects(
        &self,
        key: &WorkloadKey,
        labels: &meshwall_policy::inventory::Labels,
        world: &World,
    ) -> bool {
        self.only.as_ref().is_none_or(|only| *only == key.cluster)
            && self.policy.subject.pods.matches(labels)
            && world.is_in_scope(&self.policy.subject.namespaces, key)
    }

    /// Its place in the order of evaluation.
    fn place(&self) -> (Tier, u16, bool, &meshwall_policy::spec::ObjectRef) {
        let Policy {
            tier,
            priority,
            origin,
            ..
        } = self.policy.as_ref();
        (*tier, *priority, self.behind, origin)
    }
}
