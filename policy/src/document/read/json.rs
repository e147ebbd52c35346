//! Reads JSON (RFC 8259), and several JSON values one after the other.
//!
//! Not left to the YAML reader because JSON is not quite YAML: it pairs surrogates in escapes, and
//! its documents need nothing between them.

use std::sync::Arc;

use serde_json::Number;

use super::super::error::Error;
use super::super::field_path::FieldPath;
use super::super::reason::Reason;
use super::Text;
use super::builder::{Builder, Place};

/// Arrays and objects within each other beyond which the reader gives up. The builder leaves out
/// what is too deep long before.
const MAX_NESTING: usize = 256;

/// Reads all values of a text, up to the first syntax error.
pub(super) fn read(source: &Arc<str>, text: &str) -> Text {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader {
        rest: text,
        line: 1,
        column: 1,
        nesting: 0,
        builder: Builder::new(source),
    };
    let mut read = Text::default();
    reader.skip_space();
    while !reader.rest.is_empty() {
        if let Err(what) = reader.value() {
            let position = reader.builder.position(reader.place());
            let reason = Reason::Syntax(format!("not JSON: {what}"));
            read.error = Some(Error::at(FieldPath::root(), reason).position(Some(position)));
            break;
        }
        read.trees.extend(reader.builder.end());
        reader.skip_space();
    }
    read
}

struct Reader<'a> {
    rest: &'a str,
    line: u32,
    column: u32,
    nesting: usize,
    builder: Builder,
}

impl<'a> Reader<'a> {
    fn place(&self) -> Place {
        (self.line, self.column)
    }

    /// Moves over the first `length` bytes, which must end between characters.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        for c in taken.chars() {
            if c == '\n' {
                self.line = self.line.saturating_add(1);
                self.column = 1;
            } else {
                self.column = self.column.saturating_add(1);
            }
        }
        self.rest = rest;
        taken
    }

    fn skip_space(&mut self) {
        let rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.take(self.rest.len() - rest.len());
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn accept(&mut self, c: char) -> bool {
        let accepted = self.rest.starts_with(c);
        if accepted {
            self.take(c.len_utf8());
        }
        accepted
    }

    fn value(&mut self) -> Result<(), &'static str> {
        let start = self.place();
        match self.peek() {
            Some('{') => self.object(start),
            Some('[') => self.array(start),
            Some('"') => {
                let text = self.string()?;
                self.builder.text(&text, start, 0);
                Ok(())
            }
            Some(_) => self.word(start),
            None => Err("it ends where a value is expected"),
        }
    }

    fn object(&mut self, start: Place) -> Result<(), &'static str> {
        self.nest()?;
        self.builder.open_mapping(start, 0);
        self.take(1);
        self.skip_space();
        if !self.accept('}') {
            loop {
                let key = self.place();
                if self.peek() != Some('"') {
                    return Err("the name of a field is expected, in double quotes");
                }
                let name = self.string()?;
                self.builder.text(&name, key, 0);
                self.skip_space();
                if !self.accept(':') {
                    return Err("`:` is expected");
                }
                self.skip_space();
                self.value()?;
                self.skip_space();
                if self.accept('}') {
                    break;
                }
                if !self.accept(',') {
                    return Err("`,` or `}` is expected");
                }
                self.skip_space();
            }
        }
        self.nesting -= 1;
        self.builder.close(start);
        Ok(())
    }

    fn array(&mut self, start: Place) -> Result<(), &'static str> {
        self.nest()?;
        self.builder.open_list(start, 0);
        self.take(1);
        self.skip_space();
        if !self.accept(']') {
            loop {
                self.value()?;
                self.skip_space();
                if self.accept(']') {
                    break;
                }
                if !self.accept(',') {
                    return Err("`,` or `]` is expected");
                }
                self.skip_space();
            }
        }
        self.nesting -= 1;
        self.builder.close(start);
        Ok(())
    }

    fn nest(&mut self) -> Result<(), &'static str> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            Err("it is nested too deeply")
        } else {
            Ok(())
        }
    }

    fn string(&mut self) -> Result<String, &'static str> {
        let mut escaped = false;
        let end = self
            .rest
            .bytes()
            .enumerate()
            .skip(1)
            .find_map(|(index, byte)| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends.then_some(index + 1)
            });
        let Some(end) = end else {
            return Err("a text does not end");
        };
        let quoted = self.rest.get(..end).unwrap_or_default();
        let text = serde_json::from_str(quoted)
            .map_err(|_| "a text has an escape or a control character that JSON does not know")?;
        self.take(end);
        Ok(text)
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self, start: Place) -> Result<(), &'static str> {
        let end = self
            .rest
            .find(|c: char| !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '+' | '-' | '.'))
            .unwrap_or(self.rest.len());
        let word = self.rest.get(..end).unwrap_or_default();
        let is_value = matches!(word, "true" | "false" | "null")
            || serde_json::from_str::<Number>(word).is_ok();
        if !is_value {
            return Err("a value is expected");
        }
        self.take(end);
        self.builder.plain(word, start, 0);
        Ok(())
    }
}
