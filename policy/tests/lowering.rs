//! What documents mean: text in, whole spec values out.

#![cfg(test)]

use std::net::IpAddr;

use meshwall_policy::document::{self, Document, Set};
use meshwall_policy::spec::{
    Action, Alternatives, Cidr, Config, DefaultAction, Denial, Direction, Field, LabelOperator,
    LabelRequirement, LabelSelector, Mode, NamespaceScope, Network, ObjectRef, PathTemplate,
    Patterns, PeerSet, Policy, PortRange, Predicate, Regex, Rule, StringPattern, Subject,
    TemplateSegment, Tier, Timestamp,
};

fn lower(text: &str) -> Policy {
    let parsed = document::parse("policy.yaml", text);
    assert_eq!(parsed.errors, [], "{text}");
    let set = Set::from(parsed.documents);
    assert_eq!(set.errors, [], "{text}");
    let [policy] = <[_; 1]>::try_from(set.policies).unwrap();
    policy.value
}

/// A policy of namespace `shop` whose spec is this flow mapping.
fn shop(spec: &str) -> Policy {
    lower(&format!(
        "apiVersion: meshwall.io/v1alpha1\nkind: FirewallPolicy\n\
         metadata: {{name: p, namespace: shop}}\nspec: {spec}\n"
    ))
}

/// A policy of the cluster with one ingress rule that has this flow mapping in `from`.
fn cluster(spec: &str) -> Policy {
    lower(&format!(
        "apiVersion: meshwall.io/v1alpha1\nkind: ClusterFirewallPolicy\n\
         metadata: {{name: p}}\nspec: {spec}\n"
    ))
}

/// What the only rule of a policy says about its peers.
fn peers(direction: Direction, peers: &str) -> Alternatives {
    let (policy, rules) = match direction {
        Direction::Ingress => {
            let policy = shop(&format!("{{ingress: [{{action: Allow, from: {peers}}}]}}"));
            (policy.egress, policy.ingress)
        }
        Direction::Egress => {
            let policy = shop(&format!("{{egress: [{{action: Allow, to: {peers}}}]}}"));
            (policy.ingress, policy.egress)
        }
    };
    assert_eq!(policy, []);
    let [rule] = <[_; 1]>::try_from(rules).unwrap();
    assert_eq!(
        (rule.operations, rule.conditions),
        (Alternatives::Any, vec![])
    );
    rule.peers
}

fn from(text: &str) -> Alternatives {
    peers(Direction::Ingress, text)
}

fn to(text: &str) -> Alternatives {
    peers(Direction::Egress, text)
}

fn operations(text: &str) -> Alternatives {
    let policy = shop(&format!(
        "{{ingress: [{{action: Allow, operations: {text}}}]}}"
    ));
    policy.ingress.into_iter().next().unwrap().operations
}

fn when(text: &str) -> Vec<Predicate> {
    let policy = shop(&format!("{{ingress: [{{action: Allow, when: {text}}}]}}"));
    policy.ingress.into_iter().next().unwrap().conditions
}

fn exact(text: &str) -> StringPattern {
    StringPattern::Exact(text.to_owned())
}

fn prefix(text: &str) -> StringPattern {
    StringPattern::Prefix(text.to_owned())
}

fn suffix(text: &str) -> StringPattern {
    StringPattern::Suffix(text.to_owned())
}

fn is(field: Field, patterns: Patterns) -> Predicate {
    Predicate {
        field,
        patterns,
        negated: false,
    }
}

fn strings(field: Field, patterns: impl Into<Vec<StringPattern>>) -> Predicate {
    is(field, Patterns::Strings(patterns.into()))
}

fn sets(sets: impl Into<Vec<PeerSet>>) -> Predicate {
    is(Field::PeerSet, Patterns::Sets(sets.into()))
}

fn identity(field: Field, pattern: StringPattern) -> PeerSet {
    PeerSet::Identity { field, pattern }
}

fn own_mesh() -> Predicate {
    is(Field::TrustDomain, Patterns::MeshTrustDomains)
}

fn one(predicates: impl Into<Vec<Predicate>>) -> Alternatives {
    Alternatives::OneOf(vec![predicates.into()])
}

