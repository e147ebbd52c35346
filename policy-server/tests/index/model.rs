//! What should be enforced, worked out from the beginning each time by plain looking: every policy
//! for every workload, every set for every pod, every claim of every address.
//!
//! It knows of the past only what the rules say matters: of each definition the last good version
//! and what was in force, and of each workload the program that it was given last.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use meshwall_mesh_config::inventory::{Why, read_namespace, read_pod};
use meshwall_policy::compile::{
    Member, PeerSets, Target, compile, compile_selected, peer_table, peer_table_of, select,
};
use meshwall_policy::document::{Document, from_value};
use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::spec::{Config, Policy, Tier};
use meshwall_policy_server::index::{DefinitionKey, Kind, ObjectKey, WorkloadKey};
use serde_json::Value;

use super::support::{cluster, workload as workload_key};
use super::world::{Event, Objects};

#[derive(Clone, Debug, PartialEq)]
enum Meaning {
    Policy(Policy),
    Config(Config),
}

#[derive(Clone, Debug, Default)]
struct Definition {
    created: String,
    generation: i64,
    good: Option<Arc<Meaning>>,
    is_bad: bool,
    in_force: Option<Arc<Meaning>>,
    is_behind: bool,
}

/// What became of a definition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    Accepted,
    Repeated,
    Refused,
    Conflicted,
}

/// A program and the sets that it asks about.
#[derive(Clone, Debug)]
struct Program {
    bytes: Vec<u8>,
    sets: PeerSets,
}

pub(crate) struct Model {
    names: &'static [&'static str],
    objects: BTreeMap<&'static str, Objects>,
    definitions: BTreeMap<DefinitionKey, Definition>,
    programs: BTreeMap<WorkloadKey, Program>,
}

/// What each workload should enforce, as bytes of program and peer table.
pub(crate) type Expected = BTreeMap<WorkloadKey, (Vec<u8>, Vec<u8>)>;

