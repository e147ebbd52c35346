//! What sources have told, held against what clusters have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::{Client, Config};
use meshwall_policy_server::index::{ClusterName, Kind, Object};
use meshwall_policy_server::source::kubernetes::{self, Timing, Watching};
use meshwall_policy_server::source::{Event, Health, KindHealth};
use meshwall_testbed::rig::kubernetes::Api;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// How long anything may take that is to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for those who have no time.
pub(crate) const QUICK: Timing = Timing {
    answer: Duration::from_millis(500),
    watch_seconds: 2,
    silence: Duration::from_millis(800),
    shortest_wait: Duration::from_millis(10),
    longest_wait: Duration::from_millis(100),
};

/// Waits for those who want to know that nothing was missed: nothing is listed again for being
/// quiet.
pub(crate) const CALM: Timing = Timing {
    answer: Duration::from_secs(10),
    watch_seconds: 240,
    silence: Duration::from_secs(90),
    ..QUICK
};

type Told = BTreeMap<(ClusterName, Kind), BTreeMap<String, String>>;

/// Sources, and what they have told.
pub(crate) struct Bed {
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    pub(crate) health: Health,
    told: Told,
    listed: BTreeSet<(ClusterName, Kind)>,
    watching: Vec<Watching>,
}

pub(crate) fn name(cluster: &str) -> ClusterName {
    ClusterName::from(cluster)
}

/// A client of a server without TLS.
pub(crate) fn client(url: &str) -> Client {
    let mut config = Config::new(url.parse().unwrap());
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

impl Bed {
    pub(crate) fn new() -> Bed {
        let (sender, events) = mpsc::channel(64);
        Bed {
            sender,
            events,
            health: Health::default(),
            told: Told::new(),
            listed: BTreeSet::new(),
            watching: Vec::new(),
        }
    }

    pub(crate) fn watch(&mut self, cluster: &str, client: &Client, timing: Timing) {
        let watching = kubernetes::watch(
            &name(cluster),
            client,
            &Kind::ALL,
            timing,
            &self.sender,
            &self.health,
        );
        self.watching.push(watching);
    }

    pub(crate) fn of(&self, cluster: &str, kind: Kind) -> KindHealth {
        self.health.of(&name(cluster), kind).unwrap()
    }

    /// Takes the next event.
    async fn next(&mut self) {
        let event = self.events.recv().await.unwrap();
        let summary = |object: &Object| (object.key().to_string(), format!("{object:?}"));
        match event {
            Event::Listed {
                cluster,
                kind,
                objects,
            } => {
                let all = objects.iter().map(summary).collect();
                self.told.insert((cluster.clone(), kind), all);
                self.listed.insert((cluster, kind));
            }
            Event::Applied { cluster, object } => {
                let (key, content) = summary(&object);
                let of_kind = self.told.entry((cluster, object.key().kind)).or_default();
                of_kind.insert(key, content);
            }
            Event::Deleted { cluster, key } => {
                let of_kind = self.told.entry((cluster, key.kind)).or_default();
                of_kind.remove(&key.to_string());
            }
        }
    }

    /// Takes events until a condition holds.
    pub(crate) async fn until(&mut self, what: &str, mut condition: impl FnMut(&Bed) -> bool) {
        let all = async {
            while !condition(self) {
                // Health changes without an event, too.
                let _ = tokio::time::timeout(Duration::from_millis(20), self.next()).await;
            }
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            panic!("{what}: not within {PATIENCE:?}; {:#?}", self.health);
        }
    }

    pub(crate) fn is_listed(&self, cluster: &str) -> bool {
        let listed = |kind| self.listed.contains(&(name(cluster), kind));
        Kind::ALL.into_iter().all(listed)
    }

    /// Names of what was told of a kind.
    pub(crate) fn names(&self, cluster: &str, kind: Kind) -> Vec<String> {
        let of_kind = self.told.get(&(name(cluster), kind));
        of_kind
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Takes events until what was told is what the cluster has.
    pub(crate) async fn settles(&mut self, cluster: &str, api: &Api) {
        self.until("everything is listed", |bed| bed.is_listed(cluster))
            .await;
        let expected = contents(api).await;
        self.until("everything is as it is there", |bed| {
            Kind::ALL.into_iter().all(|kind| {
                let told = bed.told.get(&(name(cluster), kind));
                told == expected.get(&kind)
            })
        })
        .await;
    }
}

/// What a cluster has: all of it, asked for at once.
async fn contents(api: &Api) -> BTreeMap<Kind, BTreeMap<String, String>> {
    let mut contents = BTreeMap::new();
    for (kind, version, path) in PLACES {
        // A kind that is not defined has no objects.
        let list = api.get(path).await.unwrap_or_default();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let objects = items.into_iter().map(|mut item| {
            item["apiVersion"] = version.into();
            item["kind"] = kind.as_str().into();
            let object = Object::read(item).unwrap();
            (object.key().to_string(), format!("{object:?}"))
        });
        contents.insert(kind, objects.collect());
    }
    contents
}

const PLACES: [(Kind, &str, &str); 7] = [
    (Kind::Namespace, "v1", "/api/v1/namespaces"),
    (
        Kind::Pod,
        "v1",
        "/api/v1/pods?fieldSelector=status.phase%21%3DSucceeded,status.phase%21%3DFailed",
    ),
    (Kind::Service, "v1", "/api/v1/services"),
    (Kind::ServiceAccount, "v1", "/api/v1/serviceaccounts"),
    (
        Kind::FirewallPolicy,
        "meshwall.io/v1alpha1",
        "/apis/meshwall.io/v1alpha1/firewallpolicies",
    ),
    (
        Kind::ClusterFirewallPolicy,
        "meshwall.io/v1alpha1",
        "/apis/meshwall.io/v1alpha1/clusterfirewallpolicies",
    ),
    (
        Kind::MeshwallConfig,
        "meshwall.io/v1alpha1",
        "/apis/meshwall.io/v1alpha1/meshwallconfigs",
    ),
];

pub(crate) const PODS: &str = "/api/v1/namespaces/shop/pods";

/// Creates the namespace `shop`.
pub(crate) async fn shop(api: &Api) {
    let shop = json!({"metadata": {"name": "shop", "labels": {"team": "a"}}});
    api.create("/api/v1/namespaces", &shop).await.unwrap();
}

/// A pod, as it is created.
pub(crate) fn pod(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "serviceAccountName": "web",
            "containers": [{"name": "app", "image": "app"}],
        },
    })
}

/// What the kubelet writes of a pod.
pub(crate) fn running(address: &str) -> Value {
    json!({"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}})
}
