//! From what a scenario says to questions and expected answers.

use std::collections::BTreeSet;

use meshwall_policy::decision::Verdict;
use meshwall_policy::document::{FieldPath, Located, Position, Segment};
use meshwall_policy::inventory::Inventory;
use meshwall_policy::spec::{ObjectRef, Timestamp};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ask;
use super::error::{Error, Reason};
use super::question::{Answer, Question};
use super::types::{ScenarioSpec, VerdictSpec};

/// A scenario whose questions can be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What names it.
    pub object: ObjectRef,
    /// Its cases, in order.
    pub cases: Vec<Case>,
}

/// A question, and what is expected of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// The question.
    pub question: Question,
    /// What is expected.
    pub expected: Expected,
    /// Where it stands in the source.
    pub position: Option<Position>,
}

/// What is expected of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expected {
    /// The verdict.
    pub verdict: Verdict,
    /// Its cause; `None` for any.
    pub cause: Option<String>,
    /// The verdict that would hold if every monitored policy were enforced; `None` for any.
    pub would_be: Option<Verdict>,
}

impl Expected {
    /// Whether an answer is as expected.
    #[must_use]
    pub fn is_met_by(&self, answer: &Answer) -> bool {
        let Expected {
            verdict,
            cause,
            would_be,
        } = self;
        *verdict == answer.enforced.verdict
            && cause
                .as_ref()
                .is_none_or(|cause| *cause == answer.enforced.cause)
            && would_be.is_none_or(|would_be| would_be == answer.combined())
    }
}

/// The time of a text (RFC 3339), in whole seconds.
///
/// # Errors
///
/// If the text is not a time.
pub fn timestamp(text: &str) -> Result<Timestamp, Reason> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Reason::NotATime)?;
    Ok(Timestamp(time.unix_timestamp()))
}

impl Scenario {
    /// What a scenario means in a world with these workloads.
    ///
    /// `now` is the time where the scenario names none.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with its values, in the order of the source.
    pub fn lower(
        document: &Located<ScenarioSpec>,
        inventory: &Inventory,
        now: Timestamp,
    ) -> Result<Scenario, Vec<Error>> {
        let object = document.object();
        let mut errors = Vec::new();
        if let Some(namespace) = &object.metadata.namespace {
            let path = FieldPath::root().field("metadata").field("namespace");
            let error = Error::new(path, Reason::Namespaced).value(namespace);
            errors.push(error.hint("remove it"));
        }
        let spec = &object.spec;
        let now = match spec.now.as_deref().map(|text| (text, timestamp(text))) {
            None => now,
            Some((_, Ok(now))) => now,
            Some((text, Err(reason))) => {
                let path = FieldPath::root().field("spec").field("now");
                errors.push(Error::new(path, reason).value(text));
                now
            }
        };
        let mut names = BTreeSet::new();
        let mut cases = Vec::new();
        for (index, case) in spec.cases.iter().enumerate() {
            let at = FieldPath::root().field("spec").field("cases").index(index);
            if !names.insert(case.name.as_str()) {
                let path = at.clone().field("name");
                errors.push(Error::new(path, Reason::NameTaken).value(&case.name));
            }
            match ask::question(case, inventory, now) {
                Ok(question) => cases.push(Case {
                    name: case.name.clone(),
                    question,
                    expected: Expected {
                        verdict: case.expect.into(),
                        cause: case.cause.clone(),
                        would_be: case.would_be.map(Verdict::from),
                    },
                    position: document.positions().value(&at),
                }),
                Err(wrong) => errors.extend(wrong.into_iter().map(|error| Error {
                    path: below(&at, &error.path),
                    ..error
                })),
            }
        }
        if errors.is_empty() {
            return Ok(Scenario {
                object: document.reference().clone(),
                cases,
            });
        }
        for error in &mut errors {
            error.object = Some(document.reference().clone());
            error.position = if error.reason.concerns_name() {
                document.positions().key(&error.path)
            } else {
                document.positions().value(&error.path)
            };
        }
        errors.sort_by(|a, b| a.position.cmp(&b.position));
        Err(errors)
    }
}

impl From<VerdictSpec> for Verdict {
    fn from(verdict: VerdictSpec) -> Verdict {
        match verdict {
            VerdictSpec::Allow => Verdict::Allow,
            VerdictSpec::Deny => Verdict::Deny,
        }
    }
}

fn below(parent: &FieldPath, path: &FieldPath) -> FieldPath {
    let segments = path.segments().iter();
    segments.fold(parent.clone(), |path, segment| match segment {
        Segment::Field(name) => path.field(name),
        Segment::Index(index) => path.index(*index),
    })
}
