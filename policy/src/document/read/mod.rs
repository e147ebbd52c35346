//! From text to values with positions.
//!
//! YAML is read by `saphyr-parser`, event by event, into [`serde_json::Value`]: what a document
//! can say is what JSON can say. Where YAML 1.1, which Kubernetes' tools read, and YAML 1.2
//! disagree, Kubernetes' reading counts, and what was written is kept beside the value so that an
//! error can show it (`scalar`). What neither JSON nor Kubernetes knows is an error.
//!
//! Text that begins like JSON is read as JSON first (`json`): JSON is nearly, but not quite, YAML,
//! and a JSON file may hold several documents without anything between them.
//!
//! Reading takes time and memory linear in the text: nesting is limited, and what references to
//! anchors may add is limited ([`super::limits`]).

mod builder;
mod json;
mod scalar;
mod yaml;

use serde_json::Value;

use super::error::{Error, Findings};
use super::position::Mark;

/// Whether a number is written in the one way that all readers understand alike.
pub(super) fn is_decimal(text: &str) -> bool {
    scalar::is_decimal(text)
}

/// Whether a scalar without quotes is text.
pub(super) fn is_text(text: &str) -> bool {
    scalar::resolve(text) == scalar::Plain::Text
}

/// What a text holds.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) trees: Vec<Tree>,
    /// Why the text could not be read to its end.
    pub(super) error: Option<Error>,
}

/// One document, and what was wrong with how it was written.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) value: Value,
    pub(super) mark: Mark,
    pub(super) findings: Findings,
}

/// Reads all documents of a text. Documents before a syntax error are read.
pub(super) fn read(source: &std::sync::Arc<str>, text: &str) -> Text {
    let trimmed = text.trim_start_matches('\u{feff}').trim_start();
    if !trimmed.starts_with(['{', '[']) {
        return yaml::read(source, text);
    }
    let json = json::read(source, text);
    if json.error.is_none() {
        return json;
    }
    // Flow style YAML begins like JSON. If it is neither, a quoted first key tells JSON.
    let yaml = yaml::read(source, text);
    let means_json = trimmed
        .strip_prefix('{')
        .is_some_and(|rest| rest.trim_start().starts_with(['"', '}']))
        || trimmed.starts_with('[');
    if yaml.error.is_some() && means_json {
        json
    } else {
        yaml
    }
}
