//! What is wrong, in one form for every reader and every output.

mod human;
mod json;
mod sarif;
mod snippet;

use std::fmt;

use meshwall_mesh_config::inventory;
use meshwall_policy::document::{self, FieldPath, Position};
use meshwall_policy::lint;
use meshwall_policy::spec::ObjectRef;
use meshwall_testbed::scenario::{self, Problem};

pub(crate) use self::human::{Texts, write_all as write_human};
pub(crate) use self::json::to_json;
pub(crate) use self::sarif::to_sarif;

/// How bad something is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Severity {
    /// It cannot be enforced.
    Error,
    /// It can, but is probably not what was meant.
    Warning,
    /// It is worth knowing.
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

impl From<lint::Severity> for Severity {
    fn from(severity: lint::Severity) -> Severity {
        match severity {
            lint::Severity::Error => Severity::Error,
            lint::Severity::Warning => Severity::Warning,
            lint::Severity::Note => Severity::Note,
        }
    }
}

/// One thing that is to be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Diagnostic {
    pub(crate) severity: Severity,
    /// Short name that stays the same when the words change.
    pub(crate) code: &'static str,
    /// The object, as far as it is known.
    pub(crate) object: Option<ObjectRef>,
    /// The field; the root if it is about the whole object.
    pub(crate) path: FieldPath,
    /// What is wrong. It reads as the end of a sentence whose subject is the field.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
    /// Where it stands.
    pub(crate) position: Option<Position>,
}

impl Diagnostic {
    /// Object, field and message in one line.
    pub(crate) fn headline(&self) -> String {
        let mut line = String::new();
        if let Some(object) = &self.object {
            line.push_str(&format!("{object}: "));
        }
        if !self.path.segments().is_empty() {
            line.push_str(&format!("{}: ", self.path));
        }
        line.push_str(&self.message);
        line
    }
}

impl From<&Problem> for Diagnostic {
    fn from(problem: &Problem) -> Diagnostic {
        match problem {
            Problem::Document(error) => error.into(),
            Problem::Inventory(error) => error.into(),
            Problem::Scenario(error) => error.into(),
        }
    }
}

impl From<&document::Error> for Diagnostic {
    fn from(error: &document::Error) -> Diagnostic {
        let document::Error {
            object,
            path,
            value,
            reason,
            suggestion,
            position,
        } = error;
        Diagnostic {
            severity: Severity::Error,
            code: reason.code(),
            object: object.clone(),
            path: path.clone(),
            message: about(value.as_deref(), reason),
            help: suggestion.as_ref().map(ToString::to_string),
            position: position.clone(),
        }
    }
}

impl From<&inventory::Error> for Diagnostic {
    fn from(error: &inventory::Error) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code: error.reason.code(),
            object: Some(error.object.clone()),
            path: error.path.clone(),
            message: about(error.shown_value().as_deref(), error.reason),
            help: None,
            position: error.position.clone(),
        }
    }
}

impl From<&scenario::Error> for Diagnostic {
    fn from(error: &scenario::Error) -> Diagnostic {
        let scenario::Error {
            object,
            path,
            value,
            reason,
            hint,
            position,
        } = error;
        let value = value.as_deref().map(scenario::shown);
        Diagnostic {
            severity: Severity::Error,
            code: reason.code(),
            object: object.clone(),
            path: path.clone(),
            message: about(value.as_deref(), reason),
            help: hint.clone(),
            position: position.clone(),
        }
    }
}

/// What is said of a value, with the value in front.
fn about(value: Option<&str>, reason: impl fmt::Display) -> String {
    match value {
        Some(value) => format!("`{value}` {reason}"),
        None => reason.to_string(),
    }
}

/// How many diagnostics there are of each severity.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
    pub(crate) notes: usize,
}

impl Counts {
    pub(crate) fn of(diagnostics: &[Diagnostic]) -> Counts {
        let mut counts = Counts::default();
        for diagnostic in diagnostics {
            match diagnostic.severity {
                Severity::Error => counts.errors += 1,
                Severity::Warning => counts.warnings += 1,
                Severity::Note => counts.notes += 1,
            }
        }
        counts
    }
}

/// `1 error`, `2 errors`.
pub(crate) fn plural(count: usize, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {what}s"),
    }
}
