//! What is wrong with a document, in the words that a user reads.
//!
//! One error is one line: position, object, field path, value, reason, suggestion, each as far as
//! it is known. The same errors come from a file, from an API server and from the admission
//! webhook; only the position is missing where there was no text.
//!
//! Everything that a user wrote is shown in backticks, shortened, and with control characters
//! escaped, so that a document cannot forge a line of output.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use super::field_path::{At, FieldPath};
use super::limits;
use super::position::{Position, Positions};
use super::reason::Reason;
use crate::spec::ObjectRef;

/// One thing that is wrong with a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// The object, as far as the document names it.
    pub object: Option<ObjectRef>,
    /// The field.
    pub path: FieldPath,
    /// The value of the field, shortened to fit on a line.
    pub value: Option<String>,
    /// What is wrong with it. Boxed: errors are rare and results are everywhere.
    pub reason: Box<Reason>,
    /// What to do about it, where that is clear.
    pub suggestion: Option<Suggestion>,
    /// Where it stands in the source.
    pub position: Option<Position>,
}

/// What to do about an error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Suggestion {
    /// Write this instead of the value, or of the field's name if the field is unknown.
    Replace(String),
    /// Do what this says.
    Hint(Cow<'static, str>),
}

impl Error {
    pub(super) fn new(at: &At<'_>, reason: Reason) -> Error {
        Error::at(FieldPath::from(at), reason)
    }

    pub(super) fn at(path: FieldPath, reason: Reason) -> Error {
        Error {
            object: None,
            path,
            value: None,
            reason: Box::new(reason),
            suggestion: None,
            position: None,
        }
    }

    pub(super) fn value(mut self, value: &str) -> Error {
        self.value = Some(if value.is_empty() {
            "\"\"".to_owned()
        } else {
            quotable(value)
        });
        self
    }

    pub(super) fn replace(mut self, with: impl Into<String>) -> Error {
        self.suggestion = Some(Suggestion::Replace(quotable(&with.into())));
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Error {
        self.suggestion = Some(Suggestion::Hint(hint.into()));
        self
    }

    pub(super) fn suggest(mut self, suggestion: Option<Suggestion>) -> Error {
        self.suggestion = suggestion;
        self
    }

    pub(super) fn position(mut self, position: Option<Position>) -> Error {
        self.position = position;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        self.write(&mut line)?;
        f.write_str(&printable(&line, usize::MAX))
    }
}

impl Error {
    fn write(&self, line: &mut String) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(line, "{position}: ")?;
        }
        if let Some(object) = &self.object {
            write!(line, "{object}: ")?;
        }
        if !self.path.segments().is_empty() {
            write!(line, "{}: ", self.path)?;
        }
        if let Some(value) = &self.value {
            write!(line, "`{value}` ")?;
        }
        write!(line, "{}", self.reason)?;
        match &self.suggestion {
            Some(suggestion) => write!(line, "; {suggestion}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Suggestion::Replace(with) => write!(f, "did you mean `{with}`?"),
            Suggestion::Hint(hint) => f.write_str(hint),
        }
    }
}

/// The errors of one document, as they are found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    errors: Vec<Error>,
    overflowed: bool,
}

impl Findings {
    pub(super) fn push(&mut self, error: Error) {
        if self.errors.len() < limits::MAX_ERRORS {
            self.errors.push(error);
        } else {
            self.overflowed = true;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The errors, with the object and the positions filled in, in the order of the source.
    pub(super) fn finish(self, object: Option<&ObjectRef>, positions: &Positions) -> Vec<Error> {
        let mut errors = self.errors;
        let object = object.map(|object| ObjectRef {
            kind: printable(&object.kind, MAX_NAME),
            namespace: object
                .namespace
                .as_deref()
                .map(|name| printable(name, MAX_NAME)),
            name: printable(&object.name, MAX_NAME),
        });
        for error in &mut errors {
            error.object = error.object.take().or_else(|| object.clone());
            if error.position.is_none() {
                error.position = if error.reason.concerns_name() {
                    positions.key(&error.path)
                } else {
                    positions.value(&error.path)
                };
            }
        }
        errors.sort_by(|a, b| a.position.cmp(&b.position));
        if self.overflowed {
            let mut note = Error::new(&At::Root, Reason::TooManyErrors);
            note.object = object;
            note.position = positions.value(&note.path);
            errors.push(note);
        }
        errors
    }
}

/// Characters of a value that an error shows.
const SHOWN: usize = 60;

/// Characters of a name that an error shows: no name of Kubernetes is longer.
const MAX_NAME: usize = 253;

/// A user's text as an error shows it: on one line, printable, and short.
pub(super) fn quotable(text: &str) -> String {
    printable(text, SHOWN)
}

fn printable(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == limit {
            shown.push('…');
            break;
        }
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if c.is_control() || is_invisible(c) => {
                shown.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Characters that change how the text around them is shown, or are not shown at all.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line() {
        let root = At::Root;
        let spec = root.field("spec");
        let mode = spec.field("mode");
        let error = Error::new(
            &mode,
            Reason::NotOneOf(vec!["Enforce".into(), "Monitor".into()]),
        )
        .value("on\nb: \u{202e}x")
        .replace("Monitor");
        assert_eq!(
            error.to_string(),
            "spec.mode: `on\\nb: \\u{202e}x` is neither `Enforce` nor `Monitor`; \
             did you mean `Monitor`?"
        );
    }

    #[test]
    fn long_values_are_cut() {
        let shown = quotable(&"x".repeat(100_000));
        assert_eq!(shown.chars().count(), SHOWN + 1);
        assert!(shown.ends_with('…'));
    }

    #[test]
    fn a_flood_of_errors_ends_with_a_note() {
        let mut findings = Findings::default();
        for _ in 0..limits::MAX_ERRORS + 10 {
            findings.push(Error::new(&At::Root, Reason::UnknownField));
        }
        let errors = findings.finish(None, &Positions::none());
        assert_eq!(errors.len(), limits::MAX_ERRORS + 1);
        assert_eq!(
            errors.last().map(|e| *e.reason.clone()),
            Some(Reason::TooManyErrors)
        );
    }
}
