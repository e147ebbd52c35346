//! Puts a document together from the events of a reader.
//!
//! The stack is explicit and its depth limited; what is nested deeper is reported and left out.
//! What is wrong with the writing (a field twice, a key that is no text) is noted, and reading
//! goes on, so that one look shows everything.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::error::{Error, Findings};
use super::super::field_path::FieldPath;
use super::super::limits;
use super::super::position::{Mark, Marks, Position};
use super::super::reason::Reason;
use super::Tree;
use super::scalar::{self, Plain};

/// Line and column, both from 1.
pub(super) type Place = (u32, u32);

/// A document in the making.
pub(super) struct Builder {
    source: Arc<str>,
    stack: Vec<Frame>,
    /// Open collections that are left out, within each other.
    skipped: usize,
    /// Whether the outermost of them stands in the place of a key.
    skipping_key: bool,
    root: Option<Node>,
    anchors: HashMap<usize, Anchored>,
    anchored: Weight,
    /// Whether anchors have added too much; from then on they are left out.
    overgrown: bool,
    findings: Findings,
}

/// A value and where it stands.
#[derive(Clone)]
struct Node {
    value: Value,
    mark: Mark,
}

/// A value that may be referred to.
struct Anchored {
    node: Node,
    weight: Weight,
    depth: usize,
}

/// A collection that has begun and not ended.
struct Frame {
    start: Place,
    /// 0: none.
    anchor: usize,
    content: Content,
}

enum Content {
    List {
        values: Vec<Value>,
        marks: Vec<Mark>,
    },
    Mapping {
        values: Map<String, Value>,
        marks: BTreeMap<Box<str>, Mark>,
        key: Key,
    },
}

/// What is known of the key of the next value.
enum Key {
    /// A key is expected.
    None,
    /// The value of this key is expected.
    Text(String, Place),
    /// A value is expected and left out, since something is wrong with its key.
    Unusable,
}

/// How large a value is.
#[derive(Clone, Copy, Default)]
struct Weight {
    values: usize,
    bytes: usize,
}

impl Builder {
    pub(super) fn new(source: &Arc<str>) -> Builder {
        Builder {
            source: Arc::clone(source),
            stack: Vec::new(),
            skipped: 0,
            skipping_key: false,
            root: None,
            anchors: HashMap::new(),
            anchored: Weight::default(),
            overgrown: false,
            findings: Findings::default(),
        }
    }

    pub(super) fn open_list(&mut self, start: Place, anchor: usize) {
        self.open(
            start,
            anchor,
            Content::List {
                values: Vec::new(),
                marks: Vec::new(),
            },
        );
    }

    pub(super) fn open_mapping(&mut self, start: Place, anchor: usize) {
        let content = Content::Mapping {
            values: Map::new(),
            marks: BTreeMap::new(),
            key: Key::None,
        };
        self.open(start, anchor, content);
    }

    fn open(&mut self, start: Place, anchor: usize, content: Content) {
        if self.skipped > 0 {
            self.skipped += 1;
        } else if self.expects_key() {
            self.reject_key(start, Reason::UnsupportedYaml("has a key that is not text"));
            self.skipped = 1;
            self.skipping_key = true;
        } else if self.stack.len() >= limits::MAX_DEPTH {
            self.note(start, Reason::TooDeep);
            self.skipped = 1;
            self.skipping_key = false;
        } else {
            self.stack.push(Frame {
                start,
                anchor,
                content,
            });
        }
    }

    /// Ends the collection that was opened last.
    pub(super) fn close(&mut self, end: Place) {
        if self.skipped > 0 {
            self.skipped -= 1;
            if self.skipped == 0 && !self.skipping_key {
                self.deliver(Node::null(end));
            }
            return;
        }
        let Some(frame) = self.stack.pop() else {
            return;
        };
        let (value, children) = match frame.content {
            Content::List { values, marks } => (Value::Array(values), Marks::Items(marks)),
            Content::Mapping { values, marks, .. } => (Value::Object(values), Marks::Fields(marks)),
        };
        let mark = Mark {
            value: frame.start,
            key: None,
            raw: None,
            children,
        };
        self.finish(Node { value, mark }, frame.anchor);
    }

