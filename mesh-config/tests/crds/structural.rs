//! The rules of structural schemas, as the Kubernetes documentation lists them ("Specifying a
//! structural schema"), on ours. An API server has the last word; this one needs none.

use meshwall_mesh_config::crds;
use serde_json::Value;

/// Every word that our schemas may use, which is fewer than Kubernetes has.
const WORDS: [&str; 17] = [
    "additionalProperties",
    "description",
    "enum",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minimum",
    "nullable",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
];
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

fn check(schema: &Value, at: &str, problems: &mut Vec<String>) {
    let mut problem = |what: &str| problems.push(format!("{at}: {what}"));
    let Some(words) = schema.as_object() else {
        problem("is not a mapping");
        return;
    };
    for word in words.keys() {
        if word != PRESERVE && !WORDS.contains(&word.as_str()) {
            problem(&format!("has the word `{word}`"));
        }
    }
    let typed = words.get("type").and_then(Value::as_str);
    let preserves = words.get(PRESERVE) == Some(&Value::Bool(true));
    let either = words.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
    match (typed, either) {
        (Some(name), false) => {
            if !["array", "boolean", "integer", "object", "string"].contains(&name) {
                problem(&format!("has the type `{name}`"));
            }
        }
        (None, true) => {}
        (Some(_), true) => problem("has a type, and is a number or text"),
        (None, false) if preserves => {}
        (None, false) => problem("has no type"),
    }
    if words.contains_key("properties") && words.contains_key("additionalProperties") {
        problem("has both fields and a mapping");
    }
    if typed == Some("array") && !words.contains_key("items") {
        problem("is a list of nothing");
    }
    for part in ["properties", "items", "additionalProperties"] {
        let of = if part == "items" { "array" } else { "object" };
        if words.contains_key(part) && typed != Some(of) {
            problem(&format!("has `{part}` without being of type `{of}`"));
        }
    }
    let fields = words.get("properties").and_then(Value::as_object);
    for (name, schema) in fields.into_iter().flatten() {
        check(schema, &format!("{at}.{name}"), problems);
    }
    for (part, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(schema) = words.get(part) {
            check(schema, &format!("{at}{mark}"), problems);
        }
    }
}

#[test]
fn the_schemas_are_structural() {
    for definition in crds::all() {
        let schema = super::schema(definition.plural);
        let mut problems = Vec::new();
        check(&schema, definition.plural, &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(schema["type"], "object");
        assert_eq!(
            schema["properties"]["metadata"],
            serde_json::json!({"type": "object"})
        );
    }
}

/// Where unknown fields, or nulls, would be dropped in silence, a condition would be lost.
#[test]
fn what_people_write_is_never_pruned() {
    fn walk(schema: &Value, at: &str, pruned: &mut Vec<String>) {
        if schema.get("properties").is_some() && schema.get(PRESERVE).is_none() {
            pruned.push(at.to_owned());
        }
        let fields = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        for (name, field) in fields.into_iter().flatten() {
            if !at.contains('.') && name != "spec" {
                continue;
            }
            let is_required = required.is_some_and(|names| names.contains(&name.as_str().into()));
            if is_required == (field.get("nullable") == Some(&Value::Bool(true))) {
                pruned.push(format!("{at}.{name} of null"));
            }
            walk(field, &format!("{at}.{name}"), pruned);
        }
        if let Some(values) = schema.get("additionalProperties")
            && values.get("nullable").is_none()
        {
            pruned.push(format!("{at}{{}} of null"));
        }
        if let Some(schema) = schema.get("items") {
            walk(schema, &format!("{at}[]"), pruned);
        }
    }
    for definition in crds::all() {
        let mut pruned = Vec::new();
        let schema = super::schema(definition.plural);
        walk(&schema, definition.plural, &mut pruned);
        assert_eq!(pruned, Vec::<String>::new());
    }
}
