//! Replicas of the server without its sockets, on clusters that are fake.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::{Client, Config};
use meshwall_mesh_config::crds;
use meshwall_mesh_config::crds::status::Status;
use meshwall_mesh_config::envoy::Module;
use meshwall_policy_server::driver::{Ask, Driver};
use meshwall_policy_server::identity::Identities;
use meshwall_policy_server::index::{ClusterName, Index, Kind, Mesh};
use meshwall_policy_server::publish::Publisher;
use meshwall_policy_server::source::{Health, kubernetes};
use meshwall_policy_server::status::{self, Known, Timing, Writing};
use meshwall_testbed::rig::fake_kubernetes::FakeKubernetes;
use meshwall_xds_server::{Server, Settings};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// How long anything may take that is to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at what has happened.
const GLANCE: Duration = Duration::from_millis(10);

const QUICK: Timing = Timing {
    tick: Duration::from_millis(10),
    every: Duration::from_millis(50),
    lease: Duration::from_secs(1),
    renew: Duration::from_millis(100),
    forbidden: Duration::from_millis(100),
    answer: Duration::from_millis(300),
    refresh: Duration::from_secs(600),
};

pub(crate) const POLICIES: &str = "/apis/meshwall.io/v1alpha1/namespaces/shop/firewallpolicies";
pub(crate) const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";
pub(crate) const LEASE: &str =
    "/apis/coordination.k8s.io/v1/namespaces/default/leases/meshwall-server-status";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A cluster with our kinds, events, and the namespaces `default` and `shop`.
pub(crate) async fn cluster() -> FakeKubernetes {
    let fake = FakeKubernetes::start().await.unwrap();
    let api = fake.admin();
    for definition in crds::all() {
        api.create(DEFINITIONS, &definition.object).await.unwrap();
    }
    define(&fake, "events.k8s.io", "events", "Event").await;
    for name in ["default", "shop"] {
        let namespace = json!({"metadata": {"name": name}});
        api.create("/api/v1/namespaces", &namespace).await.unwrap();
    }
    fake
}

/// Lets a cluster have leases.
pub(crate) async fn with_leases(fake: &FakeKubernetes) {
    define(fake, "coordination.k8s.io", "leases", "Lease").await;
}

/// To the fake, a kind that it does not know is one that is defined.
async fn define(fake: &FakeKubernetes, group: &str, plural: &str, kind: &str) {
    let definition = json!({
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1"}],
        },
    });
    fake.admin().create(DEFINITIONS, &definition).await.unwrap();
}

/// A policy that allows this path.
pub(crate) fn policy(path: &str) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {"selector": {}, "ingress": [{
            "name": "all", "action": "Allow", "operations": [{"paths": [path]}],
        }]},
    })
}

/// One replica. It ends when this is dropped.
pub(crate) struct Replica {
    _watching: Vec<kubernetes::Watching>,
    _asks: mpsc::Sender<Ask>,
    _writing: Writing,
}

impl Replica {
    /// A replica for these clusters, the policy cluster first.
    pub(crate) fn start(me: &str, clusters: &[(&str, &FakeKubernetes)]) -> Replica {
        let names = clusters.iter().map(|(name, _)| ClusterName::from(*name));
        let names: Vec<ClusterName> = names.collect();
        let (first, others) = names.split_first().unwrap();
        let mesh = Mesh::new(first.clone(), "cluster.local");
        let with = |mesh: Mesh, name: &ClusterName| mesh.with(name.clone(), "cluster.local");
        let domains = names.iter().cloned().map(|name| (name, String::new()));
        let identities = Arc::new(Identities::new(domains, false));
        let xds = Server::new(Settings::default(), identities.clone());
        let module = Module {
            path: "/firewall.wasm".into(),
            sha256: None,
        };
        let driver = Driver::new(
            Index::new(others.iter().fold(mesh, with)),
            None,
            identities,
            Publisher::new(module, 7),
            xds.clone(),
            Arc::default(),
            Duration::from_millis(1),
        );
        let health = Health::default();
        let known = Known {
            board: driver.board(),
            xds,
            health: health.clone(),
            policy_cluster: first.clone(),
        };
        let (events, told) = mpsc::channel(64);
        let (asks, asked) = mpsc::channel(1);
        let mut watching = Vec::new();
        let mut clients = Vec::new();
        for (name, fake) in clusters {
            let mut config = Config::new(fake.url().parse().unwrap());
            config.default_retry = false;
            let client = Client::try_from(config).unwrap();
            let name = ClusterName::from(*name);
            let timing = kubernetes::Timing::default();
            let source = kubernetes::watch(&name, &client, &Kind::ALL, timing, &events, &health);
            watching.push(source);
            clients.push((name, client));
        }
        tokio::spawn(driver.run(told, asked));
        Replica {
            _watching: watching,
            _asks: asks,
            _writing: status::start(clients, me, known, QUICK),
        }
    }
}

/// What the policy `web` has as its status.
pub(crate) async fn status_of(fake: &FakeKubernetes) -> Option<Status> {
    let policy = fake.admin().get(&format!("{POLICIES}/web")).await.unwrap();
    let status = policy.get("status")?.clone();
    Some(serde_json::from_value(status).unwrap())
}

/// Waits until the status of the policy is about this generation, and has this reason for whether
/// it is accepted.
pub(crate) async fn until(fake: &FakeKubernetes, generation: i64, reason: &str) -> Status {
    let start = Instant::now();
    loop {
        let status = status_of(fake).await;
        if let Some(status) = status.as_ref().filter(|status| {
            let accepted = status.conditions.first();
            status.observed_generation == generation
                && accepted.is_some_and(|accepted| accepted.reason == reason)
        }) {
            return status.clone();
        }
        assert!(start.elapsed() < PATIENCE, "not {reason}: {status:?}");
        tokio::time::sleep(GLANCE).await;
    }
}
