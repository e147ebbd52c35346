//! Validation by a structural schema, as far as ours go: what an API server would refuse.

use serde_json::Value;

/// What of the value the schema refuses, as paths.
pub(crate) fn refusals(schema: &Value, value: &Value) -> Vec<String> {
    let mut refused = Vec::new();
    validate(schema, value, "", &mut refused);
    refused
}

fn validate(schema: &Value, value: &Value, at: &str, refused: &mut Vec<String>) {
    let mut refuse = |what: &str| refused.push(format!("{at}: {what}"));
    let limit = |name: &str| schema.get(name).and_then(Value::as_u64);
    if value.is_null() && schema.get("nullable").is_some() {
        return;
    }
    let fits = match schema.get("type").and_then(Value::as_str) {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => is_whole(value),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some(other) => panic!("{at}: type `{other}`"),
        None if schema.get("x-kubernetes-int-or-string").is_some() => {
            is_whole(value) || value.is_string()
        }
        None => true,
    };
    if !fits {
        refuse("type");
        return;
    }
    let words = schema.get("enum").and_then(Value::as_array);
    if words.is_some_and(|words| !words.contains(value)) {
        refuse("enum");
    }
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap();
            let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
            if bound("minimum").is_some_and(|minimum| number < minimum) {
                refuse("minimum");
            }
            if bound("maximum").is_some_and(|maximum| number > maximum) {
                refuse("maximum");
            }
        }
        Value::String(text) => {
            let length = u64::try_from(text.chars().count()).unwrap();
            if limit("maxLength").is_some_and(|limit| length > limit) {
                refuse("maxLength");
            }
        }
        Value::Array(items) => {
            let length = u64::try_from(items.len()).unwrap();
            if limit("minItems").is_some_and(|limit| length < limit) {
                refuse("minItems");
            }
            if limit("maxItems").is_some_and(|limit| length > limit) {
                refuse("maxItems");
            }
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    validate(schema, item, &format!("{at}[{index}]"), refused);
                }
            }
        }
        Value::Object(fields) => {
            let required = schema.get("required").and_then(Value::as_array);
            for name in required.into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    refuse(&format!("required {name}"));
                }
            }
            let known = schema.get("properties");
            let others = schema.get("additionalProperties");
            for (name, value) in fields {
                let schema = known.and_then(|known| known.get(name)).or(others);
                if let Some(schema) = schema {
                    validate(schema, value, &format!("{at}.{name}"), refused);
                }
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn is_whole(value: &Value) -> bool {
    value
        .as_f64()
        .is_some_and(|number| number.is_finite() && number.fract() == 0.0)
}

#[test]
fn each_word_of_a_schema_refuses() {
    let schema = serde_json::json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "maxLength": 3},
            "mode": {"type": "string", "enum": ["On", "Off"]},
            "list": {
                "type": "array",
                "minItems": 1,
                "maxItems": 2,
                "items": {"x-kubernetes-int-or-string": true, "minimum": 1, "maximum": 9},
            },
            "labels": {"type": "object", "additionalProperties": {"type": "boolean"}},
            "nothing": {"type": "string", "nullable": true},
            "any": {"x-kubernetes-preserve-unknown-fields": true},
        },
    });
    let cases = [
        (r#"{"name": "abc", "mode": "On", "list": [1, "x"]}"#, ""),
        (
            r#"{"name": "é€ß", "labels": {"a": true}, "any": {"b": 1}}"#,
            "",
        ),
        (r#"{"name": "a", "unknown": null, "list": [2.0]}"#, ""),
        (r#"{"name": "a", "nothing": null}"#, ""),
        (r#"{"name": null}"#, ".name: type"),
        (r#"{}"#, ": required name"),
        (r#"[]"#, ": type"),
        (r#"{"name": "abcd"}"#, ".name: maxLength"),
        (r#"{"name": 1}"#, ".name: type"),
        (r#"{"name": "a", "mode": "on"}"#, ".mode: enum"),
        (r#"{"name": "a", "list": []}"#, ".list: minItems"),
        (r#"{"name": "a", "list": [1, 2, 3]}"#, ".list: maxItems"),
        (r#"{"name": "a", "list": [0]}"#, ".list[0]: minimum"),
        (r#"{"name": "a", "list": [10]}"#, ".list[0]: maximum"),
        (r#"{"name": "a", "list": [1.5]}"#, ".list[0]: type"),
        (r#"{"name": "a", "labels": {"a": 1}}"#, ".labels.a: type"),
    ];
    for (value, expected) in cases {
        let value = serde_json::from_str(value).unwrap();
        assert_eq!(refusals(&schema, &value).join(", "), expected, "{value}");
    }
}
