//! Finds policies that are valid and cannot be meant: rules that never decide, selectors that pick
//! nothing, fields that cannot be seen where they are asked for.
//!
//! A finding is certain: where the answer depends on what is not known, such as workloads without
//! an inventory, nothing is said. Coverage of one rule by another is decided field by field, so
//! some shadowed rules are not found, and none that is found is not shadowed.

mod cover;
mod protocol;
mod rules;
mod selectors;
mod time;

use std::fmt;

use crate::compile::{CompileError, compile};
use crate::document::FieldPath;
use crate::inventory::{Inventory, Workload};
use crate::spec::{Config, Direction, ObjectRef, Policy, Rule, Timestamp};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Mesh<'a> {
    /// What holds for the mesh.
    pub config: &'a Config,
    /// All policies.
    pub policies: &'a [Policy],
    /// The workloads, if they are known.
    pub inventory: Option<&'a Inventory>,
    /// The time.
    pub now: Timestamp,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The policy cannot take effect.
    Error,
    /// The policy does less, or something else, than it says.
    Warning,
    /// Worth knowing.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

/// What can be found.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "`explanation` is the documentation")]
pub enum Lint {
    DoesNotCompile,
    ShadowedRule,
    DuplicateRule,
    AllowsEveryone,
    PathWithoutSubpaths,
    SelectsNothing,
    PeerSelectsNothing,
    UnknownPort,
    HttpOnTcp,
    HttpInsideTls,
    Expired,
    ExpiresSoon,
}

impl Lint {
    /// All lints, in the order of the documentation.
    pub const ALL: [Lint; 12] = [
        Lint::DoesNotCompile,
        Lint::ShadowedRule,
        Lint::DuplicateRule,
        Lint::AllowsEveryone,
        Lint::PathWithoutSubpaths,
        Lint::SelectsNothing,
        Lint::PeerSelectsNothing,
        Lint::UnknownPort,
        Lint::HttpOnTcp,
        Lint::HttpInsideTls,
        Lint::Expired,
        Lint::ExpiresSoon,
    ];

