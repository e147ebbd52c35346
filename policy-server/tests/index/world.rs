//! Small worlds that change at random: few names, so that everything meets everything.

use std::collections::BTreeMap;

use meshwall_policy::cases::Choices;
use meshwall_policy_server::index::{Kind, ObjectKey};
use serde_json::{Value, json};

use super::support::key;

pub(crate) const CLUSTERS: [&str; 3] = ["home", "east", "west"];
const NAMESPACES: [&str; 3] = ["a", "b", "c"];
const NAMES: [&str; 3] = ["p", "q", "r"];
const APPS: [&str; 3] = ["x", "y", "z"];

/// What one cluster has.
pub(crate) type Objects = BTreeMap<ObjectKey, Value>;

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Apply(&'static str, Value),
    Delete(&'static str, ObjectKey),
    Reset(&'static str, Kind, Vec<Value>),
}

/// A world that changes.
pub(crate) struct World {
    pub(crate) choices: Choices,
    pub(crate) clusters: BTreeMap<&'static str, Objects>,
    clusters_used: usize,
    time: usize,
}

fn pick<T: Copy>(choices: &mut Choices, from: &[T]) -> T {
    from[choices.below(from.len())]
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let mut choices = Choices::new(seed);
        let clusters_used = 1 + choices.below(CLUSTERS.len());
        World {
            clusters: CLUSTERS[..clusters_used]
                .iter()
                .map(|name| (*name, Objects::new()))
                .collect(),
            choices,
            clusters_used,
            time: 0,
        }
    }

    pub(crate) fn names(&self) -> &'static [&'static str] {
        &CLUSTERS[..self.clusters_used]
    }

    /// Lets something happen.
    pub(crate) fn event(&mut self) -> Event {
        let cluster = CLUSTERS[self.choices.below(self.clusters_used)];
        if self.choices.chance(8) {
            return self.reset(cluster);
        }
        let key = self.key();
        if self.choices.chance(20) {
            self.objects(cluster).remove(&key);
            return Event::Delete(cluster, key);
        }
        let value = self.object(cluster, &key);
        Event::Apply(cluster, value)
    }

    fn objects(&mut self, cluster: &'static str) -> &mut Objects {
        self.clusters.entry(cluster).or_default()
    }

    fn key(&mut self) -> ObjectKey {
        let choices = &mut self.choices;
        let namespace = pick(choices, &NAMESPACES);
        let name = pick(choices, &NAMES);
        match choices.below(20) {
            0..=1 => key(Kind::Namespace, "", namespace),
            2..=9 => key(Kind::Pod, namespace, name),
            10..=15 => key(Kind::FirewallPolicy, namespace, name),
            16..=17 => key(Kind::ClusterFirewallPolicy, "", name),
            18 => key(Kind::MeshwallConfig, "", pick(choices, &["main", "other"])),
            _ => key(Kind::Service, namespace, name),
        }
    }

    /// Makes or changes an object.
    fn object(&mut self, cluster: &'static str, key: &ObjectKey) -> Value {
        self.time += 1;
        let created = format!("2026-01-01T00:{:02}:00Z", self.time % 60);
        let before = self.clusters[cluster].get(key).cloned();
        let mut value = match key.kind {
            Kind::Namespace => self.namespace(key),
            Kind::Pod => self.pod(key),
            Kind::Service | Kind::ServiceAccount => json!({"apiVersion": "v1"}),
            Kind::FirewallPolicy => self.policy(key),
            Kind::ClusterFirewallPolicy => self.cluster_policy(),
            Kind::MeshwallConfig => self.config(),
        };
        value["kind"] = json!(key.kind.as_str());
        value["metadata"]["name"] = json!(key.name);
        if let Some(namespace) = &key.namespace {
            value["metadata"]["namespace"] = json!(namespace);
        }
        if Kind::POLICIES.contains(&key.kind) {
            value["apiVersion"] = json!("meshwall.io/v1alpha1");
            let metadata = before.map(|before| before["metadata"].clone());
            let generation = match &metadata {
                Some(metadata) => metadata["generation"].as_i64().unwrap() + 1,
                // Now and then one is not seen from the beginning.
                None => 1 + i64::from(self.choices.chance(10)),
            };
            let created = metadata.map_or(json!(created), |metadata| {
                metadata["creationTimestamp"].clone()
            });
            value["metadata"]["generation"] = json!(generation);
            value["metadata"]["creationTimestamp"] = created;
        }
        self.objects(cluster).insert(key.clone(), value.clone());
        value
    }

    /// Lists a kind again, with all that has changed meanwhile.
    fn reset(&mut self, cluster: &'static str) -> Event {
        let kind = pick(&mut self.choices, &Kind::ALL);
        for _ in 0..self.choices.below(4) {
            let key = self.key();
            if key.kind != kind {
                continue;
            }
            if self.choices.chance(50) {
                self.objects(cluster).remove(&key);
            } else {
                self.object(cluster, &key);
            }
        }
        Event::Reset(cluster, kind, self.of(cluster, kind))
    }

    pub(crate) fn of(&self, cluster: &'static str, kind: Kind) -> Vec<Value> {
        let objects = self.clusters[cluster].iter();
        objects
            .filter(|(key, _)| key.kind == kind)
            .map(|(_, value)| value.clone())
            .collect()
    }

    fn namespace(&mut self, key: &ObjectKey) -> Value {
        let choices = &mut self.choices;
        let mut labels = json!({"kubernetes.io/metadata.name": key.name});
        if choices.chance(70) {
            labels["stage"] = json!(pick(choices, &["test", "prod"]));
        }
        json!({"apiVersion": "v1", "metadata": {"labels": labels}})
    }

    fn pod(&mut self, key: &ObjectKey) -> Value {
        let choices = &mut self.choices;
        let mut labels = json!({"app": pick(choices, &APPS)});
        if choices.chance(40) {
            labels["role"] = json!(pick(choices, &["reader", "writer"]));
        }
        let addresses: Vec<Value> = (0..choices.below(3))
            .map(|_| json!({"ip": format!("10.0.0.{}", choices.below(12))}))
            .collect();
        let phase = if choices.chance(6) {
            "Succeeded"
        } else {
            "Running"
        };
        let mut pod = json!({
            "apiVersion": "v1",
            "metadata": {"labels": labels},
            "spec": {
                // An account is a pod's for life.
                "serviceAccountName": if key.name == "p" { "one" } else { "two" },
                "hostNetwork": choices.chance(4),
                "containers": [{"ports": [
                    {"name": "http", "containerPort": pick(choices, &[80, 81])},
                    {"name": pick(choices, &["grpc", "admin"]), "containerPort": 90},
                ]}],
            },
            "status": {"phase": phase, "podIPs": addresses},
        });
        if choices.chance(5) {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        if choices.chance(3) {
            pod["status"]["podIP"] = json!("nowhere");
        }
        pod
    }

    fn policy(&mut self, key: &ObjectKey) -> Value {
        let choices = &mut self.choices;
        let mut spec = json!({});
        if choices.chance(70) {
            spec["selector"] = json!({"matchLabels": {"app": pick(choices, &APPS)}});
        }
        if choices.chance(80) {
            spec["ingress"] = json!([self.rule("from", key.namespace.is_some())]);
        }
        if self.choices.chance(60) {
            spec["egress"] = json!([self.rule("to", key.namespace.is_some())]);
        }
        self.spoil(&mut spec);
        json!({"spec": spec})
    }

    fn cluster_policy(&mut self) -> Value {
        let choices = &mut self.choices;
        let mut subject = json!({"namespaceSelector": {}});
        if choices.chance(50) {
            subject["namespaceSelector"]["matchLabels"] = json!({"stage": "prod"});
        }
        if choices.chance(50) {
            subject["podSelector"] = json!({"matchLabels": {"app": pick(choices, &APPS)}});
        }
        let mut spec = json!({
            "tier": pick(choices, &["Admin", "Baseline"]),
            "priority": choices.below(3),
            "subject": subject,
        });
        spec["ingress"] = json!([self.rule("from", false)]);
        if self.choices.chance(40) {
            spec["egress"] = json!([self.rule("to", false)]);
        }
        self.spoil(&mut spec);
        json!({"spec": spec})
    }

    fn config(&mut self) -> Value {
        let choices = &mut self.choices;
        let mut spec = json!({
            "trustDomain": pick(choices, &CLUSTERS),
            "defaultAction": {"egress": pick(choices, &["Allow", "Deny"])},
        });
        self.spoil(&mut spec);
        json!({"spec": spec})
    }

    /// Now and then a document is wrong.
    fn spoil(&mut self, spec: &mut Value) {
        if self.choices.chance(12) {
            spec["selectr"] = json!({});
        }
    }

    fn rule(&mut self, peers: &str, has_namespace: bool) -> Value {
        let choices = &mut self.choices;
        let action = pick(choices, &["Allow", "Deny"]);
        let mut rule = json!({"name": "r", "action": action});
        if choices.chance(90) {
            let list: Vec<Value> = (0..=choices.below(2))
                .map(|_| peer(choices, has_namespace))
                .collect();
            rule[peers] = json!(list);
        }
        if choices.chance(40) {
            let ports = json!([pick(choices, &["http", "grpc", "admin", "none"])]);
            rule["operations"] = json!([{"ports": ports}]);
        }
        if choices.chance(2) {
            // Right as a document, and too large to be compiled.
            let header = json!({"name": "x", "regex": r"(?:\w{50}){50}"});
            rule["operations"] = json!([{"headers": [header]}]);
        }
        rule
    }
}

fn peer(choices: &mut Choices, has_namespace: bool) -> Value {
    let app = pick(choices, &APPS);
    let namespace = pick(choices, &NAMESPACES);
    match choices.below(9) {
        0 if has_namespace => json!({"podSelector": {"matchLabels": {"app": app}}}),
        0 | 1 => json!({
            "namespaces": [namespace],
            "podSelector": {"matchExpressions": [
                {"key": "app", "operator": "In", "values": [app, "w"]},
                {"key": "role", "operator": "NotIn", "values": ["reader"]},
            ]},
        }),
        2 => json!({"namespaceSelector": {"matchLabels": {"stage": "prod"}}}),
        3 => json!({
            "namespaceSelector": {"matchLabels": {"stage": "test"}},
            "podSelector": {"matchExpressions": [{"key": "role", "operator": "Exists"}]},
        }),
        4 => json!({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": app}}}),
        5 => json!({"serviceAccounts": [format!("{namespace}/one")]}),
        6 => json!({"namespaces": [namespace]}),
        7 => json!({"principals": [pick(choices, &["*/sa/two", "home/ns/a/sa/one", "*"])]}),
        _ => json!({"trustDomains": [pick(choices, &CLUSTERS)]}),
    }
}
