//! Peers: who is at the other end.
//!
//! On ingress the client's certificate tells who it is. On egress there is no certificate before
//! the connection is made, so each question of identity becomes a set of workloads, which the
//! peer table answers by address.
//!
//! A namespace or a service account is one of this mesh unless the peer names a trust domain:
//! whoever runs another mesh can give any name to a namespace there.

use std::iter;

use super::super::types::{EgressPeer, IngressPeer, IpBlock, LabelSelector};
use super::{At, Error, Fault, Findings, Reason, Scope, identity, networks, selectors};
use crate::spec::{
    Alternatives, Direction, Field, LabelSelector as Labels, NamespaceScope, Patterns, PeerSet,
    Predicate, StringPattern,
};

/// A peer of either direction.
pub(super) struct Peer<'a> {
    service_accounts: Option<&'a [String]>,
    principals: Option<&'a [String]>,
    trust_domains: Option<&'a [String]>,
    namespaces: Option<&'a [String]>,
    namespace_selector: Option<&'a LabelSelector>,
    pod_selector: Option<&'a LabelSelector>,
    ip_blocks: Option<&'a [IpBlock]>,
    remote_ip_blocks: Option<&'a [IpBlock]>,
}

impl<'a> From<&'a IngressPeer> for Peer<'a> {
    fn from(peer: &'a IngressPeer) -> Self {
        let IngressPeer {
            service_accounts,
            principals,
            trust_domains,
            namespaces,
            namespace_selector,
            pod_selector,
            ip_blocks,
            remote_ip_blocks,
        } = peer;
        Peer {
            service_accounts: service_accounts.as_deref(),
            principals: principals.as_deref(),
            trust_domains: trust_domains.as_deref(),
            namespaces: namespaces.as_deref(),
            namespace_selector: namespace_selector.as_ref(),
            pod_selector: pod_selector.as_ref(),
            ip_blocks: ip_blocks.as_deref(),
            remote_ip_blocks: remote_ip_blocks.as_deref(),
        }
    }
}

impl<'a> From<&'a EgressPeer> for Peer<'a> {
    fn from(peer: &'a EgressPeer) -> Self {
        let EgressPeer {
            service_accounts,
            principals,
            trust_domains,
            namespaces,
            namespace_selector,
            pod_selector,
            ip_blocks,
        } = peer;
        Peer {
            service_accounts: service_accounts.as_deref(),
            principals: principals.as_deref(),
            trust_domains: trust_domains.as_deref(),
            namespaces: namespaces.as_deref(),
            namespace_selector: namespace_selector.as_ref(),
            pod_selector: pod_selector.as_ref(),
            ip_blocks: ip_blocks.as_deref(),
            remote_ip_blocks: None,
        }
    }
}

impl Peer<'_> {
    fn is_empty(&self) -> bool {
        let Peer {
            service_accounts,
            principals,
            trust_domains,
            namespaces,
            namespace_selector,
            pod_selector,
            ip_blocks,
            remote_ip_blocks,
        } = self;
        let texts = [service_accounts, principals, trust_domains, namespaces];
        let selectors = [namespace_selector, pod_selector];
        texts.iter().all(|field| field.is_none())
            && selectors.iter().all(|field| field.is_none())
            && ip_blocks.is_none()
            && remote_ip_blocks.is_none()
    }
}

/// Lowers a list of peers.
pub(super) fn alternatives<'a>(
    list: &At<'_>,
    peers: impl Iterator<Item = Peer<'a>>,
    scope: Scope<'_>,
    findings: &mut Findings,
) -> Alternatives {
    let peers = peers.enumerate();
    let lowered = peers.map(|(index, peer)| lower(&list.index(index), &peer, scope, findings));
    Alternatives::OneOf(lowered.collect())
}

