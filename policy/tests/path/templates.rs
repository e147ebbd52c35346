//! Path templates: what is one, and what it matches. The matches are those of Envoy 1.40's
//! `uri_template` matcher, run with the same templates and paths.

use meshwall_policy::path::{Fault, PatternFault, TemplateFault, normalize};
use meshwall_policy::spec::PathTemplate;
use meshwall_policy::spec::TemplateSegment::{Literal, One, Rest};
use proptest::prelude::*;

const PATHS: &[&str] = &[
    "/",
    "/a",
    "/a/",
    "/b",
    "/a/b",
    "/a/b/",
    "/a/x",
    "/a/x/",
    "/a/x/b",
    "/a/x/b/",
    "/a/x/y/b",
    "/x/b",
    "/x/y/b",
    "/a/b/c",
    "/a/x/b/c",
    "/a/x=y",
    "/a/x*y",
    "/a/*",
    "/a/x%20y",
    "/a/caf%C3%A9",
    "/x=y/z",
];

const ENVOY: &[(&str, &[&str])] = &[
    (
        "/a/{*}",
        &[
            "/a/b",
            "/a/x",
            "/a/x=y",
            "/a/x*y",
            "/a/*",
            "/a/x%20y",
            "/a/caf%C3%A9",
        ],
    ),
    ("/a/{*}/b", &["/a/x/b"]),
    (
        "/a/{**}",
        &[
            "/a/",
            "/a/b",
            "/a/b/",
            "/a/x",
            "/a/x/",
            "/a/x/b",
            "/a/x/b/",
            "/a/x/y/b",
            "/a/b/c",
            "/a/x/b/c",
            "/a/x=y",
            "/a/x*y",
            "/a/*",
            "/a/x%20y",
            "/a/caf%C3%A9",
        ],
    ),
    ("/{**}", PATHS),
    ("/{*}", &["/a", "/b"]),
    ("/{**}/b", &["/a/b", "/a/x/b", "/a/x/y/b", "/x/b", "/x/y/b"]),
    ("/a/{**}/b", &["/a/x/b", "/a/x/y/b"]),
    ("/a/{*}/", &["/a/b/", "/a/x/"]),
    ("/{*}/b", &["/a/b", "/x/b"]),
    ("/a/b/{**}", &["/a/b/", "/a/b/c"]),
    (
        "/a/{*}/{**}",
        &[
            "/a/b/", "/a/x/", "/a/x/b", "/a/x/b/", "/a/x/y/b", "/a/b/c", "/a/x/b/c",
        ],
    ),
    ("/a/{**}/b/c", &["/a/x/b/c"]),
    ("/{**}/", &["/a/", "/a/b/", "/a/x/", "/a/x/b/"]),
    ("/a/{**}/", &["/a/b/", "/a/x/", "/a/x/b/"]),
    ("/x=y/{*}", &["/x=y/z"]),
];

#[test]
fn templates_match_what_envoy_matches() {
    for (text, matched) in ENVOY {
        let template = PathTemplate::parse(text).unwrap().unwrap();
        assert_eq!(template.to_string(), *text);
        for path in PATHS {
            let expected = matched.contains(path);
            assert_eq!(template.matches(path.as_bytes()), expected, "{text} {path}");
            let by_text = PathTemplate::text_matches(text.as_bytes(), path.as_bytes());
            assert_eq!(by_text, expected, "{text} {path}");
        }
    }
}

#[test]
fn the_paths_are_normal() {
    let mut out = Vec::new();
    for path in PATHS {
        assert_eq!(
            normalize(path.as_bytes(), &mut out).unwrap().path,
            path.as_bytes()
        );
    }
}

#[test]
fn only_texts_with_braces_are_templates() {
    for text in [
        "",
        "/",
        "*",
        "/a",
        "/a/*",
        "*.html",
        "/a*b",
        "/caf\u{e9}",
        "a",
    ] {
        assert_eq!(PathTemplate::parse(text), Ok(None));
    }
    let template = PathTemplate::parse("/a/{*}/b/{**}/").unwrap().unwrap();
    let literal = |text: &str| Literal(text.to_owned());
    assert_eq!(
        template.segments,
        [literal("a"), One, literal("b"), Rest, literal("")]
    );
}

