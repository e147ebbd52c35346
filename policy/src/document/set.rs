//! All documents of a mesh together.

use std::collections::HashMap;

use super::error::{Error, Findings};
use super::field_path::At;
use super::position::Positions;
use super::reason::Reason;
use super::{Document, Other};
use crate::spec::{self, ObjectRef, Tier};

/// What the documents of a mesh mean, and what is wrong with them.
///
/// A document with errors is left out. Of documents that contradict each other the first counts,
/// and the others are errors.
#[derive(Debug, Default)]
pub struct Set {
    /// The policies, in the order of their documents.
    pub policies: Vec<Sourced<spec::Policy>>,
    /// The configuration of the mesh; `None` if no document has it, and the default holds.
    pub config: Option<Sourced<spec::Config>>,
    /// The documents of other kinds, in their order.
    pub others: Vec<Other>,
    /// What is wrong with the documents, in their order.
    pub errors: Vec<Error>,
}

/// Something that a document means, and where the parts of the document stand.
#[derive(Clone, Debug)]
pub struct Sourced<T> {
    /// The object that says it.
    pub object: ObjectRef,
    /// What it says.
    pub value: T,
    /// Where the parts of the document stand.
    pub positions: Positions,
}

impl From<Vec<Document>> for Set {
    fn from(documents: Vec<Document>) -> Set {
        let mut builder = Builder::default();
        for document in documents {
            match document {
                Document::FirewallPolicy(located) => {
                    builder.policy(located.reference(), located.positions(), located.lower());
                }
                Document::ClusterFirewallPolicy(located) => {
                    builder.policy(located.reference(), located.positions(), located.lower());
                }
                Document::MeshwallConfig(located) => {
                    builder.config(located.reference(), located.positions(), located.lower());
                }
                Document::Other(other) => builder.set.others.push(other),
            }
        }
        builder.set
    }
}

#[derive(Default)]
struct Builder {
    set: Set,
    objects: HashMap<ObjectRef, Positions>,
    priorities: HashMap<(Tier, u16), ObjectRef>,
    config: Option<ObjectRef>,
}

impl Builder {
    fn policy(
        &mut self,
        object: &ObjectRef,
        positions: &Positions,
        lowered: Result<spec::Policy, Vec<Error>>,
    ) {
        let mut findings = Findings::default();
        self.unique(object, positions, &mut findings);
        let policy = match lowered {
            Ok(policy) => Some(policy),
            Err(errors) => {
                errors.into_iter().for_each(|error| findings.push(error));
                None
            }
        };
        let ordered = policy
            .as_ref()
            .filter(|policy| policy.tier != Tier::Namespace);
        if let Some(policy) = ordered.filter(|_| findings.is_empty()) {
            let place = (policy.tier, policy.priority);
            match self.priorities.get(&place) {
                Some(other) => {
                    let root = At::Root;
                    let spec = root.field("spec");
                    let reason = Reason::SamePriority(other.clone());
                    let error = Error::new(&spec.field("priority"), reason);
                    findings.push(error.value(&policy.priority.to_string()));
                }
                None => {
                    self.priorities.insert(place, object.clone());
                }
            }
        }
        let policy = policy.filter(|_| findings.is_empty());
        self.set
            .errors
            .extend(findings.finish(Some(object), positions));
        self.set.policies.extend(policy.map(|value| Sourced {
            object: object.clone(),
            value,
            positions: positions.clone(),
        }));
    }

    fn config(
        &mut self,
        object: &ObjectRef,
        positions: &Positions,
        lowered: Result<spec::Config, Vec<Error>>,
    ) {
        let mut findings = Findings::default();
        self.unique(object, positions, &mut findings);
        let first = self.config.get_or_insert_with(|| object.clone());
        if first != object {
            findings.push(Error::new(&At::Root, Reason::SecondConfig(first.clone())));
        }
        match lowered {
            Ok(value) if findings.is_empty() => {
                let (object, positions) = (object.clone(), positions.clone());
                self.set.config = Some(Sourced {
                    object,
                    value,
                    positions,
                });
            }
            Ok(_) => {}
            Err(errors) => errors.into_iter().for_each(|error| findings.push(error)),
        }
        self.set
            .errors
            .extend(findings.finish(Some(object), positions));
    }

    /// Reports an object that was defined before.
    fn unique(&mut self, object: &ObjectRef, positions: &Positions, findings: &mut Findings) {
        let root = At::Root;
        let metadata = root.field("metadata");
        let name = metadata.field("name");
        match self.objects.get(object) {
            Some(first) => {
                let first = first.value(&(&name).into());
                findings
                    .push(Error::new(&name, Reason::DuplicateObject(first)).value(&object.name));
            }
            None => {
                self.objects.insert(object.clone(), positions.clone());
            }
        }
    }
}
