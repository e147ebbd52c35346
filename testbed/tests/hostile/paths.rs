//! Paths in spellings that servers read differently.

use meshwall_mesh_config::envoy::{Http, Paths};
use serde_json::Value;

use crate::sidecar::{FRONTEND, HttpSidecar, SOON, http, policy};
use crate::vm;

const RULES: &str = "
- {name: open, action: Allow, operations: [{paths: [/open/*]}]}
";

/// What must come of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// It passes, and arrives as it was sent.
    Passes,
    /// It passes, and arrives like this.
    Becomes(&'static str),
    /// The firewall denies it for this cause.
    Denied(&'static str),
    /// Envoy itself refuses it.
    Malformed,
}

use Outcome::{Becomes, Denied, Malformed, Passes};

const NO_RULE: Outcome = Denied("no_rule_matched/Namespace");
const DOTS: Outcome = Denied("refused/path_dot_segment");
const SLASH: Outcome = Denied("refused/path_encoded_slash");
const BACKSLASH: Outcome = Denied("refused/path_backslash");
const ESCAPE: Outcome = Denied("refused/path_bad_escape");
const NOT_UTF8: Outcome = Denied("refused/path_not_utf8");

/// A path; what comes of it when Envoy leaves it as it is; and when Envoy normalises it.
const CASES: [(&[u8], Outcome, Outcome); 43] = [
    (b"/open/a", Passes, Passes),
    (b"/open/a?b=/../admin", Passes, Passes),
    (b"/admin", NO_RULE, NO_RULE),
    (b"/OPEN/a", NO_RULE, NO_RULE),
    (b"/%6fpen/a", Passes, Becomes("/open/a")),
    (b"/open/%c3%a9", Passes, Passes),
    (b"/open/../admin", DOTS, NO_RULE),
    (b"/admin/../open/a", DOTS, Becomes("/open/a")),
    (b"/open/%2e%2e/admin", DOTS, NO_RULE),
    (b"/open/%2E./admin", DOTS, NO_RULE),
    (b"/open/.%2e", DOTS, NO_RULE),
    (b"/open/./a", DOTS, Becomes("/open/a")),
    (b"/open/..", DOTS, NO_RULE),
    // Envoy, too, knows that some servers drop what follows a semicolon.
    (
        b"/open/..;/admin",
        Denied("refused/path_parameters"),
        NO_RULE,
    ),
    (
        b"/open/a;b=c",
        Denied("refused/path_parameters"),
        Denied("refused/path_parameters"),
    ),
    (
        b"/open/%3b",
        Denied("refused/path_parameters"),
        Denied("refused/path_parameters"),
    ),
    (b"/open/a%2fb", SLASH, SLASH),
    (b"/open/a%2Fb", SLASH, SLASH),
    (b"/open%2f..%2fadmin", SLASH, SLASH),
    (b"/open//a", Passes, Becomes("/open/a")),
    (
        b"//open/a",
        Denied("refused/path_leading_slashes"),
        Becomes("/open/a"),
    ),
    (
        b"//evil.example/open/a",
        Denied("refused/path_leading_slashes"),
        NO_RULE,
    ),
    (b"/open\\a", BACKSLASH, Becomes("/open/a")),
    (b"/open/..\\admin", BACKSLASH, NO_RULE),
    (b"/open/a%5cb", BACKSLASH, BACKSLASH),
    (b"/open/%00", Denied("refused/path_nul"), Malformed),
    (b"/open/a%00.css", Denied("refused/path_nul"), Malformed),
    (
        b"/open/%01",
        Denied("refused/path_control"),
        Denied("refused/path_control"),
    ),
    (
        b"/open/%252e%252e/admin",
        Denied("refused/path_double_escape"),
        Denied("refused/path_double_escape"),
    ),
    (
        b"/open/%25%32%65",
        Denied("refused/path_double_escape"),
        Denied("refused/path_double_escape"),
    ),
    (b"/open/%", ESCAPE, ESCAPE),
    (b"/open/%zz", ESCAPE, ESCAPE),
    (b"/open/%u002e", ESCAPE, ESCAPE),
    // Overlong and invalid UTF-8: what some decoders take for a dot or a slash.
    (b"/open/%c0%ae%c0%ae/admin", NOT_UTF8, NOT_UTF8),
    (b"/open/%c0%af", NOT_UTF8, NOT_UTF8),
    (b"/open/%e0%80%af", NOT_UTF8, NOT_UTF8),
    (b"/open/%ed%a0%80", NOT_UTF8, NOT_UTF8),
    (b"/open/%ff", NOT_UTF8, NOT_UTF8),
    (b"/open/\xff", Malformed, Malformed),
    (b"/open/\x01", Malformed, Malformed),
    (b"/open/#a", Malformed, Malformed),
    (b"open/a", Malformed, Malformed),
    (b"http://elsewhere/open/../admin", DOTS, NO_RULE),
];

async fn check(paths: Paths, expected: impl Fn(Outcome, Outcome) -> Outcome) {
    let settings = Http { paths, ..http() };
    let sidecar = HttpSidecar::start_with(&policy(RULES), settings, |_, _| {}).await;
    let client = sidecar.mesh.client(&FRONTEND);
    for (number, (path, as_sent, normalised)) in CASES.into_iter().enumerate() {
        let what = format!("{}, {paths:?}", path.escape_ascii());
        let mut connection = client.hostile_http1(sidecar.address).await.unwrap();
        let head = format!(" HTTP/1.1\r\nhost: case-{number}\r\n\r\n");
        let request = [b"GET ", path, head.as_bytes()].concat();
        let before = sidecar.backend.traffic().requests;
        let answer = connection.send(&request).await.unwrap();
        let arrived = sidecar.backend.traffic().requests - before;
        let outcome = expected(as_sent, normalised);
        match outcome {
            Passes => {
                assert_eq!(answer.status, 200, "{what}");
                let sent = std::str::from_utf8(path).unwrap();
                assert_eq!(answer.json()["target"], sent, "{what}");
            }
            Becomes(target) => {
                assert_eq!(answer.status, 200, "{what}");
                assert_eq!(answer.json()["target"], target, "{what}");
            }
            Denied(cause) => {
                assert_eq!((answer.status, arrived), (403, 0), "{what}");
                sidecar.assert_logged(&what, path, number, cause).await;
            }
            Malformed => assert_eq!((answer.status, arrived), (400, 0), "{what}"),
        }
    }
}

impl HttpSidecar {
    async fn assert_logged(&self, what: &str, path: &[u8], number: usize, cause: &str) {
        // A target with a host of its own is logged by that.
        let authority = match path.starts_with(b"http:") {
            true => "elsewhere".to_owned(),
            false => format!("case-{number}"),
        };
        let is_it = |entry: &Value| entry["authority"] == authority;
        let entry = self.envoy.wait_for_access_log(SOON, is_it).await.unwrap();
        assert_eq!(
            entry["details"],
            format!("meshwall_denied[{cause}]"),
            "{what}: {entry}"
        );
    }
}

#[tokio::test]
async fn paths_as_sent() {
    check(Paths::AsSent, |as_sent, _| as_sent).await;
}

#[tokio::test]
async fn paths_that_envoy_normalises() {
    check(Paths::Normalised, |_, normalised| normalised).await;
}

#[tokio::test]
async fn long_paths() {
    let sidecar =
        HttpSidecar::start_edited(&policy(RULES), http(), |_, _| {}, vm::only_the_firewall).await;
    let client = sidecar.mesh.client(&FRONTEND);
    // The normal form takes at most 64 KiB.
    for (length, status) in [
        (60_000, 200),
        (65_536, 200),
        (65_537, 403),
        (1_000_000, 403),
    ] {
        let path = format!("/open/{}", "x".repeat(length - "/open/".len()));
        let mut connection = client.hostile_http1(sidecar.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: ledger\r\n\r\n");
        let answer = connection.send(request.as_bytes()).await.unwrap();
        assert_eq!(answer.status, status, "{length}: {}", answer.text());
    }
    for (what, path, status) in [
        ("deep", format!("/open{}", "/a".repeat(20_000)), 200),
        (
            "all escapes",
            format!("/open/{}", "%41".repeat(20_000)),
            200,
        ),
        (
            "all dots",
            format!("/open/{}", "%2e%2e/".repeat(8_000)),
            403,
        ),
        (
            "all query",
            format!("/open/?{}", "a=b&".repeat(15_000)),
            200,
        ),
    ] {
        let mut connection = client.hostile_http1(sidecar.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: ledger\r\n\r\n");
        let answer = connection.send(request.as_bytes()).await.unwrap();
        assert_eq!(answer.status, status, "{what}");
    }
}
