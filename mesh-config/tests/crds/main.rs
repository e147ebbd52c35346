//! The custom resource definitions: that the files are current, that the schemas are such as an API
//! server takes, and that they agree with the reader of documents. What a real API server makes of
//! them is in the test bed's target `kubernetes`.

#![cfg(test)]

mod agreement;
mod structural;
mod validate;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use meshwall_mesh_config::crds;
use serde_json::Value;

/// The schema of the kind whose plural this is.
fn schema(plural: &str) -> Value {
    let definition = crds::all()
        .into_iter()
        .find(|definition| definition.plural == plural)
        .unwrap();
    let schema = definition
        .object
        .pointer("/spec/versions/0/schema/openAPIV3Schema");
    schema.unwrap().clone()
}

#[test]
fn the_files_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    for definition in crds::all() {
        let path = folder.join(definition.file_name());
        let text = format!("{}{}", crds::FILE_HEADER, definition.to_yaml());
        if std::env::var_os("MESHWALL_BLESS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written, text,
            "MESHWALL_BLESS=1 cargo test -p meshwall-mesh-config --test crds writes it"
        );
    }
    let expected: BTreeSet<String> = crds::all().iter().map(|crd| crd.file_name()).collect();
    let found: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, expected, "mesh-config/crds/");
}

#[test]
fn the_stream_holds_all_definitions() {
    let stream = crds::to_yaml();
    let documents = serde_yaml_ng::Deserializer::from_str(&stream)
        .map(|document| serde::Deserialize::deserialize(document).unwrap());
    let expected = crds::all().map(|definition| definition.object);
    assert_eq!(documents.collect::<Vec<Value>>(), expected);
}

#[test]
fn a_user_finds_the_fields_described() {
    let schema = schema("firewallpolicies");
    let description = |pointer: &str| {
        let schema = schema.pointer(pointer).unwrap();
        schema["description"].as_str().unwrap().to_owned()
    };
    assert!(description("/properties/spec").starts_with("The rules of a namespace"));
    let mode = description("/properties/spec/properties/mode");
    assert!(mode.starts_with("Whether the policy decides. Default `Enforce`."));
    assert!(mode.contains("\n\n`Monitor`: It is only evaluated beside"));
}
