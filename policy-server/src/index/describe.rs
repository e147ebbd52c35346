//! What the index can tell about one workload: who it is, what applies to it and what does not.

use std::fmt;
use std::net::IpAddr;

use meshwall_policy::spec::{Config, LabelRequirement, Mode, ObjectRef, Tier};

use super::Index;
use super::key::{DefinitionKey, WorkloadKey};
use super::policies::InForce;
use super::publish::Enforced;
use super::report::{Failure, Standing};
use super::world::Pod;

/// What a workload enforces, and why.
#[derive(Clone, Debug)]
pub struct Description {
    /// The workload.
    pub workload: WorkloadKey,
    /// The SPIFFE id that its certificate should carry.
    pub principal: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The configuration of its cluster.
    pub config: Config,
    /// Policies that apply, in the order of evaluation.
    pub applies: Vec<Applies>,
    /// Policies that do not, and why.
    pub not_applied: Vec<(DefinitionKey, NotApplied)>,
    /// What it was told to enforce; `None` if that is nothing yet.
    pub enforced: Option<Enforced>,
    /// Why it does not enforce what it should.
    pub failure: Option<Failure>,
    /// The peer sets of its program, in the order of the program.
    pub sets: Vec<PeerSetMembers>,
}

/// A policy that applies to a workload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Applies {
    /// The policy.
    pub definition: DefinitionKey,
    /// The name that verdicts have for it.
    pub origin: ObjectRef,
    /// Its tier.
    pub tier: Tier,
    /// Its place in an ordered tier.
    pub priority: u16,
    /// Whether it decides.
    pub mode: Mode,
    /// Whether this is an earlier version, because the present one is refused.
    pub is_last_good: bool,
}

/// Why a policy does not apply to a workload.
#[derive(Clone, Debug, PartialEq)]
pub enum NotApplied {
    /// It is for another cluster.
    OtherCluster,
    /// It is for other namespaces.
    OtherNamespace,
    /// The labels of the pod do not meet this requirement.
    Labels(LabelRequirement),
    /// It is not in force.
    NotInForce(Standing),
    /// What it says comes from the policy cluster.
    Repeated,
}

impl fmt::Display for NotApplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotApplied::OtherCluster => f.write_str("it is for another cluster"),
            NotApplied::OtherNamespace => f.write_str("it is for other namespaces"),
            NotApplied::Labels(requirement) => {
                write!(f, "the labels of the pod do not meet `{requirement}`")
            }
            NotApplied::NotInForce(Standing::Refused { refusal, .. }) => {
                write!(f, "it is refused: {refusal}")
            }
            NotApplied::NotInForce(Standing::Conflicted { conflict, .. }) => {
                write!(f, "it is refused: {conflict}")
            }
            NotApplied::NotInForce(_) => f.write_str("it is not in force"),
            NotApplied::Repeated => f.write_str("the policy cluster says the same"),
        }
    }
}

/// A peer set, and who is in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerSetMembers {
    /// The set, in the words of explanations.
    pub set: String,
    /// Its members, in order.
    pub members: Vec<WorkloadKey>,
}

impl Index {
    /// Everything about a workload. Takes a time that grows with the number of policies.
    #[must_use]
    pub fn describe(&self, key: &WorkloadKey) -> Option<Description> {
        let id = self.world.id(key)?;
        let pod = self.world.pod(id)?;
        let workload = pod.workload.as_ref()?;
        let assignment = self.assignments.get(&id);
        let selected = assignment.map(|assignment| assignment.selected.as_slice());
        let selected = selected.unwrap_or_default();
        let applies = selected.iter().filter_map(|id| self.policies.get(*id));
        let program = assignment.and_then(|assignment| self.programs.get(assignment.program?));
        let table = program.and_then(|program| Some(program.made.as_ref().ok()?.table));
        let sets = table.into_iter().flat_map(|table| self.tables.sets(table));
        Some(Description {
            workload: key.clone(),
            principal: workload.principal(),
            addresses: workload.addresses.clone(),
            config: self
                .policies
                .config(&key.cluster)
                .map(|(_, config)| config.as_ref().clone())
                .unwrap_or_default(),
            applies: applies.map(|policy| self.applies(policy)).collect(),
            not_applied: self.not_applied(pod),
            enforced: assignment.and_then(|assignment| assignment.published.clone()),
            failure: self.failure(id, key),
            sets: sets
                .map(|(set, id)| {
                    let members = self.sets.members(id);
                    let members = members.filter_map(|pod| self.world.pod(pod));
                    let mut members: Vec<WorkloadKey> =
                        members.map(|pod| pod.key.clone()).collect();
                    members.sort();
                    PeerSetMembers {
                        set: set.to_string(),
                        members,
                    }
                })
                .collect(),
        })
    }

    fn applies(&self, policy: &InForce) -> Applies {
        let definition = self.policies.definitions.get(&policy.source);
        Applies {
            definition: policy.source.clone(),
            origin: policy.policy.origin.clone(),
            tier: policy.policy.tier,
            priority: policy.policy.priority,
            mode: policy.policy.mode,
            is_last_good: definition.is_some_and(|definition| {
                definition.refusal.is_some() || definition.in_force != definition.good
            }),
        }
    }

    fn not_applied(&self, pod: &Pod) -> Vec<(DefinitionKey, NotApplied)> {
        let Some(workload) = &pod.workload else {
            return Vec::new();
        };
        let mut result = Vec::new();
        for (_, policy) in self.policies.all() {
            let subject = &policy.policy.subject;
            let unmet = subject.pods.requirements.iter().find(|requirement| {
                let alone = meshwall_policy::spec::LabelSelector {
                    requirements: vec![(*requirement).clone()],
                };
                !alone.matches(&workload.labels)
            });
            let why = if policy
                .only
                .as_ref()
                .is_some_and(|only| *only != pod.key.cluster)
            {
                NotApplied::OtherCluster
            } else if !self.world.is_in_scope(&subject.namespaces, &pod.key) {
                NotApplied::OtherNamespace
            } else if let Some(unmet) = unmet {
                NotApplied::Labels(unmet.clone())
            } else {
                continue;
            };
            result.push((policy.source.clone(), why));
        }
        for (key, definition) in &self.policies.definitions {
            if definition.in_force.is_some() {
                continue;
            }
            let why = match self.reports.get(key).map(|report| &report.standing) {
                Some(Standing::Repeated) => NotApplied::Repeated,
                Some(standing) => NotApplied::NotInForce(standing.clone()),
                None => continue,
            };
            result.push((key.clone(), why));
        }
        result.sort_by(|(a, _), (b, _)| a.cmp(b));
        result
    }

    /// The SPIFFE id that a workload's certificate should carry.
    #[must_use]
    pub fn principal(&self, key: &WorkloadKey) -> Option<String> {
        let pod = self.world.pod(self.world.id(key)?)?;
        Some(pod.workload.as_ref()?.principal())
    }

    /// The workloads that claim an address, as of the last update. If there are several, none of
    /// them is proven by it.
    pub fn at_address(&self, address: IpAddr) -> impl Iterator<Item = &WorkloadKey> {
        let claimants = self.world.claimants(address.to_canonical());
        claimants.filter_map(|pod| Some(&self.world.pod(pod)?.key))
    }
}
