//! The normal form of the host that a request is for.
//!
//! `:authority` of HTTP/2 and `host` of HTTP/1 name a host and possibly a port (RFC 9110 section
//! 7.2, RFC 3986 section 3.2). Rules name hosts only. The normal form is
//!
//! - a domain name in lower case without the trailing dot of a fully qualified name,
//! - an IPv4 address as four decimal numbers, or
//! - an IPv6 address in brackets, in the spelling of RFC 5952.
//!
//! What a resolver, a proxy or a URL parser may take for another host than these bytes say is
//! refused: user information (`good.example@evil.example`), escapes (`%65vil.example`), names
//! that are not ASCII (their owner must send the `xn--` form), empty labels, and shorthand IPv4
//! addresses (`127.1`, `0x7f000001`), which resolvers and the WHATWG URL standard accept.

use std::fmt;
use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest host in bytes, without the port. Names in DNS have at most 253.
pub const MAX_LENGTH: usize = 255;

/// A host in normal form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Host<'a> {
    /// Domain name or address, ASCII, never empty.
    pub name: &'a [u8],
    /// TCP port that the authority names; `None` if it names none or an empty one.
    pub port: Option<u16>,
}

/// Brings the authority of a request to its normal form.
///
/// `authority` is the header as sent. The name is written to `out`, which is cleared first and
/// grows to at most [`MAX_LENGTH`] bytes. A normal name is its own normal form.
pub fn normalize<'a>(authority: &[u8], out: &'a mut Vec<u8>) -> Result<Host<'a>, Fault> {
    out.clear();
    if authority.contains(&b'@') {
        return Err(Fault::UserInfo);
    }
    let port = if let [b'[', rest @ ..] = authority {
        let (address, rest) = split_before(rest, b']');
        write_ipv6(address, out)?;
        rest.strip_prefix(b"]").ok_or(Fault::BadAddress)?
    } else {
        let (name, rest) = split_before(authority, b':');
        write_name(name, out)?;
        rest
    };
    let port = match port {
        [] | [b':'] => None,
        [b':', digits @ ..] => Some(read_port(digits)?),
        _ => return Err(Fault::BadPort),
    };
    Ok(Host { name: out, port })
}

/// What stands before the first `delimiter`, and the rest from the delimiter on.
fn split_before(text: &[u8], delimiter: u8) -> (&[u8], &[u8]) {
    let at = text
        .iter()
        .position(|byte| *byte == delimiter)
        .unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, &[]))
}

fn write_ipv6(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let text = std::str::from_utf8(text).map_err(|_| Fault::BadAddress)?;
    let address: Ipv6Addr = text.parse().map_err(|_| Fault::BadAddress)?;
    write!(out, "[{address}]").map_err(|_| Fault::BadAddress)
}

fn write_name(name: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.is_empty() {
        return Err(Fault::Empty);
    }
    if name.len() > MAX_LENGTH {
        return Err(Fault::TooLong);
    }
    for byte in name {
        out.push(match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => *byte,
            b'A'..=b'Z' => byte.to_ascii_lowercase(),
            0x80.. => return Err(Fault::NotAscii),
            _ => return Err(Fault::BadCharacter),
        });
    }
    if out.split(|byte| *byte == b'.').any(<[u8]>::is_empty) {
        return Err(Fault::EmptyLabel);
    }
    if ends_in_number(out) && !is_ipv4(out) {
        return Err(Fault::BadAddress);
    }
    Ok(())
}

/// Whether the WHATWG URL standard ("ends in a number checker") takes the host for an IPv4
/// address. No top-level domain is a number.
fn ends_in_number(name: &[u8]) -> bool {
    let last = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    match last {
        [b'0', b'x', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

fn is_ipv4(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(|name| name.parse::<Ipv4Addr>().is_ok())
}

fn read_port(digits: &[u8]) -> Result<u16, Fault> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::BadPort);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Fault::BadPort)?;
    digits.parse().map_err(|_| Fault::BadPort)
}

/// Why an authority has no normal form.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Fault {
    /// No host at all.
    Empty = 1,
    /// A host longer than [`MAX_LENGTH`] bytes.
    TooLong = 2,
    /// User information in front of the host, `user@host`.
    UserInfo = 3,
    /// A byte outside ASCII.
    NotAscii = 4,
    /// A byte other than letters, digits, `-`, `_` and `.`: control characters, white space,
    /// percent escapes and delimiters of URLs among them.
    BadCharacter = 5,
    /// Two dots in a row, or a dot in front.
    EmptyLabel = 6,
    /// Brackets around something other than an IPv6 address, or a number that is no IPv4 address.
    BadAddress = 7,
    /// A port that is no number from 0 to 65535.
    BadPort = 8,
}

impl Fault {
    /// Every fault, in the order of the codes.
    pub const ALL: [Fault; 8] = [
        Fault::Empty,
        Fault::TooLong,
        Fault::UserInfo,
        Fault::NotAscii,
        Fault::BadCharacter,
        Fault::EmptyLabel,
        Fault::BadAddress,
        Fault::BadPort,
    ];

    /// A number that stays the same in all versions, from 1.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Short name for counters and logs: lower-case letters and `_`.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Empty => "empty",
            Fault::TooLong => "too_long",
            Fault::UserInfo => "user_info",
            Fault::NotAscii => "not_ascii",
            Fault::BadCharacter => "bad_character",
            Fault::EmptyLabel => "empty_label",
            Fault::BadAddress => "bad_address",
            Fault::BadPort => "bad_port",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Empty => f.write_str("host is empty"),
            Fault::TooLong => write!(f, "host is longer than {MAX_LENGTH} bytes"),
            Fault::UserInfo => f.write_str("host follows user information (`@`)"),
            Fault::NotAscii => f.write_str("host is not ASCII: the `xn--` form is needed"),
            Fault::BadCharacter => f.write_str("host contains a character that no host name has"),
            Fault::EmptyLabel => f.write_str("host contains an empty label (`..`)"),
            Fault::BadAddress => f.write_str("host is a malformed IP address"),
            Fault::BadPort => f.write_str("port is no number from 0 to 65535"),
        }
    }
}

impl std::error::Error for Fault {}
