//! Reads YAML.

use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::super::error::Error;
use super::super::field_path::FieldPath;
use super::super::reason::Reason;
use super::Text;
use super::builder::{Builder, Place};

/// Reads all documents of a text, up to the first syntax error.
pub(super) fn read(source: &Arc<str>, text: &str) -> Text {
    let mut builder = Builder::new(source);
    let mut read = Text::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let reason = Reason::Syntax(format!("not YAML: {}", error.info()));
                let position = builder.position(place(error.marker()));
                read.error = Some(Error::at(FieldPath::root(), reason).position(Some(position)));
                break;
            }
        };
        let start = place(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let style = match tag.as_deref() {
                    None => Some(style == ScalarStyle::Plain),
                    Some(tag) => is_plain(tag, style),
                };
                match style {
                    Some(true) => builder.plain(&text, start, anchor),
                    Some(false) => builder.text(&text, start, anchor),
                    None => {
                        builder.note(start, Reason::UnsupportedYaml(TAG));
                        builder.text(&text, start, anchor);
                    }
                }
            }
            Event::SequenceStart(anchor, tag) => {
                if tag.is_some_and(|tag| !is_core(&tag, "seq")) {
                    builder.note(start, Reason::UnsupportedYaml(TAG));
                }
                builder.open_list(start, anchor);
            }
            Event::MappingStart(anchor, tag) => {
                if tag.is_some_and(|tag| !is_core(&tag, "map")) {
                    builder.note(start, Reason::UnsupportedYaml(TAG));
                }
                builder.open_mapping(start, anchor);
            }
            Event::SequenceEnd | Event::MappingEnd => builder.close(start),
            Event::Alias(anchor) => builder.alias(anchor, start),
            Event::DocumentEnd => read.trees.extend(builder.end()),
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
        }
    }
    read
}

const TAG: &str = "has a tag; only `!!str` is read";

/// Whether a scalar with a tag is to be read as if it had no quotes; `None` for a tag that is not
/// understood.
fn is_plain(tag: &Tag, style: ScalarStyle) -> Option<bool> {
    let non_specific = tag.handle.is_empty() && tag.suffix == "!";
    if non_specific || is_core(tag, "str") {
        Some(false)
    } else if ["bool", "float", "int", "null"]
        .iter()
        .any(|name| is_core(tag, name))
    {
        (style == ScalarStyle::Plain).then_some(true)
    } else {
        None
    }
}

fn is_core(tag: &Tag, name: &str) -> bool {
    tag.is_yaml_core_schema() && tag.suffix == name
}

fn place(marker: &Marker) -> Place {
    let line = u32::try_from(marker.line()).unwrap_or(u32::MAX);
    let column = u32::try_from(marker.col()).unwrap_or(u32::MAX);
    (line, column.saturating_add(1))
}
