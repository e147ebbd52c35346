//! Which definitions are in force, if they contradict each other.
//!
//! | contradiction | in force | refused |
//! |---|---|---|
//! | the policy cluster and another define an object of the same name differently | that of the policy cluster, everywhere | the other |
//! | policies of an ordered tier have the same priority | the first by rank | the others; what they said when they were last in force stays, behind the first |
//! | there is more than one configuration for a cluster | the first by rank | the others |
//!
//! A refused policy keeps what it said before because dropping it could open what it denied. It
//! comes behind the one that has its place now, so that it takes nothing from that one. A policy
//! that was refused from the beginning has nothing to keep. Only good versions take part: one that
//! cannot be read contradicts nothing.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use meshwall_policy::spec::Tier;

use super::key::{ClusterName, DefinitionKey, Kind};
use super::policies::{Definition, InForce, Policies, Resolved, Version};

/// What has become of a definition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// Its good version is in force, if it has one.
    InForce,
    /// The policy cluster has the same.
    Repeated,
    /// It contradicts another one, which comes first.
    Conflict(Conflict),
}

/// A contradiction, and the definition that comes first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Conflict {
    /// The policy cluster defines the object differently.
    SameName(DefinitionKey),
    /// The tier already has a policy of this priority.
    SamePriority(DefinitionKey),
    /// The cluster already has a configuration.
    SecondConfig(DefinitionKey),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Conflict::SameName(other) => write!(f, "differs from {other}, which holds everywhere"),
            Conflict::SamePriority(other) => write!(f, "has the same tier and priority as {other}"),
            Conflict::SecondConfig(other) => {
                write!(f, "a cluster has one configuration, and there is {other}")
            }
        }
    }
}

/// By what the first of several is told.
type Rank<'a> = (bool, &'a str, &'a DefinitionKey);

/// What is to be in force in the clusters of a mesh, and what has become of each definition.
pub(super) fn resolve(
    policies: &mut Policies,
    policy_cluster: &ClusterName,
    clusters: &[&ClusterName],
) -> (Resolved, BTreeMap<DefinitionKey, Outcome>) {
    let mut outcomes = BTreeMap::new();
    let mut ranked: Vec<(&DefinitionKey, &Definition)> = policies.definitions.iter().collect();
    ranked.sort_by_key(|(key, definition)| rank(key, definition, policy_cluster));

    // The policy cluster's definitions come first, so that each cluster's own meet them.
    let mut places: HashMap<(&ClusterName, Tier, u16), &DefinitionKey> = HashMap::new();
    let mut configs: HashMap<&ClusterName, &DefinitionKey> = HashMap::new();
    for (key, definition) in &ranked {
        let Some(good) = &definition.good else {
            outcomes.insert((*key).clone(), Outcome::InForce);
            continue;
        };
        let central = DefinitionKey {
            cluster: policy_cluster.clone(),
            object: key.object.clone(),
        };
        let central = policies
            .definitions
            .get_key_value(&central)
            .filter(|(central, _)| central != key)
            .and_then(|(central, definition)| Some((central, definition.good.as_ref()?)));
        let outcome = if let Some((central, theirs)) = central {
            if theirs.meaning == good.meaning {
                Outcome::Repeated
            } else {
                Outcome::Conflict(Conflict::SameName(central.clone()))
            }
        } else if let Some((_, policy)) = good.policy() {
            let place = |cluster| (cluster, policy.tier, policy.priority);
            let is_ordered = policy.tier != Tier::Namespace;
            let central = places.get(&place(policy_cluster));
            let taken = central
                .or_else(|| places.get(&place(&key.cluster)))
                .copied();
            match taken.filter(|_| is_ordered) {
                Some(other) => Outcome::Conflict(Conflict::SamePriority(other.clone())),
                None => {
                    places.insert(place(&key.cluster), key);
                    Outcome::InForce
                }
            }
        } else {
            let central = configs.get(policy_cluster);
            let taken = central.or_else(|| configs.get(&key.cluster)).copied();
            match taken {
                Some(other) => Outcome::Conflict(Conflict::SecondConfig(other.clone())),
                None => {
                    configs.insert(&key.cluster, key);
                    Outcome::InForce
                }
            }
        };
        outcomes.insert((*key).clone(), outcome);
    }
    let resolved = enact(policies, policy_cluster, clusters, &outcomes);
    (resolved, outcomes)
}

fn rank<'a>(
    key: &'a DefinitionKey,
    definition: &'a Definition,
    policy_cluster: &ClusterName,
) -> Rank<'a> {
    (key.cluster != *policy_cluster, &definition.created, key)
}

/// Puts the outcomes together, and notes what is in force of each definition.
fn enact(
    policies: &mut Policies,
    policy_cluster: &ClusterName,
    clusters: &[&ClusterName],
    outcomes: &BTreeMap<DefinitionKey, Outcome>,
) -> Resolved {
    let mut resolved = Resolved {
        configs: policies.defaults.clone(),
        ..Resolved::default()
    };
    let mut configs: BTreeMap<ClusterName, &Version> = BTreeMap::new();
    for (key, definition) in &mut policies.definitions {
        let everywhere = key.cluster == *policy_cluster;
        let only = (!everywhere).then(|| key.cluster.clone());
        let (version, behind) = match outcomes.get(key) {
            Some(Outcome::Conflict(Conflict::SamePriority(_))) => {
                (definition.in_force.take(), true)
            }
            Some(Outcome::Conflict(_) | Outcome::Repeated) => (None, false),
            Some(Outcome::InForce) | None => (definition.good.clone(), false),
        };
        if definition.is_unknown() {
            let namespace = match key.object.kind {
                Kind::FirewallPolicy => key.object.namespace.clone(),
                _ => None,
            };
            resolved.holds.insert((only.clone(), namespace));
        }
        definition.in_force = version;
        let Some(version) = &definition.in_force else {
            continue;
        };
        if let Some((id, policy)) = version.policy() {
            let policy = InForce::new(policy, key.clone(), only, behind);
            resolved.policies.insert(id, policy);
        } else if everywhere {
            for cluster in clusters {
                configs.insert((*cluster).clone(), version);
            }
        } else {
            configs.insert(key.cluster.clone(), version);
        }
    }
    let configs = configs.into_iter().filter_map(|(cluster, version)| {
        let (id, config) = version.config()?;
        Some((cluster, (id, config.clone())))
    });
    resolved.configs.extend(configs);
    resolved
}