    /// A scalar in quotes, or one that is text whatever it looks like.
    pub(super) fn text(&mut self, text: &str, start: Place, anchor: usize) {
        if self.skipped > 0 {
            return;
        }
        if self.expects_key() {
            self.set_key(text, start);
            return;
        }
        let value = Value::String(text.to_owned());
        self.finish(
            Node {
                value,
                mark: Mark::scalar(start, None),
            },
            anchor,
        );
    }

    /// A scalar without quotes.
    pub(super) fn plain(&mut self, text: &str, start: Place, anchor: usize) {
        if self.skipped > 0 {
            return;
        }
        let plain = scalar::resolve(text);
        if self.expects_key() {
            let why = match plain {
                Plain::Text => return self.set_key(text, start),
                _ if matches!(text, "true" | "false") => return self.set_key(text, start),
                Plain::Number(number) if number.to_string() == text => {
                    return self.set_key(text, start);
                }
                Plain::Merge => "merges mappings, which is not read; write the fields out",
                Plain::Null => "is no key of a mapping",
                Plain::Boolean(_) | Plain::Number(_) | Plain::NotFinite => {
                    "is a key that readers of YAML understand differently; put it in quotes"
                }
            };
            self.note_value(start, Some(text), Reason::UnsupportedYaml(why));
            self.discard_key();
            return;
        }
        let is_text = matches!(plain, Plain::Text | Plain::NotFinite);
        let value = plain.into_value(text).unwrap_or_else(|| {
            let why = "is not a finite number; if it is text, put it in quotes";
            self.note_value(start, Some(text), Reason::UnsupportedYaml(why));
            Value::Null
        });
        let raw = (!is_text).then(|| Box::from(text));
        self.finish(
            Node {
                value,
                mark: Mark::scalar(start, raw),
            },
            anchor,
        );
    }

    /// A reference to an anchor.
    pub(super) fn alias(&mut self, anchor: usize, start: Place) {
        if self.skipped > 0 {
            return;
        }
        if self.expects_key() {
            self.reject_key(start, Reason::UnsupportedYaml("has a key that is not text"));
            return;
        }
        let node = match self.anchors.get(&anchor) {
            _ if self.overgrown => Ok(Node::null(start)),
            None => {
                let why = "refers to an anchor that this document does not have so far";
                Err(Reason::UnsupportedYaml(why))
            }
            Some(anchored) if self.stack.len() + anchored.depth > limits::MAX_DEPTH => {
                Err(Reason::TooDeep)
            }
            Some(anchored) if !self.anchored.admit(anchored.weight) => Err(Reason::AliasesTooLarge),
            Some(anchored) => Ok(anchored.node.clone()),
        };
        let node = node.unwrap_or_else(|reason| {
            self.overgrown = reason == Reason::AliasesTooLarge;
            self.note(start, reason);
            Node::null(start)
        });
        self.deliver(node);
    }

    /// Notes that something that begins here cannot be read.
    pub(super) fn note(&mut self, start: Place, reason: Reason) {
        self.note_value(start, None, reason);
    }

    fn note_value(&mut self, start: Place, value: Option<&str>, reason: Reason) {
        let position = self.position(start);
        let mut error = Error::at(self.path(), reason).position(Some(position));
        if let Some(value) = value {
            error = error.value(value);
        }
        self.findings.push(error);
    }

