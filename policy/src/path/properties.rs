//! What holds for every request target, as functions that panic if it does not. Property tests
//! and fuzz targets call them.

use super::segments::is_plain;
use super::{PatternKind, normalize, normalize_pattern};
use crate::spec::{PathTemplate, TemplateSegment};
use crate::text::percent;

/// A normal path is its own normal form.
pub fn idempotent(data: &[u8]) {
    with_normal(data, |path| {
        let mut again = Vec::new();
        let target = normalize(path, &mut again);
        assert!(
            target.is_ok_and(|target| target.path == path && target.query.is_none()),
            "normal form of {} is not its own",
            path.escape_ascii(),
        );
    });
}

/// No segment of a normal path is `.` or `..`, and none but the last is empty.
pub fn never_dotdot(data: &[u8]) {
    with_normal(data, |path| {
        let segments: Vec<_> = path.split(|byte| *byte == b'/').skip(1).collect();
        assert!(!segments.is_empty(), "no slash in {}", path.escape_ascii());
        for (place, segment) in segments.iter().enumerate() {
            assert!(
                *segment != b"." && *segment != b"..",
                "dots in {}",
                path.escape_ascii()
            );
            let is_last = place + 1 == segments.len();
            assert!(
                is_last || !segment.is_empty(),
                "empty segment in {}",
                path.escape_ascii()
            );
        }
    });
}

/// A normal path consists of slashes, octets that stand for themselves, and escapes of all others
/// in upper case; decoding it gives UTF-8 without control characters.
pub fn canonical_alphabet(data: &[u8]) {
    with_normal(data, |path| {
        let mut decoded = Vec::new();
        each_octet(path, |octet, written| {
            if written.len() == 1 {
                assert!(octet == b'/' || is_plain(octet), "raw octet {octet:#04x}");
            } else {
                assert!(
                    octet != b'/' && !is_plain(octet),
                    "escaped octet {octet:#04x}"
                );
                assert!(
                    !written.iter().any(u8::is_ascii_lowercase),
                    "lower-case escape"
                );
            }
            decoded.push(octet);
        });
        assert!(
            !decoded.iter().any(u8::is_ascii_control),
            "control character"
        );
        assert!(std::str::from_utf8(&decoded).is_ok(), "not UTF-8");
    });
}

/// A path whose segments are escaped octet by octet, or whose slashes are doubled, has the same
/// normal form.
pub fn one_spelling(data: &[u8]) {
    with_normal(data, |path| {
        let mut spelled = Vec::new();
        each_octet(path, |octet, _| match octet {
            b'/' if spelled.is_empty() => spelled.push(b'/'),
            b'/' => spelled.extend(b"//"),
            octet => {
                percent::encode(octet, &mut spelled);
                spelled.make_ascii_lowercase();
            }
        });
        let mut again = Vec::new();
        let target = normalize(&spelled, &mut again);
        assert!(
            spelled.len() > super::MAX_LENGTH || target.is_ok_and(|target| target.path == path),
            "{} is not spelled like {}",
            path.escape_ascii(),
            spelled.escape_ascii(),
        );
    });
}

/// The query is what follows the first `?`, untouched.
pub fn query_is_verbatim(data: &[u8]) {
    let mut out = Vec::new();
    if let Ok(target) = normalize(data, &mut out) {
        let sent = data.splitn(2, |byte| *byte == b'?').nth(1);
        assert_eq!(target.query, sent);
    }
}

/// Every normal path can be written in a policy as it is: whole, as a prefix up to any slash, and
/// as a suffix from any slash on.
pub fn can_be_written(data: &[u8]) {
    with_normal(data, |path| {
        let path = String::from_utf8_lossy(path);
        let is_normal = |kind, text: &str| {
            let long = text.len() + 2 > super::MAX_LENGTH;
            long || normalize_pattern(kind, text).is_ok_and(|normal| normal == text)
        };
        assert!(is_normal(PatternKind::Exact, &path), "exact {path}");
        for (at, _) in path.match_indices('/').take(8) {
            let (before, after) = path.split_at(at);
            assert!(
                is_normal(PatternKind::Prefix, &format!("{before}/")),
                "prefix {before}/"
            );
            assert!(is_normal(PatternKind::Suffix, after), "suffix {after}");
        }
    });
}

/// A normal path matches the templates that are made of it by putting operators in place of its
/// segments, and matching a template by its text gives the same.
pub fn template_of_itself(data: &[u8]) {
    with_normal(data, |path| {
        let literals: Vec<_> = String::from_utf8_lossy(path)
            .split('/')
            .skip(1)
            .map(|segment| TemplateSegment::Literal(segment.to_owned()))
            .collect();
        for (place, literal) in literals.iter().enumerate().take(8) {
            for operator in [TemplateSegment::One, TemplateSegment::Rest] {
                let is_empty = *literal == TemplateSegment::Literal(String::new());
                let expected = !(is_empty && operator == TemplateSegment::One);
                let mut template = PathTemplate {
                    segments: literals.clone(),
                };
                if let Some(segment) = template.segments.get_mut(place) {
                    *segment = operator;
                }
                let text = template.to_string();
                assert_eq!(template.matches(path), expected, "{text}");
                assert_eq!(
                    PathTemplate::text_matches(text.as_bytes(), path),
                    expected,
                    "{text}"
                );
            }
        }
    });
}

fn with_normal(data: &[u8], check: impl FnOnce(&[u8])) {
    let mut out = Vec::new();
    match normalize(data, &mut out) {
        Ok(target) if target.path != b"*" => check(target.path),
        _ => {}
    }
}

/// Hands on each octet that a normal path stands for, and how it is written.
fn each_octet(path: &[u8], mut octet: impl FnMut(u8, &[u8])) {
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        let (value, after) = match first {
            b'%' => percent::decode(after).unwrap_or((b'%', after)),
            first => (*first, after),
        };
        let written = rest
            .split_at_checked(rest.len() - after.len())
            .unwrap_or_default()
            .0;
        octet(value, written);
        rest = after;
    }
}
