//! A second implementation: slow, obvious, and written from the rules alone. It decodes the path
//! into segments first and then asks one question after the other.

use std::fmt::Write as _;

use meshwall_policy::path::{self, Fault};

/// Everything that is wrong with a request target; if nothing is, its normal path.
pub(crate) fn normal_path(raw: &[u8]) -> Result<String, Vec<Fault>> {
    if raw == b"*" {
        return Ok("*".to_owned());
    }
    let mut faults = Vec::new();
    let mut found = |fault, condition: bool| {
        if condition {
            faults.push(fault);
        }
    };
    let end = raw
        .iter()
        .position(|byte| *byte == b'?')
        .unwrap_or(raw.len());
    let (path, query) = raw.split_at(end);

    found(Fault::TooLong, raw.len() > path::MAX_LENGTH);
    found(Fault::Empty, raw.is_empty());
    found(
        Fault::NotOriginForm,
        !raw.is_empty() && !path.starts_with(b"/"),
    );
    found(Fault::LeadingSlashes, path.starts_with(b"//"));
    found(Fault::Fragment, raw.contains(&b'#'));
    found(Fault::Space, raw.contains(&b' '));
    found(Fault::Nul, query.contains(&0));
    found(
        Fault::Control,
        query
            .iter()
            .any(|byte| *byte != 0 && byte.is_ascii_control()),
    );

    let mut segments = Vec::new();
    for written in path.split(|byte| *byte == b'/').skip(1) {
        let (segment, bad_escapes) = decode(written);
        found(Fault::BadEscape, bad_escapes > 0);
        found(Fault::EncodedSlash, segment.contains(&b'/'));
        found(Fault::Backslash, segment.contains(&b'\\'));
        found(Fault::Parameters, segment.contains(&b';'));
        found(Fault::Nul, segment.contains(&0));
        found(
            Fault::Control,
            segment
                .iter()
                .any(|byte| *byte != 0 && byte.is_ascii_control()),
        );
        found(Fault::DotSegment, segment == b"." || segment == b"..");
        found(
            Fault::DoubleEscape,
            segment.windows(3).any(|three| {
                matches!(three, [b'%', high, low]
                    if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
            }),
        );
        match String::from_utf8(segment) {
            Ok(text) => segments.push(text),
            Err(_) => found(Fault::NotUtf8, true),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let last = segments.pop().unwrap_or_default();
    segments.retain(|segment| !segment.is_empty());
    segments.push(last);
    Ok(segments
        .iter()
        .map(|segment| format!("/{}", encode(segment)))
        .collect())
}

/// Checks that the two implementations agree.
pub(crate) fn compare(raw: &[u8]) {
    let mut out = Vec::new();
    let found = path::normalize(raw, &mut out).map(|target| target.path);
    let agree = match (found, normal_path(raw)) {
        (Ok(found), Ok(expected)) => found == expected.as_bytes(),
        (Err(found), Err(possible)) => possible.contains(&found),
        _ => false,
    };
    assert!(
        agree,
        "{}: {found:?}, {:?}",
        raw.escape_ascii(),
        normal_path(raw)
    );
}

/// The octets of a segment, and how many `%` in it begin no escape.
fn decode(written: &[u8]) -> (Vec<u8>, usize) {
    let (mut octets, mut bad_escapes) = (Vec::new(), 0);
    let mut rest = written;
    while let Some((byte, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let escape = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, escape) {
            (b'%', Some(octet)) => {
                octets.push(octet);
                rest = after.get(2..).unwrap_or_default();
            }
            (byte, _) => {
                bad_escapes += usize::from(*byte == b'%');
                octets.push(*byte);
                rest = after;
            }
        }
    }
    (octets, bad_escapes)
}

fn encode(segment: &str) -> String {
    segment.bytes().fold(String::new(), |mut text, octet| {
        if octet.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&octet) {
            text.push(char::from(octet));
        } else {
            write!(text, "%{octet:02X}").ok();
        }
        text
    })
}