impl Model {
    pub(crate) fn new(names: &'static [&'static str]) -> Model {
        Model {
            names,
            objects: names.iter().map(|name| (*name, Objects::new())).collect(),
            definitions: BTreeMap::new(),
            programs: BTreeMap::new(),
        }
    }

    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Apply(at, value) => self.apply(at, value),
            Event::Delete(at, key) => self.delete(at, key),
            Event::Reset(at, kind, values) => {
                let keys: BTreeSet<ObjectKey> = values.iter().map(key_of).collect();
                let known = self.objects[at].keys().filter(|key| key.kind == *kind);
                let gone: Vec<ObjectKey> =
                    known.filter(|key| !keys.contains(key)).cloned().collect();
                gone.iter().for_each(|key| self.delete(at, key));
                values.iter().for_each(|value| self.apply(at, value));
            }
        }
    }

    fn delete(&mut self, at: &'static str, key: &ObjectKey) {
        self.objects.get_mut(at).unwrap().remove(key);
        self.definitions.remove(&DefinitionKey {
            cluster: cluster(at),
            object: key.clone(),
        });
    }

    fn apply(&mut self, at: &'static str, value: &Value) {
        let key = key_of(value);
        self.objects
            .get_mut(at)
            .unwrap()
            .insert(key.clone(), value.clone());
        if !Kind::POLICIES.contains(&key.kind) {
            return;
        }
        let key = DefinitionKey {
            cluster: cluster(at),
            object: key,
        };
        let definition = self.definitions.entry(key).or_default();
        let metadata = &value["metadata"];
        definition.created = metadata["creationTimestamp"].as_str().unwrap().to_owned();
        definition.generation = metadata["generation"].as_i64().unwrap();
        let meaning = meaning(value);
        definition.is_bad = meaning.is_none();
        if let Some(meaning) = meaning {
            let same = definition.good.as_deref() == Some(&meaning);
            if !same {
                definition.good = Some(Arc::new(meaning));
            }
        }
    }

    fn home(&self) -> &'static str {
        self.names[0]
    }

    /// Which definitions are in force, and what became of each.
    pub(crate) fn settle(&mut self) -> BTreeMap<DefinitionKey, Standing> {
        let home = cluster(self.home());
        let mut ranked: Vec<DefinitionKey> = self.definitions.keys().cloned().collect();
        ranked.sort_by_key(|key| {
            let created = self.definitions[key].created.clone();
            (key.cluster != home, created, key.clone())
        });
        let mut standings = BTreeMap::new();
        let mut winners: Vec<DefinitionKey> = Vec::new();
        for key in &ranked {
            let definition = self.definitions[key].clone();
            let central = DefinitionKey {
                cluster: home.clone(),
                object: key.object.clone(),
            };
            let central = self
                .definitions
                .get(&central)
                .filter(|_| key.cluster != home);
            let central = central.and_then(|central| central.good.as_deref());
            let rival = winners.iter().find(|winner| {
                let reaches = winner.cluster == home || winner.cluster == key.cluster;
                let theirs = self.definitions[winner].good.as_deref();
                reaches && contradicts(theirs, definition.good.as_deref())
            });
            let (standing, in_force) = match (&definition.good, central) {
                (None, _) => (Standing::Accepted, None),
                (Some(good), Some(central)) if **good == *central => (Standing::Repeated, None),
                (Some(_), Some(_)) => (Standing::Conflicted, None),
                (Some(good), None) => match (rival, good.as_ref()) {
                    (None, _) => {
                        winners.push(key.clone());
                        (Standing::Accepted, Some(Arc::clone(good)))
                    }
                    (Some(_), Meaning::Policy(_)) => {
                        (Standing::Conflicted, definition.in_force.clone())
                    }
                    (Some(_), Meaning::Config(_)) => (Standing::Conflicted, None),
                },
            };
            let known = self.definitions.get_mut(key).unwrap();
            known.is_behind = standing == Standing::Conflicted;
            known.in_force = in_force;
            let standing = if definition.is_bad {
                Standing::Refused
            } else {
                standing
            };
            standings.insert(key.clone(), standing);
        }
        standings
    }

    /// What each workload should enforce now.
    pub(crate) fn expected(&mut self) -> Expected {
        let inventories: BTreeMap<&str, Inventory> = self
            .names
            .iter()
            .map(|name| (*name, self.inventory(name)))
            .collect();
        let targets: BTreeMap<&str, Inventory> = self
            .names
            .iter()
            .map(|name| (*name, self.targets(name)))
            .collect();
        // Whoever has a port has it until it is gone.
        let everyone: Vec<Workload> = targets
            .values()
            .flat_map(|inventory| inventory.workloads.clone())
            .collect();
        let mut expected = Expected::new();
        let mut programs = BTreeMap::new();
        for (name, inventory) in &targets {
            for workload in &inventory.workloads {
                let key = workload_key(name, &workload.namespace, &workload.name);
                let program = if self.is_held(name, &workload.namespace) {
                    self.programs.get(&key).cloned()
                } else {
                    Some(self.program(name, inventory, &everyone, workload))
                };
                let Some(program) = program else { continue };
                let peers = peers(&program.sets, &inventories);
                expected.insert(key.clone(), (program.bytes.clone(), peers));
                programs.insert(key, program);
            }
        }
        self.programs = programs;
        expected
    }

    fn program(
        &self,
        at: &str,
        inventory: &Inventory,
        everyone: &[Workload],
        workload: &Workload,
    ) -> Program {
        let mut config = Config {
            trust_domain: at.to_owned(),
            ..Config::default()
        };
        let mut policies: Vec<(Policy, bool)> = Vec::new();
        let mut is_plain = true;
        for (key, definition) in &self.definitions {
            if key.cluster.as_str() != at && key.cluster.as_str() != self.home() {
                continue;
            }
            let behind = definition.is_behind;
            match definition.in_force.as_deref() {
                Some(Meaning::Policy(policy)) => policies.push((policy.clone(), behind)),
                Some(Meaning::Config(found)) => config = found.clone(),
                None => {}
            }
            is_plain &= !behind;
        }
        // Those that are behind come after those that have their place.
        let list: Vec<Policy> = policies.iter().map(|(policy, _)| policy.clone()).collect();
        let mut selected = select(&list, inventory, workload);
        let is_behind = |policy: &Policy| {
            policies
                .iter()
                .any(|(other, behind)| other == policy && *behind)
        };
        selected.sort_by_key(|policy| {
            let origin = policy.origin.clone();
            (policy.tier, policy.priority, is_behind(policy), origin)
        });
        let target = Target::of(&selected, everyone, workload);
        let compiled = compile_selected(&config, &selected, &target).unwrap();
        if self.names.len() == 1 && is_plain {
            // The plain compiler agrees; it only knows the workload's name besides.
            let inventory = Inventory {
                workloads: everyone.to_vec(),
                ..inventory.clone()
            };
            let plain = compile(&config, &list, &inventory, workload).unwrap();
            assert_eq!(plain.sets, compiled.sets);
            let named = Target {
                name: format!("{}/{}", workload.namespace, workload.name),
                ..target
            };
            let named = compile_selected(&config, &selected, &named).unwrap();
            assert_eq!(plain.program, named.program);
        }
        Program {
            bytes: compiled.program,
            sets: compiled.sets,
        }
    }

    fn is_held(&self, at: &str, namespace: &str) -> bool {
        self.definitions.iter().any(|(key, definition)| {
            let reaches = key.cluster.as_str() == self.home() || key.cluster.as_str() == at;
            let concerns = key.object.kind != Kind::FirewallPolicy
                || key.object.namespace.as_deref() == Some(namespace);
            reaches && concerns && definition.good.is_none() && definition.generation > 1
        })
    }

    /// Who counts as a peer.
    fn inventory(&self, at: &str) -> Inventory {
        let mut inventory = self.targets(at);
        inventory
            .workloads
            .retain(|workload| !workload.addresses.is_empty() || !workload.ports.is_empty());
        inventory
    }

    /// Who has a proxy.
    fn targets(&self, at: &str) -> Inventory {
        let mut inventory = Inventory::default();
        for (key, value) in &self.objects[at] {
            match key.kind {
                Kind::Namespace => {
                    let namespace = read_namespace(value).unwrap();
                    inventory
                        .namespaces
                        .insert(namespace.name, namespace.labels);
                }
                Kind::Pod => {
                    let pod = read_pod(value, at);
                    let pod = pod.ok().filter(|pod| pod.left_out != Some(Why::Ended));
                    inventory.workloads.extend(pod.map(|pod| pod.workload));
                }
                _ => {}
            }
        }
        inventory
    }
}

