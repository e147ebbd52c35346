//! Generated cases: policies, a world and questions, from a seed.
//!
//! The vocabulary is small on purpose, so that rules and questions meet. The same seed gives the
//! same cases everywhere, so one table can be decided by the library, by the filter in the test
//! bed and by the filter in a real proxy, and the three compared.

mod hostile;

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::attributes::{Attributes, Claim, Peer, Request};
use crate::compile::{compile, peer_table};
use crate::inventory::{Inventory, Labels, Workload};
use crate::peers::PeerTable;
use crate::program::Program;
use crate::spec::{
    Action, Alternatives, Cidr, Config, DefaultAction, Direction, Field, LabelOperator,
    LabelRequirement, LabelSelector, Mode, NamespaceScope, Network, ObjectRef, PathTemplate,
    Patterns, PeerSet, Policy, PortRange, Predicate, Regex, Rule, StringPattern, Subject,
    TemplateSegment, Tier, Timestamp,
};

const NAMESPACES: [&str; 3] = ["shop", "bank", "dev"];
const ACCOUNTS: [&str; 4] = ["web", "api", "web-v2", "default"];
const DOMAINS: [&str; 4] = [
    "cluster.local",
    "old.local",
    "partner.example",
    "cluster.localhost",
];
const LABELS: [(&str, [&str; 3]); 3] = [
    ("app", ["web", "api", "db"]),
    ("env", ["prod", "test", "prod-eu"]),
    ("tier", ["front", "back", "batch"]),
];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const HOSTS: [&str; 5] = [
    "api.example.com",
    "www.example.com",
    "example.com",
    "api.internal",
    "shop",
];
const SEGMENTS: [&str; 6] = ["v1", "items", "admin", "7", "a", "items-old"];
const HEADERS: [&str; 3] = ["x-env", "x-team", "x-debug"];
const VALUES: [&str; 6] = ["prod", "prod-eu", "test", "eu-prod", "", "7"];
const PORTS: [u16; 5] = [80, 8080, 8081, 443, 9000];
const NAMED_PORTS: [(&str, u16); 3] = [("http", 8080), ("admin", 9000), ("http", 8081)];
/// 2025-06-15T00:00:00Z and a day later.
const NOW: i64 = 1_749_945_600;

/// A source of choices: SplitMix64.
#[derive(Clone, Debug)]
pub struct Choices(u64);

impl Choices {
    /// Choices that follow from a seed.
    pub fn new(seed: u64) -> Choices {
        Choices(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % (bound.max(1) as u64)) as usize
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy + Default>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len());
        from.get(at).copied().unwrap_or_default()
    }

    fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Choices) -> T) -> Vec<T> {
        let count = 1 + self.below(most);
        (0..count).map(|_| make(self)).collect()
    }
}

/// A world with policies, and questions about one of its workloads.
#[derive(Clone, Debug)]
pub struct Case {
    /// What holds for the mesh.
    pub config: Config,
    /// All policies.
    pub policies: Vec<Policy>,
    /// All workloads.
    pub inventory: Inventory,
    /// The workload that is protected.
    pub workload: Workload,
    /// What is asked.
    pub questions: Vec<Question>,
}

/// [`Attributes`] that own what they refer to.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which rules apply.
    pub direction: Direction,
    /// The time.
    pub now: Timestamp,
    /// Principal of the peer.
    pub principal: Option<String>,
    /// Address of the direct peer.
    pub address: IpAddr,
    /// Address that trusted proxies tell.
    pub remote_address: Option<IpAddr>,
    /// Destination port.
    pub port: u16,
    /// TLS server name.
    pub sni: Option<String>,
    /// The request; `None` on a TCP listener.
    pub request: Option<OwnedRequest>,
}

/// A [`Request`] that owns what it refers to.
#[derive(Clone, Debug, Default)]
pub struct OwnedRequest {
    /// Method.
    pub method: String,
    /// Authority.
    pub authority: String,
    /// Path with query.
    pub path: String,
    /// Headers in lower case.
    pub headers: Vec<(String, String)>,
    /// Claims by path.
    pub claims: Vec<(String, String)>,
}