    /// Stable name, for machines and for looking it up.
    pub fn code(self) -> &'static str {
        match self {
            Lint::DoesNotCompile => "does-not-compile",
            Lint::ShadowedRule => "shadowed-rule",
            Lint::DuplicateRule => "duplicate-rule",
            Lint::AllowsEveryone => "allows-everyone",
            Lint::PathWithoutSubpaths => "path-without-subpaths",
            Lint::SelectsNothing => "selects-nothing",
            Lint::PeerSelectsNothing => "peer-selects-nothing",
            Lint::UnknownPort => "unknown-port",
            Lint::HttpOnTcp => "http-on-tcp",
            Lint::HttpInsideTls => "http-inside-tls",
            Lint::Expired => "expired",
            Lint::ExpiresSoon => "expires-soon",
        }
    }

    /// How grave it is.
    pub fn severity(self) -> Severity {
        match self {
            Lint::DoesNotCompile => Severity::Error,
            Lint::ShadowedRule
            | Lint::DuplicateRule
            | Lint::AllowsEveryone
            | Lint::SelectsNothing
            | Lint::PeerSelectsNothing
            | Lint::UnknownPort
            | Lint::HttpOnTcp
            | Lint::Expired => Severity::Warning,
            Lint::PathWithoutSubpaths | Lint::HttpInsideTls | Lint::ExpiresSoon => Severity::Note,
        }
    }

    /// What it means and why it matters.
    pub fn explanation(self) -> &'static str {
        match self {
            Lint::DoesNotCompile => {
                "The policy is well-formed and exceeds a limit of programs, or has a regular \
                 expression that is too large when compiled. It cannot be enforced."
            }
            Lint::ShadowedRule => {
                "Whatever the rule matches is decided by another one first, so the rule never \
                 decides. Among ClusterFirewallPolicies that is an earlier rule; for an Allow \
                 rule of a FirewallPolicy, a Deny rule of the same policy."
            }
            Lint::DuplicateRule => "Two rules of a policy have the same action and match the same.",
            Lint::AllowsEveryone => {
                "The rule permits everyone everything, also peers without an identity. As soon \
                 as it applies, no other Allow rule matters."
            }
            Lint::PathWithoutSubpaths => {
                "A Deny rule names an exact path and not what is below it. Many servers serve \
                 `/admin/` and `/admin/users` by the handler of `/admin`."
            }
            Lint::SelectsNothing => "No workload of the inventory is protected by the policy.",
            Lint::PeerSelectsNothing => {
                "No workload of the inventory is selected as a peer, so the peer matches nobody."
            }
            Lint::UnknownPort => {
                "No workload that the policy protects gives a port this name, so the operation \
                 matches nothing."
            }
            Lint::HttpOnTcp => {
                "The rule asks for HTTP on a port that by its name speaks another protocol. \
                 There, an Allow rule never matches, and a Deny rule matches whatever the HTTP \
                 fields say."
            }
            Lint::HttpInsideTls => {
                "The rule asks for HTTP on the way out to port 443, where a workload usually \
                 speaks TLS itself. The proxy then sees the server name and nothing of HTTP."
            }
            Lint::Expired => "The policy has expired and counts as absent.",
            Lint::ExpiresSoon => "The policy expires within seven days.",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What it is.
    pub lint: Lint,
    /// The policy.
    pub object: ObjectRef,
    /// The field.
    pub path: FieldPath,
    /// What is found, on one line.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Everything that is found, in the order of policies.
pub fn lint(mesh: &Mesh<'_>) -> Vec<Finding> {
    let mut findings = Findings::default();
    for policy in mesh.policies {
        compiles(mesh, policy, &mut findings);
        time::check(mesh, policy, &mut findings);
        selectors::check(mesh, policy, &mut findings);
        protocol::check(mesh, policy, &mut findings);
        rules::check(mesh, policy, &mut findings);
    }
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn push(&mut self, lint: Lint, policy: &Policy, path: FieldPath, message: String) {
        self.0.push(Finding {
            lint,
            object: policy.origin.clone(),
            path,
            message,
            help: None,
        });
    }

    fn help(&mut self, help: impl Into<String>) {
        if let Some(last) = self.0.last_mut() {
            last.help = Some(help.into());
        }
    }
}

/// The rules of both directions, with their places.
fn rules(policy: &Policy) -> impl Iterator<Item = (Direction, usize, &Rule)> {
    let ingress = policy.ingress.iter().enumerate();
    let egress = policy.egress.iter().enumerate();
    ingress
        .map(|(index, rule)| (Direction::Ingress, index, rule))
        .chain(egress.map(|(index, rule)| (Direction::Egress, index, rule)))
}

/// `spec.ingress[0]`.
fn rule_path(direction: Direction, index: usize) -> FieldPath {
    FieldPath::root()
        .field("spec")
        .field(&direction.to_string())
        .index(index)
}

/// The workloads that a policy protects, if the inventory is known.
fn protected<'a>(mesh: &Mesh<'a>, policy: &Policy) -> Option<Vec<&'a Workload>> {
    let inventory = mesh.inventory?;
    let workloads = inventory.workloads.iter();
    Some(
        workloads
            .filter(|workload| {
                policy.subject.pods.matches(&workload.labels)
                    && inventory.namespace_matches(&policy.subject.namespaces, &workload.namespace)
            })
            .collect(),
    )
}

/// Compiles the policy on its own, for a workload that it protects.
fn compiles(mesh: &Mesh<'_>, policy: &Policy, findings: &mut Findings) {
    let anyone = Workload {
        namespace: policy.origin.namespace.clone().unwrap_or_default(),
        name: "any".to_owned(),
        labels: Default::default(),
        service_account: "default".to_owned(),
        trust_domain: mesh.config.trust_domain.clone(),
        addresses: Vec::new(),
        ports: Default::default(),
    };
    let everyone = Policy {
        subject: crate::spec::Subject {
            namespaces: crate::spec::NamespaceScope::All,
            pods: Default::default(),
        },
        ..policy.clone()
    };
    let nobody = Inventory::default();
    let inventory = mesh.inventory.unwrap_or(&nobody);
    let compiled = compile(mesh.config, &[everyone], inventory, &anyone);
    let Err(CompileError {
        direction,
        rule,
        problem,
        policy: _,
    }) = compiled
    else {
        return;
    };
    let place = rules(policy).find(|(at, _, known)| *at == direction && known.name == rule);
    let path = match place {
        Some((direction, index, _)) => rule_path(direction, index),
        None => FieldPath::root().field("spec"),
    };
    findings.push(Lint::DoesNotCompile, policy, path, problem.to_string());
}

#[cfg(test)]
mod tests;
