//! Writes the reference of the policy language from the types, so that it cannot fall behind.
//!
//! `docs/policy-reference.md` is what this returns; a test compares the two.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::schema::ENUM_DESCRIPTIONS;
use super::types::{ClusterFirewallPolicySpec, FirewallPolicySpec, MeshwallConfigSpec, Resource};

const INTRODUCTION: &str = include_str!("reference/introduction.md.in");

/// An example of each kind, as in the reference.
pub const EXAMPLES: [(&str, &str); 3] = [
    (
        FirewallPolicySpec::KIND,
        include_str!("reference/firewall-policy.yaml"),
    ),
    (
        ClusterFirewallPolicySpec::KIND,
        include_str!("reference/cluster-firewall-policy.yaml"),
    ),
    (
        MeshwallConfigSpec::KIND,
        include_str!("reference/meshwall-config.yaml"),
    ),
];

/// The reference of the policy language, in Markdown.
pub fn markdown() -> String {
    let schemas = [
        FirewallPolicySpec::schema(),
        ClusterFirewallPolicySpec::schema(),
        MeshwallConfigSpec::schema(),
    ];
    format!("{INTRODUCTION}{}", kinds(&schemas, &EXAMPLES))
}

/// The reference of kinds, as [`schema::of`](super::schema::of) describes them, each with an
/// example, and of the types that they use, in Markdown. The title of a kind's own type ends with
/// `Spec`, and that of no other does.
pub fn kinds(schemas: &[&'static Value], examples: &[(&str, &str)]) -> String {
    let mut types = Types::default();
    schemas.iter().for_each(|schema| types.add(schema));
    let mut out = String::new();
    for (kind, example) in examples {
        let title = format!("{kind}Spec");
        // Writing to a string cannot fail.
        let _ = write!(out, "\n## {kind}\n\n");
        types.describe(&title, &mut out);
        let _ = write!(out, "\n```yaml\n{example}```\n");
    }
    let _ = write!(out, "\n## Types\n");
    for title in types.order.iter().filter(|title| !title.ends_with("Spec")) {
        let _ = write!(out, "\n### {title}\n\n");
        types.describe(title, &mut out);
    }
    out
}

/// The named types of all kinds. Types that differ only in a parameter share a title.
#[derive(Default)]
struct Types {
    order: Vec<String>,
    variants: BTreeMap<String, Vec<&'static Map<String, Value>>>,
}

impl Types {
    fn add(&mut self, schema: &'static Value) {
        let definitions = schema.get("$defs").and_then(Value::as_object);
        for (name, definition) in definitions.into_iter().flatten() {
            let title = title(name);
            let Some(definition) = definition.as_object().filter(|_| title != "Metadata") else {
                continue;
            };
            if !self.order.iter().any(|known| known == title) {
                self.order.push(title.to_owned());
            }
            let variants = self.variants.entry(title.to_owned()).or_default();
            if !variants.contains(&definition) {
                variants.push(definition);
            }
        }
    }

    fn describe(&self, title: &str, out: &mut String) {
        let Some(variants) = self.variants.get(title) else {
            return;
        };
        let Some(first) = variants.first() else {
            return;
        };
        let _ = writeln!(out, "{}", text(first, "description"));
        if let Some(words) = first.get(ENUM_DESCRIPTIONS).and_then(Value::as_object) {
            let _ = write!(out, "\n| Value | Meaning |\n|---|---|\n");
            for (word, meaning) in words {
                let _ = writeln!(
                    out,
                    "| `{word}` | {} |",
                    cell(meaning.as_str().unwrap_or_default())
                );
            }
        }
        let Some(fields) = first.get("properties").and_then(Value::as_object) else {
            return;
        };
        let _ = write!(out, "\n| Field | Type | Description |\n|---|---|---|\n");
        for (name, schema) in fields {
            let mut types: Vec<String> = Vec::new();
            for variant in variants {
                let schema = variant
                    .get("properties")
                    .and_then(|fields| fields.get(name));
                let name = schema.map(type_name).unwrap_or_default();
                if !types.contains(&name) {
                    types.push(name);
                }
            }
            let required = first.get("required").and_then(Value::as_array);
            let required = required.is_some_and(|names| names.iter().any(|field| field == name));
            let _ = writeln!(
                out,
                "| `{name}` | {}{} | {} |",
                types.join(" or "),
                if required { ", required" } else { "" },
                cell(
                    schema
                        .get("description")
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                )
            );
        }
    }
}

/// The name of a type without its parameter.
fn title(name: &str) -> &str {
    name.split_once('_').map_or(name, |(title, _)| title)
}

/// The type of a field, for people.
fn type_name(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let title = title(name.trim_start_matches("#/$defs/"));
        return format!("[{title}](#{})", title.to_lowercase());
    }
    let of = |name: &str| match name {
        "array" => match schema.get("items") {
            Some(items) => format!("list of {}", type_name(items)),
            None => "list".to_owned(),
        },
        "object" => match schema.get("additionalProperties") {
            Some(values) => format!("mapping from text to {}", type_name(values)),
            None => "mapping".to_owned(),
        },
        "integer" => "whole number".to_owned(),
        "boolean" => "boolean".to_owned(),
        _ => "text".to_owned(),
    };
    match schema.get("type") {
        Some(Value::String(name)) => of(name),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .map(of)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => String::new(),
    }
}

fn text<'a>(schema: &'a Map<String, Value>, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Text within a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