impl Question {
    /// Hands the attributes to `ask`.
    pub fn ask<T>(&self, ask: impl FnOnce(&Attributes<'_>) -> T) -> T {
        let (mut headers, mut claims) = (Vec::new(), Vec::new());
        if let Some(request) = &self.request {
            let pairs = request.headers.iter();
            headers.extend(pairs.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
            let values = request.claims.iter();
            claims.extend(values.map(|(path, value)| Claim {
                path,
                value: value.as_bytes(),
            }));
        }
        ask(&Attributes {
            direction: self.direction,
            now: self.now,
            peer: Peer {
                principal: self.principal.as_deref().map(str::as_bytes),
                address: self.address,
                remote_address: self.remote_address,
            },
            port: self.port,
            sni: self.sni.as_deref().map(str::as_bytes),
            request: self.request.as_ref().map(|request| Request {
                method: request.method.as_bytes(),
                authority: request.authority.as_bytes(),
                path: request.path.as_bytes(),
                headers: &headers,
                claims: &claims,
            }),
        })
    }
}

impl Case {
    /// The case of a seed, with this many questions of those who mean well.
    pub fn generate(seed: u64, questions: usize) -> Case {
        let mut choices = Choices::new(seed);
        let choices = &mut choices;
        let inventory = inventory(choices);
        let at = choices.below(inventory.workloads.len());
        let workload = inventory
            .workloads
            .get(at)
            .cloned()
            .unwrap_or_else(|| outsider(choices));
        let policies = policies(choices);
        let questions = (0..questions)
            .map(|_| question(choices, &inventory))
            .collect();
        Case {
            config: config(choices),
            policies,
            inventory,
            workload,
            questions,
        }
    }

    /// The program of the workload and the peers that it asks for, compiled and loaded.
    pub fn load(&self) -> Result<(Program, PeerTable), Box<dyn Error>> {
        let Case {
            config,
            policies,
            inventory,
            workload,
            questions: _,
        } = self;
        let compiled = compile(config, policies, inventory, workload)?;
        let peers = PeerTable::load(peer_table(&compiled.sets, inventory)?)?;
        Ok((Program::load(compiled.program)?, peers))
    }

    /// The same case with its questions put as an adversary would.
    pub fn hostile(seed: u64, questions: usize) -> Case {
        let mut case = Case::generate(seed, questions);
        let mut choices = Choices::new(!seed);
        for question in &mut case.questions {
            hostile::distort(&mut choices, &case.inventory, question);
        }
        case
    }
}

fn config(choices: &mut Choices) -> Config {
    let action = |choices: &mut Choices| {
        if choices.chance(50) {
            DefaultAction::Allow
        } else {
            DefaultAction::Deny
        }
    };
    Config {
        trust_domain_aliases: if choices.chance(50) {
            vec!["old.local".to_owned()]
        } else {
            Vec::new()
        },
        default_ingress: action(choices),
        default_egress: action(choices),
        ..Config::default()
    }
}

fn labels(choices: &mut Choices) -> Labels {
    let mut labels = Labels::new();
    for (key, values) in LABELS {
        if choices.chance(70) {
            labels.insert(key.to_owned(), choices.pick(&values).to_owned());
        }
    }
    labels
}

fn outsider(choices: &mut Choices) -> Workload {
    let ports = if choices.chance(50) {
        let (name, number) = choices.pick(&NAMED_PORTS);
        BTreeMap::from([(name.to_owned(), number)])
    } else {
        BTreeMap::new()
    };
    Workload {
        namespace: choices.pick(&NAMESPACES).to_owned(),
        name: "pod".to_owned(),
        labels: labels(choices),
        service_account: choices.pick(&ACCOUNTS).to_owned(),
        trust_domain: "cluster.local".to_owned(),
        addresses: Vec::new(),
        ports,
    }
}

fn inventory(choices: &mut Choices) -> Inventory {
    let mut inventory = Inventory::default();
    for name in NAMESPACES {
        inventory
            .namespaces
            .insert(name.to_owned(), labels(choices));
    }
    for number in 0..8u8 {
        let mut workload = outsider(choices);
        workload.name = format!("pod-{number}");
        workload.addresses = vec![IpAddr::V4(Ipv4Addr::new(10, 0, number / 4, number))];
        if number % 3 == 0 {
            let address = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(number));
            workload.addresses.push(IpAddr::V6(address));
        }
        inventory.workloads.push(workload);
    }
    inventory
}

fn policies(choices: &mut Choices) -> Vec<Policy> {
    let count = choices.below(5);
    (0..count).map(|number| policy(choices, number)).collect()
}

fn policy(choices: &mut Choices, number: usize) -> Policy {
    let tier = choices.pick(&[1, 1, 1, 0, 2]);
    let (tier, namespace) = match tier {
        0 => (Tier::Admin, None),
        1 => (Tier::Namespace, Some(choices.pick(&NAMESPACES).to_owned())),
        _ => (Tier::Baseline, None),
    };
    let namespaces = match &namespace {
        Some(name) => NamespaceScope::Named(name.clone()),
        None if choices.chance(50) => NamespaceScope::All,
        None => NamespaceScope::Selected(selector(choices)),
    };
    Policy {
        origin: ObjectRef {
            kind: if namespace.is_some() {
                "FirewallPolicy"
            } else {
                "ClusterFirewallPolicy"
            }
            .to_owned(),
            namespace,
            name: format!("p{number}"),
        },
        tier,
        priority: if tier == Tier::Namespace {
            0
        } else {
            number as u16
        },
        subject: Subject {
            namespaces,
            pods: if choices.chance(60) {
                LabelSelector::default()
            } else {
                selector(choices)
            },
        },
        mode: if choices.chance(20) {
            Mode::Monitor
        } else {
            Mode::Enforce
        },
        expires: choices
            .chance(15)
            .then(|| Timestamp(NOW + 86_400 * choices.below(3) as i64 - 86_400)),
        ingress: rules(choices, tier, Direction::Ingress),
        egress: rules(choices, tier, Direction::Egress),
    }
}

fn selector(choices: &mut Choices) -> LabelSelector {
    let mut requirements = choices.some(2, |choices| {
        let (key, values) = choices.pick(&LABELS);
        let mut listed = choices.some(2, |choices| choices.pick(&values).to_owned());
        listed.sort();
        listed.dedup();
        let operator = match choices.below(8) {
            0..=3 => LabelOperator::In(listed),
            4 | 5 => LabelOperator::NotIn(listed),
            6 => LabelOperator::Exists,
            _ => LabelOperator::DoesNotExist,
        };
        LabelRequirement {
            key: key.to_owned(),
            operator,
        }
    });
    requirements.sort();
    requirements.dedup();
    LabelSelector { requirements }
}

fn rules(choices: &mut Choices, tier: Tier, direction: Direction) -> Vec<Rule> {
    let count = choices.below(5);
    (0..count)
        .map(|number| Rule {
            name: format!("{direction}-{number}"),
            action: match choices.below(10) {
                0..=5 => Action::Allow,
                6..=8 => Action::Deny,
                _ if tier == Tier::Namespace => Action::Deny,
                _ => Action::Pass,
            },
            peers: alternatives(choices, 65, |choices| peer(choices, direction)),
            operations: alternatives(choices, 50, operation),
            conditions: if choices.chance(15) {
                vec![condition(choices)]
            } else {
                Vec::new()
            },
        })
        .collect()
}

fn alternatives(
    choices: &mut Choices,
    percent: usize,
    one: impl Fn(&mut Choices) -> Predicate,
) -> Alternatives {
    if !choices.chance(percent) {
        return Alternatives::Any;
    }
    Alternatives::OneOf(choices.some(2, |choices| choices.some(2, &one)))
}

fn strings(
    choices: &mut Choices,
    field: Field,
    value: impl Fn(&mut Choices) -> String,
) -> Predicate {
    let patterns = choices.some(3, |choices| text_pattern(choices, &value));
    Predicate {
        field,
        patterns: Patterns::Strings(patterns),
        negated: choices.chance(15),
    }
}

fn text_pattern(choices: &mut Choices, value: impl Fn(&mut Choices) -> String) -> StringPattern {
    let text = value(choices);
    let cut = choices.below(text.len() + 1);
    match choices.below(10) {
        0..=4 => StringPattern::Exact(text),
        5 | 6 => StringPattern::Prefix(text.get(..cut).unwrap_or_default().to_owned()),
        7 | 8 => StringPattern::Suffix(text.get(cut..).unwrap_or_default().to_owned()),
        _ => StringPattern::NonEmpty,
    }
}

fn principal(choices: &mut Choices) -> String {
    let (domain, namespace) = (choices.pick(&DOMAINS), choices.pick(&NAMESPACES));
    format!(
        "spiffe://{domain}/ns/{namespace}/sa/{}",
        choices.pick(&ACCOUNTS)
    )
}

fn peer(choices: &mut Choices, direction: Direction) -> Predicate {
    let owned = |text: &str| text.to_owned();
    let identity = if direction == Direction::Ingress {
        0
    } else {
        5
    };
    match identity + choices.below(9 - identity) {
        0 => strings(choices, Field::Principal, principal),
        1 => strings(choices, Field::TrustDomain, |choices| {
            owned(choices.pick(&DOMAINS))
        }),
        2 => strings(choices, Field::Namespace, |choices| {
            owned(choices.pick(&NAMESPACES))
        }),
        3 => {
            let account = |choices: &mut Choices| {
                format!("{}/{}", choices.pick(&NAMESPACES), choices.pick(&ACCOUNTS))
            };
            let patterns = choices.some(3, |choices| {
                let text = account(choices);
                let (namespace, name) = text.split_once('/').unwrap_or_default();
                match choices.below(4) {
                    0 => StringPattern::Prefix(format!("{namespace}/")),
                    1 => StringPattern::Suffix(format!("/{name}")),
                    _ => StringPattern::Exact(text),
                }
            });
            Predicate {
                field: Field::ServiceAccount,
                patterns: Patterns::Strings(patterns),
                negated: choices.chance(15),
            }
        }
        4 => Predicate {
            field: Field::TrustDomain,
            patterns: Patterns::MeshTrustDomains,
            negated: choices.chance(15),
        },
        5 | 6 => Predicate {
            field: Field::PeerSet,
            patterns: Patterns::Sets(choices.some(2, peer_set)),
            negated: choices.chance(15),
        },
        // No proxy tells of the address that a workload connects to.
        8 if direction == Direction::Ingress => networks(choices, Field::RemoteAddress),
        _ => networks(choices, Field::PeerAddress),
    }
}

fn peer_set(choices: &mut Choices) -> PeerSet {
    if choices.chance(20) {
        return PeerSet::Identity {
            field: Field::ServiceAccount,
            pattern: StringPattern::Exact(format!(
                "{}/{}",
                choices.pick(&NAMESPACES),
                choices.pick(&ACCOUNTS)
            )),
        };
    }
    let namespaces = match choices.below(3) {
        0 => NamespaceScope::All,
        1 => NamespaceScope::Named(choices.pick(&NAMESPACES).to_owned()),
        _ => NamespaceScope::Selected(selector(choices)),
    };
    PeerSet::Labels {
        namespaces,
        pods: selector(choices),
    }
}

fn networks(choices: &mut Choices, field: Field) -> Predicate {
    let cidr = |third: u8, fourth: u8, prefix_len: u8| {
        let mask = u32::MAX
            .checked_shl(32 - u32::from(prefix_len))
            .unwrap_or(0);
        let address = u32::from(Ipv4Addr::new(10, 0, third, fourth)) & mask;
        Cidr {
            address: IpAddr::V4(address.into()),
            prefix_len,
        }
    };
    let listed = choices.some(3, |choices| {
        if choices.chance(15) {
            let all = Cidr {
                address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                prefix_len: 0,
            };
            return Network {
                cidr: all,
                except: Vec::new(),
            };
        }
        let (third, fourth) = (choices.below(2) as u8, choices.below(8) as u8);
        let prefix_len = choices.pick(&[0, 8, 16, 23, 24, 29, 30, 31]);
        let except = if choices.chance(40) {
            vec![cidr(third, fourth, 32)]
        } else {
            Vec::new()
        };
        Network {
            cidr: cidr(third, fourth, prefix_len),
            except,
        }
    });
    Predicate {
        field,
        patterns: Patterns::Networks(listed),
        negated: choices.chance(15),
    }
}

fn path(choices: &mut Choices) -> String {
    choices
        .some(3, |choices| format!("/{}", choices.pick(&SEGMENTS)))
        .concat()
}

fn template(choices: &mut Choices) -> StringPattern {
    let mut segments = choices.some(3, |choices| {
        if choices.chance(40) {
            TemplateSegment::One
        } else {
            TemplateSegment::Literal(choices.pick(&SEGMENTS).to_owned())
        }
    });
    if choices.chance(40) {
        segments.push(TemplateSegment::Rest);
    }
    StringPattern::Template(PathTemplate { segments })
}

fn operation(choices: &mut Choices) -> Predicate {
    let negated = choices.chance(15);
    let owned = |text: &str| text.to_owned();
    let value = |choices: &mut Choices| owned(choices.pick(&VALUES));
    match choices.below(9) {
        0 => {
            let ranges = choices.some(2, |choices| {
                if choices.chance(20) {
                    return PortRange::Named(choices.pick(&NAMED_PORTS).0.to_owned());
                }
                let first = choices.pick(&PORTS);
                PortRange::Numbers(first..=first.saturating_add(choices.pick(&[0, 0, 1, 1000])))
            });
            Predicate {
                field: Field::Port,
                patterns: Patterns::Ports(ranges),
                negated,
            }
        }
        1 => {
            let methods = choices.some(2, |choices| {
                StringPattern::Exact(choices.pick(&METHODS).to_owned())
            });
            Predicate {
                field: Field::Method,
                patterns: Patterns::Strings(methods),
                negated,
            }
        }
        2 => strings(choices, Field::Host, |choices| owned(choices.pick(&HOSTS))),
        3 | 4 => strings(choices, Field::Path, path),
        5 => {
            let templates = choices.some(2, template);
            Predicate {
                field: Field::Path,
                patterns: Patterns::Strings(templates),
                negated,
            }
        }
        6 => Predicate {
            field: Field::Grpc,
            patterns: Patterns::Present,
            negated,
        },
        7 => {
            let field = Field::Query(choices.pick(&["v", "id"]).to_owned());
            if choices.chance(20) {
                return Predicate {
                    field,
                    patterns: Patterns::Present,
                    negated,
                };
            }
            strings(choices, field, value)
        }
        _ => {
            let field = Field::Header(choices.pick(&HEADERS).to_owned());
            match choices.below(5) {
                0 => Predicate {
                    field,
                    patterns: Patterns::Present,
                    negated,
                },
                1 => {
                    let regex = choices.pick(&["prod.*", "[0-9]+", "", "(eu-)?prod"]);
                    let regex = StringPattern::Regex(Regex(regex.to_owned()));
                    Predicate {
                        field,
                        patterns: Patterns::Strings(vec![regex]),
                        negated,
                    }
                }
                _ => strings(choices, field, value),
            }
        }
    }
}

fn condition(choices: &mut Choices) -> Predicate {
    let owned = |text: &str| text.to_owned();
    if choices.chance(50) {
        return strings(choices, Field::Sni, |choices| owned(choices.pick(&HOSTS)));
    }
    let path = choices
        .pick(&["groups", "realm roles"])
        .split(' ')
        .map(owned)
        .collect();
    strings(choices, Field::Claim(path), |choices| {
        owned(choices.pick(&VALUES))
    })
}

fn question(choices: &mut Choices, inventory: &Inventory) -> Question {
    let direction = if choices.chance(70) {
        Direction::Ingress
    } else {
        Direction::Egress
    };
    let at = choices.below(inventory.workloads.len());
    let peer = inventory.workloads.get(at);
    let known = peer.and_then(|peer| peer.addresses.first().copied());
    let stranger = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 7));
    let address = if choices.chance(85) {
        known.unwrap_or(stranger)
    } else {
        stranger
    };
    let address = match address {
        IpAddr::V4(address) if choices.chance(10) => IpAddr::V6(address.to_ipv6_mapped()),
        other => other,
    };
    let principal = match choices.below(10) {
        0 => None,
        1..=6 => peer.map(Workload::principal),
        _ => Some(principal(choices)),
    };
    Question {
        direction,
        now: Timestamp(NOW),
        principal: principal.filter(|_| direction == Direction::Ingress),
        address,
        remote_address: choices.chance(20).then_some(stranger),
        port: choices.pick(&PORTS),
        sni: choices.chance(60).then(|| choices.pick(&HOSTS).to_owned()),
        request: choices.chance(80).then(|| request(choices)),
    }
}

fn request(choices: &mut Choices) -> OwnedRequest {
    let pairs = |choices: &mut Choices, names: &[&str]| -> Vec<(String, String)> {
        let count = choices.below(4);
        (0..count)
            .map(|_| {
                (
                    choices.pick(names).to_owned(),
                    choices.pick(&VALUES).to_owned(),
                )
            })
            .collect()
    };
    let mut headers = pairs(choices, &HEADERS);
    if choices.chance(30) {
        let value = choices.pick(&["application/grpc", "application/grpc+proto", "text/plain"]);
        headers.push(("content-type".to_owned(), value.to_owned()));
    }
    let mut path = path(choices);
    if choices.chance(30) {
        let query: Vec<String> = pairs(choices, &["v", "id"])
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        path.push_str(&format!("?{}", query.join("&")));
    }
    OwnedRequest {
        method: choices.pick(&METHODS).to_owned(),
        authority: choices.pick(&HOSTS).to_owned(),
        path,
        headers,
        claims: pairs(choices, &["groups", "realm\0roles"]),
    }
}
