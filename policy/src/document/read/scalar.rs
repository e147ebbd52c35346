//! What a scalar without quotes means.
//!
//! Kubernetes' tools read YAML by the rules of version 1.1, as `go-yaml` understands them: `yes`
//! is a boolean, `0755` is octal, `1_000` is a number. Reading them in another way would make one
//! document mean two things.

use serde_json::{Number, Value};

/// A scalar that was written without quotes.
#[derive(Debug, PartialEq)]
pub(super) enum Plain {
    Null,
    Boolean(bool),
    Number(Number),
    Text,
    /// `.inf` and `.nan`, which JSON cannot say.
    NotFinite,
    /// `<<`, which merges another mapping into this one.
    Merge,
}

/// Reads a scalar that was written without quotes.
pub(super) fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            return Plain::Boolean(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            return Plain::Boolean(false);
        }
        "<<" => return Plain::Merge,
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(
        unsigned,
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    ) {
        return Plain::NotFinite;
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Plain::Text;
    }
    integer(text).or_else(|| float(text)).unwrap_or(Plain::Text)
}

/// Whether a number is written in the one way that all readers understand alike.
pub(super) fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.starts_with('+') {
        return false;
    }
    match digits.strip_prefix('0') {
        Some(rest) => rest.is_empty() || rest.starts_with(['.', 'e', 'E']),
        None => digits
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')),
    }
}

fn integer(text: &str) -> Option<Plain> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(hex) = lower.strip_prefix("0x") {
        (16, hex)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        (8, octal)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (2, binary)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, lower.as_str())
    } else {
        (10, lower.as_str())
    };
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    let number = if negative {
        Number::from(0i64.checked_sub_unsigned(magnitude)?)
    } else {
        Number::from(magnitude)
    };
    Some(Plain::Number(number))
}

fn float(text: &str) -> Option<Plain> {
    if text
        .bytes()
        .any(|b| !matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    Some(match Number::from_f64(number) {
        Some(number) => Plain::Number(number),
        None => Plain::NotFinite,
    })
}

impl Plain {
    /// The value, as far as JSON can say it.
    pub(super) fn into_value(self, text: &str) -> Option<Value> {
        match self {
            Plain::Null => Some(Value::Null),
            Plain::Boolean(boolean) => Some(Value::Bool(boolean)),
            Plain::Number(number) => Some(Value::Number(number)),
            Plain::Text | Plain::Merge => Some(Value::String(text.to_owned())),
            Plain::NotFinite => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_mean_what_kubernetes_reads() {
        let number = |n: i64| Plain::Number(Number::from(n));
        let table = [
            ("", Plain::Null),
            ("~", Plain::Null),
            ("Null", Plain::Null),
            ("nULL", Plain::Text),
            ("true", Plain::Boolean(true)),
            ("yes", Plain::Boolean(true)),
            ("y", Plain::Boolean(true)),
            ("On", Plain::Boolean(true)),
            ("no", Plain::Boolean(false)),
            ("OFF", Plain::Boolean(false)),
            ("yEs", Plain::Text),
            ("0", number(0)),
            ("8080", number(8080)),
            ("-1", number(-1)),
            ("+1", number(1)),
            ("0755", number(493)),
            ("0o17", number(15)),
            ("0x1F", number(31)),
            ("0b101", number(5)),
            ("1_000", number(1000)),
            ("089", Plain::Number(Number::from_f64(89.0).unwrap())),
            ("0x", Plain::Text),
            ("1.5", Plain::Number(Number::from_f64(1.5).unwrap())),
            ("1e3", Plain::Number(Number::from_f64(1000.0).unwrap())),
            (".5", Plain::Number(Number::from_f64(0.5).unwrap())),
            (".", Plain::Text),
            ("-", Plain::Text),
            ("1e999", Plain::NotFinite),
            ("-.inf", Plain::NotFinite),
            (".nan", Plain::NotFinite),
            ("infinity", Plain::Text),
            ("nan", Plain::Text),
            ("1.2.3", Plain::Text),
            ("10.0.0.0/8", Plain::Text),
            ("9000-9010", Plain::Text),
            ("2026-12-31", Plain::Text),
            ("12:30:45", Plain::Text),
            (
                "9223372036854775808",
                Plain::Number(Number::from(9_223_372_036_854_775_808_u64)),
            ),
            ("-9223372036854775808", number(i64::MIN)),
            ("<<", Plain::Merge),
            ("http", Plain::Text),
        ];
        for (text, expected) in table {
            assert_eq!(resolve(text), expected, "{text}");
        }
    }

    #[test]
    fn plain_decimals_are_unambiguous() {
        for text in ["0", "7", "8080", "-1", "1.5", "0.5", "1e3"] {
            assert!(is_decimal(text), "{text}");
        }
        for text in ["0755", "0x1f", "0o7", "0b1", "1_000", "+1", "089", "00"] {
            assert!(!is_decimal(text), "{text}");
        }
    }
}
