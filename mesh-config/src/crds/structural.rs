//! JSON Schema, as [`meshwall_policy::document::schema`] writes it, as a *structural* schema, as
//! Kubernetes wants it.
//!
//! A structural schema gives every value one type, has no references, and uses a few words of JSON
//! Schema only (Kubernetes documentation, "Specifying a structural schema"). Where ours says more
//! than that, the structural one says less, and never something else:
//!
//! - References are followed. A field's own description wins over that of its type.
//! - A value with a choice of types is not described (`x-kubernetes-preserve-unknown-fields`), apart
//!   from whole number or text, which Kubernetes knows.
//! - `additionalProperties: false` becomes `x-kubernetes-preserve-unknown-fields`: see the header of
//!   [`super`] for why unknown fields are kept.
//! - What is optional may be null. An API server drops a null that may not be there, in silence: a
//!   rule whose `from:` has no value would permit anyone, and `matchLabels: {app: }` select all.
//!   Our reader refuses nulls.
//! - What the words of an enumeration mean joins the description.
//! - Lengths of texts are limits in bytes for us and in characters for Kubernetes, which is less.

use std::fmt::Write as _;

use meshwall_policy::document::schema::ENUM_DESCRIPTIONS;
use serde_json::{Map, Value, json};

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

/// What is taken over as it is, in this order.
const KEPT: [&str; 9] = [
    "enum",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxLength",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
];

/// Definitions within each other. Our types are not recursive; a structural schema could not be.
const MAX_DEPTH: usize = 32;

/// The structural schema that says what `schema` says, or less.
pub(super) fn of(schema: &Value) -> Value {
    let empty = Map::new();
    let definitions = schema.get("$defs").and_then(Value::as_object);
    let converter = Converter {
        definitions: definitions.unwrap_or(&empty),
    };
    converter.convert(schema, 0)
}

struct Converter<'a> {
    definitions: &'a Map<String, Value>,
}

impl Converter<'_> {
    fn convert(&self, schema: &Value, depth: usize) -> Value {
        let own = schema.get("description");
        let Some(schema) = self.resolve(schema).filter(|_| depth <= MAX_DEPTH) else {
            return json!({PRESERVE: true});
        };
        let mut out = Map::new();
        if let Some(description) = describe(own, schema) {
            out.insert("description".to_owned(), description.into());
        }
        match schema.get("type") {
            Some(Value::String(name)) => {
                out.insert("type".to_owned(), name.as_str().into());
            }
            _ if schema.get(INT_OR_STRING) == Some(&Value::Bool(true)) => {
                out.insert(INT_OR_STRING.to_owned(), true.into());
            }
            _ => {
                out.insert(PRESERVE.to_owned(), true.into());
                return Value::Object(out);
            }
        }
        for key in KEPT {
            if let Some(value) = schema.get(key) {
                out.insert(key.to_owned(), value.clone());
            }
        }
        self.parts(schema, &mut out, depth);
        Value::Object(out)
    }

    /// The schemas of the parts of a value.
    fn parts(&self, schema: &Map<String, Value>, out: &mut Map<String, Value>, depth: usize) {
        if let Some(required) = schema.get("required") {
            out.insert("required".to_owned(), required.clone());
        }
        // Which people write, and not the server.
        let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        match schema.get("additionalProperties") {
            Some(Value::Bool(_)) => {
                out.insert(PRESERVE.to_owned(), true.into());
            }
            Some(values) => {
                let values = nullable(self.convert(values, depth + 1));
                out.insert("additionalProperties".to_owned(), values);
            }
            None => {}
        }
        if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
            let required = schema.get("required").and_then(Value::as_array);
            let is_required = |name: &str| {
                let mut names = required.into_iter().flatten();
                names.any(|required| required == name)
            };
            let fields = fields.iter().map(|(name, schema)| {
                let mut field = self.convert(schema, depth + 1);
                if is_closed && !is_required(name) {
                    field = nullable(field);
                }
                (name.clone(), field)
            });
            out.insert("properties".to_owned(), Value::Object(fields.collect()));
        }
        if let Some(items) = schema.get("items") {
            out.insert("items".to_owned(), self.convert(items, depth + 1));
        }
    }

    /// Follows references to definitions.
    fn resolve<'s>(&'s self, schema: &'s Value) -> Option<&'s Map<String, Value>> {
        match schema.get("$ref").and_then(Value::as_str) {
            None => schema.as_object(),
            Some(reference) => {
                let name = reference.strip_prefix("#/$defs/")?;
                self.definitions.get(name)?.as_object()
            }
        }
    }
}

fn nullable(mut schema: Value) -> Value {
    if let Value::Object(schema) = &mut schema {
        schema.insert("nullable".to_owned(), true.into());
    }
    schema
}

/// The description of a field, followed by what the words of its enumeration mean.
fn describe(own: Option<&Value>, schema: &Map<String, Value>) -> Option<String> {
    let text = own.or_else(|| schema.get("description"))?.as_str()?;
    let mut text = text.to_owned();
    let words = schema.get(ENUM_DESCRIPTIONS).and_then(Value::as_object);
    for (word, meaning) in words.into_iter().flatten() {
        let meaning = meaning.as_str().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(text, "\n\n`{word}`: {meaning}");
    }
    Some(text)
}
