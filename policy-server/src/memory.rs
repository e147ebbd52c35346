//! What of the clusters is remembered on disk, so that a restart serves what was served before even
//! if no API server answers.
//!
//! Objects are remembered, not programs: they are what programs are made of, and the same objects
//! make the same programs, byte for byte. Of a policy two documents are kept: the one that the
//! cluster has, and the last one that was accepted, which is in force if the former is wrong.
//! That all objects of a kind are remembered is remembered as well.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::SystemTime;

use serde_json::{Value, json};
use twox_hash::XxHash64;

use crate::index::{ClusterName, Kind, Object, ObjectKey};
use crate::source::Event;
use crate::state::{Change, CommitError, Damage, Key, OpenError, Remembered, Role, Store};

/// Kind of the entries that say that all objects of a kind are remembered. No object has it.
const COMPLETE: &str = "Complete";

/// The state on disk, and what is about to be written to it.
#[derive(Debug)]
pub struct Memory {
    store: Store,
    /// What is remembered, with a hash of each document.
    known: HashMap<Key, u64>,
    changes: Vec<Change>,
}

/// What a state on disk begins with.
#[derive(Debug)]
pub struct Restored {
    /// To remember with.
    pub memory: Memory,
    /// What was remembered, to be told to an index in this order.
    pub events: Vec<Event>,
    /// The file that could not be used, if there was one.
    pub damage: Option<Damage>,
}

/// What is remembered of one kind of one cluster.
#[derive(Default)]
struct OfKind {
    complete: bool,
    current: BTreeMap<ObjectKey, Object>,
    last_good: BTreeMap<ObjectKey, Object>,
}

impl Memory {
    /// Opens the state in a folder.
    ///
    /// # Errors
    ///
    /// If another process has the folder, or it cannot be written.
    pub fn open(folder: &Path, now: SystemTime) -> Result<Restored, OpenError> {
        let opened = Store::open(folder, now)?;
        let mut known = HashMap::new();
        let mut kinds: BTreeMap<(ClusterName, Kind), OfKind> = BTreeMap::new();
        for Remembered { key, document } in opened.remembered {
            let hash = hash(&document);
            let cluster = ClusterName::from(key.cluster.as_str());
            if key.kind == COMPLETE {
                if let Some(kind) = Kind::named(&key.name) {
                    kinds.entry((cluster, kind)).or_default().complete = true;
                }
            } else if let Ok(object) = Object::read(document) {
                let of_kind = kinds.entry((cluster, object.key().kind)).or_default();
                let objects = match key.role {
                    Role::Current => &mut of_kind.current,
                    Role::LastGood => &mut of_kind.last_good,
                };
                objects.insert(object.key().clone(), object);
            }
            known.insert(key, hash);
        }
        let events = kinds
            .into_iter()
            .flat_map(|((cluster, kind), of_kind)| of_kind.events(cluster, kind));
        Ok(Restored {
            events: events.collect(),
            memory: Memory {
                store: opened.store,
                known,
                changes: Vec::new(),
            },
            damage: opened.damage,
        })
    }

