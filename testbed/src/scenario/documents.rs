//! The documents of some files, each given to its reader.

use std::fmt;

use meshwall_mesh_config::inventory;
use meshwall_policy::document::types::{API_VERSION, GROUP, Resource};
use meshwall_policy::document::{
    self, Document, FieldPath, Located, Other, Position, Reason, Set, Sourced, Suggestion,
};
use meshwall_policy::spec;

use super::error::{Error, shown};
use super::files::Source;
use super::types::ScenarioSpec;

/// How alike two words must be for one to be offered for the other, from 0 to 1.
const ALIKE: f64 = 0.65;

/// What is in some files.
#[derive(Debug, Default)]
pub struct Documents {
    /// The policies, in their order.
    pub policies: Vec<Sourced<spec::Policy>>,
    /// The configuration of the mesh; `None` if no document has it, and the default holds.
    pub config: Option<Sourced<spec::Config>>,
    /// The workloads.
    pub inventory: inventory::Read,
    /// Whether there was any object of a cluster: without one, nothing is known about workloads.
    pub has_inventory: bool,
    /// The scenarios, in their order.
    pub scenarios: Vec<Located<ScenarioSpec>>,
    /// What is wrong with the documents.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a document, from the reader of its kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Problem {
    /// With a document of ours.
    Document(document::Error),
    /// With an object of a cluster.
    Inventory(inventory::Error),
    /// With what a scenario says.
    Scenario(Error),
}

impl Problem {
    /// Where it stands in the source.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        match self {
            Problem::Document(error) => error.position.as_ref(),
            Problem::Inventory(error) => error.position.as_ref(),
            Problem::Scenario(error) => error.position.as_ref(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Document(error) => error.fmt(f),
            Problem::Inventory(error) => error.fmt(f),
            Problem::Scenario(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Problem {}

impl Documents {
    /// Reads all documents of some files.
    #[must_use]
    pub fn read<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Documents {
        let mut documents: Vec<Document> = Vec::new();
        let mut problems = Vec::new();
        for Source { name, text, .. } in sources {
            let parsed = document::parse(name, text);
            documents.extend(parsed.documents);
            problems.extend(parsed.errors.into_iter().map(Problem::Document));
        }
        let Set {
            policies,
            config,
            others,
            errors,
        } = Set::from(documents);
        problems.extend(errors.into_iter().map(Problem::Document));

        let mut result = Documents::default();
        let (scenarios, objects): (Vec<Other>, Vec<Other>) =
            others.into_iter().partition(is_scenario);
        for scenario in scenarios {
            match scenario.read::<ScenarioSpec>() {
                Ok(scenario) => result.scenarios.push(scenario),
                Err(errors) => problems.extend(errors.into_iter().map(Problem::Document)),
            }
        }
        problems.extend(
            objects
                .iter()
                .filter_map(nearly_ours)
                .map(Problem::Document),
        );
        let objects = objects
            .iter()
            .filter(|object| inventory::reads(&object.api_version, &object.kind));
        let objects: Vec<&Other> = objects.collect();
        let trust_domain = config.as_ref().map_or_else(
            || spec::Config::default().trust_domain,
            |config| config.value.trust_domain.clone(),
        );
        result.has_inventory = !objects.is_empty();
        result.inventory = inventory::read(objects, &trust_domain);
        let errors = std::mem::take(&mut result.inventory.errors);
        problems.extend(errors.into_iter().map(Problem::Inventory));
        Documents {
            policies,
            config,
            problems,
            ..result
        }
    }
}

/// The error of an object of our group that no reader knows, and of a scenario of another group.
/// Left alone, it would do nothing, and nobody would know.
fn nearly_ours(other: &Other) -> Option<document::Error> {
    let (group, _) = other.api_version.split_once('/').unwrap_or_default();
    let (field, value, reason, right) = if other.kind == ScenarioSpec::KIND {
        let reason = Reason::UnknownVersion;
        ("apiVersion", &other.api_version, reason, API_VERSION)
    } else if group == GROUP {
        ("kind", &other.kind, Reason::UnknownKind, ScenarioSpec::KIND)
    } else {
        return None;
    };
    let path = FieldPath::root().field(field);
    let alike = strsim::normalized_damerau_levenshtein(value, right) >= ALIKE;
    Some(document::Error {
        object: None,
        position: other.positions.value(&path),
        path,
        value: Some(shown(value)),
        reason: Box::new(reason),
        suggestion: alike.then(|| Suggestion::Replace(right.to_owned())),
    })
}

/// Whether there is a scenario in a text, or may be: of a text with errors it cannot be told.
pub(super) fn has_scenario(Source { name, text, .. }: &Source) -> bool {
    // Most texts are policies and inventories, and need not be read twice.
    if !text.contains(ScenarioSpec::KIND) {
        return false;
    }
    let parsed = document::parse(name, text);
    let is_ours = |document: &Document| match document {
        Document::Other(other) => is_scenario(other),
        _ => false,
    };
    !parsed.errors.is_empty() || parsed.documents.iter().any(is_ours)
}

fn is_scenario(other: &Other) -> bool {
    other.api_version == API_VERSION && other.kind == ScenarioSpec::KIND
}
