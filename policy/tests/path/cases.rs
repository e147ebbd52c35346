//! Request targets and what becomes of them, by the headings of docs/path-normal-form.md.

use std::collections::BTreeSet;

use meshwall_policy::path::{self, Fault};

use crate::oracle;

type Case = (&'static [u8], Result<&'static str, Fault>);

const FORM: &[Case] = &[
    (b"/", Ok("/")),
    (b"/a", Ok("/a")),
    (b"/a/", Ok("/a/")),
    (b"/a/b", Ok("/a/b")),
    (b"/a/b/", Ok("/a/b/")),
    (b"/A/B", Ok("/A/B")),
    (b"/v1/items/7/detail", Ok("/v1/items/7/detail")),
    (
        b"/grpc.health.v1.Health/Check",
        Ok("/grpc.health.v1.Health/Check"),
    ),
    (b"*", Ok("*")),
    (b"", Err(Fault::Empty)),
    (b"a", Err(Fault::NotOriginForm)),
    (b"a/b", Err(Fault::NotOriginForm)),
    (b"**", Err(Fault::NotOriginForm)),
    (b"*?a", Err(Fault::NotOriginForm)),
    (b"?a", Err(Fault::NotOriginForm)),
    (b"#", Err(Fault::NotOriginForm)),
    (b"%2Fa", Err(Fault::NotOriginForm)),
    (b".", Err(Fault::NotOriginForm)),
    (b"../a", Err(Fault::NotOriginForm)),
    (b"\\a", Err(Fault::NotOriginForm)),
    (b"http://shop.example/a", Err(Fault::NotOriginForm)),
    (b"HTTPS://shop.example/a", Err(Fault::NotOriginForm)),
    (b"shop.example:443", Err(Fault::NotOriginForm)),
    (b" /a", Err(Fault::NotOriginForm)),
    (b"\t/a", Err(Fault::NotOriginForm)),
    (b"\0", Err(Fault::NotOriginForm)),
    (b"\xEF\xBB\xBF/a", Err(Fault::NotOriginForm)),
];

const ESCAPES: &[Case] = &[
    (b"/%61", Ok("/a")),
    (b"/%61dmin", Ok("/admin")),
    (b"/%41%64%6D%69%6e", Ok("/Admin")),
    (b"/%30%39", Ok("/09")),
    (b"/%7E%7e%2D%2d%5F%5f", Ok("/~~--__")),
    (b"/a%2Eb", Ok("/a.b")),
    (b"/a%40b", Ok("/a@b")),
    (b"/v1/jobs%3Acancel", Ok("/v1/jobs:cancel")),
    (b"/v1/jobs:cancel", Ok("/v1/jobs:cancel")),
    (b"/%21%24%26%27%28%29%2A%2B%2C%3D", Ok("/!$&'()*+,=")),
    (b"/!$&'()*+,=", Ok("/!$&'()*+,=")),
    (b"/a+b", Ok("/a+b")),
    (b"/a%20b", Ok("/a%20b")),
    (b"/%20", Ok("/%20")),
    (b"/a%22b", Ok("/a%22b")),
    (b"/a\"b", Ok("/a%22b")),
    (b"/a<b>", Ok("/a%3Cb%3E")),
    (b"/a%3cb%3e", Ok("/a%3Cb%3E")),
    (b"/a[1]", Ok("/a%5B1%5D")),
    (b"/a%5b1%5d", Ok("/a%5B1%5D")),
    (b"/a^b", Ok("/a%5Eb")),
    (b"/a`b", Ok("/a%60b")),
    (b"/a{b}", Ok("/a%7Bb%7D")),
    (b"/{*}", Ok("/%7B*%7D")),
    (b"/{**}", Ok("/%7B**%7D")),
    (b"/a|b", Ok("/a%7Cb")),
    (b"/a%7cb", Ok("/a%7Cb")),
    (b"/a%23b", Ok("/a%23b")),
    (b"/a%3fb", Ok("/a%3Fb")),
    (b"/a%3Fb?c", Ok("/a%3Fb")),
    (b"/100%25", Ok("/100%25")),
    (b"/100%25/", Ok("/100%25/")),
    (b"/100%25x", Ok("/100%25x")),
    (b"/100%25ax", Ok("/100%25ax")),
    (b"/100%25%20off", Ok("/100%25%20off")),
    (b"/a%25/41", Ok("/a%25/41")),
    (b"/a%254/1", Ok("/a%254/1")),
    (b"/%", Err(Fault::BadEscape)),
    (b"/%2", Err(Fault::BadEscape)),
    (b"/a%", Err(Fault::BadEscape)),
    (b"/a%2/", Err(Fault::BadEscape)),
    (b"/a%/b", Err(Fault::BadEscape)),
    (b"/a%?b", Err(Fault::BadEscape)),
    (b"/a%4?b", Err(Fault::BadEscape)),
    (b"/%zz", Err(Fault::BadEscape)),
    (b"/%4g", Err(Fault::BadEscape)),
    (b"/%g4", Err(Fault::BadEscape)),
    (b"/%%41", Err(Fault::BadEscape)),
    (b"/%4%31", Err(Fault::BadEscape)),
    (b"/% 41", Err(Fault::BadEscape)),
    (b"/%+1", Err(Fault::BadEscape)),
    (b"/%-1", Err(Fault::BadEscape)),
    (b"/%0x41", Err(Fault::BadEscape)),
    (b"/%u0061dmin", Err(Fault::BadEscape)),
    (b"/%u002f", Err(Fault::BadEscape)),
    (b"/%U002F", Err(Fault::BadEscape)),
    (b"/%uff0f", Err(Fault::BadEscape)),
    (b"/%\xC2\xB2f", Err(Fault::BadEscape)),
];