    /// Takes note of what a source tells.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Listed {
                cluster,
                kind,
                objects,
            } => {
                let listed: BTreeSet<&ObjectKey> = objects.iter().map(Object::key).collect();
                let gone = self
                    .known
                    .keys()
                    .filter(|key| key.cluster == cluster.as_str() && key.kind == kind.as_str());
                let gone = gone.filter_map(|key| {
                    let object = ObjectKey {
                        kind: *kind,
                        namespace: key.namespace.clone(),
                        name: key.name.clone(),
                    };
                    (!listed.contains(&object)).then_some(object)
                });
                for object in gone.collect::<BTreeSet<_>>() {
                    self.forget(cluster, &object);
                }
                for object in objects {
                    self.apply(cluster, object);
                }
                let complete = Key {
                    cluster: cluster.to_string(),
                    kind: COMPLETE.to_owned(),
                    namespace: None,
                    name: kind.to_string(),
                    role: Role::Current,
                };
                self.put(complete, json!({}));
            }
            Event::Applied { cluster, object } => self.apply(cluster, object),
            Event::Deleted { cluster, key } => self.forget(cluster, key),
        }
    }

    /// Writes what was noted, all or nothing. Whether there was anything to write.
    ///
    /// # Errors
    ///
    /// If it cannot be written. It is tried again with what is noted next.
    pub fn commit(&mut self) -> Result<bool, CommitError> {
        if self.changes.is_empty() {
            return Ok(false);
        }
        self.store.commit(&self.changes)?;
        self.changes.clear();
        Ok(true)
    }

    /// Bytes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    fn apply(&mut self, cluster: &ClusterName, object: &Object) {
        let key = |role| key(cluster, object.key(), role);
        let Some(document) = object.document() else {
            return self.remove(key(Role::Current));
        };
        if Kind::POLICIES.contains(&object.key().kind) && object.refusal().is_none() {
            self.put(key(Role::LastGood), document.clone());
        }
        self.put(key(Role::Current), document);
    }

    fn forget(&mut self, cluster: &ClusterName, object: &ObjectKey) {
        for role in [Role::Current, Role::LastGood] {
            self.remove(key(cluster, object, role));
        }
    }

    fn put(&mut self, key: Key, document: Value) {
        let hash = hash(&document);
        if self.known.insert(key.clone(), hash) != Some(hash) {
            self.changes.push(Change::Put(Remembered { key, document }));
        }
    }

    fn remove(&mut self, key: Key) {
        if self.known.remove(&key).is_some() {
            self.changes.push(Change::Forget(key));
        }
    }
}

impl OfKind {
    /// First what was accepted last, so that what is wrong now has it to fall back to.
    fn events(self, cluster: ClusterName, kind: Kind) -> Vec<Event> {
        let OfKind {
            complete,
            mut current,
            last_good,
        } = self;
        for (key, object) in &last_good {
            // Its present document could not be remembered.
            current.entry(key.clone()).or_insert_with(|| object.clone());
        }
        let event = |objects: BTreeMap<ObjectKey, Object>| -> Vec<Event> {
            let objects = objects.into_values();
            if complete {
                return vec![Event::Listed {
                    cluster: cluster.clone(),
                    kind,
                    objects: objects.collect(),
                }];
            }
            let applied = objects.map(|object| Event::Applied {
                cluster: cluster.clone(),
                object: Box::new(object),
            });
            applied.collect()
        };
        let mut events = event(last_good);
        events.extend(event(current));
        events
    }
}

