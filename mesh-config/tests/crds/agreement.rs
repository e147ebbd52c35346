//! The schemas and the reader of documents on the same documents: what the reader takes, the schema
//! takes; and what the reader refuses for its shape, the schema refuses, too.

use std::fs;
use std::path::{Path, PathBuf};

use meshwall_policy::document::{self, Document, Reason, reference};
use serde::Deserialize as _;
use serde_json::Value;

use super::validate::refusals;

/// The documents of the policy crate that are wrong in one way each, those of the examples, and
/// those of the reference.
fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut texts: Vec<(String, String)> = reference::EXAMPLES
        .iter()
        .map(|(kind, text)| ((*kind).to_owned(), (*text).to_owned()))
        .collect();
    for folder in [
        "policy/tests/wrong",
        "testbed/examples/shop",
        "testbed/examples/shop/policies",
        "testbed/tests/cli/cases/lints",
    ] {
        let paths = fs::read_dir(root.join(folder)).unwrap();
        let mut paths: Vec<PathBuf> = paths.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|found| found == "yaml"));
        paths.sort();
        assert!(!paths.is_empty(), "{folder}");
        texts.extend(paths.iter().map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            (name.to_owned(), fs::read_to_string(path).unwrap())
        }));
    }
    texts
}

/// The documents of a text as another reader of YAML has them.
fn values(text: &str) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(text)
        .map_while(|document| Value::deserialize(document).ok())
        .collect()
}

/// The kind's name in URLs, if it is one of ours.
fn plural(value: &Value) -> Option<&'static str> {
    if value["apiVersion"] != document::types::API_VERSION {
        return None;
    }
    match value["kind"].as_str()? {
        "FirewallPolicy" => Some("firewallpolicies"),
        "ClusterFirewallPolicy" => Some("clusterfirewallpolicies"),
        "MeshwallConfig" => Some("meshwallconfigs"),
        _ => None,
    }
}

/// Whether a structural schema can tell, too. The name of an object is for the API server to check,
/// texts are counted in characters there, and what has no value is left to the reader.
fn is_structural(error: &document::Error) -> bool {
    let shape = matches!(
        *error.reason,
        Reason::Missing
            | Reason::WrongType { .. }
            | Reason::NotOneOf(_)
            | Reason::NotWhole
            | Reason::OutOfRange { .. }
            | Reason::Empty(_)
    );
    shape && error.path.to_string().starts_with("spec")
}

/// What the reader refuses for its shape and the schemas leave to it: values of more than one type.
const LEFT_TO_THE_READER: [&str; 1] = ["peer-ip-block-cidr-missing"];

#[test]
fn what_the_reader_takes_the_schema_takes() {
    let mut taken = 0;
    for (name, text) in texts() {
        for document in document::parse(&name, &text).documents {
            let (plural, value) = match document {
                Document::FirewallPolicy(located) => (
                    "firewallpolicies",
                    serde_json::to_value(located.object()).unwrap(),
                ),
                Document::ClusterFirewallPolicy(located) => (
                    "clusterfirewallpolicies",
                    serde_json::to_value(located.object()).unwrap(),
                ),
                Document::MeshwallConfig(located) => (
                    "meshwallconfigs",
                    serde_json::to_value(located.object()).unwrap(),
                ),
                Document::Other(_) => continue,
            };
            let refused = refusals(&super::schema(plural), &value);
            assert_eq!(refused, Vec::<String>::new(), "{name}: {value}");
            taken += 1;
        }
    }
    assert!(taken >= 80, "only {taken} documents were taken");
}

#[test]
fn what_the_reader_refuses_for_its_shape_the_schema_refuses() {
    let (mut refused, mut left) = (0, Vec::new());
    for (name, text) in texts() {
        for value in values(&text) {
            let Some(plural) = plural(&value) else {
                continue;
            };
            let by_schema = refusals(&super::schema(plural), &value);
            let by_reader = document::from_value(value).err().unwrap_or_default();
            let by_shape: Vec<String> = by_reader
                .iter()
                .filter(|error| is_structural(error))
                .map(ToString::to_string)
                .collect();
            if by_schema.is_empty() && !by_shape.is_empty() {
                left.push(name.clone());
            }
            assert!(
                by_schema.is_empty() || !by_reader.is_empty(),
                "{name}: the schema refuses {by_schema:?}"
            );
            refused += usize::from(!by_schema.is_empty());
        }
    }
    assert_eq!(left, LEFT_TO_THE_READER);
    assert!(refused >= 20, "only {refused} documents were refused");
}