const DOUBLE_ESCAPES: &[Case] = &[
    (b"/%252e%252e/a", Err(Fault::DoubleEscape)),
    (b"/a%252fb", Err(Fault::DoubleEscape)),
    (b"/a%252Fb", Err(Fault::DoubleEscape)),
    (b"/a%255cb", Err(Fault::DoubleEscape)),
    (b"/a%2500", Err(Fault::DoubleEscape)),
    (b"/a%2525", Err(Fault::DoubleEscape)),
    (b"/%2561dmin", Err(Fault::DoubleEscape)),
    (b"/a%253Bb", Err(Fault::DoubleEscape)),
    (b"/a%2520b", Err(Fault::DoubleEscape)),
    (b"/a%25%32%66", Err(Fault::DoubleEscape)),
    (b"/a%25%32f", Err(Fault::DoubleEscape)),
    (b"/a%252%66", Err(Fault::DoubleEscape)),
    (b"/a%25252f", Err(Fault::DoubleEscape)),
    (b"/a%25%252f", Err(Fault::DoubleEscape)),
    (b"/a%25%2541", Err(Fault::DoubleEscape)),
    (b"/a%25%25", Ok("/a%25%25")),
    (b"/a%25%25x", Ok("/a%25%25x")),
    (b"/a%252%252", Ok("/a%252%252")),
    (b"/a%25u002f", Ok("/a%25u002f")),
];

