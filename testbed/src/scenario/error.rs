//! What is wrong with a scenario, apart from its shape.

use std::fmt;

use meshwall_policy::document::{FieldPath, Position};
use meshwall_policy::spec::ObjectRef;

/// Characters of a value that an error shows.
const SHOWN: usize = 60;

/// One thing that is wrong with a scenario, or with a question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// The scenario; `None` if the question is not from one.
    pub object: Option<ObjectRef>,
    /// The field.
    pub path: FieldPath,
    /// The value of the field.
    pub value: Option<String>,
    /// What is wrong with it.
    pub reason: Reason,
    /// What to do about it, where that is clear.
    pub hint: Option<String>,
    /// Where it stands in the source; `None` if there was no text.
    pub position: Option<Position>,
}

/// Why a scenario or a question is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// It is neither `namespace/name` nor an address.
    NotADestination,
    /// It is not `namespace/name`.
    NotAWorkload,
    /// The inventory has no such workload.
    UnknownWorkload,
    /// The name stands for these workloads, which differ.
    AmbiguousWorkload(Vec<String>),
    /// It must be a workload, because its firewall is the one that is asked.
    NotProtected,
    /// The text is not an IP address.
    NotAnAddress,
    /// The text is not an RFC 3339 time.
    NotATime,
    /// The destination has no port of this name.
    UnknownPort,
    /// The text cannot be the name of an HTTP header.
    NotAHeaderName,
    /// It has characters that the protocol does not let through.
    NotSendable,
    /// The field cannot stand beside this other field.
    Conflict(&'static str),
    /// Exactly one of these fields must be there.
    NotExactlyOne(&'static [&'static str]),
    /// Another case has the name.
    NameTaken,
    /// A scenario belongs to no namespace.
    Namespaced,
    /// The file cannot be read, for this reason.
    Unreadable(String),
}

impl Reason {
    /// Whether it is the name of the field that is wrong, and not its value.
    pub(super) fn concerns_name(&self) -> bool {
        matches!(
            self,
            Reason::NotAHeaderName | Reason::Conflict(_) | Reason::Namespaced
        )
    }

    /// A short name that stays the same when the words change, for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Reason::NotADestination => "not-a-destination",
            Reason::NotAWorkload => "not-a-workload",
            Reason::UnknownWorkload => "unknown-workload",
            Reason::AmbiguousWorkload(_) => "ambiguous-workload",
            Reason::NotProtected => "not-protected",
            Reason::NotAnAddress => "not-an-address",
            Reason::NotATime => "not-a-time",
            Reason::UnknownPort => "unknown-port",
            Reason::NotAHeaderName => "not-a-header-name",
            Reason::NotSendable => "not-sendable",
            Reason::Conflict(_) => "conflict",
            Reason::NotExactlyOne(_) => "not-exactly-one",
            Reason::NameTaken => "name-taken",
            Reason::Namespaced => "cluster-scoped",
            Reason::Unreadable(_) => "unreadable-file",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotADestination => {
                f.write_str("is neither a workload, `namespace/name`, nor an IP address")
            }
            Reason::NotAWorkload => f.write_str("is not a workload, `namespace/name`"),
            Reason::UnknownWorkload => f.write_str("is not a workload of the inventory"),
            Reason::AmbiguousWorkload(names) => {
                write!(f, "stands for workloads that differ: ")?;
                for (index, name) in names.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}`{name}`")?;
                }
                Ok(())
            }
            Reason::NotProtected => {
                f.write_str("has to be a workload: its firewall is the one that is asked")
            }
            Reason::NotAnAddress => f.write_str("is not an IP address"),
            Reason::NotATime => f.write_str("is not a time such as `2026-12-31T00:00:00Z`"),
            Reason::UnknownPort => f.write_str("is not the name of a port of the destination"),
            Reason::NotAHeaderName => f.write_str("is not the name of an HTTP header"),
            Reason::NotSendable => f.write_str("has characters that cannot be sent"),
            Reason::Conflict(other) => write!(f, "cannot be combined with `{other}`"),
            Reason::NotExactlyOne(fields) => {
                f.write_str("needs exactly one of ")?;
                for (index, field) in fields.iter().enumerate() {
                    let separator = match index {
                        0 => "",
                        index if index + 1 == fields.len() => " and ",
                        _ => ", ",
                    };
                    write!(f, "{separator}`{field}`")?;
                }
                Ok(())
            }
            Reason::NameTaken => f.write_str("is already the name of a case"),
            Reason::Namespaced => f.write_str("is set, but a scenario belongs to no namespace"),
            Reason::Unreadable(why) => write!(f, "cannot be read: {why}"),
        }
    }
}

impl Error {
    pub(super) fn new(path: FieldPath, reason: Reason) -> Error {
        Error {
            object: None,
            path,
            value: None,
            reason,
            hint: None,
            position: None,
        }
    }

    pub(super) fn value(mut self, value: &str) -> Error {
        self.value = Some(value.to_owned());
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if !self.path.segments().is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        if let Some(value) = &self.value {
            write!(f, "`{}` ", shown(value))?;
        }
        write!(f, "{}", self.reason)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// A user's text as it can be shown: on one line, printable, and short.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars().take(SHOWN) {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