    /// Ends the document. `None` if it is empty.
    pub(super) fn end(&mut self) -> Option<Tree> {
        self.stack.clear();
        self.anchors.clear();
        self.anchored = Weight::default();
        self.overgrown = false;
        self.skipped = 0;
        let findings = std::mem::take(&mut self.findings);
        let Node { value, mark } = self.root.take()?;
        if value.is_null() && findings.is_empty() {
            return None;
        }
        Some(Tree {
            value,
            mark,
            findings,
        })
    }

    pub(super) fn position(&self, (line, column): Place) -> Position {
        Position {
            source: Arc::clone(&self.source),
            line,
            column,
        }
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame {
                content: Content::Mapping { key: Key::None, .. },
                ..
            })
        )
    }

    fn set_key(&mut self, text: &str, start: Place) {
        let Some(Frame {
            content: Content::Mapping { marks, key, .. },
            ..
        }) = self.stack.last_mut()
        else {
            return;
        };
        let first = marks.get(text).map(|mark| mark.key.unwrap_or(mark.value).0);
        *key = Key::Text(text.to_owned(), start);
        if let Some(line) = first {
            self.reject_key(start, Reason::DuplicateField(line));
        }
    }

    fn reject_key(&mut self, start: Place, reason: Reason) {
        self.note(start, reason);
        self.discard_key();
    }

    fn discard_key(&mut self) {
        if let Some(Frame {
            content: Content::Mapping { key, .. },
            ..
        }) = self.stack.last_mut()
        {
            *key = Key::Unusable;
        }
    }

    /// Keeps a complete value for references to its anchor, and puts it where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) {
        if anchor != 0 && !self.overgrown {
            let mut weight = Weight::default();
            weight.add(&node.value);
            if self.anchored.admit(weight) {
                let depth = depth(&node.value);
                self.anchors.insert(
                    anchor,
                    Anchored {
                        node: node.clone(),
                        weight,
                        depth,
                    },
                );
            } else {
                self.overgrown = true;
                self.note(node.mark.value, Reason::AliasesTooLarge);
            }
        }
        self.deliver(node);
    }

    fn deliver(&mut self, node: Node) {
        let Node { value, mut mark } = node;
        match self.stack.last_mut().map(|frame| &mut frame.content) {
            None => self.root = Some(Node { value, mark }),
            Some(Content::List { values, marks }) => {
                values.push(value);
                marks.push(mark);
            }
            Some(Content::Mapping { values, marks, key }) => {
                if let Key::Text(name, start) = std::mem::replace(key, Key::None) {
                    mark.key = Some(start);
                    marks.insert(Box::from(name.as_str()), mark);
                    values.insert(name, value);
                }
            }
        }
    }

    /// Path of the value that is being read.
    fn path(&self) -> FieldPath {
        self.stack
            .iter()
            .fold(FieldPath::root(), |path, frame| match &frame.content {
                Content::List { values, .. } => path.index(values.len()),
                Content::Mapping {
                    key: Key::Text(name, _),
                    ..
                } => path.field(name),
                Content::Mapping { .. } => path,
            })
    }
}

impl Node {
    fn null(start: Place) -> Node {
        Node {
            value: Value::Null,
            mark: Mark::scalar(start, None),
        }
    }
}

impl Mark {
    fn scalar(value: Place, raw: Option<Box<str>>) -> Mark {
        Mark {
            value,
            key: None,
            raw,
            children: Marks::None,
        }
    }
}

impl Weight {
    /// Adds a weight, if the sum stays within the limits.
    fn admit(&mut self, more: Weight) -> bool {
        let sum = Weight {
            values: self.values + more.values,
            bytes: self.bytes + more.bytes,
        };
        let fits =
            sum.values <= limits::MAX_ALIASED_VALUES && sum.bytes <= limits::MAX_ALIASED_BYTES;
        if fits {
            *self = sum;
        }
        fits
    }

    fn add(&mut self, value: &Value) {
        self.values += 1;
        match value {
            Value::String(text) => self.bytes += text.len(),
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                self.bytes += name.len();
                self.add(value);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Collections within each other, this one included.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