const TEXT: &[Case] = &[
    (b"/caf%C3%A9", Ok("/caf%C3%A9")),
    (b"/caf%c3%a9", Ok("/caf%C3%A9")),
    (b"/caf\xC3\xA9", Ok("/caf%C3%A9")),
    (b"/caf\xC3%A9", Ok("/caf%C3%A9")),
    (b"/caf%C3\xA9", Ok("/caf%C3%A9")),
    (b"/cafe%CC%81", Ok("/cafe%CC%81")),
    (b"/\xE6\x97\xA5\xE6\x9C\xAC", Ok("/%E6%97%A5%E6%9C%AC")),
    (b"/\xF0\x9F\x94\xA5", Ok("/%F0%9F%94%A5")),
    (b"/%EF%BC%8F", Ok("/%EF%BC%8F")),
    (b"/a\xEF\xBC\x8Fb", Ok("/a%EF%BC%8Fb")),
    (b"/%EF%BC%8E%EF%BC%8E/a", Ok("/%EF%BC%8E%EF%BC%8E/a")),
    (b"/%EF%BC%BC", Ok("/%EF%BC%BC")),
    (b"/%EF%BC%9Ba", Ok("/%EF%BC%9Ba")),
    (b"/%E2%80%A5/a", Ok("/%E2%80%A5/a")),
    (b"/%E2%88%95", Ok("/%E2%88%95")),
    (b"/%C2%80", Ok("/%C2%80")),
    (b"/%DF%BF", Ok("/%DF%BF")),
    (b"/%E0%A0%80", Ok("/%E0%A0%80")),
    (b"/%ED%9F%BF", Ok("/%ED%9F%BF")),
    (b"/%EE%80%80", Ok("/%EE%80%80")),
    (b"/%EF%BF%BF", Ok("/%EF%BF%BF")),
    (b"/%F0%90%80%80", Ok("/%F0%90%80%80")),
    (b"/%F4%8F%BF%BF", Ok("/%F4%8F%BF%BF")),
    (b"/%C0%AE%C0%AE/a", Err(Fault::NotUtf8)),
    (b"/%c0%af", Err(Fault::NotUtf8)),
    (b"/%c1%9c", Err(Fault::NotUtf8)),
    (b"/%C0%80", Err(Fault::NotUtf8)),
    (b"/\xC0\xAF", Err(Fault::NotUtf8)),
    (b"/%E0%80%AF", Err(Fault::NotUtf8)),
    (b"/%E0%9F%BF", Err(Fault::NotUtf8)),
    (b"/%F0%80%80%AF", Err(Fault::NotUtf8)),
    (b"/%F0%8F%BF%BF", Err(Fault::NotUtf8)),
    (b"/%F8%80%80%80%AF", Err(Fault::NotUtf8)),
    (b"/%FC%80%80%80%80%AF", Err(Fault::NotUtf8)),
    (b"/%ED%A0%80", Err(Fault::NotUtf8)),
    (b"/%ED%BF%BF", Err(Fault::NotUtf8)),
    (b"/%ED%A0%BD%ED%B8%80", Err(Fault::NotUtf8)),
    (b"/%F4%90%80%80", Err(Fault::NotUtf8)),
    (b"/%F5%80%80%80", Err(Fault::NotUtf8)),
    (b"/caf%E9", Err(Fault::NotUtf8)),
    (b"/caf\xE9", Err(Fault::NotUtf8)),
    (b"/%80", Err(Fault::NotUtf8)),
    (b"/%BF", Err(Fault::NotUtf8)),
    (b"/%FE%FF", Err(Fault::NotUtf8)),
    (b"/\xFF\xFE", Err(Fault::NotUtf8)),
    (b"/admin\xA0", Err(Fault::NotUtf8)),
    (b"/admin\x85", Err(Fault::NotUtf8)),
    (b"/%C3", Err(Fault::NotUtf8)),
    (b"/%C3/%A9", Err(Fault::NotUtf8)),
    (b"/%C3?%A9", Err(Fault::NotUtf8)),
    (b"/%C3a", Err(Fault::NotUtf8)),
    (b"/%C3%C3%A9", Err(Fault::NotUtf8)),
    (b"/%E6%97", Err(Fault::NotUtf8)),
    (b"/%F0%9F%94/", Err(Fault::NotUtf8)),
    (b"/%C3%25A9", Err(Fault::NotUtf8)),
];

