//! Percent escapes, RFC 3986 section 2.1.

/// Reads the two hexadecimal digits after a `%`: the octet, and what follows them.
pub(crate) fn decode(digits: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = digits else {
        return None;
    };
    Some((digit(*high)? << 4 | digit(*low)?, rest))
}

/// Appends the escape of an octet, with upper-case digits (RFC 3986 section 6.2.2.1).
pub(crate) fn encode(octet: u8, out: &mut Vec<u8>) {
    out.extend([b'%', upper_case(octet >> 4), upper_case(octet & 0xF)]);
}

fn upper_case(digit: u8) -> u8 {
    if digit < 10 {
        b'0' + digit
    } else {
        b'A' + digit - 10
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}
