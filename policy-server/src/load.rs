//! A made-up mesh of any size, for tests of load and for benchmarks.
//!
//! Every namespace has ten applications of equally many pods. Every application has policies that
//! let in two others of its namespace and one of another, by labels and by account, and that say
//! where it may connect to. A few policies of the cluster concern everything: one asks for a label
//! of namespaces that none has at first, one lets the pods of a monitoring application in. So a pod
//! that changes concerns a handful of programs, and some changes concern all of them.
//!
//! The same numbers give the same objects.

use meshwall_policy::document::types::API_VERSION;
use serde_json::{Value, json};

/// Applications of a namespace.
const APPLICATIONS: usize = 10;

/// Policies of the cluster.
const CLUSTER_POLICIES: usize = 5;

/// How large the mesh is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Load {
    /// Namespaces.
    pub namespaces: usize,
    /// Pods of all namespaces together.
    pub pods: usize,
    /// Policies of all namespaces and of the cluster together.
    pub policies: usize,
}

impl Load {
    /// A large cluster.
    pub const LARGE: Load = Load {
        namespaces: 100,
        pods: 10_000,
        policies: 1_000,
    };

    /// The namespaces.
    pub fn namespaces(self) -> impl Iterator<Item = Value> {
        (0..self.namespaces).map(move |number| self.namespace(number, false))
    }

    /// A namespace; `quarantine` is a label by which a policy of the cluster denies.
    #[must_use]
    pub fn namespace(self, number: usize, quarantine: bool) -> Value {
        let mut labels = json!({
            "kubernetes.io/metadata.name": name(number),
            "stage": if number.is_multiple_of(2) { "prod" } else { "test" },
        });
        if let (true, Some(labels)) = (quarantine, labels.as_object_mut()) {
            labels.insert("quarantine".to_owned(), json!("true"));
        }
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name(number), "labels": labels},
        })
    }

    /// The pods.
    pub fn pods(self) -> impl Iterator<Item = Value> {
        (0..self.pods).map(move |number| self.pod(number, Pod::default()))
    }

    /// A pod, as it is at first or later.
    #[must_use]
    pub fn pod(self, number: usize, pod: Pod) -> Value {
        let namespace = number % self.namespaces.max(1);
        let account = number / self.namespaces.max(1) % APPLICATIONS;
        let application = (account + pod.relabelled) % APPLICATIONS;
        // 10.a.b.c, and for those that have moved 11.a.b.c.
        let address = number + 1 + (pod.moved << 24);
        let [a, b, c, d] = u32::try_from(address).unwrap_or_default().to_be_bytes();
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": format!("app-{account}-{number}"),
                "namespace": name(namespace),
                "labels": {
                    "app": format!("app-{application}"),
                    "app.kubernetes.io/part-of": name(namespace),
                    "pod-template-hash": format!("{account:010x}"),
                    "version": "v1",
                },
            },
            "spec": {
                "serviceAccountName": format!("app-{account}"),
                "containers": [{"name": "app", "ports": [
                    {"name": "http", "containerPort": 8080, "protocol": "TCP"},
                    {"name": "grpc", "containerPort": 9000 + account, "protocol": "TCP"},
                ]}],
            },
            "status": {"phase": "Running", "podIP": format!("{}.{b}.{c}.{d}", 10 + a)},
        })
    }

    /// The policies of namespaces.
    pub fn policies(self) -> impl Iterator<Item = Value> {
        let policies = self.policies.saturating_sub(CLUSTER_POLICIES);
        (0..policies).map(move |number| self.policy(number, 0))
    }

    /// A policy of a namespace, edited so many times.
    #[must_use]
    pub fn policy(self, number: usize, edits: usize) -> Value {
        let namespaces = self.namespaces.max(1);
        let namespace = number % namespaces;
        let application = number / namespaces % APPLICATIONS;
        let app = |offset: usize| format!("app-{}", (application + offset) % APPLICATIONS);
        let other = name((namespace + 1 + application) % namespaces);
        json!({
            "apiVersion": API_VERSION,
            "kind": "FirewallPolicy",
            "metadata": {
                "name": format!("policy-{number}"),
                "namespace": name(namespace),
                "generation": edits + 1,
            },
            "spec": {
                "selector": {"matchLabels": {"app": app(0)}},
                "ingress": [
                    {
                        "name": "by-label",
                        "action": "Allow",
                        "from": [
                            {"podSelector": {"matchLabels": {"app": app(1)}}},
                            {"podSelector": {"matchLabels": {"app": app(2), "version": "v1"}}},
                        ],
                        "operations": [
                            {"ports": ["http"], "methods": ["GET"], "paths": ["/v1/items/{*}"]},
                            {"ports": ["http"], "methods": ["POST"], "paths": ["/v1/items"]},
                            {"ports": ["grpc"], "grpc": [{"service": "shop.Items"}]},
                        ],
                    },
                    {
                        "name": "from-elsewhere",
                        "action": "Allow",
                        "from": [
                            {"namespaces": [other], "podSelector": {"matchLabels": {"app": app(3)}}},
                            {"serviceAccounts": [app(4), format!("{other}/{}", app(5))]},
                        ],
                        "operations": [{
                            "ports": ["http"],
                            "paths": ["/public*", format!("/edits/{edits}")],
                        }],
                    },
                    {
                        "name": "no-admin",
                        "action": "Deny",
                        "operations": [{"paths": ["/admin", "/admin/{**}"]}],
                    },
                ],
                "egress": [
                    {
                        "name": "own",
                        "action": "Allow",
                        "to": [{"serviceAccounts": [app(1), app(6)]}],
                        "operations": [{"ports": ["http"]}],
                    },
                    {
                        "name": "database",
                        "action": "Allow",
                        "to": [{"ipBlocks": [{"cidr": "192.0.2.0/24"}]}],
                        "operations": [{"ports": [5432]}],
                    },
                ],
            },
        })
    }

    /// The policies of the cluster.
    pub fn cluster_policies(self) -> impl Iterator<Item = Value> {
        let rules = [
            json!({"name": "quarantine", "action": "Deny",
                   "from": [{"namespaceSelector": {"matchLabels": {"quarantine": "true"}}}]}),
            json!({"name": "monitoring", "action": "Allow",
                   "from": [{"namespaces": [name(0)],
                             "podSelector": {"matchLabels": {"app": "app-0"}}}],
                   "operations": [{"paths": ["/metrics"]}]}),
            json!({"name": "metadata", "action": "Deny",
                   "from": [{"ipBlocks": [{"cidr": "169.254.0.0/16"}]}]}),
            json!({"name": "partner", "action": "Deny",
                   "from": [{"trustDomains": ["partner.example"]}]}),
            json!({"name": "known", "action": "Allow", "from": [{"namespaces": [name(0)]}]}),
        ];
        (0_usize..).zip(rules).map(|(number, rule)| {
            let is_last = number + 1 == CLUSTER_POLICIES;
            json!({
                "apiVersion": API_VERSION,
                "kind": "ClusterFirewallPolicy",
                "metadata": {"name": format!("cluster-{number}"), "generation": 1},
                "spec": {
                    "tier": if is_last { "Baseline" } else { "Admin" },
                    "priority": number,
                    "subject": {"namespaceSelector": {}},
                    "ingress": [rule],
                },
            })
        })
    }
}

/// What has happened to a pod.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pod {
    /// How many applications further its label says it is.
    pub relabelled: usize,
    /// How often it has got another address, 0-100.
    pub moved: usize,
}

fn name(namespace: usize) -> String {
    format!("ns-{namespace}")
}
