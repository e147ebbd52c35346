//! Text patterns: `exact`, `prefix*`, `*suffix`, `*`; and regular expressions.

use regex_syntax::ast::ErrorKind as AstError;
use regex_syntax::hir::ErrorKind as HirError;
use regex_syntax::{Error as RegexError, ParserBuilder};

use super::super::reason::Form;
use super::Fault;
use crate::spec::{Regex, StringPattern};

/// A pattern, taken apart at its wildcard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wildcard<'a> {
    /// No wildcard.
    Exact(&'a str),
    /// `text*`.
    Prefix(&'a str),
    /// `*text`.
    Suffix(&'a str),
    /// `*`.
    Any,
}

/// A pattern has a `*` elsewhere than at one end.
#[derive(Debug)]
pub(super) struct Misplaced;

impl<'a> Wildcard<'a> {
    pub(super) fn parse(pattern: &'a str) -> Result<Wildcard<'a>, Misplaced> {
        let parsed = if pattern == "*" {
            return Ok(Wildcard::Any);
        } else if let Some(suffix) = pattern.strip_prefix('*') {
            Wildcard::Suffix(suffix)
        } else if let Some(prefix) = pattern.strip_suffix('*') {
            Wildcard::Prefix(prefix)
        } else {
            Wildcard::Exact(pattern)
        };
        if parsed.text().contains('*') {
            Err(Misplaced)
        } else {
            Ok(parsed)
        }
    }

    /// What stands beside the wildcard.
    pub(super) fn text(&self) -> &'a str {
        match self {
            Wildcard::Exact(text) | Wildcard::Prefix(text) | Wildcard::Suffix(text) => text,
            Wildcard::Any => "",
        }
    }

    /// The pattern with another text beside the wildcard.
    pub(super) fn with(&self, text: impl Into<String>) -> StringPattern {
        match self {
            Wildcard::Exact(_) => StringPattern::Exact(text.into()),
            Wildcard::Prefix(_) => StringPattern::Prefix(text.into()),
            Wildcard::Suffix(_) => StringPattern::Suffix(text.into()),
            Wildcard::Any => StringPattern::NonEmpty,
        }
    }

    /// The pattern as it is written, with another text beside the wildcard.
    pub(super) fn write(&self, text: &str) -> String {
        match self {
            Wildcard::Exact(_) => text.to_owned(),
            Wildcard::Prefix(_) => format!("{text}*"),
            Wildcard::Suffix(_) => format!("*{text}"),
            Wildcard::Any => "*".to_owned(),
        }
    }
}

/// A pattern of the values of a header, a query parameter or a claim.
pub(super) fn value(pattern: &str) -> Result<StringPattern, Fault> {
    let fault = |why: &'static str| Fault::new(Form::Pattern, why);
    if pattern.is_empty() {
        return Err(fault("it is empty").hint("for an empty value write `regex: \"\"`"));
    }
    if pattern.chars().any(char::is_control) {
        return Err(fault("it has control characters"));
    }
    match Wildcard::parse(pattern) {
        Ok(wildcard) => Ok(wildcard.with(wildcard.text())),
        Err(Misplaced) => {
            Err(fault("`*` can stand only at one end").hint("for anything else use `regex`"))
        }
    }
}

/// A pattern of the values of a header, which have no space around them.
pub(super) fn header_value(pattern: &str) -> Result<StringPattern, Fault> {
    let parsed = value(pattern)?;
    let trimmed = match &parsed {
        StringPattern::Exact(text) => text.trim_matches([' ', '\t']),
        StringPattern::Prefix(text) => text.trim_start_matches([' ', '\t']),
        StringPattern::Suffix(text) => text.trim_end_matches([' ', '\t']),
        _ => return Ok(parsed),
    };
    let trimmed = match &parsed {
        StringPattern::Prefix(_) => format!("{trimmed}*"),
        StringPattern::Suffix(_) => format!("*{trimmed}"),
        _ => trimmed.to_owned(),
    };
    if trimmed == pattern {
        return Ok(parsed);
    }
    let fault = Fault::new(
        Form::Pattern,
        "the value of a header has no space around it",
    );
    Err(fault.replace(trimmed))
}

/// A regular expression for whole values.
pub(super) fn regex(expression: &str) -> Result<StringPattern, Fault> {
    let parse = |expression: &str| {
        let parsed = ParserBuilder::new().utf8(false).build().parse(expression);
        parsed.map_err(Box::new)
    };
    let fault = |why: String| Fault::new(Form::Regex, why);
    parse(expression).map_err(|error| {
        let fault = fault(short(&error));
        match &*error {
            RegexError::Parse(error)
                if matches!(
                    error.kind(),
                    AstError::UnsupportedLookAround | AstError::UnsupportedBackreference
                ) =>
            {
                fault.hint("matching takes linear time, which these do not allow")
            }
            _ => fault,
        }
    })?;
    // Whoever matches puts the expression between anchors. A comment (`(?x) ... # ...`) that runs
    // to the end would hide the second one.
    parse(&format!(r"\A(?:{expression})\z"))
        .map_err(|_| fault("a comment runs to its end".to_owned()))?;
    Ok(StringPattern::Regex(Regex(expression.to_owned())))
}

/// What is wrong with a regular expression, without the drawing that the parser makes of it.
fn short(error: &RegexError) -> String {
    match error {
        RegexError::Parse(error) => {
            let column = error.span().start.column;
            match error.kind() {
                AstError::UnsupportedLookAround => {
                    format!("it has look-around (character {column})")
                }
                AstError::UnsupportedBackreference => {
                    format!("it has a back-reference (character {column})")
                }
                kind => format!("{kind} (character {column})"),
            }
        }
        RegexError::Translate(error) => {
            let column = error.span().start.column;
            match error.kind() {
                HirError::UnicodePropertyNotFound | HirError::UnicodePropertyValueNotFound => {
                    format!("there is no such Unicode property (character {column})")
                }
                kind => {
                    let kind = kind.to_string();
                    format!("{} (character {column})", kind.to_lowercase())
                }
            }
        }
        _ => "it cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_at_one_end() {
        let table = [
            ("", Wildcard::Exact("")),
            ("a", Wildcard::Exact("a")),
            ("*", Wildcard::Any),
            ("a*", Wildcard::Prefix("a")),
            ("*a", Wildcard::Suffix("a")),
        ];
        for (pattern, expected) in table {
            assert_eq!(Wildcard::parse(pattern).unwrap(), expected, "{pattern}");
            assert_eq!(expected.write(expected.text()), pattern);
        }
        for pattern in ["**", "*a*", "a*b", "a**", "**a", "***"] {
            assert!(Wildcard::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn expressions_must_stand_alone() {
        for expression in [
            "",
            "[0-9]+",
            "a|b",
            r"\d{1,3}",
            "(?i)prod",
            r"\p{L}",
            "(?x)a # b\n",
        ] {
            assert!(regex(expression).is_ok(), "{expression}");
        }
        let table = [
            ("(", "unclosed group (character 1)"),
            ("a)(?:b", "unopened group (character 2)"),
            ("(?x)a # b", "a comment runs to its end"),
            ("(?=a)", "it has look-around (character 1)"),
            (r"(a)\1", "it has a back-reference (character 4)"),
            (
                "[b-a]",
                "invalid character class range, the start must be <= the end (character 2)",
            ),
            (
                r"\p{Nope}",
                "there is no such Unicode property (character 1)",
            ),
        ];
        for (expression, expected) in table {
            let fault = regex(expression).unwrap_err();
            let Fault {
                reason: super::super::Reason::Malformed { why, .. },
                ..
            } = fault
            else {
                panic!("{expression}")
            };
            assert_eq!(why, expected, "{expression}");
        }
    }
}
