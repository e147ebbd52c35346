//! Rule sets of any size that look like what a large service has: every client has its own
//! account, paths, methods and a few headers.

use std::net::{IpAddr, Ipv4Addr};

use meshwall_policy::cases::{OwnedRequest, Question};
use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::spec::{
    Action, Alternatives, Config, Direction, Field, LabelSelector, Mode, NamespaceScope, ObjectRef,
    Patterns, Policy, PortRange, Predicate, Rule, StringPattern, Subject, Tier, Timestamp,
};

/// The workload that the rules protect.
pub fn workload() -> Workload {
    Workload {
        namespace: "shop".to_owned(),
        name: "payments".to_owned(),
        labels: [("app".to_owned(), "payments".to_owned())].into(),
        service_account: "payments".to_owned(),
        trust_domain: "cluster.local".to_owned(),
        addresses: vec![IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1))],
        ports: [("http".to_owned(), 8080)].into(),
    }
}

/// Principal of the client that rule `number` is for.
pub fn principal(number: usize) -> String {
    format!(
        "spiffe://cluster.local/ns/team-{}/sa/client-{number}",
        number % 50
    )
}

fn strings(field: Field, patterns: Vec<StringPattern>) -> Predicate {
    Predicate {
        field,
        patterns: Patterns::Strings(patterns),
        negated: false,
    }
}

/// A policy of this many Allow rules, each for one client.
pub fn policies(rules: usize) -> Vec<Policy> {
    let ingress = (0..rules)
        .map(|number| Rule {
            name: format!("client-{number}"),
            action: Action::Allow,
            peers: Alternatives::OneOf(vec![vec![strings(
                Field::Principal,
                vec![StringPattern::Exact(principal(number))],
            )]]),
            operations: Alternatives::OneOf(vec![vec![
                Predicate {
                    field: Field::Port,
                    patterns: Patterns::Ports(vec![PortRange::Numbers(8080..=8080)]),
                    negated: false,
                },
                strings(
                    Field::Method,
                    vec![
                        StringPattern::Exact("GET".to_owned()),
                        StringPattern::Exact("POST".to_owned()),
                    ],
                ),
                strings(
                    Field::Path,
                    vec![
                        StringPattern::Prefix(format!("/api/v{}/client-{number}/", number % 3)),
                        StringPattern::Exact(format!("/status/{number}")),
                    ],
                ),
            ]]),
            conditions: if number % 10 == 0 {
                vec![strings(
                    Field::Header("x-env".to_owned()),
                    vec![StringPattern::Exact("prod".to_owned())],
                )]
            } else {
                Vec::new()
            },
        })
        .collect();
    vec![Policy {
        origin: ObjectRef {
            kind: "FirewallPolicy".to_owned(),
            namespace: Some("shop".to_owned()),
            name: "clients".to_owned(),
        },
        tier: Tier::Namespace,
        priority: 0,
        subject: Subject {
            namespaces: NamespaceScope::Named("shop".to_owned()),
            pods: LabelSelector::default(),
        },
        mode: Mode::Enforce,
        expires: None,
        ingress,
        egress: Vec::new(),
    }]
}

/// Requests to `rules` rules: three of four are permitted by the client's own rule.
pub fn questions(rules: usize, count: usize) -> Vec<Question> {
    (0..count)
        .map(|at| {
            let number = at.wrapping_mul(7919) % rules;
            let path = if at % 4 == 3 {
                format!("/api/v{}/client-{}/items/17", (number + 1) % 3, number + 1)
            } else {
                format!("/api/v{}/client-{number}/items/17?limit=10", number % 3)
            };
            let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            Question {
                direction: Direction::Ingress,
                now: Timestamp(0),
                principal: Some(principal(number)),
                address: IpAddr::V4(Ipv4Addr::new(10, 2, 0, 1)),
                remote_address: None,
                port: 8080,
                sni: None,
                request: Some(OwnedRequest {
                    method: "GET".to_owned(),
                    authority: "payments.shop.svc.cluster.local:8080".to_owned(),
                    path,
                    headers: vec![
                        header(":authority", "payments.shop.svc.cluster.local:8080"),
                        header(":method", "GET"),
                        header(":scheme", "https"),
                        header("accept", "*/*"),
                        header("user-agent", "client/1.0"),
                        header("x-env", "prod"),
                        header("x-request-id", "3f8e6d0c-6b0d-4f0e-a6e5-0d1f6f1b2a3c"),
                        header("x-forwarded-proto", "https"),
                    ],
                    claims: Vec::new(),
                }),
            }
        })
        .collect()
}

/// The world of the benchmark.
pub fn world() -> (Config, Inventory) {
    (
        Config::default(),
        Inventory {
            workloads: vec![workload()],
            ..Inventory::default()
        },
    )
}
