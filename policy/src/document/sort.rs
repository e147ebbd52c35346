//! Tells our documents from those of others, takes lists apart, and reads ours into their types.

use std::mem;
use std::sync::Arc;

use serde_json::Value;

use super::error::{Error, Findings};
use super::field_path::At;
use super::position::{Mark, Marks, Positions};
use super::read::Tree;
use super::reason::Reason;
use super::types::{
    API_VERSION, ClusterFirewallPolicySpec, FirewallPolicySpec, GROUP, MeshwallConfigSpec, Object,
    Resource,
};
use super::{Document, Located, Other, Parsed, check, hints};
use crate::spec::ObjectRef;

const KINDS: [&str; 3] = [
    FirewallPolicySpec::KIND,
    ClusterFirewallPolicySpec::KIND,
    MeshwallConfigSpec::KIND,
];

/// Reads a document, or each item of a list of documents.
pub(super) fn sort(source: &Arc<str>, tree: Tree, parsed: &mut Parsed) {
    let Tree {
        mut value,
        mut mark,
        findings,
    } = tree;
    if !findings.is_empty() || !is_list(&value) {
        let positions = Positions::new(Arc::clone(source), mark);
        match document(value, positions, findings) {
            Ok(document) => parsed.documents.push(document),
            Err(errors) => parsed.errors.extend(errors),
        }
        return;
    }
    let item_kind = text(&value, "kind")
        .strip_suffix("List")
        .unwrap_or_default()
        .to_owned();
    let api_version = text(&value, "apiVersion").to_owned();
    let Some(Value::Array(items)) = value.get_mut("items").map(mem::take) else {
        return;
    };
    for (item, mark) in items.into_iter().zip(item_marks(&mut mark)) {
        let item = if item_kind.is_empty() {
            item
        } else {
            named(item, &api_version, &item_kind)
        };
        sort(
            source,
            Tree {
                value: item,
                mark,
                findings: Findings::default(),
            },
            parsed,
        );
    }
}

/// Reads one document.
pub(super) fn document(
    value: Value,
    positions: Positions,
    mut findings: Findings,
) -> Result<Document, Vec<Error>> {
    if !value.is_object() {
        findings.push(Error::new(&At::Root, Reason::NotAnObject));
        return Err(findings.finish(None, &positions));
    }
    let kind = text(&value, "kind").to_owned();
    let api_version = text(&value, "apiVersion").to_owned();
    if kind.is_empty() {
        findings.push(Error::new(&At::Root.field("kind"), Reason::Missing));
        return Err(findings.finish(identify(&value).as_ref(), &positions));
    }
    if is_ours(&api_version, &kind) {
        return if kind == FirewallPolicySpec::KIND {
            decode(value, positions, findings).map(Document::FirewallPolicy)
        } else if kind == ClusterFirewallPolicySpec::KIND {
            decode(value, positions, findings).map(Document::ClusterFirewallPolicy)
        } else {
            decode(value, positions, findings).map(Document::MeshwallConfig)
        };
    }
    if let Some(error) = nearly_ours(&api_version, &kind) {
        findings.push(error);
    }
    if findings.is_empty() {
        Ok(Document::Other(Other {
            api_version,
            kind,
            value,
            positions,
        }))
    } else {
        Err(findings.finish(identify(&value).as_ref(), &positions))
    }
}

/// A list as `kubectl get` prints it, or as the API server sends it.
fn is_list(value: &Value) -> bool {
    text(value, "kind").ends_with("List") && value.get("items").is_some_and(Value::is_array)
}

/// The marks of the items of a list.
fn item_marks(list: &mut Mark) -> Vec<Mark> {
    let Marks::Fields(fields) = &mut list.children else {
        return Vec::new();
    };
    match fields.remove("items").map(|items| items.children) {
        Some(Marks::Items(marks)) => marks,
        _ => Vec::new(),
    }
}

/// An item of a list that the API server sent: there, the list alone names the kind.
fn named(mut item: Value, api_version: &str, kind: &str) -> Value {
    if let Value::Object(fields) = &mut item {
        fields
            .entry("apiVersion")
            .or_insert_with(|| api_version.into());
        fields.entry("kind").or_insert_with(|| kind.into());
    }
    item
}

fn is_ours(api_version: &str, kind: &str) -> bool {
    api_version == API_VERSION && KINDS.contains(&kind)
}

/// The error of a document that was probably meant to be ours. Left alone, it would enforce
/// nothing, and nobody would know.
fn nearly_ours(api_version: &str, kind: &str) -> Option<Error> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    if KINDS.contains(&kind) {
        let mistyped = group == GROUP
            || !group.contains('.')
            || hints::closest(group, [GROUP].into_iter()).is_some();
        let at = At::Root;
        let at = at.field("apiVersion");
        return mistyped.then(|| match api_version {
            "" => Error::new(&at, Reason::Missing).hint(WRITE_API_VERSION),
            _ => Error::new(&at, Reason::UnknownVersion)
                .value(api_version)
                .replace(API_VERSION),
        });
    }
    let alike = hints::closest(kind, KINDS.into_iter()).filter(|_| group == GROUP)?;
    let at = At::Root;
    Some(
        Error::new(&at.field("kind"), Reason::UnknownKind)
            .value(kind)
            .replace(alike),
    )
}

impl Other {
    /// Reads an object of a kind whose types are defined elsewhere, with the care that our own
    /// kinds get. Whether the object is of that kind is for the caller to check.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with its shape.
    pub fn read<S: Resource>(self) -> Result<Located<S>, Vec<Error>> {
        decode(self.value, self.positions, Findings::default())
    }
}

const WRITE_API_VERSION: &str = "write `apiVersion: meshwall.io/v1alpha1`";

/// Checks a document against the schema of its kind and reads it into its type.
fn decode<S: Resource>(
    mut value: Value,
    positions: Positions,
    mut findings: Findings,
) -> Result<Located<S>, Vec<Error>> {
    let reference = identify(&value);
    check::check(S::schema(), &value, positions.root(), &mut findings);
    if !findings.is_empty() {
        return Err(findings.finish(reference.as_ref(), &positions));
    }
    if let Value::Object(fields) = &mut value {
        fields.shift_remove("status");
    }
    if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
        metadata.retain(|name, _| matches!(name.as_str(), "name" | "namespace"));
    }
    match (serde_json::from_value::<Object<S>>(value), reference) {
        (Ok(object), Some(reference)) => Ok(Located {
            object,
            reference,
            positions,
        }),
        (_, reference) => {
            // The schema and the types come from one source; this is for the day they do not.
            findings.push(Error::new(&At::Root, Reason::NotAnObject));
            Err(findings.finish(reference.as_ref(), &positions))
        }
    }
}

/// The object that a document is about, as far as it says so.
fn identify(value: &Value) -> Option<ObjectRef> {
    let metadata = value.get("metadata")?;
    Some(ObjectRef {
        kind: value.get("kind")?.as_str()?.to_owned(),
        namespace: metadata
            .get("namespace")
            .and_then(Value::as_str)
            .map(str::to_owned),
        name: metadata.get("name")?.as_str()?.to_owned(),
    })
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
