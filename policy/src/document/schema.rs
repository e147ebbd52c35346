//! The schema of each kind, from its types.
//!
//! The schema is what the reader holds a document against, what the reference is written from, and
//! what custom resource definitions are made of. It is JSON Schema, close to the structural
//! schemas of Kubernetes: what remains to be changed for these is in `mesh-config/src/crds`. Words
//! that begin with `x-kubernetes-` are for them; those that begin with `x-meshwall-` are ours.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::limits;
use super::types::{API_VERSION, Metadata, Resource};

/// Meaning of each word of an enumeration.
pub const ENUM_DESCRIPTIONS: &str = "x-meshwall-enum-descriptions";

/// Fields of a mapping that are accepted whatever their value and mean nothing.
pub const IGNORED_FIELDS: &str = "x-meshwall-ignored-fields";

/// What Kubernetes writes into `metadata`, and tools that print objects print again.
const IGNORED_METADATA: [&str; 13] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The schema of the objects of a kind. Named types are under `$defs`.
pub fn of<S: Resource>() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let spec = generator.subschema_for::<S>().to_value();
    let metadata = generator.subschema_for::<Metadata>().to_value();
    let mut definitions = generator.take_definitions(true);
    if let Some(Value::Object(metadata)) = definitions.get_mut("Metadata") {
        metadata.insert(IGNORED_FIELDS.to_owned(), json!(IGNORED_METADATA));
    }
    let mut schema = json!({
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string", "enum": [API_VERSION]},
            "kind": {"type": "string", "enum": [S::KIND]},
            "metadata": metadata,
            "spec": spec,
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
        "$defs": definitions,
    });
    tidy(&mut schema);
    if let Value::Object(schema) = &mut schema {
        schema.insert(IGNORED_FIELDS.to_owned(), json!(["status"]));
    }
    schema
}

/// The schema of something that is not written by people, such as the `status` of an object, in the
/// same form.
pub fn part<T: JsonSchema>() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.root_schema_for::<T>().to_value();
    tidy(&mut schema);
    schema
}

/// Brings what the derive macro makes of our types into the form that this module promises.
fn tidy(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    drop_null(map);
    merge_words(map);
    map.remove("format");
    if let Some(Value::String(description)) = map.get_mut("description") {
        *description = unwrap_lines(description);
    }
    let types: Vec<&str> = match map.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let (list, text) = (types.contains(&"array"), types.contains(&"string"));
    if list {
        map.entry("minItems").or_insert(json!(1));
        map.entry("maxItems").or_insert(json!(limits::MAX_ITEMS));
    }
    if text && !map.contains_key("enum") {
        map.entry("maxLength")
            .or_insert(json!(limits::MAX_TEXT_BYTES));
    }
    for key in ["properties", "$defs"] {
        if let Some(Value::Object(schemas)) = map.get_mut(key) {
            schemas.values_mut().for_each(tidy);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(schema) = map.get_mut(key) {
            tidy(schema);
        }
    }
}

/// An optional field is left out, never null: removes null from what it may be.
fn drop_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(mut choices)) = map.remove("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        for choice in choices {
            if let Value::Object(choice) = choice {
                map.extend(choice);
            }
        }
    }
}

/// Makes one enumeration of the words that the derive macro lists with their comments.
fn merge_words(map: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = map.remove("oneOf") else {
        return;
    };
    let mut words = Vec::new();
    let mut descriptions = Map::new();
    for choice in &choices {
        if let Some(Value::String(word)) = choice.get("const") {
            let description = choice
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            words.push(Value::from(word.as_str()));
            descriptions.insert(word.clone(), unwrap_lines(description).into());
        }
    }
    map.insert("type".to_owned(), "string".into());
    map.insert("enum".to_owned(), words.into());
    map.insert(ENUM_DESCRIPTIONS.to_owned(), descriptions.into());
}

/// Joins the lines of a paragraph; paragraphs stay apart.
fn unwrap_lines(text: &str) -> String {
    let paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
