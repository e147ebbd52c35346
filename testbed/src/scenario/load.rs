//! The worlds that a user names by files.
//!
//! Files without a scenario make one world together. A file with a scenario is a world of its own:
//! what is in it, and in the files that the scenario names. In a folder it is therefore no part of
//! anything else.

use std::path::{Path, PathBuf};

use meshwall_policy::document::{FieldPath, Located};
use meshwall_policy::spec::Timestamp;

use super::documents::{Documents, Problem, has_scenario};
use super::error::{Error, Reason};
use super::files::{self, FileError, Found, Source};
use super::lower::Scenario;
use super::types::ScenarioSpec;
use super::world::World;

/// The texts that a user names.
#[derive(Debug, Default)]
pub struct Files {
    /// Those without scenarios.
    pub plain: Vec<Source>,
    /// Those with scenarios.
    pub scenarios: Vec<Source>,
    /// Of those with scenarios, the ones that the user named, and not a folder that they are in.
    named: Vec<Source>,
}

impl Files {
    /// Reads the files that paths stand for, with folders for what is in them.
    ///
    /// # Errors
    ///
    /// The first that cannot be read.
    pub fn read(paths: &[PathBuf]) -> Result<Files, FileError> {
        let mut result = Files::default();
        for Found { path, is_named } in files::find(paths)? {
            let source = files::read(&path)?;
            if !has_scenario(&source) {
                result.plain.push(source);
                continue;
            }
            if is_named {
                result.named.push(source.clone());
            }
            result.scenarios.push(source);
        }
        Ok(result)
    }

    /// The sources of the one world of all that was named.
    pub fn world(&self) -> impl Iterator<Item = &Source> {
        self.plain.iter().chain(&self.named)
    }

    /// All sources.
    pub fn all(&self) -> impl Iterator<Item = &Source> {
        self.plain.iter().chain(&self.scenarios)
    }
}

/// A scenario and its world.
#[derive(Debug)]
pub struct Staged {
    /// The scenario; `None` if it has errors.
    pub scenario: Option<Scenario>,
    /// The world.
    pub world: World,
    /// What is wrong with the scenario or with a document of its world.
    pub problems: Vec<Problem>,
    /// The texts that all of it comes from.
    pub sources: Vec<Source>,
}

impl Staged {
    /// The scenarios in a text, each with its world; and, if there is something wrong with the text
    /// itself, that. `now` is the time of those that name none.
    #[must_use]
    pub fn read(source: &Source, now: Timestamp) -> Vec<Staged> {
        let own = Documents::read([source]);
        let mut staged: Vec<Staged> = own
            .scenarios
            .iter()
            .map(|scenario| stage(scenario, source, &own.problems, now))
            .collect();
        if !own.problems.is_empty() {
            staged.push(Staged {
                scenario: None,
                world: World::default(),
                problems: own.problems,
                sources: vec![source.clone()],
            });
        }
        staged
    }
}

fn stage(
    scenario: &Located<ScenarioSpec>,
    source: &Source,
    known: &[Problem],
    now: Timestamp,
) -> Staged {
    let spec = &scenario.object().spec;
    let folder = source.path.parent().unwrap_or(Path::new(""));
    let mut sources = vec![source.clone()];
    let mut problems = Vec::new();
    for (index, name) in spec.files.iter().flatten().enumerate() {
        match read_all(&folder.join(name), &sources) {
            Ok(read) => sources.extend(read),
            Err(error) => {
                let path = FieldPath::root().field("spec").field("files").index(index);
                let reason = Reason::Unreadable(error.reason.to_string());
                let error = Error::new(path, reason).value(name);
                problems.push(Problem::Scenario(Error {
                    object: Some(scenario.reference().clone()),
                    position: scenario.positions().value(&error.path),
                    ..error
                }));
            }
        }
    }
    let documents = Documents::read(&sources);
    let world = World::from(&documents);
    let lowered = Scenario::lower(scenario, &world.inventory, now);
    let is_complete = problems.is_empty();
    let mut others = documents.problems;
    others.retain(|problem| !known.contains(problem));
    problems.extend(others);
    let scenario = match lowered {
        Ok(scenario) => Some(scenario),
        Err(errors) => {
            // Without the inventory nothing is known about workloads; the missing file is told.
            if is_complete {
                problems.extend(errors.into_iter().map(Problem::Scenario));
            }
            None
        }
    };
    Staged {
        scenario: scenario.filter(|_| problems.is_empty() && known.is_empty()),
        world,
        problems,
        sources,
    }
}

/// The texts of a file or folder that are not there yet; in a folder, those without scenarios.
fn read_all(path: &Path, known: &[Source]) -> Result<Vec<Source>, FileError> {
    let is_known = |path: &Path| {
        let canonical = path.canonicalize().ok();
        canonical.is_some()
            && known
                .iter()
                .any(|known| known.path.canonicalize().ok() == canonical)
    };
    let mut sources = Vec::new();
    for Found { path, is_named } in files::find(&[path.to_owned()])? {
        if is_known(&path) {
            continue;
        }
        let source = files::read(&path)?;
        if is_named || !has_scenario(&source) {
            sources.push(source);
        }
    }
    Ok(sources)
}
