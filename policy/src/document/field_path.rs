//! Where in a document something stands: `spec.ingress[0].from[1].ipBlocks[0].cidr`.
//!
//! Two forms of one thing. [`FieldPath`] is owned and goes into errors. [`At`] lives on the stack
//! of whoever walks a document, costs nothing to extend, and becomes a [`FieldPath`] only when
//! there is something to report.

use std::fmt;

use super::error::quotable;

/// Path of a value in a document, from the root.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FieldPath {
    segments: Vec<Segment>,
}

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Segment {
    /// The field of this name, of a mapping.
    Field(String),
    /// The item at this index, of a list, counted from 0.
    Index(usize),
}

impl FieldPath {
    /// The root of the document.
    pub fn root() -> FieldPath {
        FieldPath::default()
    }

    /// The steps from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// This path, one field deeper.
    #[must_use]
    pub fn field(mut self, name: &str) -> FieldPath {
        self.segments.push(Segment::Field(name.to_owned()));
        self
    }

    /// This path, one list index deeper.
    #[must_use]
    pub fn index(mut self, index: usize) -> FieldPath {
        self.segments.push(Segment::Index(index));
        self
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Field(name) if is_plain(name) && depth == 0 => f.write_str(name)?,
                Segment::Field(name) if is_plain(name) => write!(f, ".{name}")?,
                Segment::Field(name) => write!(f, "[\"{}\"]", quotable(name))?,
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A place in a document that is being walked, linked to the places above it.
#[derive(Clone, Copy, Debug)]
pub(super) enum At<'a> {
    Root,
    Field(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    pub(super) fn field(&'a self, name: &'a str) -> At<'a> {
        At::Field(self, name)
    }

    pub(super) fn index(&'a self, index: usize) -> At<'a> {
        At::Index(self, index)
    }

    /// The name of the innermost field: `cidr` of `ipBlocks[0].cidr`, `ipBlocks` of `ipBlocks[0]`.
    pub(super) fn name(&self) -> Option<&'a str> {
        match *self {
            At::Root => None,
            At::Field(_, name) => Some(name),
            At::Index(parent, _) => parent.name(),
        }
    }
}

impl From<&At<'_>> for FieldPath {
    fn from(at: &At<'_>) -> FieldPath {
        let mut segments = Vec::new();
        let mut at = at;
        loop {
            at = match at {
                At::Root => break,
                At::Field(parent, name) => {
                    segments.push(Segment::Field((*name).to_owned()));
                    parent
                }
                At::Index(parent, index) => {
                    segments.push(Segment::Index(*index));
                    parent
                }
            };
        }
        segments.reverse();
        FieldPath { segments }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_code() {
        let root = At::Root;
        let spec = root.field("spec");
        let ingress = spec.field("ingress");
        let rule = ingress.index(0);
        let labels = rule.field("matchLabels");
        let key = labels.field("app.kubernetes.io/name");
        assert_eq!(
            FieldPath::from(&key).to_string(),
            r#"spec.ingress[0].matchLabels["app.kubernetes.io/name"]"#
        );
        assert_eq!(rule.name(), Some("ingress"));
        assert_eq!(FieldPath::from(&root), FieldPath::root());
        assert_eq!(FieldPath::root().field("a\nb").to_string(), r#"["a\nb"]"#);
        assert_eq!(
            FieldPath::root()
                .field("items")
                .index(3)
                .field("kind")
                .to_string(),
            "items[3].kind"
        );
    }
}