fn contradicts(one: Option<&Meaning>, other: Option<&Meaning>) -> bool {
    match (one, other) {
        (Some(Meaning::Policy(one)), Some(Meaning::Policy(other))) => {
            one.tier != Tier::Namespace && (one.tier, one.priority) == (other.tier, other.priority)
        }
        (Some(Meaning::Config(_)), Some(Meaning::Config(_))) => true,
        _ => false,
    }
}

/// The plain peer table; across clusters, where the plain one does not reach, by its rule.
fn peers(sets: &PeerSets, inventories: &BTreeMap<&str, Inventory>) -> Vec<u8> {
    if let [inventory] = inventories.values().collect::<Vec<_>>()[..] {
        return peer_table(sets, inventory).unwrap();
    }
    let mut claims: BTreeMap<IpAddr, Vec<(String, BTreeSet<u32>)>> = BTreeMap::new();
    for inventory in inventories.values() {
        for workload in &inventory.workloads {
            let holds = (0..)
                .zip(sets.iter())
                .filter(|(_, set)| set.contains(workload, inventory));
            let sets: BTreeSet<u32> = holds.map(|(position, _)| position).collect();
            for address in &workload.addresses {
                let claim = (workload.principal(), sets.clone());
                claims.entry(*address).or_default().push(claim);
            }
        }
    }
    let mut rows: Vec<(IpAddr, String, Vec<u32>)> = Vec::new();
    for (address, claims) in claims {
        let (principal, first) = claims[0].clone();
        if claims.iter().all(|(other, _)| *other == principal) {
            let common = claims
                .iter()
                .fold(first, |common, (_, sets)| &common & sets);
            rows.push((address, principal, common.into_iter().collect()));
        }
    }
    let mut members: Vec<Member<'_>> = rows
        .iter()
        .map(|(address, principal, sets)| Member {
            address: *address,
            principal,
            sets,
        })
        .collect();
    peer_table_of(sets, &mut members).unwrap()
}

fn key_of(value: &Value) -> ObjectKey {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    ObjectKey {
        kind: Kind::named(value["kind"].as_str().unwrap()).unwrap(),
        namespace: text(&value["metadata"]["namespace"]),
        name: text(&value["metadata"]["name"]).unwrap(),
    }
}

fn meaning(value: &Value) -> Option<Meaning> {
    let policy = match from_value(value.clone()).ok()? {
        Document::FirewallPolicy(located) => located.lower().ok()?,
        Document::ClusterFirewallPolicy(located) => located.lower().ok()?,
        Document::MeshwallConfig(located) => return Some(Meaning::Config(located.lower().ok()?)),
        Document::Other(_) => return None,
    };
    compile_selected(&Config::default(), &[&policy], &Target::default()).ok()?;
    Some(Meaning::Policy(policy))
}
