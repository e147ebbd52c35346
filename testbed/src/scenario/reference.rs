//! The reference of scenarios, written from the types, so that it cannot fall behind.

use meshwall_policy::document::reference;
use meshwall_policy::document::types::Resource as _;

use super::types::ScenarioSpec;

const INTRODUCTION: &str = include_str!("reference/introduction.md.in");
const EXAMPLE: &str = include_str!("reference/scenario.yaml");

/// The reference of scenarios, in Markdown: what docs/scenarios.md has.
#[must_use]
pub fn markdown() -> String {
    let kinds = reference::kinds(&[ScenarioSpec::schema()], &[(ScenarioSpec::KIND, EXAMPLE)]);
    format!("{INTRODUCTION}{kinds}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use meshwall_policy::document::{Document, parse};

    use super::*;

    #[test]
    fn the_documentation_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scenarios.md");
        let text = markdown();
        if std::env::var_os("MESHWALL_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written, text,
            "MESHWALL_BLESS=1 cargo test -p meshwall-testbed --lib reference writes it"
        );
    }

    #[test]
    fn the_example_is_a_scenario() {
        let parsed = parse("example", EXAMPLE);
        let documents: Vec<_> = parsed.documents.into_iter().collect();
        let [Document::Other(scenario)] = documents.as_slice() else {
            panic!("{documents:?}");
        };
        let read = scenario.clone().read::<ScenarioSpec>();
        assert_eq!(read.unwrap().object().spec.cases.len(), 3);
    }
}
