//! Diagnostics for code review: SARIF 2.1.0 (OASIS standard), as code hosts take it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Diagnostic, Severity};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// A log of one run of the tool.
pub(crate) fn to_sarif(diagnostics: &[Diagnostic]) -> Value {
    let codes: BTreeSet<&str> = diagnostics.iter().map(|found| found.code).collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    let results = diagnostics.iter().map(|diagnostic| {
        let index = codes.binary_search(&diagnostic.code).ok();
        result(diagnostic, index)
    });
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "meshwall",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|code| json!({"id": code})).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

fn result(diagnostic: &Diagnostic, rule: Option<usize>) -> Value {
    let Diagnostic {
        severity,
        code,
        object,
        path,
        help,
        position,
        ..
    } = diagnostic;
    let mut text = diagnostic.headline();
    if let Some(help) = help {
        text.push_str("; ");
        text.push_str(help);
    }
    let mut location = Map::new();
    if let Some(position) = position {
        let place = json!({
            "artifactLocation": {"uri": uri(&position.source)},
            "region": {"startLine": position.line, "startColumn": position.column},
        });
        location.insert("physicalLocation".to_owned(), place);
    }
    if let Some(object) = object {
        let name = format!("{object}#{path}");
        let place = json!([{"fullyQualifiedName": name, "kind": "object"}]);
        location.insert("logicalLocations".to_owned(), place);
    }
    json!({
        "ruleId": code,
        "ruleIndex": rule,
        "level": match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        },
        "message": {"text": text},
        "locations": [location],
    })
}

/// A path as a relative reference or a `file` URI (RFC 3986).
fn uri(path: &str) -> String {
    let mut uri = String::new();
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_uris() {
        for (path, expected) in [
            ("policies/a.yaml", "policies/a.yaml"),
            ("/a b/ü.yaml", "file:///a%20b/%C3%BC.yaml"),
            ("<stdin>", "%3Cstdin%3E"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
