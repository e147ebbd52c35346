//! Writes documents as YAML: block style, two spaces, fields in the order of their types.
//!
//! The result reads back as the same value for every reader of YAML, of version 1.1 or 1.2: what
//! could be taken for anything but text is put in quotes.

use serde::Serialize;
use serde_json::Value;

/// A document as YAML, without `---` in front.
///
/// # Errors
///
/// If the value cannot be represented as JSON, such as a mapping whose keys are not text. Our own
/// documents always can.
pub fn to_yaml(document: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    match serde_json::to_value(document)? {
        Value::Object(fields) if !fields.is_empty() => mapping(&fields, 0, &mut out),
        Value::Array(items) if !items.is_empty() => list(&items, 0, &mut out),
        value => {
            scalar(&value, &mut out);
            out.push('\n');
        }
    }
    Ok(out)
}

fn mapping(fields: &serde_json::Map<String, Value>, indent: usize, out: &mut String) {
    for (index, (name, value)) in fields.iter().enumerate() {
        // The first field of a list item follows the dash on its line.
        if index > 0 || out.is_empty() || out.ends_with('\n') {
            space(indent, out);
        }
        text(name, out);
        out.push(':');
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                out.push('\n');
                mapping(fields, indent + 2, out);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                list(items, indent, out);
            }
            value => {
                out.push(' ');
                scalar(value, out);
                out.push('\n');
            }
        }
    }
}

fn list(items: &[Value], indent: usize, out: &mut String) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 || out.is_empty() || out.ends_with('\n') {
            space(indent, out);
        }
        out.push_str("- ");
        match item {
            Value::Object(fields) if !fields.is_empty() => mapping(fields, indent + 2, out),
            Value::Array(items) if !items.is_empty() => list(items, indent + 2, out),
            value => {
                scalar(value, out);
                out.push('\n');
            }
        }
    }
}

fn space(width: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', width));
}

fn scalar(value: &Value, out: &mut String) {
    match value {
        Value::String(string) => text(string, out),
        value => out.push_str(&value.to_string()),
    }
}

/// Text without quotes where no reader could take it for anything else, or as JSON writes it,
/// which is YAML as long as all that is invisible is escaped.
fn text(text: &str, out: &mut String) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => {
                let code = u32::from(c);
                let escape = if code > 0xffff {
                    format!("\\U{code:08x}")
                } else {
                    format!("\\u{code:04x}")
                };
                out.push_str(&escape);
            }
        }
    }
    out.push('"');
}

fn is_plain(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let continues = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    begins && text.chars().all(continues) && super::read::is_text(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_read_like_those_of_a_person() {
        let document = json!({
            "kind": "FirewallPolicy",
            "spec": {
                "selector": {},
                "ingress": [
                    {
                        "action": "Allow",
                        "from": [{"namespaces": ["shop", "team-*", "yes", "1.10", ""]}],
                        "operations": [{"ports": [80, "http"], "paths": ["/api/*"]}],
                    },
                    {"action": "Deny", "nested": [[1, 2], []], "text": "a: b # \"c\"\n\u{1f600}\u{85}"},
                ],
            },
        });
        let expected = r#"kind: FirewallPolicy
spec:
  selector: {}
  ingress:
  - action: Allow
    from:
    - namespaces:
      - shop
      - "team-*"
      - "yes"
      - "1.10"
      - ""
    operations:
    - ports:
      - 80
      - http
      paths:
      - "/api/*"
  - action: Deny
    nested:
    - - 1
      - 2
    - []
    text: "a: b # \"c\"\n\U0001f600\u0085"
"#;
        assert_eq!(to_yaml(&document).unwrap(), expected);
    }
}
