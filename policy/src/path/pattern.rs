//! Literal text in policies that paths are compared with.
//!
//! A rule compares bytes with normal paths, so text in another form would match nothing, and
//! nobody would notice. The parser of documents refuses it and says what to write.

use std::fmt;

use super::{Fault, normalize};

/// Which part of a path a literal stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PatternKind {
    /// A whole path.
    Exact,
    /// The beginning of a path; it may end within a segment.
    Prefix,
    /// The end of a path; it may begin within a segment.
    Suffix,
}

/// The normal form of a literal in a policy. If it differs from what is written, what is written
/// matches no path, and the result is what to write.
///
/// A space is written as `%20`; a suffix is compared with the normal form too, so `9` is the end of
/// `/caf%C3%A9`.
///
/// # Errors
///
/// A fault if the literal can match no path in whatever form.
pub fn normalize_pattern(kind: PatternKind, literal: &str) -> Result<String, PatternFault> {
    let escaped = literal.replace(' ', "%20");
    // The cut end of a prefix or suffix is closed by a character that cannot be part of an
    // escape or of a dot segment.
    let (before, after) = match kind {
        PatternKind::Exact => ("", ""),
        PatternKind::Prefix => ("", "x"),
        PatternKind::Suffix => ("/x", ""),
    };
    let mut out = Vec::new();
    let whole = format!("{before}{escaped}{after}");
    let target = normalize(whole.as_bytes(), &mut out).map_err(PatternFault::MatchesNothing)?;
    if target.query.is_some() {
        return Err(PatternFault::Query);
    }
    let path = String::from_utf8_lossy(target.path);
    let path = path.strip_prefix(before).unwrap_or(&path);
    Ok(path.strip_suffix(after).unwrap_or(path).to_owned())
}

/// Why a literal in a policy matches no path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PatternFault {
    /// Requests with such a path are refused before any rule is looked at.
    MatchesNothing(Fault),
    /// The literal contains a `?`; the query is not part of the path.
    Query,
}

impl fmt::Display for PatternFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PatternFault::MatchesNothing(fault) => write!(f, "no request can match: {fault}"),
            PatternFault::Query => {
                f.write_str("no request can match: the query (`?`) is not part of the path")
            }
        }
    }
}

impl std::error::Error for PatternFault {}