const CONTROLS: &[Case] = &[
    (b"/a%00", Err(Fault::Nul)),
    (b"/a%00.png", Err(Fault::Nul)),
    (b"/a\0b", Err(Fault::Nul)),
    (b"/a?b\0", Err(Fault::Nul)),
    (b"/a\x01b", Err(Fault::Control)),
    (b"/a\tb", Err(Fault::Control)),
    (b"/admin\t", Err(Fault::Control)),
    (b"/a\nb", Err(Fault::Control)),
    (b"/a\rb", Err(Fault::Control)),
    (b"/a\x1Fb", Err(Fault::Control)),
    (b"/a\x7Fb", Err(Fault::Control)),
    (b"/a%0a", Err(Fault::Control)),
    (b"/a%0d%0aSet-Cookie:x", Err(Fault::Control)),
    (b"/a%09", Err(Fault::Control)),
    (b"/a%1F", Err(Fault::Control)),
    (b"/a%7f", Err(Fault::Control)),
    (b"/a?b\r\n", Err(Fault::Control)),
    (b"/a?b\x7F", Err(Fault::Control)),
    (b"/a b", Err(Fault::Space)),
    (b"/a ", Err(Fault::Space)),
    (b"/a HTTP/1.1", Err(Fault::Space)),
    (b"/a?b c", Err(Fault::Space)),
    (b"/a#b", Err(Fault::Fragment)),
    (b"/#", Err(Fault::Fragment)),
    (b"/a?b#c", Err(Fault::Fragment)),
    (b"/a#?b", Err(Fault::Fragment)),
];

const SEPARATORS: &[Case] = &[
    (b"/a%2fb", Err(Fault::EncodedSlash)),
    (b"/a%2Fb", Err(Fault::EncodedSlash)),
    (b"/%2f", Err(Fault::EncodedSlash)),
    (b"/%2fa", Err(Fault::EncodedSlash)),
    (b"/a%2f", Err(Fault::EncodedSlash)),
    (b"/a%2f..%2fadmin", Err(Fault::EncodedSlash)),
    (b"/..%2fadmin", Err(Fault::EncodedSlash)),
    (b"/a/..%2F..%2Fetc/passwd", Err(Fault::EncodedSlash)),
    (b"/projects/group%2Fproject", Err(Fault::EncodedSlash)),
    (b"/a%5cb", Err(Fault::Backslash)),
    (b"/a%5Cb", Err(Fault::Backslash)),
    (b"/a\\b", Err(Fault::Backslash)),
    (b"/adm\\in", Err(Fault::Backslash)),
    (b"/\\shop.example/a", Err(Fault::Backslash)),
    (b"/a\\..\\admin", Err(Fault::Backslash)),
    (b"/a/..\\admin", Err(Fault::Backslash)),
    (b"/..%5cadmin", Err(Fault::Backslash)),
    (b"/\\..", Err(Fault::Backslash)),
    (b"/a//b", Ok("/a/b")),
    (b"/a///b", Ok("/a/b")),
    (b"/a//", Ok("/a/")),
    (b"/a////", Ok("/a/")),
    (b"/a//b//c//", Ok("/a/b/c/")),
    (b"/a//?b//c", Ok("/a/")),
    (b"//", Err(Fault::LeadingSlashes)),
    (b"///", Err(Fault::LeadingSlashes)),
    (b"//admin", Err(Fault::LeadingSlashes)),
    (b"///admin", Err(Fault::LeadingSlashes)),
    (b"//shop.example/admin", Err(Fault::LeadingSlashes)),
    (b"//shop.example:80/admin", Err(Fault::LeadingSlashes)),
    (b"//x@shop.example/admin", Err(Fault::LeadingSlashes)),
    (b"//?a", Err(Fault::LeadingSlashes)),
    (b"//../a", Err(Fault::LeadingSlashes)),
    (b"/:80//a", Ok("/:80/a")),
    (b"/http://shop.example/a", Ok("/http:/shop.example/a")),
];

