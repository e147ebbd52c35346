//! From documents to spec: what the values mean.
//!
//! Every module takes one kind of value and the place where it stands, reports what is wrong with
//! it, and goes on, so that a document's errors come all at once. What is returned beside errors
//! is never used.

mod config;
mod identity;
mod names;
mod networks;
mod operations;
mod peers;
mod rules;
mod selectors;
mod strings;
mod time;
mod web;

use std::borrow::Cow;

use super::Located;
use super::error::{Error, Findings, Suggestion};
use super::field_path::At;
use super::limits;
use super::reason::{Form, Reason};
use super::types::{
    ClusterFirewallPolicySpec, FirewallPolicySpec, MeshwallConfigSpec, Mode, Resource, Tier,
};
use crate::spec;

/// What is wrong with a value, before it is known where it stands.
#[derive(Debug, PartialEq)]
struct Fault {
    reason: Reason,
    suggestion: Option<Suggestion>,
}

impl Fault {
    fn new(form: Form, why: impl Into<Cow<'static, str>>) -> Fault {
        Fault {
            reason: Reason::malformed(form, why),
            suggestion: None,
        }
    }

    fn replace(mut self, with: impl Into<String>) -> Fault {
        self.suggestion = Some(Suggestion::Replace(super::error::quotable(&with.into())));
        self
    }

    fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Fault {
        self.suggestion = Some(Suggestion::Hint(hint.into()));
        self
    }
}

impl Findings {
    /// The value, if there is one; the fault is reported.
    fn take<T>(&mut self, at: &At<'_>, value: &str, result: Result<T, Fault>) -> Option<T> {
        match result {
            Ok(taken) => Some(taken),
            Err(Fault { reason, suggestion }) => {
                self.push(Error::new(at, reason).value(value).suggest(suggestion));
                None
            }
        }
    }

    /// The values of a list that a function understands; the faults of the others are reported.
    fn take_all<T>(
        &mut self,
        at: &At<'_>,
        values: &[String],
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Vec<T> {
        let values = values.iter().enumerate();
        values
            .filter_map(|(index, value)| self.take(&at.index(index), value, parse(value)))
            .collect()
    }
}

/// What the names in a policy are relative to.
#[derive(Clone, Copy)]
struct Scope<'a> {
    direction: spec::Direction,
    /// The policy's own namespace; `None` for a policy of the cluster.
    namespace: Option<&'a str>,
}

impl Located<FirewallPolicySpec> {
    /// What the policy means.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with its values.
    pub fn lower(&self) -> Result<spec::Policy, Vec<Error>> {
        let mut findings = Findings::default();
        let policy = self.policy(&mut findings);
        self.conclude(policy, findings)
    }

    fn policy(&self, findings: &mut Findings) -> spec::Policy {
        let document = &self.object.spec;
        let root = At::Root;
        let at = root.field("spec");
        names::metadata(self, findings);
        let namespace = self
            .object
            .metadata
            .namespace
            .as_deref()
            .unwrap_or_default();
        if document.target_refs.is_some() {
            let why = "the services and gateways that it names cannot be looked up";
            let error = Error::new(&at.field("targetRefs"), Reason::Unsupported(why));
            findings.push(error.hint("name the pods by `selector`"));
            if document.selector.is_some() {
                let conflict = Reason::Conflict("targetRefs");
                findings.push(Error::new(&at.field("selector"), conflict));
            }
        }
        let pods = document
            .selector
            .as_ref()
            .map(|selector| selectors::labels(&at.field("selector"), selector, findings));
        let (ingress, egress) = rules::both(
            &at,
            document.ingress.as_deref(),
            document.egress.as_deref(),
            Some(namespace),
            findings,
        );
        spec::Policy {
            origin: self.reference.clone(),
            tier: spec::Tier::Namespace,
            priority: 0,
            subject: spec::Subject {
                namespaces: spec::NamespaceScope::Named(namespace.to_owned()),
                pods: pods.unwrap_or_default(),
            },
            mode: mode(document.mode),
            expires: time::expires(&at, document.expires.as_deref(), findings),
            ingress,
            egress,
        }
    }
}

impl Located<ClusterFirewallPolicySpec> {
    /// What the policy means.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with its values.
    pub fn lower(&self) -> Result<spec::Policy, Vec<Error>> {
        let mut findings = Findings::default();
        let policy = self.policy(&mut findings);
        self.conclude(policy, findings)
    }

    fn policy(&self, findings: &mut Findings) -> spec::Policy {
        let document = &self.object.spec;
        let root = At::Root;
        let at = root.field("spec");
        names::metadata(self, findings);
        let subject = at.field("subject");
        let namespaces = selectors::namespaces(
            &subject.field("namespaceSelector"),
            &document.subject.namespace_selector,
            findings,
        );
        let pods =
            document.subject.pod_selector.as_ref().map(|selector| {
                selectors::labels(&subject.field("podSelector"), selector, findings)
            });
        let (ingress, egress) = rules::both(
            &at,
            document.ingress.as_deref(),
            document.egress.as_deref(),
            None,
            findings,
        );
        spec::Policy {
            origin: self.reference.clone(),
            tier: match document.tier {
                Tier::Admin => spec::Tier::Admin,
                Tier::Baseline => spec::Tier::Baseline,
            },
            priority: document.priority,
            subject: spec::Subject {
                namespaces,
                pods: pods.unwrap_or_default(),
            },
            mode: mode(document.mode),
            expires: time::expires(&at, document.expires.as_deref(), findings),
            ingress,
            egress,
        }
    }
}

impl Located<MeshwallConfigSpec> {
    /// What the configuration means; what it leaves out has its default.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with its values.
    pub fn lower(&self) -> Result<spec::Config, Vec<Error>> {
        let mut findings = Findings::default();
        names::metadata(self, &mut findings);
        let config = config::config(&At::Root.field("spec"), &self.object.spec, &mut findings);
        self.conclude(config, findings)
    }
}

impl<S: Resource> Located<S> {
    fn conclude<T>(&self, lowered: T, findings: Findings) -> Result<T, Vec<Error>> {
        if findings.is_empty() {
            Ok(lowered)
        } else {
            Err(findings.finish(Some(&self.reference), &self.positions))
        }
    }
}

fn mode(mode: Option<Mode>) -> spec::Mode {
    match mode {
        None | Some(Mode::Enforce) => spec::Mode::Enforce,
        Some(Mode::Monitor) => spec::Mode::Monitor,
    }
}