fn lower(
    at: &At<'_>,
    peer: &Peer<'_>,
    scope: Scope<'_>,
    findings: &mut Findings,
) -> Vec<Predicate> {
    let mut predicates = Vec::new();
    let mut identify = |name: &str, values: Option<&[String]>, field: Field, parse: Parse<'_>| {
        let patterns = findings.take_all(&at.field(name), values?, parse);
        predicates.push(identity_predicate(field, patterns.clone(), scope.direction));
        Some(patterns)
    };
    let account = |text: &str| identity::service_account(text, scope.namespace);
    let accounts = identify(
        "serviceAccounts",
        peer.service_accounts,
        Field::ServiceAccount,
        &account,
    );
    let principals = identify(
        "principals",
        peer.principals,
        Field::Principal,
        &identity::principal,
    );
    let trust_domains = identify(
        "trustDomains",
        peer.trust_domains,
        Field::TrustDomain,
        &identity::trust_domain,
    );
    let namespaces = identify(
        "namespaces",
        peer.namespaces,
        Field::Namespace,
        &identity::namespace,
    );
    let is_local_name = accounts.is_some() || namespaces.is_some();
    let names_domain = trust_domains.is_some()
        || principals.is_some_and(|ids| ids.iter().all(identity::names_trust_domain));
    if is_local_name && !names_domain && scope.direction == Direction::Ingress {
        predicates.push(predicate(Field::TrustDomain, Patterns::MeshTrustDomains));
    }
    if let Some(sets) = by_labels(at, peer, namespaces.as_deref(), scope, findings) {
        predicates.push(predicate(Field::PeerSet, Patterns::Sets(sets)));
    }
    let mut networks = |name: &str, blocks: Option<&[IpBlock]>, field: Field| {
        let networks = networks::blocks(&at.field(name), blocks?, findings);
        predicates.push(predicate(field, Patterns::Networks(networks)));
        Some(())
    };
    networks("ipBlocks", peer.ip_blocks, Field::PeerAddress);
    networks(
        "remoteIpBlocks",
        peer.remote_ip_blocks,
        Field::RemoteAddress,
    );
    if peer.is_empty() {
        let anyone = match scope.direction {
            Direction::Ingress => "to match anyone remove `from`",
            Direction::Egress => "to match anyone remove `to`",
        };
        findings.push(Error::new(at, Reason::RestrictsNothing).hint(anyone));
    }
    predicates
}

type Parse<'a> = &'a dyn Fn(&str) -> Result<StringPattern, Fault>;

fn predicate(field: Field, patterns: Patterns) -> Predicate {
    Predicate {
        field,
        patterns,
        negated: false,
    }
}

fn identity_predicate(
    field: Field,
    patterns: Vec<StringPattern>,
    direction: Direction,
) -> Predicate {
    match direction {
        Direction::Ingress => predicate(field, Patterns::Strings(patterns)),
        Direction::Egress => {
            let set = |(field, pattern)| PeerSet::Identity { field, pattern };
            let sets = iter::repeat(field).zip(patterns).map(set).collect();
            predicate(Field::PeerSet, Patterns::Sets(sets))
        }
    }
}

/// The sets of pods that a peer picks by labels.
///
/// `namespaces` narrows them by names. What it says is a predicate of its own already, so that a
/// pattern of names, which a set cannot say, is left to that.
fn by_labels(
    at: &At<'_>,
    peer: &Peer<'_>,
    namespaces: Option<&[StringPattern]>,
    scope: Scope<'_>,
    findings: &mut Findings,
) -> Option<Vec<PeerSet>> {
    let pods = peer
        .pod_selector
        .map(|selector| selectors::labels(&at.field("podSelector"), selector, findings));
    let scopes = if let Some(selector) = peer.namespace_selector {
        vec![selectors::namespaces(
            &at.field("namespaceSelector"),
            selector,
            findings,
        )]
    } else if pods.is_none() {
        return None;
    } else if let Some(namespaces) = namespaces {
        let named = namespaces.iter().map(|pattern| match pattern {
            StringPattern::Exact(name) => Some(NamespaceScope::Named(name.clone())),
            _ => None,
        });
        named
            .collect::<Option<Vec<_>>>()
            .unwrap_or_else(|| vec![NamespaceScope::All])
    } else if let Some(own) = scope.namespace {
        vec![NamespaceScope::Named(own.to_owned())]
    } else {
        let hint = "add `namespaces` or `namespaceSelector` beside it";
        findings.push(Error::new(&at.field("podSelector"), Reason::NoNamespace).hint(hint));
        return None;
    };
    let pods: Labels = pods.unwrap_or_default();
    let sets = scopes.into_iter().map(|namespaces| PeerSet::Labels {
        namespaces,
        pods: pods.clone(),
    });
    Some(sets.collect())
}
