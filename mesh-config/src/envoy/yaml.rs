//! Writes a tree as YAML with its comments. Only writing: nothing here reads YAML.
//!
//! Scalars that could be taken for something else than the text that they are, are
//! written as double-quoted strings (YAML 1.2, section 7.3.1), and so is all that has
//! more than the plainest characters in it.

use super::tree::{Content, Entry, Tree};

/// Columns that a comment may fill.
const WIDTH: usize = 92;
const STEP: usize = 2;

/// The tree as a YAML document.
pub(super) fn write(tree: &Tree) -> String {
    let mut text = String::new();
    if let Some(comment) = &tree.comment {
        write_comment(&mut text, 0, comment);
        text.push('\n');
    }
    match &tree.content {
        Content::Map(entries) => write_map(&mut text, 0, entries),
        Content::List(items) => write_list(&mut text, 0, items),
        _ => write_inline(&mut text, tree),
    }
    text
}

fn write_map(text: &mut String, indent: usize, entries: &[Entry]) {
    for entry in entries {
        if let Some(comment) = &entry.value.comment {
            write_comment(text, indent, comment);
        }
        pad(text, indent);
        write_entry(text, indent, entry);
    }
}

fn write_entry(text: &mut String, indent: usize, entry: &Entry) {
    write_text(text, &entry.key);
    text.push(':');
    write_value(text, indent, &entry.value);
}

fn write_list(text: &mut String, indent: usize, items: &[Tree]) {
    for item in items {
        // A comment on the first key of an item would fall between the dash and the key.
        for comment in [Some(item), first_value(item)].into_iter().flatten() {
            if let Some(comment) = &comment.comment {
                write_comment(text, indent, comment);
            }
        }
        pad(text, indent);
        text.push('-');
        match &item.content {
            Content::Map(entries) if !entries.is_empty() => {
                text.push(' ');
                write_item(text, indent.saturating_add(STEP), entries);
            }
            _ => write_value(text, indent, item),
        }
    }
}

/// A map whose first key follows a dash; that key's comment is above already.
fn write_item(text: &mut String, indent: usize, entries: &[Entry]) {
    if let Some((first, rest)) = entries.split_first() {
        write_entry(text, indent, first);
        write_map(text, indent, rest);
    }
}

/// What follows a colon or a dash, up to the end of the line.
fn write_value(text: &mut String, indent: usize, value: &Tree) {
    match &value.content {
        Content::Map(entries) if !entries.is_empty() => {
            text.push('\n');
            write_map(text, indent.saturating_add(STEP), entries);
        }
        Content::List(items) if !items.is_empty() => {
            text.push('\n');
            write_list(text, indent.saturating_add(STEP), items);
        }
        _ => {
            text.push(' ');
            write_inline(text, value);
            text.push('\n');
        }
    }
}

fn write_inline(text: &mut String, value: &Tree) {
    match &value.content {
        Content::Boolean(value) => text.push_str(if *value { "true" } else { "false" }),
        Content::Number(value) => text.push_str(&value.to_string()),
        Content::Text(value) => write_text(text, value),
        Content::List(_) => text.push_str("[]"),
        Content::Map(_) => text.push_str("{}"),
    }
}

fn write_text(text: &mut String, value: &str) {
    if is_plain(value) {
        text.push_str(value);
        return;
    }
    text.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '\n' => text.push_str("\\n"),
            ' '..='~' => text.push(character),
            _ if character.is_alphanumeric() => text.push(character),
            _ => text.push_str(&format!("\\U{:08x}", u32::from(character))),
        }
    }
    text.push('"');
}

/// Whether a text needs no quotes: it starts with a letter or a slash, has only characters
/// that mean nothing to YAML, and is no word that YAML 1.1 takes for a boolean or null.
fn is_plain(value: &str) -> bool {
    const WORDS: [&str; 11] = [
        "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf",
    ];
    value.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '/'))
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        && !WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Comment lines; an empty line in the comment stays one, other line breaks are set anew.
fn write_comment(text: &mut String, indent: usize, comment: &str) {
    for (index, paragraph) in comment.split("\n\n").enumerate() {
        if index > 0 {
            write_comment_line(text, indent, "");
        }
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let columns = line.chars().count().saturating_add(word.chars().count());
            if !line.is_empty() && columns.saturating_add(indent).saturating_add(2) > WIDTH {
                write_comment_line(text, indent, &line);
                line.clear();
            }
            line.push(' ');
            line.push_str(word);
        }
        write_comment_line(text, indent, &line);
    }
}

fn write_comment_line(text: &mut String, indent: usize, line: &str) {
    pad(text, indent);
    text.push('#');
    text.push_str(line);
    text.push('\n');
}

fn first_value(tree: &Tree) -> Option<&Tree> {
    match &tree.content {
        Content::Map(entries) => entries.first().map(|entry| &entry.value),
        _ => None,
    }
}

fn pad(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::tree::{any, entry, list, map};
    use super::*;

    fn example() -> Tree {
        map([
            entry("name", "shop/ledger").because("who this is"),
            entry("on", true),
            entry("empty", map([])),
            entry("none", list::<Tree>([])),
            entry(
                "filters",
                list([
                    any("a.b.C", [entry("n", 5u32)]),
                    map([
                        entry("first", "1").because("a comment on a first key"),
                        entry("deep", list([list(["x", "yes"])])),
                    ])
                    .because("a comment on an item"),
                ]),
            ),
        ])
        .because("a heading")
    }

    #[test]
    fn it_reads_well() {
        let expected = "\
# a heading

# who this is
name: shop/ledger
\"on\": true
empty: {}
none: []
filters:
  - \"@type\": type.googleapis.com/a.b.C
    \"n\": 5
  # a comment on an item
  # a comment on a first key
  - first: \"1\"
    deep:
      -
        - x
        - \"yes\"
";
        assert_eq!(write(&example()), expected);
    }

    #[test]
    fn a_reader_gets_back_what_was_meant() {
        let tree = example();
        let read: Value = serde_yaml_ng::from_str(&write(&tree)).unwrap();
        assert_eq!(read, tree.to_json());
    }

    #[test]
    fn no_text_is_taken_for_something_else() {
        let texts = [
            "",
            " ",
            "~",
            "null",
            "Null",
            "True",
            "NO",
            "1",
            "1.5",
            "0x1f",
            "1e3",
            "12:30",
            ".inf",
            "-",
            "- a",
            "#a",
            "a #b",
            "a: b",
            "&a",
            "*a",
            "!a",
            "%a",
            "@a",
            "`a",
            "[a",
            "{a",
            "|",
            ">",
            "'a'",
            "\"a\"",
            "a\nb",
            "a\tb",
            "\u{0}",
            "\u{7f}",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "é",
            "日本",
            "😀",
            "a,b",
            "\\",
            "spiffe://a/ns/b/sa/c",
            "5s",
            "/dev/stdout",
            "2024-01-01",
            "=",
            "<<",
            "%REQ(:PATH)%",
        ];
        for text in texts {
            let tree = map([entry("key", text), entry(text, "value")]);
            let read: Value = serde_yaml_ng::from_str(&write(&tree)).unwrap();
            assert_eq!(read, tree.to_json(), "{text:?}");
        }
    }

    #[test]
    fn long_comments_are_broken_between_words() {
        let tree = map([entry("key", "value").because("word ".repeat(40) + "\n\nnew paragraph")]);
        let text = write(&tree);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.ends_with("#\n# new paragraph\nkey: value\n"), "{text}");
    }
}