#[test]
fn a_template_that_is_none_says_why() {
    let part = "`{*}` and `{**}` stand for whole segments, not for part of";
    let unknown = "write `{*}` for one segment";
    let asterisk = "has no meaning in a template: write `{*}` or `{**}`";
    let cases = [
        ("a/{*}", "a path template begins with `/`".to_owned()),
        ("{**}", "a path template begins with `/`".to_owned()),
        ("/a//{*}", "no path has an empty segment (`//`)".to_owned()),
        ("//{*}", "no path has an empty segment (`//`)".to_owned()),
        ("/{*}//", "no path has an empty segment (`//`)".to_owned()),
        ("/foo/{**}buzz/bar", format!("{part} `{{**}}buzz`")),
        ("/{*}/foo/{*}.txt", format!("{part} `{{*}}.txt`")),
        ("/a{*}", format!("{part} `a{{*}}`")),
        ("/{*}{*}", format!("{part} `{{*}}{{*}}`")),
        (
            "/foo/{id}/bar",
            format!("unknown operator `{{id}}`: {unknown}"),
        ),
        (
            "/foo/{id=*}",
            format!("unknown operator `{{id=*}}`: {unknown}"),
        ),
        ("/foo/{}", format!("unknown operator `{{}}`: {unknown}")),
        (
            "/{*}/{temp",
            format!("unknown operator `{{temp`: {unknown}"),
        ),
        (
            "/{*}/temp}/b",
            format!("unknown operator `temp}}`: {unknown}"),
        ),
        (
            "/foo/{***}",
            format!("unknown operator `{{***}}`: {unknown}"),
        ),
        ("/foo/{*}/bar/*", format!("`*` in `*` {asterisk}")),
        ("/foo/{*}/b**/c", format!("`*` in `b**` {asterisk}")),
        (
            "/{**}/foo/{*}",
            "`{*}` follows `{**}`, which must be the last operator".to_owned(),
        ),
        (
            "/{**}/{**}",
            "`{**}` follows `{**}`, which must be the last operator".to_owned(),
        ),
        (
            "/{*}/?a",
            "segment `?a`: no request can match: the query (`?`) is not part of the path"
                .to_owned(),
        ),
        (
            "/{*}/..",
            "segment `..`: no request can match: path contains a dot segment (`.` or `..`)"
                .to_owned(),
        ),
        (
            "/{*}/caf\u{e9}/a b",
            "not in normal form: write `/{*}/caf%C3%A9/a%20b`".to_owned(),
        ),
        ("/{*}/%61", "not in normal form: write `/{*}/a`".to_owned()),
    ];
    for (text, expected) in cases {
        assert_eq!(
            PathTemplate::parse(text).unwrap_err().to_string(),
            expected,
            "{text}"
        );
    }
    assert_eq!(
        PathTemplate::parse("/{*}/a;b"),
        Err(TemplateFault::Literal {
            segment: "a;b".to_owned(),
            fault: PatternFault::MatchesNothing(Fault::Parameters),
        })
    );
}

/// The matcher once more, by trying every number of segments for `{**}`.
fn slow_matches(template: &[&str], path: &[&str]) -> bool {
    match template {
        [] => path.is_empty(),
        ["{**}"] => !path.is_empty(),
        ["{**}", rest @ ..] => (1..=path.len()).any(|taken| {
            path.get(taken..)
                .is_some_and(|path| slow_matches(rest, path))
        }),
        [first, rest @ ..] => match path {
            [] => false,
            [segment, path @ ..] => {
                let fits = if *first == "{*}" {
                    !segment.is_empty()
                } else {
                    first == segment
                };
                fits && slow_matches(rest, path)
            }
        },
    }
}

proptest! {
    #[test]
    fn matching_agrees_with_trying(
        head in prop::collection::vec(prop::sample::select(vec!["a", "b", "{*}"]), 0..4),
        tail in prop::option::of(prop::collection::vec(prop::sample::select(vec!["a", "b"]), 0..3)),
        template_slash: bool,
        path in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..7),
        path_slash: bool,
    ) {
        let mut template = head;
        if let Some(tail) = tail {
            template.push("{**}");
            template.extend(tail);
        }
        if template_slash || template.is_empty() {
            template.push("");
        }
        let mut path = path;
        if path_slash || path.is_empty() {
            path.push("");
        }
        let text = format!("/{}", template.join("/"));
        let written = format!("/{}", path.join("/"));
        let expected = slow_matches(&template, &path);
        prop_assert_eq!(PathTemplate::text_matches(text.as_bytes(), written.as_bytes()), expected);
        if let Some(template) = PathTemplate::parse(&text).unwrap() {
            prop_assert_eq!(template.matches(written.as_bytes()), expected);
        }
    }
}
