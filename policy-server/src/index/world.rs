//! Pods and namespaces of all clusters, and what follows from all of them together: who claims
//! which address, and which numbers ports of a name have.
//!
//! What an event says is taken at once. What follows from it for others is worked out when the
//! index is updated, from what a pod was taken for then and what it is now, so that a pod that
//! changes ten times between two updates costs one change, and one that changes back costs none.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use meshwall_policy::inventory::{Labels, Workload, with_name};
use meshwall_policy::spec::NamespaceScope;

use super::key::{ClusterName, WorkloadKey};

/// A pod by number. Numbers are used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct PodId(pub(super) u32);

#[derive(Debug, Default)]
pub(super) struct World {
    pods: Vec<Option<Pod>>,
    free: Vec<PodId>,
    ids: HashMap<WorkloadKey, PodId>,
    /// By name, then by cluster.
    namespaces: BTreeMap<String, BTreeMap<ClusterName, Namespace>>,
    claims: HashMap<IpAddr, BTreeSet<PodId>>,
    /// Number of pods that give a name of a port a number.
    declared: HashMap<String, BTreeMap<u16, usize>>,
    /// Pods to look at in the next update.
    changed: BTreeSet<PodId>,
}

#[derive(Debug)]
pub(super) struct Pod {
    pub(super) key: WorkloadKey,
    /// What it is now; `None` if it is gone.
    pub(super) workload: Option<Workload>,
    /// What it counts as for others.
    pub(super) settled: Settled,
}

/// What a pod counted as for others at the last update.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Settled {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) ports: BTreeMap<String, u16>,
    pub(super) principal: String,
}

#[derive(Debug)]
struct Namespace {
    labels: Labels,
    is_there: bool,
    pods: BTreeSet<PodId>,
}

/// What settling a pod has changed for others.
#[derive(Debug, Default)]
pub(super) struct Resettled {
    /// Pods that share, or shared, an address with it.
    pub(super) rivals: BTreeSet<PodId>,
    /// Its addresses or its principal are others.
    pub(super) moved: bool,
    /// Names of ports for which there are numbers more or fewer.
    pub(super) ports: BTreeSet<String>,
}

impl World {
    /// Takes what a pod is now. Whether that is something else.
    pub(super) fn apply_pod(&mut self, cluster: &ClusterName, workload: Workload) -> bool {
        let key = WorkloadKey {
            cluster: cluster.clone(),
            namespace: workload.namespace.clone(),
            name: workload.name.clone(),
        };
        let id = self.ids.get(&key).copied();
        let id = id.unwrap_or_else(|| self.add(key));
        let Some(pod) = self.pod_mut(id) else {
            return false;
        };
        if pod.workload.as_ref() == Some(&workload) {
            return false;
        }
        pod.workload = Some(workload);
        self.changed.insert(id);
        true
    }

    /// Forgets a pod. Whether it was there.
    pub(super) fn delete_pod(&mut self, key: &WorkloadKey) -> bool {
        let Some(id) = self.ids.get(key).copied() else {
            return false;
        };
        let was_there = self
            .pod_mut(id)
            .and_then(|pod| pod.workload.take())
            .is_some();
        if was_there {
            self.changed.insert(id);
        }
        was_there
    }

