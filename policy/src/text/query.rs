//! The query of a request, as `name=value` pairs.
//!
//! A query is read as `application/x-www-form-urlencoded`, as the WHATWG URL standard parses it:
//! pairs are separated by `&`, the first `=` of a pair ends the name, `+` is a space, `%XX` is an
//! octet, and empty pairs are skipped. A pair without `=` has an empty value. All pairs of a name
//! count, in any order.
//!
//! Unlike that standard, a `%` that begins no escape is a fault, for servers disagree on it: some
//! keep it, some drop the pair, some refuse the request.
//!
//! Some servers read more into a query than these rules do. `;` is not a separator here, though
//! old Perl, Python and Ruby frameworks took it for one: `a=1;admin=true` is one pair. Neither is
//! `name[]` the same as `name` (PHP), nor `a.b` the same as `a_b`. A rule that must hold for such a
//! server should allow the queries that it knows instead of denying those that it fears.

use std::fmt;
use std::ops::Range;

use super::percent;

/// Most pairs that a query may have.
pub const MAX_PAIRS: usize = 1_000;

/// Appends the decoded pairs of a query to `out` and hands each one on: the place of the name in
/// `out`, `out` itself, and the place of the value.
///
/// `raw` is what follows the `?`. Decoded names and values are octets, not necessarily text, and
/// may contain NUL. Time is linear in the length of `raw`; `out` grows by at most that length.
///
/// # Errors
///
/// A fault ends the iteration; pairs before it have been handed on.
pub fn each(
    raw: &[u8],
    out: &mut Vec<u8>,
    mut pair: impl FnMut(Range<usize>, &[u8], Range<usize>),
) -> Result<(), Fault> {
    let pairs = raw
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty());
    for (index, text) in pairs.enumerate() {
        if index == MAX_PAIRS {
            return Err(Fault::TooManyPairs);
        }
        let mut halves = text.splitn(2, |byte| *byte == b'=');
        let name = decode(halves.next().unwrap_or_default(), out)?;
        let value = decode(halves.next().unwrap_or_default(), out)?;
        pair(name, out, value);
    }
    Ok(())
}

fn decode(mut text: &[u8], out: &mut Vec<u8>) -> Result<Range<usize>, Fault> {
    let start = out.len();
    while let Some((byte, mut rest)) = text.split_first() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let octet;
                (octet, rest) = percent::decode(rest).ok_or(Fault::BadEscape)?;
                octet
            }
            byte => *byte,
        });
        text = rest;
    }
    Ok(start..out.len())
}

/// Why a query has no pairs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Fault {
    /// A `%` without two hexadecimal digits behind it.
    BadEscape = 1,
    /// More than [`MAX_PAIRS`] pairs.
    TooManyPairs = 2,
}

impl Fault {
    /// Every fault, in the order of the codes.
    pub const ALL: [Fault; 2] = [Fault::BadEscape, Fault::TooManyPairs];

    /// A number that stays the same in all versions, from 1.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Short name for counters and logs: lower-case letters and `_`.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::BadEscape => "bad_escape",
            Fault::TooManyPairs => "too_many_pairs",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::BadEscape => f.write_str("query contains an incomplete percent escape"),
            Fault::TooManyPairs => write!(f, "query has more than {MAX_PAIRS} pairs"),
        }
    }
}

impl std::error::Error for Fault {}
