//! The semantics, written as plainly as possible: policies are evaluated as they are written,
//! without a program, an index or a peer table.
//!
//! This is what the engine is checked against. It is slow, it allocates, and nothing in
//! production calls it.

use std::net::IpAddr;

use crate::attributes::Attributes;
use crate::decision::Verdict;
use crate::inventory::{Inventory, Workload};
use crate::path;
use crate::spec::{
    Action, Alternatives, Cidr, Config, DefaultAction, Direction, Field, Mode, Network, Patterns,
    PeerSet, Policy, PortRange, Predicate, Rule, StringPattern, Tier,
};
use crate::text::{host, query};

/// The world and the policies that apply to one workload.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// What holds for the mesh.
    pub config: &'a Config,
    /// All policies.
    pub policies: &'a [Policy],
    /// All workloads.
    pub inventory: &'a Inventory,
    /// The workload that is protected.
    pub workload: &'a Workload,
}

impl World<'_> {
    /// The enforced verdict and the combined one.
    pub fn decide(&self, attributes: &Attributes<'_>) -> (Verdict, Verdict) {
        let Some(asked) = Asked::new(self, attributes) else {
            return (Verdict::Deny, Verdict::Deny);
        };
        (self.verdict(&asked, false), self.verdict(&asked, true))
    }

    fn verdict(&self, asked: &Asked<'_>, combined: bool) -> Verdict {
        let mut policies: Vec<&Policy> = self
            .policies
            .iter()
            .filter(|policy| {
                policy.subject.pods.matches(&self.workload.labels)
                    && self
                        .inventory
                        .namespace_matches(&policy.subject.namespaces, &self.workload.namespace)
                    && (combined || policy.mode == Mode::Enforce)
                    && policy
                        .expires
                        .is_none_or(|expires| asked.attributes.now < expires)
            })
            .collect();
        policies.sort_by_key(|policy| (policy.tier, policy.priority, policy.origin.clone()));
        for tier in [Tier::Admin, Tier::Namespace, Tier::Baseline] {
            let rules: Vec<&Rule> = policies
                .iter()
                .filter(|policy| policy.tier == tier)
                .flat_map(|policy| match asked.attributes.direction {
                    Direction::Ingress => &policy.ingress,
                    Direction::Egress => &policy.egress,
                })
                .collect();
            let matching = || rules.iter().filter(|rule| asked.matches(rule));
            if tier == Tier::Namespace {
                if matching().any(|rule| rule.action == Action::Deny) {
                    return Verdict::Deny;
                }
                if matching().any(|rule| rule.action == Action::Allow) {
                    return Verdict::Allow;
                }
                if rules.iter().any(|rule| rule.action == Action::Allow) {
                    return Verdict::Deny;
                }
            } else if let Some(first) = matching().next() {
                match first.action {
                    Action::Allow => return Verdict::Allow,
                    Action::Deny => return Verdict::Deny,
                    Action::Pass => {}
                }
            }
        }
        let default = match asked.attributes.direction {
            Direction::Ingress => self.config.default_ingress,
            Direction::Egress => self.config.default_egress,
        };
        match default {
            DefaultAction::Allow => Verdict::Allow,
            DefaultAction::Deny => Verdict::Deny,
        }
    }
}

/// What is asked, in normal form.
struct Asked<'a> {
    world: &'a World<'a>,
    attributes: &'a Attributes<'a>,
    peer: Option<&'a Workload>,
    path: String,
    host: Option<String>,
    query: Vec<(String, String)>,
}

