//! What the index costs: `cargo run --release -p meshwall-policy-server --example index_load`.
//!
//! One core, no sockets, objects as decoded JSON. Reading is counted where it says so: in the
//! server it happens beside the index.

use std::time::{Duration, Instant};

use meshwall_policy_server::index::{ClusterName, Index, Kind, Mesh, Object, Update};
use meshwall_policy_server::load::{Load, Pod};
use serde_json::Value;

const CHANGES: usize = 2_000;

/// The times of many changes, and what they made again.
#[derive(Default)]
struct Times {
    times: Vec<Duration>,
    compiled: usize,
    tables: usize,
    published: usize,
}

impl Times {
    fn measure(&mut self, change: impl FnOnce() -> Update) {
        let start = Instant::now();
        let update = change();
        self.times.push(start.elapsed());
        self.compiled += update.work.compiled;
        self.tables += update.work.tables;
        self.published += update.work.published;
    }

    fn print(&mut self, what: &str) {
        self.times.sort();
        let count = self.times.len().max(1);
        let at = |share: usize| {
            self.times
                .get((count - 1) * share / 100)
                .copied()
                .unwrap_or_default()
        };
        let total: Duration = self.times.iter().sum();
        let each = |sum: usize| sum as f64 / count as f64;
        println!(
            "{what:<34} p50 {:>8.2?}  p99 {:>8.2?}  max {:>8.2?}  mean {:>8.2?}  each: {:.2} compiled, {:.1} tables, {:.1} workloads",
            at(50),
            at(99),
            at(100),
            total / u32::try_from(count).unwrap_or(u32::MAX),
            each(self.compiled),
            each(self.tables),
            each(self.published),
        );
    }
}

fn objects(values: Vec<Value>) -> Vec<Object> {
    values
        .into_iter()
        .filter_map(|value| Object::read(value).ok())
        .collect()
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.unwrap_or("VmRSS: unknown").replace('\t', " ")
}

fn main() {
    let load = Load::LARGE;
    let cluster = ClusterName::from("home");
    let mut index = Index::new(Mesh::new(cluster.clone(), "cluster.local"));
    let lists = [
        (Kind::MeshwallConfig, Vec::new()),
        (Kind::Namespace, load.namespaces().collect()),
        (
            Kind::ClusterFirewallPolicy,
            load.cluster_policies().collect(),
        ),
        (Kind::FirewallPolicy, load.policies().collect()),
        (Kind::Pod, load.pods().collect::<Vec<_>>()),
    ];
    println!("{load:?}");
    println!("before: {}", resident());
    let start = Instant::now();
    let lists = lists.map(|(kind, values)| (kind, objects(values)));
    println!("objects read after             {:>8.2?}", start.elapsed());
    for (kind, objects) in lists {
        index.reset(&cluster, kind, objects);
    }
    let update = index.update();
    println!("first complete snapshot after  {:>8.2?}", start.elapsed());
    println!("{:?}", update.work);
    drop(update);
    println!("{:?}", index.size());
    println!("after: {}", resident());

    let apply = |index: &mut Index, value: Value| {
        let object = objects(vec![value]);
        for object in object {
            index.apply(&cluster, object);
        }
        index.update()
    };
    let mut relabels = Times::default();
    let mut moves = Times::default();
    let mut restarts = Times::default();
    let mut edits = Times::default();
    for round in 0..CHANGES {
        let pod = (round * 7_919) % load.pods;
        let relabelled = Pod {
            relabelled: 1 + round % 3,
            ..Pod::default()
        };
        relabels.measure(|| apply(&mut index, load.pod(pod, relabelled)));
        relabels.measure(|| apply(&mut index, load.pod(pod, Pod::default())));
        let moved = Pod {
            moved: 1,
            ..Pod::default()
        };
        moves.measure(|| apply(&mut index, load.pod(pod, moved)));
        moves.measure(|| apply(&mut index, load.pod(pod, Pod::default())));
        let object = objects(vec![load.pod(pod, Pod::default())]).pop();
        let Some(object) = object else { continue };
        let key = object.key().clone();
        restarts.measure(|| {
            index.delete(&cluster, &key);
            index.update()
        });
        restarts.measure(|| {
            index.apply(&cluster, object);
            index.update()
        });
        if round % 10 == 0 {
            let policy = round * 31 % (load.policies - 5);
            edits.measure(|| apply(&mut index, load.policy(policy, round + 1)));
        }
    }
    relabels.print("a pod's label");
    moves.print("a pod's address");
    restarts.print("a pod goes, comes");
    edits.print("a policy");
    let mut quarantine = Times::default();
    for round in 0..20 {
        quarantine.measure(|| apply(&mut index, load.namespace(3, round % 2 == 0)));
    }
    quarantine.print("a label that every program asks for");
    let mut monitoring = Times::default();
    for round in 0..41 {
        let moved = Pod {
            moved: round % 2,
            ..Pod::default()
        };
        monitoring.measure(|| apply(&mut index, load.pod(0, moved)));
    }
    monitoring.print("a pod that every program asks for");
    let pods = objects(load.pods().collect());
    let start = Instant::now();
    let changed = index.reset(&cluster, Kind::Pod, pods);
    index.update();
    println!(
        "a list that says nothing new: {:.2?} (changed: {changed})",
        start.elapsed()
    );
    println!("at the end: {}", resident());
}