const DOTS: &[Case] = &[
    (b"/.", Err(Fault::DotSegment)),
    (b"/..", Err(Fault::DotSegment)),
    (b"/./", Err(Fault::DotSegment)),
    (b"/../", Err(Fault::DotSegment)),
    (b"/./a", Err(Fault::DotSegment)),
    (b"/../a", Err(Fault::DotSegment)),
    (b"/a/.", Err(Fault::DotSegment)),
    (b"/a/..", Err(Fault::DotSegment)),
    (b"/a/./b", Err(Fault::DotSegment)),
    (b"/a/../b", Err(Fault::DotSegment)),
    (b"/a/../admin", Err(Fault::DotSegment)),
    (b"/a/b/../../../admin", Err(Fault::DotSegment)),
    (b"/a//../b", Err(Fault::DotSegment)),
    (b"/a/..//b", Err(Fault::DotSegment)),
    (b"/.//a", Err(Fault::DotSegment)),
    (b"/a/..?b", Err(Fault::DotSegment)),
    (b"/%2e", Err(Fault::DotSegment)),
    (b"/%2e%2e", Err(Fault::DotSegment)),
    (b"/%2E%2e/a", Err(Fault::DotSegment)),
    (b"/.%2e/a", Err(Fault::DotSegment)),
    (b"/%2e./a", Err(Fault::DotSegment)),
    (b"/a/%2e%2e/%2e%2e/admin", Err(Fault::DotSegment)),
    (b"/...", Ok("/...")),
    (b"/.../a", Ok("/.../a")),
    (b"/....//a", Ok("/..../a")),
    (b"/a/%2e%2e%2e", Ok("/a/...")),
    (b"/.a", Ok("/.a")),
    (b"/..a", Ok("/..a")),
    (b"/a.", Ok("/a.")),
    (b"/a..", Ok("/a..")),
    (b"/a../b", Ok("/a../b")),
    (b"/a./b", Ok("/a./b")),
    (b"/admin.", Ok("/admin.")),
    (b"/admin%2e", Ok("/admin.")),
    (
        b"/.well-known/acme-challenge/x",
        Ok("/.well-known/acme-challenge/x"),
    ),
    (b"/a/..%20/b", Ok("/a/..%20/b")),
    (b"/a/%20../b", Ok("/a/%20../b")),
    (b"/a/..:/b", Ok("/a/..:/b")),
    (b"/a/..,/b", Ok("/a/..,/b")),
];

const PARAMETERS: &[Case] = &[
    (b"/admin;", Err(Fault::Parameters)),
    (b"/admin;x=1", Err(Fault::Parameters)),
    (b"/admin;/", Err(Fault::Parameters)),
    (b"/;/admin", Err(Fault::Parameters)),
    (b"/;x=1/admin", Err(Fault::Parameters)),
    (b"/admin%3b", Err(Fault::Parameters)),
    (b"/admin%3Bx=1", Err(Fault::Parameters)),
    (b"/a;jsessionid=1F", Err(Fault::Parameters)),
    (b"/..;/admin", Err(Fault::Parameters)),
    (b"/a/..;/admin", Err(Fault::Parameters)),
    (b"/a/..;x=1/admin", Err(Fault::Parameters)),
    (b"/a/.;/admin", Err(Fault::Parameters)),
    (b"/a/%2e%2e;/admin", Err(Fault::Parameters)),
    (b"/a/..%3b/admin", Err(Fault::Parameters)),
    (b"/a?b;c", Ok("/a")),
    (b"/admin=1", Ok("/admin=1")),
    (b"/admin,x", Ok("/admin,x")),
    (b"/admin&x=1", Ok("/admin&x=1")),
];

