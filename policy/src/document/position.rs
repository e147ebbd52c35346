//! Where in a file a value was written, found again by its field path.
//!
//! Positions are kept beside the values, not in them, so that everything that works on values
//! works the same on documents that come from an API server and have no positions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::field_path::{FieldPath, Segment};

/// A place in a source text.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// What the text was called when it was read, usually a file name.
    pub source: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source, self.line, self.column)
    }
}

/// The positions of all values of one document. Empty for a document that was never text.
#[derive(Clone, Debug, Default)]
pub struct Positions {
    origin: Option<Origin>,
}

#[derive(Clone, Debug)]
struct Origin {
    source: Arc<str>,
    root: Arc<Mark>,
}

impl Positions {
    /// No positions.
    pub fn none() -> Positions {
        Positions::default()
    }

    pub(super) fn new(source: Arc<str>, root: Mark) -> Positions {
        Positions {
            origin: Some(Origin {
                source,
                root: Arc::new(root),
            }),
        }
    }

    /// Where the value at a path begins; if the path leads nowhere, where the innermost value on
    /// the way begins. `None` only if the document has no positions.
    pub fn value(&self, path: &FieldPath) -> Option<Position> {
        let (mark, _) = self.walk(path)?;
        self.position(mark.value)
    }

    /// Where the name of the field at a path begins; of a list item, where the item begins. A
    /// path that leads nowhere is treated as by [`Positions::value`].
    pub fn key(&self, path: &FieldPath) -> Option<Position> {
        let (mark, complete) = self.walk(path)?;
        self.position(if complete {
            mark.key.unwrap_or(mark.value)
        } else {
            mark.value
        })
    }

    pub(super) fn root(&self) -> Option<&Mark> {
        self.origin.as_ref().map(|origin| origin.root.as_ref())
    }

    fn position(&self, (line, column): (u32, u32)) -> Option<Position> {
        let origin = self.origin.as_ref()?;
        Some(Position {
            source: Arc::clone(&origin.source),
            line,
            column,
        })
    }

    /// The mark at the path, or the last one on the way, and whether the whole path was there.
    fn walk(&self, path: &FieldPath) -> Option<(&Mark, bool)> {
        let mut mark = self.root()?;
        for segment in path.segments() {
            let next = match segment {
                Segment::Field(name) => mark.field(name),
                Segment::Index(index) => mark.item(*index),
            };
            match next {
                Some(next) => mark = next,
                None => return Some((mark, false)),
            }
        }
        Some((mark, true))
    }
}

/// Where one value stands, and where the values in it stand.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    /// Line and column of the value.
    pub(super) value: (u32, u32),
    /// Line and column of the name of the field whose value this is.
    pub(super) key: Option<(u32, u32)>,
    /// The text of a scalar that was written without quotes and does not read as text.
    pub(super) raw: Option<Box<str>>,
    /// The values within.
    pub(super) children: Marks,
}

/// The marks of the values in a value.
#[derive(Clone, Debug)]
pub(super) enum Marks {
    None,
    Items(Vec<Mark>),
    Fields(BTreeMap<Box<str>, Mark>),
}

impl Mark {
    pub(super) fn field(&self, name: &str) -> Option<&Mark> {
        match &self.children {
            Marks::Fields(fields) => fields.get(name),
            Marks::None | Marks::Items(_) => None,
        }
    }

    pub(super) fn item(&self, index: usize) -> Option<&Mark> {
        match &self.children {
            Marks::Items(items) => items.get(index),
            Marks::None | Marks::Fields(_) => None,
        }
    }
}
