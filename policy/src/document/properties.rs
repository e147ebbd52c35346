//! What holds for every text, as functions that panic if it does not. Property tests and fuzz
//! targets call them.

use super::types::{Object, Resource};
use super::{Document, Located, Positions, Set, from_value, parse, to_yaml};

/// Whatever the text, it is read to documents and errors; each error is one printable line; and
/// everything that can be done with a document can be done with each.
pub fn never_panics(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parsed = parse("input", &text);
    let set = Set::from(parsed.documents);
    for error in parsed.errors.iter().chain(&set.errors) {
        let line = error.to_string();
        assert!(
            !line.chars().any(char::is_control),
            "an error is not one printable line: {line:?}"
        );
        assert!(error.position.is_some(), "an error has no position: {line}");
    }
}

/// Each of our documents, written as YAML or as JSON, reads back as the same document and means
/// the same.
pub fn round_trips(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for document in parse("input", &text).documents {
        match document {
            Document::FirewallPolicy(located) => {
                round_trip(&located, |located| located.lower().ok());
            }
            Document::ClusterFirewallPolicy(located) => {
                round_trip(&located, |located| located.lower().ok());
            }
            Document::MeshwallConfig(located) => {
                round_trip(&located, |located| located.lower().ok());
            }
            Document::Other(_) => {}
        }
    }
}

fn round_trip<S, T>(located: &Located<S>, lower: impl Fn(&Located<S>) -> Option<T>)
where
    S: Resource + Clone + PartialEq + std::fmt::Debug,
    T: PartialEq + std::fmt::Debug,
    Object<S>: Clone,
{
    let meaning = lower(located);
    let object = located.object();
    let yaml = to_yaml(object).unwrap_or_default();
    let reread = parse("output", &yaml);
    assert!(reread.errors.is_empty(), "{:?} in\n{yaml}", reread.errors);
    let json = serde_json::to_value(object).unwrap_or_default();
    let documents = [
        reread.documents.into_iter().next(),
        from_value(json.clone()).ok(),
    ];
    for document in documents {
        let value = match document {
            Some(Document::FirewallPolicy(located)) => serde_json::to_value(located.object()),
            Some(Document::ClusterFirewallPolicy(located)) => {
                serde_json::to_value(located.object())
            }
            Some(Document::MeshwallConfig(located)) => serde_json::to_value(located.object()),
            Some(Document::Other(_)) | None => Ok(serde_json::Value::Null),
        };
        assert_eq!(value.unwrap_or_default(), json, "written as\n{yaml}");
    }
    let copy = Located {
        object: serde_json::from_value(json).unwrap_or_else(|_| object.clone()),
        reference: located.reference().clone(),
        positions: Positions::none(),
    };
    assert_eq!(copy.object(), object);
    assert_eq!(lower(&copy), meaning);
}
