//! Finds policies that are valid and cannot be meant: rules that never decide, selectors that pick
//! nothing, fields that cannot be seen where they are asked for.
//!
//! A finding is certain: where the answer depends on what is not known, such as workloads without
//! an inventory, nothing is said. Whether one rule covers another is decided by what their patterns
//! can match, so some shadowed rules are not found, and none that is found is not shadowed.

mod catalogue;
mod cover;
mod open;
mod order;
mod paths;
mod peers;
mod place;
mod protocol;
mod regex;
mod repeat;
mod selectors;
mod time;

use std::fmt;

pub use self::catalogue::{Lint, reference};

use self::place::{Place, spec};
use crate::compile::{CompileError, compile};
use crate::document::FieldPath;
use crate::inventory::{Inventory, Workload};
use crate::spec::{Config, LabelSelector, NamespaceScope, ObjectRef, Policy, Subject, Timestamp};

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
    }
    for check in [
        order::check,
        repeat::check,
        open::check,
        paths::check,
        regex::check,
        selectors::check,
        peers::check,
        protocol::check,
    ] {
        check(mesh, &mut findings);
    }
    let mut findings = findings.0;
    let place = |finding: &Finding| {
        let mut policies = mesh.policies.iter();
        policies.position(|policy| policy.origin == finding.object)
    };
    findings.sort_by_cached_key(place);
    findings
}

impl<'a> Mesh<'a> {
    /// The policies that count: an expired one counts as absent.
    fn active(&self) -> impl Iterator<Item = &'a Policy> + use<'a> {
        let now = self.now;
        let policies = self.policies.iter();
        policies.filter(move |policy| policy.expires.is_none_or(|expires| now < expires))
    }

    /// The rules of the policies that count.
    fn rules(&self) -> impl Iterator<Item = Place<'a>> + use<'a> {
        self.active().flat_map(Place::of)
    }
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
        subject: Subject {
            namespaces: NamespaceScope::All,
            pods: LabelSelector::default(),
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
    let place =
        Place::of(policy).find(|place| place.direction == direction && place.rule.name == rule);
    let path = place.map_or_else(spec, |place| place.path());
    findings.push(Lint::DoesNotCompile, policy, path, problem.to_string());
}

#[cfg(test)]
mod tests;