fn key(cluster: &ClusterName, object: &ObjectKey, role: Role) -> Key {
    Key {
        cluster: cluster.to_string(),
        kind: object.kind.to_string(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        role,
    }
}

fn hash(document: &Value) -> u64 {
    XxHash64::oneshot(0, document.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Index, Mesh, Standing};

    const CLUSTER: &str = "main";

    fn object(document: Value) -> Object {
        Object::read(document).unwrap()
    }

    fn pod(labels: Value) -> Object {
        object(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "shop", "name": "web", "labels": labels, "uid": "1"},
            "spec": {
                "serviceAccountName": "web",
                "nodeName": "n",
                "containers": [{"ports": [
                    {"name": "http", "containerPort": 8080},
                    {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                ]}],
            },
            "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [
                {"ip": "10.0.0.1"}, {"ip": "fd00::1"},
            ]},
        }))
    }

    fn policy(action: &str) -> Object {
        object(json!({
            "apiVersion": "meshwall.io/v1alpha1", "kind": "FirewallPolicy",
            "metadata": {"namespace": "shop", "name": "web", "managedFields": [{}]},
            "spec": {"ingress": [{"name": "r", "action": action}]},
            "status": {},
        }))
    }

    fn listed(kind: Kind, objects: Vec<Object>) -> Event {
        Event::Listed {
            cluster: ClusterName::from(CLUSTER),
            kind,
            objects,
        }
    }

    fn applied(object: Object) -> Event {
        Event::Applied {
            cluster: ClusterName::from(CLUSTER),
            object: Box::new(object),
        }
    }

    /// A server that heard these batches; what one that starts after it publishes, and says.
    fn after(batches: Vec<Vec<Event>>) -> (Index, crate::index::Update) {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = Memory::open(folder.path(), SystemTime::now())
            .unwrap()
            .memory;
        for batch in batches {
            batch.iter().for_each(|event| memory.note(event));
            memory.commit().unwrap();
        }
        drop(memory);
        let restored = Memory::open(folder.path(), SystemTime::now()).unwrap();
        assert!(restored.damage.is_none());
        let mut index = Index::new(Mesh::new(ClusterName::from(CLUSTER), "cluster.local"));
        for event in restored.events {
            event.tell(&mut index);
        }
        let update = index.update();
        (index, update)
    }

    fn all_listed(policy: Object) -> Vec<Event> {
        let namespace = object(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "shop", "labels": {"stage": "prod"}},
        }));
        vec![
            listed(Kind::Namespace, vec![namespace]),
            listed(Kind::Pod, vec![pod(json!({"app": "web"}))]),
            listed(Kind::FirewallPolicy, vec![policy]),
            listed(Kind::ClusterFirewallPolicy, Vec::new()),
            listed(Kind::MeshwallConfig, Vec::new()),
        ]
    }

    #[test]
    fn a_restart_publishes_the_same() {
        let events = all_listed(policy("Allow"));
        let mut index = Index::new(Mesh::new(ClusterName::from(CLUSTER), "cluster.local"));
        for event in events.clone() {
            event.tell(&mut index);
        }
        let before = index.update();
        let (_, after) = after(vec![events]);
        assert_eq!(before.changed.len(), 1);
        assert_eq!(before.changed, after.changed);
        assert_eq!(before.reports, after.reports);
    }

    #[test]
    fn what_was_accepted_last_is_in_force_after_a_restart() {
        let (index, update) = after(vec![
            all_listed(policy("Allow")),
            vec![applied(policy("Alow"))],
        ]);
        let report = update.reports.first().unwrap();
        assert!(
            matches!(report.standing, Standing::Refused { .. }),
            "{report:?}"
        );
        let workload = &update.changed.first().unwrap().0;
        let applies = index.describe(workload).unwrap().applies;
        assert_eq!(applies.len(), 1);
        assert!(applies.iter().all(|applies| applies.is_last_good));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let key = policy("Allow").key().clone();
        let cluster = ClusterName::from(CLUSTER);
        let deleted = Event::Deleted { cluster, key };
        for gone in [deleted, listed(Kind::FirewallPolicy, Vec::new())] {
            let (_, update) = after(vec![all_listed(policy("Allow")), vec![gone]]);
            assert!(update.reports.is_empty(), "{:?}", update.reports);
        }
    }

    #[test]
    fn what_was_not_listed_publishes_nothing() {
        let (_, update) = after(vec![vec![
            applied(pod(json!({}))),
            applied(policy("Allow")),
        ]]);
        assert!(update.changed.is_empty());
    }

    #[test]
    fn what_is_the_same_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = Memory::open(folder.path(), SystemTime::now())
            .unwrap()
            .memory;
        let mut tell = |event: Event| {
            memory.note(&event);
            memory.commit().unwrap()
        };
        assert!(tell(listed(Kind::Pod, vec![pod(json!({"app": "web"}))])));
        assert!(!tell(listed(Kind::Pod, vec![pod(json!({"app": "web"}))])));
        assert!(!tell(applied(pod(json!({"app": "web"})))));
        assert!(tell(applied(pod(json!({"app": "shop"})))));
    }
}
