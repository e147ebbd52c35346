//! Peers that are nobody, or of whom nothing can be known.

use super::place::{Place, written};
use super::{Findings, Lint, Mesh};
use crate::document::FieldPath;
use crate::inventory::Inventory;
use crate::spec::{
    Config, Direction, Field, LabelSelector, NamespaceScope, Patterns, PeerSet, Predicate,
    StringPattern,
};

pub(super) fn check(mesh: &Mesh<'_>, findings: &mut Findings) {
    for rule in mesh.rules() {
        for (at, peer) in written(&rule.rule.peers) {
            let path = rule.peer(at);
            remote_addresses(mesh, &rule, &path, peer, findings);
            if unknowable(mesh, &rule, &path, peer, findings) {
                continue;
            }
            // Of the workloads of other meshes nothing is known.
            let is_other = |predicate: &Predicate| names_other(predicate, mesh.config);
            if let (Some(inventory), false) = (mesh.inventory, peer.iter().any(is_other)) {
                for predicate in peer {
                    nobody(inventory, &rule, &path, predicate, findings);
                }
            }
        }
    }
}

fn remote_addresses(
    mesh: &Mesh<'_>,
    rule: &Place<'_>,
    path: &FieldPath,
    peer: &[Predicate],
    findings: &mut Findings,
) {
    let asks = |predicate: &Predicate| predicate.field == Field::RemoteAddress;
    if mesh.config.trusted_proxies == 0 && peer.iter().any(asks) {
        let path = path.clone().field("remoteIpBlocks");
        let message = "the address of the direct peer is compared: no proxy is trusted to tell \
                       another";
        findings.push(
            Lint::NoTrustedProxies,
            rule.policy,
            path,
            message.to_owned(),
        );
        findings.help("set `trustedProxies` in MeshwallConfig, or write `ipBlocks`");
    }
}

/// Reports a peer that asks for what only the inventory of another mesh could tell.
fn unknowable(
    mesh: &Mesh<'_>,
    rule: &Place<'_>,
    path: &FieldPath,
    peer: &[Predicate],
    findings: &mut Findings,
) -> bool {
    let asks_labels = peer.iter().any(|predicate| match &predicate.patterns {
        Patterns::Sets(sets) => sets.iter().any(|set| matches!(set, PeerSet::Labels { .. })),
        _ => false,
    });
    let (message, help) = match rule.direction {
        Direction::Ingress if asks_labels => (
            "the labels of workloads of another mesh are not known: it matches nobody",
            "name `serviceAccounts` or `principals`, which a certificate proves",
        ),
        Direction::Ingress => return false,
        Direction::Egress => (
            "a destination of another mesh has no identity here: it matches nobody",
            "name `ipBlocks`",
        ),
    };
    let foreign = |predicate: &Predicate| foreign(predicate, mesh.config);
    let Some(field) = peer.iter().find_map(foreign) else {
        return false;
    };
    let path = path.clone().field(field);
    findings.push(Lint::UnknowablePeer, rule.policy, path, message.to_owned());
    findings.help(help);
    true
}

/// The name of the field by which a predicate asks for nothing but other trust domains.
fn foreign(predicate: &Predicate, config: &Config) -> Option<&'static str> {
    let (field, patterns) = identity(predicate)?;
    let name = match field {
        Field::TrustDomain => "trustDomains",
        Field::Principal => "principals",
        _ => return None,
    };
    let all = patterns
        .iter()
        .all(|pattern| is_foreign(field, pattern, config));
    (all && !patterns.is_empty()).then_some(name)
}

/// Whether a predicate may be about another trust domain.
fn names_other(predicate: &Predicate, config: &Config) -> bool {
    identity(predicate).is_some_and(|(field, patterns)| match field {
        Field::TrustDomain => patterns
            .iter()
            .any(|pattern| is_foreign(field, pattern, config)),
        Field::Principal => true,
        _ => false,
    })
}

fn is_foreign(field: &Field, pattern: &StringPattern, config: &Config) -> bool {
    let (StringPattern::Exact(text) | StringPattern::Prefix(text)) = pattern else {
        return false;
    };
    let trust_domain = match field {
        Field::Principal => text
            .strip_prefix("spiffe://")
            .and_then(|id| id.split_once('/'))
            .map(|(trust_domain, _)| trust_domain),
        _ => Some(text.as_str()),
    };
    trust_domain.is_some_and(|name| !config.is_own(name))
}

/// What a predicate asks of an identity, in whatever way it asks.
fn identity(predicate: &Predicate) -> Option<(&Field, Vec<&StringPattern>)> {
    match &predicate.patterns {
        Patterns::Strings(patterns) => Some((&predicate.field, patterns.iter().collect())),
        Patterns::Sets(sets) => {
            let mut parts = sets.iter().map(|set| match set {
                PeerSet::Identity { field, pattern } => Some((field, pattern)),
                PeerSet::Labels { .. } | PeerSet::NamedPort { .. } => None,
            });
            let (field, first) = parts.next()??;
            let others = parts
                .map(|part| Some(part?.1))
                .collect::<Option<Vec<_>>>()?;
            Some((field, [vec![first], others].concat()))
        }
        _ => None,
    }
}

/// Reports what no workload of the inventory has.
fn nobody(
    inventory: &Inventory,
    rule: &Place<'_>,
    path: &FieldPath,
    predicate: &Predicate,
    findings: &mut Findings,
) {
    let is_someone = |set: &PeerSet| {
        let mut workloads = inventory.workloads.iter();
        workloads.any(|workload| set.contains(workload, inventory))
    };
    if let Some((field, patterns)) = identity(predicate) {
        let (name, what) = match field {
            Field::ServiceAccount => ("serviceAccounts", "no workload runs as"),
            Field::Namespace => ("namespaces", "no workload is in"),
            _ => return,
        };
        for (at, pattern) in patterns.into_iter().enumerate() {
            let set = PeerSet::Identity {
                field: field.clone(),
                pattern: pattern.clone(),
            };
            if !is_someone(&set) {
                let path = path.clone().field(name).index(at);
                let message = format!("{what} `{pattern}`");
                findings.push(Lint::PeerSelectsNothing, rule.policy, path, message);
            }
        }
        return;
    }
    let Patterns::Sets(sets) = &predicate.patterns else {
        return;
    };
    for set in sets {
        let PeerSet::Labels { namespaces, pods } = set else {
            continue;
        };
        if !is_someone(set) {
            let field = if pods.requirements.is_empty() {
                "namespaceSelector"
            } else {
                "podSelector"
            };
            let path = path.clone().field(field);
            let message = selects(namespaces, pods);
            findings.push(Lint::PeerSelectsNothing, rule.policy, path, message);
        }
    }
}

fn selects(namespaces: &NamespaceScope, pods: &LabelSelector) -> String {
    match namespaces {
        NamespaceScope::Named(name) => {
            format!("no workload of the namespace `{name}` has these labels: `{pods}`")
        }
        NamespaceScope::All => format!("no workload has these labels: `{pods}`"),
        NamespaceScope::Selected(selector) if pods.requirements.is_empty() => {
            format!("no workload is in a namespace with these labels: `{selector}`")
        }
        NamespaceScope::Selected(selector) => format!(
            "no workload in a namespace with the labels `{selector}` has these labels: `{pods}`"
        ),
    }
}
