//! The index: what clusters say in, programs out.
//!
//! It is told of objects ([`Index::apply`], [`Index::delete`], [`Index::reset`]), and says when asked
//! what follows from all of it ([`Index::update`]): which workloads enforce something else, and what
//! is to be said about the policies. It does no I/O and knows no time; whoever drives it decides how
//! many events make an update.
//!
//! ```text
//! object   reads one object ------------> what programs depend on
//! policies, resolve   definitions ------> policies in force
//! world    pods, namespaces ------------> addresses, named ports
//!   |  which policies select which workload
//! programs    one for equal inputs, with a list of peer sets
//! sets     who belongs to which, kept up to date pod by pod
//! tables   one for each list of sets
//! publish  a program and a table, in an edition
//! ```
//!
//! Everything is derived from what is in front of it, and kept. A change goes as far as something
//! differs: a pod that is relabelled is held against the policies of its namespace and the sets
//! that could have it; if its inputs are those of a program that exists, nothing is compiled; the
//! tables of the sets that it joined or left are made again. The result is the same as if
//! everything was made from the beginning, which is a test.
//!
//! # What a workload keeps
//!
//! Nothing is published for a workload before its cluster, and the policies of the policy cluster,
//! have been listed once: a program without policies that are merely not known yet would permit
//! what they deny. A workload whose program cannot be made keeps the one that it has, with a peer
//! table that is kept up to date; one whose peer table is too large keeps both as they are; one that
//! never had any gets none, and its proxy denies.
//!
//! A pod that is being deleted keeps its program until it is gone, because its proxy still runs, but
//! no peer is taken for it.
//!
//! # What is refused
//!
//! Of a policy that cannot be read or compiled the last good version stays in force. If there never
//! was one, and the object is in its first generation, nothing was in force and nothing is. If the
//! object was changed before, a version that is not known here may be in force in proxies: what it
//! may concern is *held* until it is corrected or deleted, and proxies keep what they have.
//!
//! Of definitions that contradict each other the first by rank is in force: that of the policy
//! cluster before others, the older before the younger (`metadata.creationTimestamp`), then by
//! name; so it does not matter in which order they come ([`Conflict`] lists the contradictions). A
//! policy that is refused because its priority is taken keeps what it said when it was last in
//! force, behind the one that has the place now, because dropping it could open what it denied.
//!
//! # Addresses
//!
//! A mesh spans its clusters: peer tables have the pods of all of them. If several pods claim an
//! address, in one cluster or in two, it counts only for what all of them are: the same principal,
//! and the sets that all belong to. In clusters that use the same addresses behind gateways, label
//! selectors therefore match nothing that is ambiguous, and rules should name service accounts.

mod describe;
mod document;
mod key;
mod object;
mod policies;
mod programs;
mod publish;
mod report;
mod resolve;
mod sets;
mod tables;
mod update;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use meshwall_mesh_config::inventory;

pub use self::describe::{Applies, Description, NotApplied, PeerSetMembers};
pub use self::key::{ClusterName, DefinitionKey, Kind, ObjectKey, WorkloadKey};
pub use self::object::{Object, ObjectError, Refusal};
pub use self::publish::{ContentVersion, Enforced, Part};
pub use self::report::{Duty, Failure, Instead, Report, Size, Standing, Unreadable, Update, Work};
pub use self::resolve::Conflict;

use self::object::Content;
use self::policies::Policies;
use self::programs::Programs;
use self::publish::Editions;
use self::sets::Sets;
use self::tables::Tables;
use self::update::Assignment;
use self::world::{PodId, World};

/// The clusters of a mesh.
#[derive(Clone, Debug)]
pub struct Mesh {
    policy_cluster: ClusterName,
    /// Trust domain of each cluster.
    clusters: BTreeMap<ClusterName, String>,
}

impl Mesh {
    /// A mesh of one cluster, whose policies will hold in all others. `trust_domain` is that of the
    /// certificates of its workloads, such as `cluster.local`.
    #[must_use]
    pub fn new(policy_cluster: ClusterName, trust_domain: &str) -> Mesh {
        Mesh {
            clusters: BTreeMap::from([(policy_cluster.clone(), trust_domain.to_owned())]),
            policy_cluster,
        }
    }

    /// The mesh with another cluster, whose policies will hold in itself only.
    #[must_use]
    pub fn with(mut self, cluster: ClusterName, trust_domain: &str) -> Mesh {
        self.clusters.insert(cluster, trust_domain.to_owned());
        self
    }
}

/// What clusters have said, and what follows from it.
#[derive(Debug)]
pub struct Index {
    mesh: Mesh,
    world: World,
    policies: Policies,
    unreadable: BTreeMap<(ClusterName, ObjectKey), Vec<inventory::Error>>,
    /// Kinds that were listed, by cluster.
    listed: BTreeSet<(ClusterName, Kind)>,
    /// Clusters for which something was listed for the first time.
    newly_listed: bool,
    /// Clusters for which programs are published.
    ready: BTreeSet<ClusterName>,
    sets: Sets,
    tables: Tables,
    programs: Programs,
    assignments: HashMap<PodId, Assignment>,
    editions: Editions,
    reports: BTreeMap<DefinitionKey, Report>,
    outcomes: BTreeMap<DefinitionKey, resolve::Outcome>,
    /// Number of updates.
    updates: u64,
}

