//! Holds a document against the schema of its kind, and reports everything that does not fit.
//!
//! After this, the typed document can be read from the value without error. It is not left to the
//! derived reader because that stops at the first error and speaks of types.

use serde_json::{Map, Value};

use super::error::{Error, Findings, Suggestion};
use super::field_path::At;
use super::hints;
use super::limits;
use super::position::Mark;
use super::read;
use super::reason::{Reason, Type};
use super::scalar_text;
use super::schema::IGNORED_FIELDS;

/// Reports where a document does not fit a schema that [`super::schema::of`] made.
pub(super) fn check(schema: &Value, value: &Value, mark: Option<&Mark>, findings: &mut Findings) {
    let definitions = schema.get("$defs").and_then(Value::as_object);
    let kind = value
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut checker = Checker {
        definitions,
        kind,
        findings,
    };
    checker.value(value, Node { schema, owner: "" }, mark, &At::Root, 0);
}

struct Checker<'s, 'f> {
    definitions: Option<&'s Map<String, Value>>,
    kind: &'s str,
    findings: &'f mut Findings,
}

/// A schema, and the name of the definition that it stands in.
#[derive(Clone, Copy)]
struct Node<'s> {
    schema: &'s Value,
    owner: &'s str,
}

impl<'s> Checker<'s, '_> {
    fn value(
        &mut self,
        value: &Value,
        node: Node<'s>,
        mark: Option<&Mark>,
        at: &At<'_>,
        depth: usize,
    ) {
        if depth > limits::MAX_DEPTH {
            self.findings.push(Error::new(at, Reason::TooDeep));
            return;
        }
        let node = self.resolve(node);
        let expected = types(node.schema);
        let fits = match value {
            // In place of what could not be read, of which the reader has told.
            Value::Null if mark.is_some_and(|mark| mark.raw.is_none()) => return,
            Value::Null => {
                let hint = "write a value, or remove the field";
                self.findings
                    .push(Error::new(at, Reason::NoValue).hint(hint));
                return;
            }
            Value::Bool(_) => expected.contains(&Type::Boolean),
            Value::Number(_) => expected.contains(&Type::WholeNumber),
            Value::String(_) => expected.contains(&Type::Text),
            Value::Array(_) => expected.contains(&Type::List),
            Value::Object(_) => expected.contains(&Type::Mapping),
        };
        if !fits {
            self.wrong_type(value, expected, mark, at);
            return;
        }
        match value {
            Value::Number(number) => self.number(number, node, mark, at),
            Value::String(text) => self.text(text, node, at),
            Value::Array(items) => self.list(items, node, mark, at, depth),
            Value::Object(fields) => self.mapping(fields, node, mark, at, depth),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Follows references to definitions.
    fn resolve(&self, node: Node<'s>) -> Node<'s> {
        let name = node.schema.get("$ref").and_then(Value::as_str);
        let name = name.and_then(|name| name.strip_prefix("#/$defs/"));
        let found = name.and_then(|name| self.definitions?.get_key_value(name));
        match found {
            Some((owner, schema)) => Node { schema, owner },
            None => node,
        }
    }

    fn wrong_type(&mut self, value: &Value, expected: Vec<Type>, mark: Option<&Mark>, at: &At<'_>) {
        let found = type_of(value);
        let suggestion = hints::wrong_type(value, mark, &expected);
        let mut error = Error::new(at, Reason::WrongType { found, expected });
        if let Some(text) = scalar_text(value, mark) {
            error = error.value(&text);
        }
        self.findings.push(error.suggest(suggestion));
    }

    fn number(
        &mut self,
        number: &serde_json::Number,
        node: Node<'s>,
        mark: Option<&Mark>,
        at: &At<'_>,
    ) {
        let written = mark.and_then(|mark| mark.raw.as_deref());
        if let Some(written) = written.filter(|written| !read::is_decimal(written)) {
            let error = Error::new(at, Reason::NotDecimal).value(written);
            self.findings.push(error.replace(number.to_string()));
            return;
        }
        let min = node
            .schema
            .get("minimum")
            .and_then(Value::as_i64)
            .unwrap_or(i64::MIN);
        let max = node
            .schema
            .get("maximum")
            .and_then(Value::as_i64)
            .unwrap_or(i64::MAX);
        let reason = match number.as_i64() {
            Some(number) if (min..=max).contains(&number) => return,
            None if number.is_f64() => Reason::NotWhole,
            Some(_) | None => Reason::OutOfRange { min, max },
        };
        let text = written.map_or_else(|| number.to_string(), str::to_owned);
        self.findings.push(Error::new(at, reason).value(&text));
    }

    fn text(&mut self, text: &str, node: Node<'s>, at: &At<'_>) {
        let limit = node.schema.get("maxLength").and_then(Value::as_u64);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        if let Some(limit) = limit.filter(|limit| text.len() > *limit) {
            self.findings
                .push(Error::new(at, Reason::TooLong(limit)).value(text));
            return;
        }
        let Some(words) = node.schema.get("enum").and_then(Value::as_array) else {
            return;
        };
        let words: Vec<String> = words
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        if words.iter().all(|word| word != text) {
            let suggestion = hints::word(text, node.owner, &words);
            let error = Error::new(at, Reason::NotOneOf(words)).value(text);
            self.findings.push(error.suggest(suggestion));
        }
    }

    fn list(
        &mut self,
        items: &[Value],
        node: Node<'s>,
        mark: Option<&Mark>,
        at: &At<'_>,
        depth: usize,
    ) {
        let what = hints::items(at.name().unwrap_or_default());
        let limit = node.schema.get("maxItems").and_then(Value::as_u64);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        if items.is_empty() {
            let hint = hints::empty_list(at.name().unwrap_or_default());
            self.findings
                .push(Error::new(at, Reason::Empty(what)).hint(hint));
        } else if let Some(limit) = limit.filter(|limit| items.len() > *limit) {
            self.findings
                .push(Error::new(at, Reason::TooMany { what, limit }));
        } else if let Some(schema) = node.schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                let mark = mark.and_then(|mark| mark.item(index));
                self.value(
                    item,
                    Node { schema, ..node },
                    mark,
                    &at.index(index),
                    depth + 1,
                );
            }
        }
    }

    fn mapping(
        &mut self,
        fields: &Map<String, Value>,
        node: Node<'s>,
        mark: Option<&Mark>,
        at: &At<'_>,
        depth: usize,
    ) {
        let known = node.schema.get("properties").and_then(Value::as_object);
        let others = node
            .schema
            .get("additionalProperties")
            .filter(|schema| schema.is_object());
        let ignored = node.schema.get(IGNORED_FIELDS).and_then(Value::as_array);
        for (name, value) in fields {
            let at = at.field(name);
            if ignored.is_some_and(|ignored| ignored.iter().any(|field| field == name)) {
                continue;
            }
            match known.and_then(|known| known.get(name)).or(others) {
                Some(schema) => {
                    let mark = mark.and_then(|mark| mark.field(name));
                    self.value(value, Node { schema, ..node }, mark, &at, depth + 1);
                }
                None => {
                    let suggestion = self.unknown_field(name, node, known);
                    let error = Error::new(&at, Reason::UnknownField);
                    self.findings.push(error.suggest(suggestion));
                }
            }
        }
        let required = node.schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                let error = Error::new(&at.field(name), Reason::Missing);
                self.findings
                    .push(error.suggest(hints::missing(self.kind, node.owner, name)));
            }
        }
    }

    fn unknown_field(
        &self,
        name: &str,
        node: Node<'s>,
        known: Option<&Map<String, Value>>,
    ) -> Option<Suggestion> {
        let ignored = node.schema.get(IGNORED_FIELDS).and_then(Value::as_array);
        let ignored = || ignored.into_iter().flatten().filter_map(Value::as_str);
        let known = || {
            known
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str())
                .chain(ignored())
        };
        let elsewhere = |owner: &str| {
            let definition = self.definitions?.get(owner)?;
            definition.get("properties")?.get(name).map(|_| ())
        };
        hints::unknown_field(name, node.owner, known, |owner| elsewhere(owner).is_some())
    }
}

/// The types that a schema allows.
fn types(schema: &Value) -> Vec<Type> {
    let of = |name: &str| match name {
        "string" => Some(Type::Text),
        "integer" => Some(Type::WholeNumber),
        "boolean" => Some(Type::Boolean),
        "array" => Some(Type::List),
        "object" => Some(Type::Mapping),
        _ => None,
    };
    match schema.get("type") {
        Some(Value::String(name)) => of(name).into_iter().collect(),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .filter_map(of)
            .collect(),
        _ => Vec::new(),
    }
}

fn type_of(value: &Value) -> Type {
    match value {
        Value::Bool(_) => Type::Boolean,
        Value::Number(_) => Type::Number,
        Value::Null | Value::String(_) => Type::Text,
        Value::Array(_) => Type::List,
        Value::Object(_) => Type::Mapping,
    }
}