impl<'a> Asked<'a> {
    fn new(world: &'a World<'a>, attributes: &'a Attributes<'a>) -> Option<Asked<'a>> {
        let mut asked = Asked {
            world,
            attributes,
            peer: None,
            path: String::new(),
            host: None,
            query: Vec::new(),
        };
        if let Some(request) = &attributes.request {
            let mut buffer = Vec::new();
            let target = path::normalize(request.path, &mut buffer).ok()?;
            if asked.looks_at(|field| matches!(field, Field::Query(_)))
                && let Some(raw) = target.query
            {
                let mut decoded = Vec::new();
                let pairs = &mut asked.query;
                query::each(raw, &mut decoded, |name, decoded, value| {
                    let part = |range| lossy(decoded.get(range).unwrap_or_default());
                    pairs.push((part(name), part(value)));
                })
                .ok()?;
            }
            asked.path = lossy(target.path);
            if asked.looks_at(|field| *field == Field::Host) && !request.authority.is_empty() {
                let mut buffer = Vec::new();
                asked.host = Some(lossy(
                    host::normalize(request.authority, &mut buffer).ok()?.name,
                ));
            }
        }
        let address = attributes.peer.address.to_canonical();
        let workloads = || {
            let all = world.inventory.workloads.iter();
            all.filter(move |workload| workload.addresses.contains(&address))
        };
        if let (Some(only), None) = (workloads().next(), workloads().nth(1)) {
            let principal = attributes.peer.principal;
            let believed = attributes.direction == Direction::Egress
                || principal == Some(only.principal().as_bytes());
            asked.peer = believed.then_some(only);
        }
        Some(asked)
    }

    /// Whether a rule that applies looks at such a field, so that its form matters.
    fn looks_at(&self, wanted: impl Fn(&Field) -> bool) -> bool {
        let is_wanted = |predicate: &Predicate| wanted(&predicate.field);
        self.world
            .policies
            .iter()
            .filter(|policy| {
                let World {
                    inventory,
                    workload,
                    ..
                } = self.world;
                policy.subject.pods.matches(&workload.labels)
                    && inventory.namespace_matches(&policy.subject.namespaces, &workload.namespace)
            })
            .flat_map(|policy| match self.attributes.direction {
                Direction::Ingress => &policy.ingress,
                Direction::Egress => &policy.egress,
            })
            .any(|rule| {
                let alternatives = [&rule.peers, &rule.operations];
                alternatives
                    .into_iter()
                    .any(|alternatives| match alternatives {
                        Alternatives::Any => false,
                        Alternatives::OneOf(listed) => listed.iter().flatten().any(&is_wanted),
                    })
                    || rule.conditions.iter().any(&is_wanted)
            })
    }

    fn matches(&self, rule: &Rule) -> bool {
        let all = |predicates: &[Predicate]| {
            predicates
                .iter()
                .all(|predicate| self.holds(predicate, rule.action))
        };
        let one_of = |alternatives: &Alternatives| match alternatives {
            Alternatives::Any => true,
            Alternatives::OneOf(listed) => listed.iter().any(|predicates| all(predicates)),
        };
        one_of(&rule.peers) && one_of(&rule.operations) && all(&rule.conditions)
    }

    fn holds(&self, predicate: &Predicate, action: Action) -> bool {
        let Predicate {
            field,
            patterns,
            negated,
        } = predicate;
        if field.is_http() && self.attributes.request.is_none() {
            return action == Action::Deny;
        }
        let matches = match patterns {
            Patterns::Strings(strings) => {
                let values = self.values(field);
                let test = |value: &String| {
                    strings
                        .iter()
                        .any(|string| self.string(field, string, value))
                };
                let each = matches!(field, Field::Header(_) | Field::Query(_));
                if each && (action == Action::Deny) == *negated {
                    !values.is_empty() && values.iter().all(test)
                } else {
                    values.iter().any(test)
                }
            }
            Patterns::Networks(networks) => {
                let peer = &self.attributes.peer;
                let address = match field {
                    Field::RemoteAddress => peer.remote_address.unwrap_or(peer.address),
                    _ => peer.address,
                };
                networks
                    .iter()
                    .any(|network| contains(network, address.to_canonical()))
            }
            Patterns::Ports(ranges) => ranges.iter().any(|range| self.port(range)),
            Patterns::Sets(sets) => self.peer.is_some_and(|peer| {
                sets.iter()
                    .any(|set: &PeerSet| set.contains(peer, self.world.inventory))
            }),
            Patterns::MeshTrustDomains => self
                .values(field)
                .iter()
                .any(|value| self.is_mesh_domain(value)),
            Patterns::Present => !self.values(field).is_empty(),
        };
        matches != *negated
    }

    fn port(&self, range: &PortRange) -> bool {
        match range {
            PortRange::Numbers(range) => range.contains(&self.attributes.port),
            PortRange::Named(name) => {
                let named = match self.attributes.direction {
                    Direction::Ingress => Some(self.world.workload),
                    Direction::Egress => self.peer,
                };
                named.and_then(|workload| workload.ports.get(name)) == Some(&self.attributes.port)
            }
        }
    }

    fn is_mesh_domain(&self, value: &str) -> bool {
        let config = self.world.config;
        value == config.trust_domain || config.trust_domain_aliases.iter().any(|own| own == value)
    }

    /// Replaces an alias of the mesh's trust domain by its name, in what a peer shows and in what
    /// a policy says.
    fn unalias(&self, text: &str) -> String {
        let (scheme, rest) = match text.strip_prefix("spiffe://") {
            Some(rest) => ("spiffe://", rest),
            None => ("", text),
        };
        let (domain, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if self.is_mesh_domain(domain) {
            format!("{scheme}{}{path}", self.world.config.trust_domain)
        } else {
            text.to_owned()
        }
    }

    fn values(&self, field: &Field) -> Vec<String> {
        let principal = self.attributes.peer.principal.map(lossy);
        let id = principal
            .as_deref()
            .and_then(|principal| principal.strip_prefix("spiffe://"));
        let parts: Vec<&str> = id.map(|id| id.split('/').collect()).unwrap_or_default();
        let account = match parts.as_slice() {
            [_, "ns", namespace, "sa", name] if !namespace.is_empty() && !name.is_empty() => {
                Some((*namespace, *name))
            }
            _ => None,
        };
        let request = self.attributes.request.as_ref();
        let one = |value: Option<String>| value.into_iter().collect();
        match field {
            Field::Principal => one(principal.clone()),
            Field::TrustDomain => one(parts.first().map(|domain| (*domain).to_owned())),
            Field::Namespace => one(account.map(|(namespace, _)| namespace.to_owned())),
            Field::ServiceAccount => {
                one(account.map(|(namespace, name)| format!("{namespace}/{name}")))
            }
            Field::Sni => one(self.attributes.sni.map(|sni| {
                let name = lossy(sni).to_ascii_lowercase();
                name.strip_suffix('.').map(str::to_owned).unwrap_or(name)
            })),
            Field::Method => one(request.map(|request| lossy(request.method))),
            Field::Host => one(self.host.clone()),
            Field::Path => one(request.map(|_| self.path.clone())),
            Field::Grpc => {
                let headers = request.map(|request| request.headers).unwrap_or_default();
                let grpc = headers.iter().any(|(name, value)| {
                    let value = lossy(value).to_ascii_lowercase();
                    let rest = value.strip_prefix("application/grpc");
                    *name == b"content-type"
                        && rest.is_some_and(|rest| {
                            rest.is_empty() || rest.starts_with(['+', ';', ' '])
                        })
                });
                one(grpc.then(|| "grpc".to_owned()))
            }
            Field::Header(name) => {
                let headers = request.map(|request| request.headers).unwrap_or_default();
                let named = headers.iter().filter(|(key, _)| *key == name.as_bytes());
                named.map(|(_, value)| lossy(value)).collect()
            }
            Field::Query(name) => {
                let named = self.query.iter().filter(|(key, _)| key == name);
                named.map(|(_, value)| value.clone()).collect()
            }
            Field::Claim(path) => {
                let claims = request.map(|request| request.claims).unwrap_or_default();
                let named = claims.iter().filter(|claim| claim.path == path.join("\0"));
                named.map(|claim| lossy(claim.value)).collect()
            }
            Field::PeerSet | Field::PeerAddress | Field::RemoteAddress | Field::Port => Vec::new(),
        }
    }

    fn string(&self, field: &Field, pattern: &StringPattern, value: &str) -> bool {
        let is_identity = matches!(field, Field::Principal | Field::TrustDomain);
        let both = |text: &str| {
            if is_identity {
                (self.unalias(text), self.unalias(value))
            } else {
                (text.to_owned(), value.to_owned())
            }
        };
        match pattern {
            StringPattern::Exact(text) => {
                let (text, value) = both(text);
                text == value
            }
            // An alias can only be told from a longer name once the name is complete.
            StringPattern::Prefix(text) if *field == Field::TrustDomain => value.starts_with(text),
            StringPattern::Prefix(text) => {
                let complete = text
                    .strip_prefix("spiffe://")
                    .is_some_and(|id| id.contains('/'));
                let (text, value) = if complete {
                    both(text)
                } else {
                    (text.clone(), value.to_owned())
                };
                value.starts_with(&text)
            }
            StringPattern::Suffix(text) => value.ends_with(text),
            StringPattern::NonEmpty => !value.is_empty(),
            StringPattern::Template(template) => crate::spec::PathTemplate::text_matches(
                template.to_string().as_bytes(),
                value.as_bytes(),
            ),
            StringPattern::Regex(regex) => {
                regex_automata::dfa::regex::Regex::new(&format!(r"\A(?:{})\z", regex.0))
                    .is_ok_and(|regex| regex.is_match(value.as_bytes()))
            }
        }
    }
}

fn contains(network: &Network, address: IpAddr) -> bool {
    in_cidr(&network.cidr, address) && !network.except.iter().any(|hole| in_cidr(hole, address))
}

fn in_cidr(cidr: &Cidr, address: IpAddr) -> bool {
    match (cidr.address, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(cidr.prefix_len))
                .unwrap_or(0);
            u32::from(network) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(cidr.prefix_len))
                .unwrap_or(0);
            u128::from(network) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