fn label(key: &str, values: &[&str]) -> LabelRequirement {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    LabelRequirement {
        key: key.to_owned(),
        operator: LabelOperator::In(values),
    }
}

fn labels(requirements: impl Into<Vec<LabelRequirement>>) -> LabelSelector {
    LabelSelector {
        requirements: requirements.into(),
    }
}

fn named(namespace: &str) -> NamespaceScope {
    NamespaceScope::Named(namespace.to_owned())
}

fn cidr(address: &str, prefix_len: u8) -> Cidr {
    Cidr {
        address: address.parse::<IpAddr>().unwrap(),
        prefix_len,
    }
}

fn whole(address: &str, prefix_len: u8) -> Network {
    Network {
        cidr: cidr(address, prefix_len),
        except: vec![],
    }
}

fn object(kind: &str, namespace: Option<&str>, name: &str) -> ObjectRef {
    ObjectRef {
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

fn rule(name: &str, action: Action) -> Rule {
    Rule {
        name: name.to_owned(),
        action,
        peers: Alternatives::Any,
        operations: Alternatives::Any,
        conditions: vec![],
    }
}

#[test]
fn a_policy_of_a_namespace() {
    let policy = lower(
        "
apiVersion: meshwall.io/v1alpha1
kind: FirewallPolicy
metadata:
  name: payments
  namespace: shop
  labels: {team: payments}
  annotations: {note: yes}
  creationTimestamp: null
  generation: 3
  managedFields: []
spec:
  selector:
    matchLabels: {tier: back, app: payments}
    matchExpressions:
    - {key: app, operator: In, values: [payments]}
    - {key: env, operator: NotIn, values: [test, dev, test]}
    - {key: canary, operator: DoesNotExist}
    - {key: app, operator: Exists}
  mode: Monitor
  expires: 2026-12-31T00:00:00Z
  ingress:
  - {action: Deny}
  - {name: all-in, action: Allow}
  egress:
  - {name: all-out, action: Allow}
status:
  conditions: []
",
    );
    let requirement = |key: &str, operator| LabelRequirement {
        key: key.to_owned(),
        operator,
    };
    assert_eq!(
        policy,
        Policy {
            origin: object("FirewallPolicy", Some("shop"), "payments"),
            tier: Tier::Namespace,
            priority: 0,
            subject: Subject {
                namespaces: named("shop"),
                pods: labels([
                    label("app", &["payments"]),
                    requirement("app", LabelOperator::Exists),
                    requirement("canary", LabelOperator::DoesNotExist),
                    requirement(
                        "env",
                        LabelOperator::NotIn(vec!["dev".into(), "test".into()])
                    ),
                    label("tier", &["back"]),
                ]),
            },
            mode: Mode::Monitor,
            expires: Some(Timestamp(1_798_675_200)),
            ingress: vec![
                rule("ingress[0]", Action::Deny),
                rule("all-in", Action::Allow)
            ],
            egress: vec![rule("all-out", Action::Allow)],
        }
    );
}

#[test]
fn a_policy_of_the_cluster() {
    let policy = cluster(
        "{tier: Baseline, priority: 1000, subject: {namespaceSelector: {}, \
         podSelector: {matchLabels: {app: x}}}, egress: [{action: Pass}]}",
    );
    let expected = Policy {
        origin: object("ClusterFirewallPolicy", None, "p"),
        tier: Tier::Baseline,
        priority: 1000,
        subject: Subject {
            namespaces: NamespaceScope::All,
            pods: labels([label("app", &["x"])]),
        },
        mode: Mode::Enforce,
        expires: None,
        ingress: vec![],
        egress: vec![rule("egress[0]", Action::Pass)],
    };
    assert_eq!(policy, expected);
    let policy = cluster(
        "{tier: Admin, priority: 0, subject: {namespaceSelector: {matchLabels: {env: prod}}}, \
         ingress: [{action: Deny}]}",
    );
    assert_eq!(policy.tier, Tier::Admin);
    assert_eq!(
        policy.subject,
        Subject {
            namespaces: NamespaceScope::Selected(labels([label("env", &["prod"])])),
            pods: labels([]),
        }
    );
}

#[test]
fn peers_by_identity() {
    let table = [
        (
            "[{serviceAccounts: [checkout, ops/web, 'mon/*']}]",
            one([
                strings(
                    Field::ServiceAccount,
                    [exact("shop/checkout"), exact("ops/web"), prefix("mon/")],
                ),
                own_mesh(),
            ]),
        ),
        (
            "[{principals: [spiffe://a.example/x, a.example/ns/shop/sa/web, a.example/*, \
             '*/sa/web', '*']}]",
            one([strings(
                Field::Principal,
                [
                    exact("spiffe://a.example/x"),
                    exact("spiffe://a.example/ns/shop/sa/web"),
                    prefix("spiffe://a.example/"),
                    suffix("/sa/web"),
                    StringPattern::NonEmpty,
                ],
            )]),
        ),
        (
            "[{trustDomains: [a.example]}]",
            one([strings(Field::TrustDomain, [exact("a.example")])]),
        ),
        (
            "[{namespaces: [ops, 'team-*', '*-dev', '*']}]",
            one([
                strings(
                    Field::Namespace,
                    [
                        exact("ops"),
                        prefix("team-"),
                        suffix("-dev"),
                        StringPattern::NonEmpty,
                    ],
                ),
                own_mesh(),
            ]),
        ),
        (
            "[{namespaces: [ops], trustDomains: [a.example]}]",
            one([
                strings(Field::TrustDomain, [exact("a.example")]),
                strings(Field::Namespace, [exact("ops")]),
            ]),
        ),
        (
            "[{namespaces: [ops], principals: ['a.example/*']}]",
            one([
                strings(Field::Principal, [prefix("spiffe://a.example/")]),
                strings(Field::Namespace, [exact("ops")]),
            ]),
        ),
        (
            "[{namespaces: [ops], principals: ['*/sa/web']}]",
            one([
                strings(Field::Principal, [suffix("/sa/web")]),
                strings(Field::Namespace, [exact("ops")]),
                own_mesh(),
            ]),
        ),
        (
            "[{principals: ['*']}, {ipBlocks: [10.0.0.0/8]}]",
            Alternatives::OneOf(vec![
                vec![strings(Field::Principal, [StringPattern::NonEmpty])],
                vec![is(
                    Field::PeerAddress,
                    Patterns::Networks(vec![whole("10.0.0.0", 8)]),
                )],
            ]),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(from(text), expected, "{text}");
    }
}

#[test]
fn peers_by_labels() {
    let set = |namespaces, pods| PeerSet::Labels { namespaces, pods };
    let web = || labels([label("app", &["web"])]);
    let table = [
        (
            "[{podSelector: {matchLabels: {app: web}}}]",
            one([sets([set(named("shop"), web())])]),
        ),
        (
            "[{podSelector: {}}]",
            one([sets([set(named("shop"), labels([]))])]),
        ),
        (
            "[{namespaceSelector: {}}]",
            one([sets([set(NamespaceScope::All, labels([]))])]),
        ),
        (
            "[{namespaceSelector: {matchLabels: {env: prod}}, podSelector: {matchLabels: {app: \
             web}}}]",
            one([sets([set(
                NamespaceScope::Selected(labels([label("env", &["prod"])])),
                web(),
            )])]),
        ),
        (
            "[{namespaces: [ops, dev], podSelector: {matchLabels: {app: web}}}]",
            one([
                strings(Field::Namespace, [exact("ops"), exact("dev")]),
                own_mesh(),
                sets([set(named("ops"), web()), set(named("dev"), web())]),
            ]),
        ),
        (
            "[{namespaces: ['team-*'], podSelector: {matchLabels: {app: web}}}]",
            one([
                strings(Field::Namespace, [prefix("team-")]),
                own_mesh(),
                sets([set(NamespaceScope::All, web())]),
            ]),
        ),
        (
            "[{namespaces: [ops], namespaceSelector: {matchLabels: {env: prod}}}]",
            one([
                strings(Field::Namespace, [exact("ops")]),
                own_mesh(),
                sets([set(
                    NamespaceScope::Selected(labels([label("env", &["prod"])])),
                    labels([]),
                )]),
            ]),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(from(text), expected, "{text}");
    }
}

#[test]
fn peers_by_address() {
    let networks = |field, networks: Vec<Network>| one([is(field, Patterns::Networks(networks))]);
    let table = [
        (
            "[{ipBlocks: [10.0.0.0/8, 192.0.2.1, '2001:db8::/32', '::ffff:10.0.0.0/104', \
             {cidr: '::/0'}]}]",
            networks(
                Field::PeerAddress,
                vec![
                    whole("10.0.0.0", 8),
                    whole("192.0.2.1", 32),
                    whole("2001:db8::", 32),
                    whole("10.0.0.0", 8),
                    whole("::", 0),
                ],
            ),
        ),
        (
            "[{remoteIpBlocks: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.3.4]}]}]",
            networks(
                Field::RemoteAddress,
                vec![Network {
                    cidr: cidr("10.0.0.0", 8),
                    except: vec![cidr("10.1.0.0", 16), cidr("10.2.3.4", 32)],
                }],
            ),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(from(text), expected, "{text}");
    }
}

#[test]
fn peers_of_egress_are_known_by_address() {
    let table = [
        (
            "[{serviceAccounts: [ledger, 'ops/*']}]",
            one([sets([
                identity(Field::ServiceAccount, exact("shop/ledger")),
                identity(Field::ServiceAccount, prefix("ops/")),
            ])]),
        ),
        (
            "[{principals: [a.example/x], trustDomains: [a.example], namespaces: [ops]}]",
            one([
                sets([identity(Field::Principal, exact("spiffe://a.example/x"))]),
                sets([identity(Field::TrustDomain, exact("a.example"))]),
                sets([identity(Field::Namespace, exact("ops"))]),
            ]),
        ),
        (
            "[{podSelector: {}, ipBlocks: [10.0.0.0/8]}]",
            one([
                sets([PeerSet::Labels {
                    namespaces: named("shop"),
                    pods: labels([]),
                }]),
                is(
                    Field::PeerAddress,
                    Patterns::Networks(vec![whole("10.0.0.0", 8)]),
                ),
            ]),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(to(text), expected, "{text}");
    }
}

#[test]
fn operations_look_at_requests() {
    let header = |name: &str| Field::Header(name.to_owned());
    let query = |name: &str| Field::Query(name.to_owned());
    let absent = |field| Predicate {
        field,
        patterns: Patterns::Present,
        negated: true,
    };
    let table = [
        (
            "[{ports: [8080, '443', 9000-9010, http]}]",
            one([is(
                Field::Port,
                Patterns::Ports(vec![
                    PortRange::Numbers(8080..=8080),
                    PortRange::Numbers(443..=443),
                    PortRange::Numbers(9000..=9010),
                    PortRange::Named("http".to_owned()),
                ]),
            )]),
        ),
        (
            "[{hosts: [API.example.com, '*.Example.com', 'api.*', '*', '[::1]', 10.0.0.1]}]",
            one([strings(
                Field::Host,
                [
                    exact("api.example.com"),
                    suffix(".example.com"),
                    prefix("api."),
                    StringPattern::NonEmpty,
                    exact("[::1]"),
                    exact("10.0.0.1"),
                ],
            )]),
        ),
        (
            "[{methods: [GET, 'P*', '*T', '*', PURGE]}]",
            one([strings(
                Field::Method,
                [
                    exact("GET"),
                    prefix("P"),
                    suffix("T"),
                    StringPattern::NonEmpty,
                    exact("PURGE"),
                ],
            )]),
        ),
        (
            "[{paths: [/health, '/api/*', '/*', '*.css', '*']}]",
            one([strings(
                Field::Path,
                [
                    exact("/health"),
                    prefix("/api/"),
                    prefix("/"),
                    suffix(".css"),
                    StringPattern::NonEmpty,
                ],
            )]),
        ),
        (
            "[{paths: ['/v1/{*}/items', '/static/{**}']}]",
            one([strings(
                Field::Path,
                [
                    StringPattern::Template(PathTemplate {
                        segments: vec![
                            TemplateSegment::Literal("v1".to_owned()),
                            TemplateSegment::One,
                            TemplateSegment::Literal("items".to_owned()),
                        ],
                    }),
                    StringPattern::Template(PathTemplate {
                        segments: vec![
                            TemplateSegment::Literal("static".to_owned()),
                            TemplateSegment::Rest,
                        ],
                    }),
                ],
            )]),
        ),
        (
            "[{headers: [{name: X-Env, values: [prod, 'stag*']}, {name: x-debug, present: true}, \
             {name: x-id, regex: '[0-9]+'}, {name: x-old, present: false}]}]",
            one([
                strings(header("x-env"), [exact("prod"), prefix("stag")]),
                is(header("x-debug"), Patterns::Present),
                strings(
                    header("x-id"),
                    [StringPattern::Regex(Regex("[0-9]+".to_owned()))],
                ),
                absent(header("x-old")),
            ]),
        ),
        (
            "[{query: [{name: V, values: ['2']}, {name: q, present: false}]}]",
            one([strings(query("V"), [exact("2")]), absent(query("q"))]),
        ),
        (
            "[{grpc: [{service: shop.Payments, methods: [Charge, Refund]}, {service: shop.Audit}]}]",
            one([
                is(Field::Grpc, Patterns::Present),
                strings(
                    Field::Path,
                    [
                        exact("/shop.Payments/Charge"),
                        exact("/shop.Payments/Refund"),
                        prefix("/shop.Audit/"),
                    ],
                ),
            ]),
        ),
        (
            "[{methods: [GET]}, {methods: [PUT]}]",
            Alternatives::OneOf(vec![
                vec![strings(Field::Method, [exact("GET")])],
                vec![strings(Field::Method, [exact("PUT")])],
            ]),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(operations(text), expected, "{text}");
    }
}

#[test]
fn conditions_look_at_tokens_and_handshakes() {
    let claim = |names: &[&str]| Field::Claim(names.iter().map(|name| (*name).into()).collect());
    let table = [
        (
            "[{claim: groups, values: [ops, 'eu-*']}]",
            vec![strings(claim(&["groups"]), [exact("ops"), prefix("eu-")])],
        ),
        (
            "[{claim: [realm, roles], regex: 'r[0-9]'}, {claim: a.b, present: false}]",
            vec![
                strings(
                    claim(&["realm", "roles"]),
                    [StringPattern::Regex(Regex("r[0-9]".to_owned()))],
                ),
                Predicate {
                    field: claim(&["a.b"]),
                    patterns: Patterns::Present,
                    negated: true,
                },
            ],
        ),
        (
            "[{sni: ['*.Shop.example', pay.example]}]",
            vec![strings(
                Field::Sni,
                [suffix(".shop.example"), exact("pay.example")],
            )],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(when(text), expected, "{text}");
    }
}

#[test]
fn a_configuration_has_defaults() {
    let config = |spec: &str| {
        let text = format!(
            "apiVersion: meshwall.io/v1alpha1\nkind: MeshwallConfig\nmetadata: {{name: mesh}}\n\
             spec: {spec}\n"
        );
        let parsed = document::parse("mesh.yaml", &text);
        assert_eq!(parsed.errors, []);
        let set = Set::from(parsed.documents);
        assert_eq!(set.errors, []);
        set.config.unwrap().value
    };
    assert_eq!(config("{}"), Config::default());
    assert_eq!(
        config(
            "{trustDomain: mesh.example, trustDomainAliases: [old.example], defaultAction: \
             {egress: Allow}, trustedProxies: 2, denial: {status: 451, body: \"no\\n\"}}"
        ),
        Config {
            trust_domain: "mesh.example".to_owned(),
            trust_domain_aliases: vec!["old.example".to_owned()],
            default_ingress: DefaultAction::Deny,
            default_egress: DefaultAction::Allow,
            trusted_proxies: 2,
            denial: Denial {
                status: 451,
                body: "no\n".to_owned()
            },
        }
    );
}

#[test]
fn the_examples_of_the_reference_are_documents() {
    for (kind, text) in document::reference::EXAMPLES {
        let parsed = document::parse(kind, text);
        assert_eq!(parsed.errors, []);
        let set = Set::from(parsed.documents);
        assert_eq!(set.errors, []);
        assert_eq!(set.policies.len() + usize::from(set.config.is_some()), 1);
    }
}

#[test]
fn other_kinds_are_handed_back() {
    let text = "
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: a}
- apiVersion: meshwall.io/v1alpha1
  kind: FirewallPolicy
  metadata: {name: p, namespace: shop}
  spec: {ingress: [{action: Deny}]}
---
apiVersion: v1
kind: NamespaceList
items:
- metadata: {name: shop}
---
# An empty document.
---
apiVersion: meshwall.io/v1alpha1
kind: Scenario
metadata: {name: s}
---
apiVersion: networkfirewall.services.k8s.aws/v1alpha1
kind: FirewallPolicy
";
    let parsed = document::parse("all.yaml", text);
    assert_eq!(parsed.errors, []);
    let kinds: Vec<(&str, &str)> = parsed
        .documents
        .iter()
        .map(|document| match document {
            Document::Other(other) => (other.api_version.as_str(), other.kind.as_str()),
            Document::FirewallPolicy(located) => ("ours", located.reference().kind.as_str()),
            _ => panic!("{document:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("v1", "Pod"),
            ("ours", "FirewallPolicy"),
            ("v1", "Namespace"),
            ("meshwall.io/v1alpha1", "Scenario"),
            (
                "networkfirewall.services.k8s.aws/v1alpha1",
                "FirewallPolicy"
            ),
        ]
    );
}

#[test]
fn json_is_read_as_it_is() {
    let document = |name: &str| {
        format!(
            "{{\n\t\"apiVersion\": \"meshwall.io/v1alpha1\", \"kind\": \"FirewallPolicy\",\n\t\
             \"metadata\": {{\"name\": \"{name}\", \"namespace\": \"shop\"}},\n\t\
             \"spec\": {{\"ingress\": [{{\"action\": \"Allow\", \"operations\": [{{\"headers\": \
             [{{\"name\": \"x\", \"values\": [\"\\ud83d\\ude00\\/\"]}}]}}]}}]}}\n}}"
        )
    };
    // Byte order mark, tabs, surrogates, and nothing between two documents.
    let text = format!("\u{feff}{}{}", document("a"), document("b"));
    let parsed = document::parse("shop.json", &text);
    assert_eq!(parsed.errors, []);
    let set = Set::from(parsed.documents);
    assert_eq!(set.errors, []);
    let header = strings(Field::Header("x".to_owned()), [exact("\u{1f600}/")]);
    for (policy, name) in set.policies.iter().zip(["a", "b"]) {
        assert_eq!(policy.object.name, name);
        assert_eq!(policy.value.ingress[0].operations, one([header.clone()]));
    }
    assert_eq!(set.policies.len(), 2);
}

#[test]
fn positions_are_found_by_path() {
    let text = "apiVersion: meshwall.io/v1alpha1\nkind: FirewallPolicy\n\
                metadata: {name: p, namespace: shop}\nspec:\n  ingress:\n  - action: Deny\n  \
                - name: b\n    action: Allow\n";
    let set = Set::from(document::parse("p.yaml", text).documents);
    let positions = &set.policies[0].positions;
    let rule = document::FieldPath::root()
        .field("spec")
        .field("ingress")
        .index(1);
    let at = |position: Option<document::Position>| position.unwrap().to_string();
    assert_eq!(at(positions.value(&rule)), "p.yaml:7:5");
    assert_eq!(
        at(positions.key(&rule.clone().field("action"))),
        "p.yaml:8:5"
    );
    assert_eq!(
        at(positions.value(&rule.clone().field("action"))),
        "p.yaml:8:13"
    );
    assert_eq!(
        at(positions.value(&rule.field("when").index(3))),
        "p.yaml:7:5"
    );
    assert_eq!(
        document::Positions::none().value(&document::FieldPath::root()),
        None
    );
}
