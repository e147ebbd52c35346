//! Literals in policies.

use meshwall_policy::path::PatternFault::{MatchesNothing, Query};
use meshwall_policy::path::PatternKind::{Exact, Prefix, Suffix};
use meshwall_policy::path::{Fault, PatternFault, PatternKind, normalize, normalize_pattern};

const CASES: &[(PatternKind, &str, Result<&str, PatternFault>)] = &[
    (Exact, "/", Ok("/")),
    (Exact, "/a/b", Ok("/a/b")),
    (Exact, "/a//b", Ok("/a/b")),
    (Exact, "/café", Ok("/caf%C3%A9")),
    (Exact, "/caf%c3%a9", Ok("/caf%C3%A9")),
    (Exact, "/%61", Ok("/a")),
    (Exact, "/a b", Ok("/a%20b")),
    (Exact, "/a%20b", Ok("/a%20b")),
    (Exact, "/{id}", Ok("/%7Bid%7D")),
    (Exact, "/v1/jobs:cancel", Ok("/v1/jobs:cancel")),
    (Exact, "*", Ok("*")),
    (Exact, "/x", Ok("/x")),
    (Exact, "", Err(MatchesNothing(Fault::Empty))),
    (Exact, "a", Err(MatchesNothing(Fault::NotOriginForm))),
    (Exact, "//a", Err(MatchesNothing(Fault::LeadingSlashes))),
    (Exact, "/a/../b", Err(MatchesNothing(Fault::DotSegment))),
    (Exact, "/a/.", Err(MatchesNothing(Fault::DotSegment))),
    (Exact, "/a;b", Err(MatchesNothing(Fault::Parameters))),
    (Exact, "/a\\b", Err(MatchesNothing(Fault::Backslash))),
    (Exact, "/a%2Fb", Err(MatchesNothing(Fault::EncodedSlash))),
    (Exact, "/a%252Fb", Err(MatchesNothing(Fault::DoubleEscape))),
    (Exact, "/100%", Err(MatchesNothing(Fault::BadEscape))),
    (Exact, "/a\tb", Err(MatchesNothing(Fault::Control))),
    (Exact, "/a#b", Err(MatchesNothing(Fault::Fragment))),
    (Exact, "/a?b", Err(Query)),
    (Exact, "/a?", Err(Query)),
    (Prefix, "/", Ok("/")),
    (Prefix, "/adm", Ok("/adm")),
    (Prefix, "/x", Ok("/x")),
    (Prefix, "/a/", Ok("/a/")),
    (Prefix, "/a//", Ok("/a/")),
    (Prefix, "/a/.", Ok("/a/.")),
    (Prefix, "/a/..", Ok("/a/..")),
    (Prefix, "/caf\u{e9}/", Ok("/caf%C3%A9/")),
    (Prefix, "/a%25", Ok("/a%25")),
    (Prefix, "/a/../", Err(MatchesNothing(Fault::DotSegment))),
    (Prefix, "/a%2", Err(MatchesNothing(Fault::BadEscape))),
    (Prefix, "/caf%C3", Err(MatchesNothing(Fault::NotUtf8))),
    (Prefix, "//", Err(MatchesNothing(Fault::LeadingSlashes))),
    (Prefix, "adm", Err(MatchesNothing(Fault::NotOriginForm))),
    (Prefix, "/a?b=", Err(Query)),
    (Suffix, ".html", Ok(".html")),
    (Suffix, "/b", Ok("/b")),
    (Suffix, "/", Ok("/")),
    (Suffix, "x", Ok("x")),
    (Suffix, "//b", Ok("/b")),
    (Suffix, "é", Ok("%C3%A9")),
    (Suffix, "../b", Ok("../b")),
    (Suffix, "..", Ok("..")),
    (Suffix, "/..", Err(MatchesNothing(Fault::DotSegment))),
    (Suffix, "/./b", Err(MatchesNothing(Fault::DotSegment))),
    (Suffix, ";b", Err(MatchesNothing(Fault::Parameters))),
    (Suffix, "%A9", Err(MatchesNothing(Fault::NotUtf8))),
    (Suffix, ".html?", Err(Query)),
];

#[test]
fn literals_have_the_normal_form_of_the_table() {
    for (kind, written, expected) in CASES {
        let found = normalize_pattern(*kind, written);
        assert_eq!(
            found.as_deref().map_err(|fault| *fault),
            *expected,
            "{kind:?} `{written}`"
        );
    }
}

#[test]
fn a_normal_literal_is_its_own_normal_form() {
    for (kind, _, expected) in CASES {
        if let Ok(normal) = expected {
            assert_eq!(normalize_pattern(*kind, normal).as_deref(), Ok(*normal));
        }
    }
}

#[test]
fn a_literal_is_normal_if_and_only_if_a_path_can_have_it() {
    let mut out = Vec::new();
    for (kind, written, _) in CASES {
        // Any way to complete the literal to a path that stays as it is.
        let completions = match kind {
            Exact => vec![(*written).to_owned()],
            Prefix => vec![format!("{written}y"), (*written).to_owned()],
            Suffix => vec![format!("/y{written}"), (*written).to_owned()],
        };
        let has_it = completions.iter().any(|path| {
            normalize(path.as_bytes(), &mut out).is_ok_and(|found| found.path == path.as_bytes())
        });
        let is_normal = normalize_pattern(*kind, written).as_deref() == Ok(*written);
        assert_eq!(is_normal, has_it, "{kind:?} `{written}`");
    }
}

#[test]
fn a_fault_says_why_nothing_matches() {
    let text = |kind, written| normalize_pattern(kind, written).unwrap_err().to_string();
    assert_eq!(
        text(Exact, "/a/../b"),
        "no request can match: path contains a dot segment (`.` or `..`)"
    );
    assert_eq!(
        text(Prefix, "/a?b"),
        "no request can match: the query (`?`) is not part of the path"
    );
}
