//! The normal form of HTTP paths, which rules are compared with.
//!
//! A path can be written in many ways, and servers disagree on which of them mean the same. A
//! firewall that reads a path in one way in front of a server that reads it in another can be
//! walked around. So each path is either brought to one spelling that every reader takes for the
//! same resource, or refused with a [`Fault`] that says why. docs/path-normal-form.md has the
//! rules with their reasons; in short:
//!
//! - A normal path begins with one `/`, has no two slashes in a row and no segment `.` or `..`.
//!   Characters that a segment may contain as they are (`pchar` of RFC 3986 section 3.3, apart
//!   from `;`) stand for themselves; all others are escaped as UTF-8 with upper-case digits. So
//!   two spellings of the same octets are one path.
//! - Slashes in a row merge into one, except in front.
//! - Refused is what readers split into different segments (encoded slashes, backslashes, path
//!   parameters, dot segments, two slashes in front, NUL and control characters), what they
//!   decode differently (malformed and double escapes, octets that are not UTF-8), and what is
//!   no path at all.
//!
//! Dot segments are refused and not resolved because only some servers resolve them: with
//! `/secret/../open`, those that do serve `/open`, and routers that take a path segment by
//! segment serve `/secret/*`. Where Envoy is told to normalise paths it does so before any
//! filter runs and forwards the result, and then the engine sees no dot segments.

mod fault;
mod pattern;
pub mod properties;
mod segments;
mod template;

use self::segments::Segments;
use crate::text::percent;

pub use self::fault::Fault;
pub use self::pattern::{PatternFault, PatternKind, normalize_pattern};
pub use self::template::TemplateFault;

/// Longest request target in bytes, as sent, with its query.
pub const MAX_LENGTH: usize = 64 * 1024;

/// A request target, taken apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target<'a> {
    /// The path in normal form, ASCII. It is `*` for `OPTIONS *`, and else begins with `/`.
    pub path: &'a [u8],
    /// The query as sent, without the `?`; `None` if there is no `?`.
    pub query: Option<&'a [u8]>,
}

/// Brings the path of a request to its normal form and splits off the query.
///
/// `raw` is `:path` as sent. The normal path is written to `out`, which is cleared first and grows
/// to at most three times the length of `raw`. Time is linear in that length.
///
/// A target of `*` is returned as it is; that it comes with `OPTIONS` only is for the HTTP codec to
/// check (RFC 9112 section 3.2.4). `CONNECT` has no path: do not ask for one.
pub fn normalize<'a>(raw: &'a [u8], out: &'a mut Vec<u8>) -> Result<Target<'a>, Fault> {
    out.clear();
    if raw.len() > MAX_LENGTH {
        return Err(Fault::TooLong);
    }
    match raw {
        [] => return Err(Fault::Empty),
        b"*" => {
            return Ok(Target {
                path: raw,
                query: None,
            });
        }
        [b'/', ..] => {}
        _ => return Err(Fault::NotOriginForm),
    }
    let mut segments = Segments::new(out);
    let mut query = None;
    let mut rest = raw;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'/' => segments.slash()?,
            b'%' => {
                let (octet, after) = percent::decode(after).ok_or(Fault::BadEscape)?;
                rest = after;
                match octet {
                    b'/' => return Err(Fault::EncodedSlash),
                    octet => segments.octet(octet)?,
                }
            }
            b'?' => {
                check_query(after)?;
                query = Some(after);
                break;
            }
            b'#' => return Err(Fault::Fragment),
            b' ' => return Err(Fault::Space),
            byte => segments.octet(*byte)?,
        }
    }
    segments.finish()?;
    Ok(Target { path: out, query })
}

/// Refuses what cannot stand in a query either. What a query means is up to
/// [`crate::text::query`].
fn check_query(query: &[u8]) -> Result<(), Fault> {
    query.iter().try_for_each(|byte| match byte {
        0 => Err(Fault::Nul),
        0x01..=0x1F | 0x7F => Err(Fault::Control),
        b' ' => Err(Fault::Space),
        b'#' => Err(Fault::Fragment),
        _ => Ok(()),
    })
}