/// A target, its normal path and its query.
type Split = (&'static [u8], &'static str, Option<&'static [u8]>);

const QUERIES: &[Split] = &[
    (b"/", "/", None),
    (b"/?", "/", Some(b"")),
    (b"/a?b", "/a", Some(b"b")),
    (b"/a?b=c&d=e", "/a", Some(b"b=c&d=e")),
    (b"/a??", "/a", Some(b"?")),
    (b"/a?b?c", "/a", Some(b"b?c")),
    (b"/a?/../b", "/a", Some(b"/../b")),
    (b"/a?//b", "/a", Some(b"//b")),
    (b"/a?%2f%00%zz%", "/a", Some(b"%2f%00%zz%")),
    (b"/a?b\\c;d", "/a", Some(b"b\\c;d")),
    (b"/a?\xC3\xA9", "/a", Some(b"\xC3\xA9")),
    (b"/a?\xFF", "/a", Some(b"\xFF")),
    (b"/%61?%61", "/a", Some(b"%61")),
    (b"/a%3Fb?c", "/a%3Fb", Some(b"c")),
    (b"*", "*", None),
];

const TABLES: &[(&str, &[Case])] = &[
    ("form", FORM),
    ("escapes", ESCAPES),
    ("double escapes", DOUBLE_ESCAPES),
    ("text", TEXT),
    ("controls", CONTROLS),
    ("separators", SEPARATORS),
    ("dots", DOTS),
    ("parameters", PARAMETERS),
];

#[test]
fn paths_have_the_normal_form_of_the_table() {
    let mut out = Vec::new();
    for (table, cases) in TABLES {
        for (raw, expected) in *cases {
            let found = path::normalize(raw, &mut out).map(|target| target.path);
            let expected = expected.map(str::as_bytes);
            assert_eq!(found, expected, "{table}: {}", raw.escape_ascii());
        }
    }
}

#[test]
fn the_table_is_large_and_has_every_fault() {
    let cases: Vec<_> = TABLES.iter().flat_map(|(_, cases)| *cases).collect();
    let distinct: BTreeSet<_> = cases.iter().map(|(raw, _)| raw).collect();
    assert_eq!(distinct.len(), cases.len());
    assert!(cases.len() >= 250, "{} cases", cases.len());
    for fault in Fault::ALL {
        let covered = cases.iter().any(|(_, expected)| *expected == Err(fault));
        assert!(covered || fault == Fault::TooLong, "{fault:?}");
    }
}

#[test]
fn the_second_implementation_agrees_on_the_table() {
    let queries = QUERIES.iter().map(|(raw, ..)| raw);
    let cases = TABLES
        .iter()
        .flat_map(|(_, cases)| *cases)
        .map(|(raw, _)| raw);
    for raw in cases.chain(queries) {
        oracle::compare(raw);
    }
}

#[test]
fn queries_are_split_off_as_sent() {
    let mut out = Vec::new();
    for (raw, path, query) in QUERIES {
        let target = path::normalize(raw, &mut out).unwrap();
        assert_eq!((target.path, target.query), (path.as_bytes(), *query));
    }
}

#[test]
fn length_is_limited_with_the_query() {
    let mut out = Vec::new();
    for (path, query) in [(path::MAX_LENGTH - 1, 0), (path::MAX_LENGTH - 11, 10)] {
        let mut raw = format!("/{}{}", "a".repeat(path), "?".repeat(query)).into_bytes();
        assert!(path::normalize(&raw, &mut out).is_ok());
        raw.push(b'a');
        assert_eq!(path::normalize(&raw, &mut out), Err(Fault::TooLong));
    }
    let widest = [b"/".as_slice(), "|".repeat(path::MAX_LENGTH - 1).as_bytes()].concat();
    assert_eq!(
        path::normalize(&widest, &mut out).unwrap().path.len(),
        3 * widest.len() - 2
    );
}

#[test]
fn the_buffer_is_reused() {
    let mut out = Vec::new();
    path::normalize(b"/a/long/path/to/begin/with", &mut out).unwrap();
    let (capacity, place) = (out.capacity(), out.as_ptr());
    for raw in [b"/b".as_slice(), b"/..", b"/", b"*"] {
        let _ = path::normalize(raw, &mut out);
        assert_eq!((out.capacity(), out.as_ptr()), (capacity, place));
    }
}

#[test]
fn faults_have_distinct_stable_names() {
    for (place, fault) in Fault::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(fault.code()), place + 1);
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        assert!(fault.name().bytes().all(is_plain));
        let text = fault.to_string();
        assert!(text.starts_with("path ") && !text.ends_with('.'), "{text}");
    }
    let names: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    assert_eq!(names.len(), Fault::ALL.len());
}
