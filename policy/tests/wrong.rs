//! Wrong documents and what a user reads about them.
//!
//! Each `wrong/NAME.yaml` is read as a file and as part of a set; `wrong/NAME.txt` holds the
//! errors, a line each. To accept what has changed, after reading it:
//!
//! ```text
//! MESHWALL_BLESS=1 cargo test -p meshwall-policy --test wrong
//! ```

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

use meshwall_policy::document::{self, Error, Set};

fn documents() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn errors(path: &Path) -> Vec<Error> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let parsed = document::parse(name, &fs::read_to_string(path).unwrap());
    let set = Set::from(parsed.documents);
    parsed.errors.into_iter().chain(set.errors).collect()
}

#[test]
fn each_wrong_document_is_refused_with_these_words() {
    let bless = std::env::var_os("MESHWALL_BLESS").is_some();
    let mut checked = 0;
    let mut changed = Vec::new();
    for path in documents() {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            assert!(
                path.with_extension("yaml").exists(),
                "{} is left over",
                path.display()
            );
            continue;
        }
        let errors = errors(&path);
        assert!(!errors.is_empty(), "{} is not refused", path.display());
        let words: String = errors.iter().map(|error| format!("{error}\n")).collect();
        let golden = path.with_extension("txt");
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if words != expected {
            if bless {
                fs::write(&golden, &words).unwrap();
            } else {
                changed.push(format!(
                    "{}\n--- expected\n{expected}--- found\n{words}",
                    path.display()
                ));
            }
        }
        checked += 1;
    }
    assert!(
        changed.is_empty(),
        "{}\nMESHWALL_BLESS=1 accepts the change",
        changed.join("\n")
    );
    assert!(checked >= 80, "only {checked} documents were found");
}

#[test]
fn a_server_reads_the_same_words_without_positions() {
    for path in documents() {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let parsed = document::parse("file", &text);
        for document in parsed.documents {
            let value = match &document {
                document::Document::FirewallPolicy(located) => {
                    serde_json::to_value(located.object()).unwrap()
                }
                document::Document::ClusterFirewallPolicy(located) => {
                    serde_json::to_value(located.object()).unwrap()
                }
                document::Document::MeshwallConfig(located) => {
                    serde_json::to_value(located.object()).unwrap()
                }
                document::Document::Other(_) => continue,
            };
            let decoded = document::from_value(value).unwrap();
            let from_file = Set::from(vec![document]).errors;
            let from_server = Set::from(vec![decoded]).errors;
            let words = |errors: &[Error]| {
                let mut words: Vec<String> = errors
                    .iter()
                    .map(|error| {
                        Error {
                            position: None,
                            ..error.clone()
                        }
                        .to_string()
                    })
                    .collect();
                words.sort();
                words
            };
            assert_eq!(words(&from_file), words(&from_server), "{}", path.display());
        }
    }
}
