//! What is wrong with an object of a cluster.

use std::fmt;

use meshwall_policy::document::{FieldPath, Position};
use meshwall_policy::spec::ObjectRef;

/// Characters of a value that an error shows.
const SHOWN: usize = 60;

/// One thing that is wrong with an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// The object; names that could not be read are empty.
    pub object: ObjectRef,
    /// The field.
    pub path: FieldPath,
    /// The value of the field, if it is not a list or a mapping.
    pub value: Option<String>,
    /// What is wrong with it.
    pub reason: Reason,
    /// Where it stands in the source; `None` if there was no text.
    pub position: Option<Position>,
}

/// Why an object is refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// The field must be there.
    Missing,
    /// The value is of another type than this.
    WrongType {
        /// The type that is expected.
        expected: &'static str,
    },
    /// The text cannot be the name of an object.
    NotAName,
    /// The text is not an IP address.
    NotAnAddress,
    /// The number is not within 1-65535.
    NotAPort,
    /// An object of the same kind, namespace and name has been read before.
    Duplicate,
}

impl Reason {
    /// A short name that stays the same when the words change, for machines.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Reason::Missing => "missing-field",
            Reason::WrongType { .. } => "wrong-type",
            Reason::NotAName => "not-a-name",
            Reason::NotAnAddress => "not-an-address",
            Reason::NotAPort => "not-a-port",
            Reason::Duplicate => "duplicate-object",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Missing => f.write_str("is required"),
            Reason::WrongType { expected } => write!(f, "is not {expected}"),
            Reason::NotAName => f.write_str("is not the name of an object"),
            Reason::NotAnAddress => f.write_str("is not an IP address"),
            Reason::NotAPort => f.write_str("is not a port within 1-65535"),
            Reason::Duplicate => f.write_str("has been read before"),
        }
    }
}

impl Error {
    /// The value as it can be shown: on one line, printable, and short.
    #[must_use]
    pub fn shown_value(&self) -> Option<String> {
        let value = self.value.as_deref()?;
        let mut shown = String::new();
        for character in value.chars().take(SHOWN) {
            if character.is_control() {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        if value.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        Some(shown)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        write!(f, "{}: {}: ", self.object, self.path)?;
        if let Some(value) = self.shown_value() {
            write!(f, "`{value}` ")?;
        }
        write!(f, "{}", self.reason)
    }
}

impl std::error::Error for Error {}
