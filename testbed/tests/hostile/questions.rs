//! Hostile requests from a seed, and the verdict that each must get: the library's.

use std::net::IpAddr;

use meshwall_policy::attributes::{Attributes, Peer, Request};
use meshwall_policy::bundle::Bundle;
use meshwall_policy::cases::Choices;
use meshwall_policy::decide::{Scratch, decide};
use meshwall_policy::decision::Verdict;
use meshwall_policy::spec::Timestamp;

use crate::sidecar::{FRONTEND, bundle, policy};

/// Rules that look at everything that the requests play with.
pub(crate) const RULES: &str = "
- name: roles
  action: Allow
  operations:
  - headers: [{name: x-role, values: [cook, 'chef-*']}]
    paths: ['/open/*', '/v1/{*}/items', '*.css', '/static/{**}']
- name: ids
  action: Allow
  operations:
  - {query: [{name: id, regex: '[0-9]{1,4}'}], methods: [GET, POST]}
  - {hosts: ['*.example.com'], methods: [GET]}
- name: no-debug
  action: Deny
  operations:
  - {headers: [{name: x-debug, values: ['on', 'v*']}]}
  - {paths: [/admin/*, '*/secret']}
";

const PATH_PARTS: [&str; 40] = [
    "/",
    "/",
    "/",
    "/open/",
    "/open/",
    "/v1/",
    "/items",
    "/static/",
    "/admin/",
    "/secret",
    ".css",
    "a",
    "b",
    "..",
    ".",
    "%2e",
    "%2E%2e",
    "%2f",
    "%2F",
    "\\",
    "%5c",
    "%00",
    "%01",
    "%c0%ae",
    "%c3%a9",
    "%ff",
    "%zz",
    "%",
    "%25",
    "%2565",
    "%41",
    ";",
    ";v=1",
    "//",
    "~",
    "!$&'()*+,=:@",
    "%u002f",
    "%e2%82%ac",
    "%3f",
    "%23",
];
const QUERY_PARTS: [&str; 14] = [
    "id=1", "id=12345", "id=", "id", "%69d=7", "id=x", "&", "&", "=", "%zz", "+", "a=b", ";", "%00",
];
const HOSTS: [&str; 8] = [
    "ledger",
    "ledger:8080",
    "www.example.com",
    "WWW.Example.COM.",
    "example.com",
    "a..example.com",
    "[::1]:80",
    "10.0.0.1",
];
const METHODS: [&str; 5] = ["GET", "GET", "POST", "PUT", "DELETE"];
const HEADERS: [&str; 6] = [
    "x-role",
    "X-Role",
    "x-debug",
    "X-DEBUG",
    "x-other",
    "x-envoy-peer-metadata",
];
const VALUES: [&[u8]; 14] = [
    b"cook",
    b"cook",
    b"chef-1",
    b"chef-\xff\xfe",
    b"Cook",
    b"cook,cook",
    b"on",
    b"off",
    b"v1",
    b"",
    b"\xc0\xaf",
    b"\x80",
    b"a b\tc",
    b"{\"a\":1}",
];

/// A request as bytes of HTTP/1.1, and the status that it must get.
pub(crate) struct Question {
    pub(crate) bytes: Vec<u8>,
    pub(crate) status: u16,
}

/// Makes questions without end.
pub(crate) struct Questions {
    choices: Choices,
    bundle: Bundle,
    scratch: Scratch,
    long: Vec<u8>,
}

impl Questions {
    pub(crate) fn new(seed: u64) -> Questions {
        Questions {
            choices: Choices::new(seed),
            bundle: Bundle::load(&bundle(&policy(RULES))).unwrap(),
            scratch: Scratch::default(),
            long: vec![b'v'; 64 << 10],
        }
    }

    /// A request of any shape but those that end their connection.
    pub(crate) fn next(&mut self) -> Question {
        let method = self.pick(&METHODS);
        let authority = self.pick(&HOSTS);
        let path = self.path();
        let mut headers = self.headers();
        if self.choices.below(300) == 0 {
            let value = self.long.clone();
            headers.push((self.pick(&HEADERS).to_owned(), value));
        }
        if self.choices.below(200) == 0 {
            let count = 100 + self.choices.below(900);
            let name = self.pick(&HEADERS).to_owned();
            let value = self.pick(&VALUES).to_vec();
            headers.extend((0..count).map(|_| (name.clone(), value.clone())));
        }
        let status = match self.verdict(method, authority, &path, &headers) {
            Verdict::Allow => 200,
            Verdict::Deny => 403,
        };
        let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes();
        for (name, value) in &headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        let body = match method {
            "POST" | "PUT" => "content-length: 0\r\n\r\n",
            _ => "\r\n",
        };
        bytes.extend_from_slice(body.as_bytes());
        Question { bytes, status }
    }

    fn path(&mut self) -> String {
        let mut path = String::from("/");
        for _ in 0..self.choices.below(6) {
            path.push_str(self.pick(&PATH_PARTS));
        }
        if self.choices.chance(40) {
            path.push('?');
            for _ in 0..self.choices.below(5) {
                path.push_str(self.pick(&QUERY_PARTS));
            }
        }
        path
    }

    fn headers(&mut self) -> Vec<(String, Vec<u8>)> {
        let count = self.choices.below(6);
        (0..count)
            .map(|_| (self.pick(&HEADERS).to_owned(), self.pick(&VALUES).to_vec()))
            .collect()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.choices.below(from.len())]
    }

    fn verdict(
        &mut self,
        method: &str,
        authority: &str,
        path: &str,
        headers: &[(String, Vec<u8>)],
    ) -> Verdict {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_slice()))
            .collect();
        let principal = FRONTEND.principal();
        let Bundle {
            direction,
            program,
            peers,
            ..
        } = &self.bundle;
        let attributes = Attributes {
            direction: *direction,
            now: Timestamp(0),
            peer: Peer {
                principal: Some(principal.as_bytes()),
                address: IpAddr::V4(FRONTEND.address()),
                remote_address: None,
            },
            port: 0,
            sni: None,
            request: Some(Request {
                method: method.as_bytes(),
                authority: authority.as_bytes(),
                path: path.as_bytes(),
                headers: &headers,
                claims: &[],
            }),
        };
        decide(program, peers, &attributes, &mut self.scratch)
            .enforced
            .verdict
    }
}
