//! Our documents in an API server: what our reader takes is stored as it is, what has the wrong
//! shape is refused.

use std::fs;
use std::path::{Path, PathBuf};

use meshwall_policy::document::{self, Document, Reason, reference};
use meshwall_testbed::rig::kubernetes::Api;
use serde_json::{Value, json};

use super::{collection, namespace, server, text};

/// The documents of the reference, of the examples, and those that are wrong in one way each.
fn documents() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut texts: Vec<(String, String)> = reference::EXAMPLES
        .iter()
        .map(|(kind, text)| ((*kind).to_owned(), (*text).to_owned()))
        .collect();
    for folder in ["policy/tests/wrong", "testbed/examples/shop/policies"] {
        let paths = fs::read_dir(root.join(folder)).unwrap();
        let mut paths: Vec<PathBuf> = paths.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|found| found == "yaml"));
        paths.sort();
        for path in paths {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            texts.push((name, fs::read_to_string(path).unwrap()));
        }
    }
    let mut documents = Vec::new();
    for (name, text) in texts {
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
            // What is no YAML reaches no API server.
            let Ok(value) = serde::Deserialize::deserialize(document) else {
                break;
            };
            documents.push((name.clone(), value));
        }
    }
    documents.retain(|(_, value): &(String, Value)| {
        let kinds = ["FirewallPolicy", "ClusterFirewallPolicy", "MeshwallConfig"];
        text(value, "/apiVersion") == document::types::API_VERSION
            && kinds.contains(&text(value, "/kind"))
    });
    documents
}

/// What a structural schema can refuse: see the same table in the tests of mesh-config.
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

/// Creates an object under a name of its own.
async fn create(api: &Api, index: usize, mut value: Value) -> Result<Value, (u16, String)> {
    let kind = text(&value, "/kind").to_owned();
    value["metadata"] = json!({"name": format!("document-{index}")});
    let request = api.create(&collection(&kind, "documents"), &value).await;
    request.map_err(|error| (error.status().unwrap_or(0), error.to_string()))
}

#[tokio::test]
async fn what_the_reader_takes_is_stored_and_what_has_the_wrong_shape_is_refused() {
    let server = server().await;
    let api = server.admin();
    namespace(&api, "documents").await;
    let (mut stored, mut refused) = (0, 0);
    for (index, (name, value)) in documents().into_iter().enumerate() {
        let result = create(&api, index, value.clone()).await;
        match document::from_value(value.clone()) {
            Ok(Document::Other(_)) => panic!("{name} is not ours"),
            Ok(_) => {
                let found = result.unwrap_or_else(|(_, error)| panic!("{name}: {error}"));
                assert_eq!(found["spec"], value["spec"], "{name}");
                stored += 1;
            }
            Err(errors) if name == "peer-ip-block-cidr-missing" => {
                // The one error of shape that is in a value of more than one type.
                assert!(errors.iter().any(is_structural));
                assert!(result.is_ok());
            }
            Err(errors) if errors.iter().any(is_structural) => {
                let (status, message) = result.expect_err(&name);
                assert_eq!(status, 422, "{name}: {message}");
                assert!(message.contains("spec"), "{name}: {message}");
                refused += 1;
            }
            // The reader has more to say of it than a schema can.
            Err(_) => {}
        }
    }
    assert!(
        stored >= 60 && refused >= 20,
        "{stored} were stored, {refused} refused"
    );
}

/// An API server that dropped it would leave a rule without its condition.
#[tokio::test]
async fn what_is_unknown_or_null_is_kept_and_refused_by_the_reader() {
    let server = server().await;
    let api = server.admin();
    namespace(&api, "misspelt").await;
    let policy = json!({
        "apiVersion": "meshwall.io/v1alpha1",
        "kind": "FirewallPolicy",
        "metadata": {"name": "misspelt"},
        "spec": {
            "selector": {"matchLabels": {"app": null}, "matchLabel": {"app": "web"}},
            "ingress": [
                {"action": "Allow", "wen": [{"sni": ["a.example"]}]},
                {"action": "Allow", "from": null, "when": [{"claim": null, "sni": null}]},
                {"action": "Allow", "from": [{"ipBlocks": null, "podSelector": null}]},
                {"action": "Allow", "operations": [{"ports": null, "paths": null}]},
            ],
            "egress": null,
            "mod": "Monitor",
        },
        "egress": [],
    });
    let path = collection("FirewallPolicy", "misspelt");
    let stored = api.create(&path, &policy).await.unwrap();
    assert_eq!(stored["spec"], policy["spec"]);
    assert_eq!(stored["egress"], policy["egress"]);
    let errors = document::from_value(stored).unwrap_err();
    let mut refused: Vec<String> = errors
        .iter()
        .filter(|error| matches!(*error.reason, Reason::UnknownField | Reason::NoValue))
        .map(|error| error.path.to_string())
        .collect();
    refused.sort();
    assert_eq!(
        refused,
        [
            "egress",
            "spec.egress",
            "spec.ingress[0].wen",
            "spec.ingress[1].from",
            "spec.ingress[1].when[0].claim",
            "spec.ingress[1].when[0].sni",
            "spec.ingress[2].from[0].ipBlocks",
            "spec.ingress[2].from[0].podSelector",
            "spec.ingress[3].operations[0].paths",
            "spec.ingress[3].operations[0].ports",
            "spec.mod",
            "spec.selector.matchLabel",
            "spec.selector.matchLabels.app",
        ]
    );
}