    fn add(&mut self, key: WorkloadKey) -> PodId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.pods.push(None);
            PodId(u32::try_from(self.pods.len().saturating_sub(1)).unwrap_or(u32::MAX))
        });
        self.ids.insert(key.clone(), id);
        let namespace = self.namespace_mut(&key.cluster, &key.namespace);
        namespace.pods.insert(id);
        if let Some(place) = self.pods.get_mut(id.0 as usize) {
            *place = Some(Pod {
                key,
                workload: None,
                settled: Settled::default(),
            });
        }
        id
    }

    /// Takes the labels of a namespace. Whether they are others.
    pub(super) fn apply_namespace(
        &mut self,
        cluster: &ClusterName,
        name: &str,
        labels: Labels,
    ) -> bool {
        self.set_namespace(cluster, name, labels, true)
    }

    /// Forgets a namespace. Its pods, which go on their own, are left with the label of its name.
    pub(super) fn delete_namespace(&mut self, cluster: &ClusterName, name: &str) -> bool {
        let is_there = self.namespace(cluster, name).is_some_and(|at| at.is_there);
        if is_there {
            self.set_namespace(cluster, name, with_name(Labels::new(), name), false);
            self.tidy_namespace(cluster, name);
        }
        is_there
    }

    fn set_namespace(
        &mut self,
        cluster: &ClusterName,
        name: &str,
        labels: Labels,
        is_there: bool,
    ) -> bool {
        let namespace = self.namespace_mut(cluster, name);
        let is_new = namespace.is_there != is_there;
        namespace.is_there = is_there;
        if namespace.labels == labels {
            return is_new;
        }
        namespace.labels = labels;
        let pods = namespace.pods.clone();
        self.changed.extend(pods);
        true
    }

    fn tidy_namespace(&mut self, cluster: &ClusterName, name: &str) {
        let Some(clusters) = self.namespaces.get_mut(name) else {
            return;
        };
        clusters.retain(|at, namespace| {
            at != cluster || namespace.is_there || !namespace.pods.is_empty()
        });
        if clusters.is_empty() {
            self.namespaces.remove(name);
        }
    }

    fn namespace(&self, cluster: &ClusterName, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)?.get(cluster)
    }

    fn namespace_mut(&mut self, cluster: &ClusterName, name: &str) -> &mut Namespace {
        let clusters = self.namespaces.entry(name.to_owned()).or_default();
        clusters
            .entry(cluster.clone())
            .or_insert_with(|| Namespace {
                labels: with_name(Labels::new(), name),
                is_there: false,
                pods: BTreeSet::new(),
            })
    }

    /// The namespaces of a cluster that the API server has shown.
    pub(super) fn namespaces_of(&self, cluster: &ClusterName) -> Vec<String> {
        let known = self.namespaces.iter().filter(|(_, clusters)| {
            clusters
                .get(cluster)
                .is_some_and(|namespace| namespace.is_there)
        });
        known.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a pod's namespace is in scope.
    pub(super) fn is_in_scope(&self, scope: &NamespaceScope, key: &WorkloadKey) -> bool {
        match scope {
            NamespaceScope::All => true,
            NamespaceScope::Named(name) => *name == key.namespace,
            NamespaceScope::Selected(selector) => self
                .namespace(&key.cluster, &key.namespace)
                .is_some_and(|namespace| selector.matches(&namespace.labels)),
        }
    }

    /// The pods of the namespaces in a scope, or of all, if the scope has to be asked for each.
    pub(super) fn candidates(
        &self,
        scope: &NamespaceScope,
    ) -> Box<dyn Iterator<Item = PodId> + '_> {
        match scope {
            NamespaceScope::Named(name) => {
                let clusters = self.namespaces.get(name).into_iter().flatten();
                Box::new(clusters.flat_map(|(_, namespace)| namespace.pods.iter().copied()))
            }
            NamespaceScope::All | NamespaceScope::Selected(_) => {
                Box::new(self.pods().map(|(id, _)| id))
            }
        }
    }

    pub(super) fn pods(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        let pods = (0..).map(PodId).zip(&self.pods);
        pods.filter_map(|(id, pod)| Some((id, pod.as_ref()?)))
    }

    pub(super) fn pod(&self, id: PodId) -> Option<&Pod> {
        self.pods.get(id.0 as usize)?.as_ref()
    }

    fn pod_mut(&mut self, id: PodId) -> Option<&mut Pod> {
        self.pods.get_mut(id.0 as usize)?.as_mut()
    }

    pub(super) fn id(&self, key: &WorkloadKey) -> Option<PodId> {
        self.ids.get(key).copied()
    }

    /// Those who claim an address. More than one, and nobody is believed more than the others.
    pub(super) fn claimants(&self, address: IpAddr) -> impl Iterator<Item = PodId> {
        self.claims.get(&address).into_iter().flatten().copied()
    }

    /// The numbers that pods give a name of a port.
    pub(super) fn numbers(&self, name: &str) -> BTreeSet<u16> {
        let numbers = self.declared.get(name).into_iter().flatten();
        numbers.map(|(number, _)| *number).collect()
    }

    /// The pods that have changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> BTreeSet<PodId> {
        std::mem::take(&mut self.changed)
    }

    /// Makes a pod count for others as what it is now.
    pub(super) fn settle(&mut self, id: PodId) -> Resettled {
        let mut result = Resettled::default();
        let Some(pod) = self.pod_mut(id) else {
            return result;
        };
        let now = pod.workload.as_ref().map(|workload| Settled {
            addresses: workload.addresses.clone(),
            ports: workload.ports.clone(),
            principal: workload.principal(),
        });
        let now = now.unwrap_or_default();
        let before = std::mem::replace(&mut pod.settled, now.clone());
        result.moved = before.addresses != now.addresses || before.principal != now.principal;
        for address in before.addresses.iter().chain(&now.addresses) {
            result.rivals.extend(self.claimants(*address));
        }
        result.rivals.remove(&id);
        if before.addresses != now.addresses {
            self.unclaim(id, &before.addresses);
            for address in &now.addresses {
                self.claims.entry(*address).or_default().insert(id);
            }
        }
        if before.ports != now.ports {
            result.ports = self.declare(&before.ports, &now.ports);
        }
        result
    }

    fn unclaim(&mut self, id: PodId, addresses: &[IpAddr]) {
        for address in addresses {
            if let Some(claimants) = self.claims.get_mut(address) {
                claimants.remove(&id);
                if claimants.is_empty() {
                    self.claims.remove(address);
                }
            }
        }
    }

    /// Counts ports; the names for which a number appeared or disappeared.
    fn declare(
        &mut self,
        before: &BTreeMap<String, u16>,
        now: &BTreeMap<String, u16>,
    ) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        for (name, number) in now {
            let numbers = self.declared.entry(name.clone()).or_default();
            let pods = numbers.entry(*number).or_default();
            *pods = pods.saturating_add(1);
            if *pods == 1 {
                changed.insert(name.clone());
            }
        }
        for (name, number) in before {
            let Some(numbers) = self.declared.get_mut(name) else {
                continue;
            };
            if let Some(pods) = numbers.get_mut(number) {
                *pods = pods.saturating_sub(1);
                if *pods == 0 {
                    numbers.remove(number);
                    changed.insert(name.clone());
                }
            }
            if numbers.is_empty() {
                self.declared.remove(name);
            }
        }
        changed
    }

    /// Gives up the number of a pod that is gone and settled.
    pub(super) fn free(&mut self, id: PodId) -> Option<WorkloadKey> {
        let place = self.pods.get_mut(id.0 as usize)?;
        if place.as_ref().is_some_and(|pod| pod.workload.is_some()) {
            return None;
        }
        let pod = place.take()?;
        self.free.push(id);
        self.ids.remove(&pod.key);
        let WorkloadKey {
            cluster, namespace, ..
        } = &pod.key;
        if let Some(at) = self
            .namespaces
            .get_mut(namespace)
            .and_then(|clusters| clusters.get_mut(cluster))
        {
            at.pods.remove(&id);
        }
        self.tidy_namespace(cluster, namespace);
        Some(pod.key)
    }

    /// The pods of a cluster that are there.
    pub(super) fn pods_of(&self, cluster: &ClusterName) -> Vec<WorkloadKey> {
        let pods = self.pods().filter(|(_, pod)| pod.workload.is_some());
        pods.filter(|(_, pod)| pod.key.cluster == *cluster)
            .map(|(_, pod)| pod.key.clone())
            .collect()
    }
}