impl Index {
    /// An index that knows nothing yet.
    #[must_use]
    pub fn new(mesh: Mesh) -> Index {
        let clusters = mesh.clusters.iter();
        let policies = Policies::new(clusters.map(|(cluster, domain)| (cluster, domain.as_str())));
        Index {
            mesh,
            policies,
            world: World::default(),
            unreadable: BTreeMap::new(),
            listed: BTreeSet::new(),
            newly_listed: false,
            ready: BTreeSet::new(),
            sets: Sets::default(),
            tables: Tables::default(),
            programs: Programs::default(),
            assignments: HashMap::new(),
            editions: Editions::default(),
            reports: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            updates: 0,
        }
    }

    /// Takes an object as it is now. Whether anything that matters here is something else.
    ///
    /// A cluster that is not of the mesh has no say.
    pub fn apply(&mut self, cluster: &ClusterName, object: Object) -> bool {
        let Some(trust_domain) = self.mesh.clusters.get(cluster) else {
            return false;
        };
        let Object { key, content } = object;
        let unreadable = match content {
            Content::Unreadable(errors) => Some(errors),
            Content::Pod(mut pod) => {
                pod.workload.trust_domain.clone_from(trust_domain);
                let changed = self.world.apply_pod(cluster, pod.workload);
                return self.readable(cluster, &key) | changed;
            }
            Content::Namespace(labels) => {
                let changed = self.world.apply_namespace(cluster, &key.name, labels);
                return self.readable(cluster, &key) | changed;
            }
            Content::Definition(definition) => {
                let key = DefinitionKey {
                    cluster: cluster.clone(),
                    object: key,
                };
                return self.policies.apply(key, definition);
            }
            Content::Nothing => None,
        };
        let place = (cluster.clone(), key);
        let before = self.unreadable.get(&place).cloned();
        let changed = self.delete(cluster, &place.1);
        let is_same = before == unreadable;
        self.unreadable
            .extend(unreadable.map(|errors| (place, errors)));
        !is_same || changed && before.is_none()
    }

    /// Forgets an object. Whether anything that matters here is something else.
    pub fn delete(&mut self, cluster: &ClusterName, key: &ObjectKey) -> bool {
        let changed = match key.kind {
            Kind::Pod => self.world.delete_pod(&WorkloadKey {
                cluster: cluster.clone(),
                namespace: key.namespace.clone().unwrap_or_default(),
                name: key.name.clone(),
            }),
            Kind::Namespace => self.world.delete_namespace(cluster, &key.name),
            Kind::Service | Kind::ServiceAccount => false,
            Kind::FirewallPolicy | Kind::ClusterFirewallPolicy | Kind::MeshwallConfig => {
                self.policies.delete(&DefinitionKey {
                    cluster: cluster.clone(),
                    object: key.clone(),
                })
            }
        };
        self.readable(cluster, key) | changed
    }

    /// Takes all objects of a kind that a cluster has, as a list says. What is not among them is
    /// gone; of the others, only what differs counts. Whether anything does.
    pub fn reset(
        &mut self,
        cluster: &ClusterName,
        kind: Kind,
        objects: impl IntoIterator<Item = Object>,
    ) -> bool {
        if !self.mesh.clusters.contains_key(cluster) {
            return false;
        }
        let mut gone: BTreeSet<ObjectKey> = self.objects(cluster, kind).into_iter().collect();
        let mut changed = false;
        for object in objects {
            if object.key.kind == kind {
                gone.remove(&object.key);
                changed |= self.apply(cluster, object);
            }
        }
        for key in &gone {
            changed |= self.delete(cluster, key);
        }
        let is_first = self.listed.insert((cluster.clone(), kind));
        self.newly_listed |= is_first;
        changed | is_first
    }

    /// An object that could not be read can be now, or is gone.
    fn readable(&mut self, cluster: &ClusterName, key: &ObjectKey) -> bool {
        let place = (cluster.clone(), key.clone());
        self.unreadable.remove(&place).is_some()
    }

    /// What the index knows of a kind in a cluster.
    fn objects(&self, cluster: &ClusterName, kind: Kind) -> Vec<ObjectKey> {
        let key = |namespace: Option<String>, name: String| ObjectKey {
            kind,
            namespace,
            name,
        };
        let mut objects: Vec<ObjectKey> = match kind {
            Kind::Pod => {
                let pods = self.world.pods_of(cluster).into_iter();
                pods.map(|pod| key(Some(pod.namespace), pod.name)).collect()
            }
            Kind::Namespace => {
                let namespaces = self.world.namespaces_of(cluster).into_iter();
                namespaces.map(|name| key(None, name)).collect()
            }
            Kind::Service | Kind::ServiceAccount => Vec::new(),
            Kind::FirewallPolicy | Kind::ClusterFirewallPolicy | Kind::MeshwallConfig => {
                let definitions = self.policies.of(cluster, kind).into_iter();
                definitions.map(|definition| definition.object).collect()
            }
        };
        let unreadable = self.unreadable.keys();
        let unreadable = unreadable.filter(|(at, key)| at == cluster && key.kind == kind);
        objects.extend(unreadable.map(|(_, key)| key.clone()));
        objects
    }

    /// Whether everything has been listed that programs of a cluster depend on: its own pods,
    /// namespaces and policies, and the policies of the policy cluster.
    #[must_use]
    pub fn is_listed(&self, cluster: &ClusterName) -> bool {
        let listed = |cluster: &ClusterName, kind| self.listed.contains(&(cluster.clone(), kind));
        let own = [Kind::Namespace, Kind::Pod];
        own.into_iter().all(|kind| listed(cluster, kind))
            && Kind::POLICIES
                .into_iter()
                .all(|kind| listed(cluster, kind) && listed(&self.mesh.policy_cluster, kind))
    }
}
