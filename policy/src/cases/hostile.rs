//! Questions as an adversary would put them: the same request in other spellings, names that
//! nearly are the right ones, more of a header than there should be.
//!
//! Each is close to something that a rule names, for that is where evaluations differ: a spelling
//! that one of them takes for the rule's own and another does not.

use std::net::IpAddr;

use super::{Choices, HOSTS, Question, VALUES};
use crate::inventory::Inventory;

/// What a slash of a path can be replaced by.
const SLASHES: [&str; 13] = [
    "//", "/./", "/x/../", "/../", "/%2e/", "/%2e%2e/", "%2f", "%2F", "%5c", "\\", "/;/", ";a=b/",
    "/%00/",
];
/// What can follow a path.
const PATH_ENDS: [&str; 12] = [
    "/", "/.", "/..", "%20", "%", "%zz", "%2561", ";v=1", "é", "%C3%A9", "%c0%af", "#a",
];
const QUERIES: [&str; 12] = [
    "v=%70rod",
    "%76=prod",
    "v=prod+eu",
    "v",
    "&&v=&",
    "v=prod;id=7",
    "V=prod",
    "v=test&v=prod",
    "v=prod?id=7",
    "v=%",
    "v=%00",
    "v=é",
];
const METHODS: [&str; 3] = ["get", "OPTIONS", "PATCH"];
const CONTENT_TYPES: [&str; 6] = [
    "Application/GRPC",
    "application/grpc;x",
    "application/grpc x",
    "application/grpc-web",
    "application/grpcx",
    "application/grpc,text/plain",
];

/// Puts a question in a way that nobody would who means well.
pub(super) fn distort(choices: &mut Choices, inventory: &Inventory, question: &mut Question) {
    if choices.chance(10)
        && let Some(address) = other_address(inventory, question.address)
    {
        question.address = address;
    }
    if let Some(principal) = question.principal.take() {
        question.principal = Some(if choices.chance(20) {
            odd_principal(choices, &principal)
        } else {
            principal
        });
    }
    if let Some(name) = question.sni.take() {
        question.sni = Some(if choices.chance(30) {
            odd_name(choices, &name)
        } else {
            name
        });
    }
    let Some(request) = &mut question.request else {
        return;
    };
    if choices.chance(50) {
        request.path = odd_path(choices, &request.path);
    }
    if choices.chance(30) {
        let path = request.path.split('?').next().unwrap_or_default();
        request.path = format!("{path}?{}", choices.pick(&QUERIES));
    }
    if choices.chance(30) {
        request.authority = odd_host(choices, &request.authority);
    }
    if choices.chance(10) {
        request.method = choices.pick(&METHODS).to_owned();
    }
    if choices.chance(50) {
        add_odd_headers(choices, &mut request.headers);
    }
}

/// Another address of the workload at an address.
fn other_address(inventory: &Inventory, address: IpAddr) -> Option<IpAddr> {
    let workload = inventory
        .workloads
        .iter()
        .find(|workload| workload.addresses.contains(&address))?;
    let others = workload.addresses.iter().copied();
    others.into_iter().find(|other| *other != address)
}

fn odd_principal(choices: &mut Choices, principal: &str) -> String {
    match choices.below(8) {
        0 => format!("{principal}/"),
        1 => format!("{principal}/x"),
        2 => principal.to_ascii_uppercase(),
        3 => principal.replace("spiffe://", "https://"),
        4 => principal.replace("/sa/", "/sa//"),
        5 => principal.replace("/ns/", "//ns/"),
        6 => principal.replace("cluster.local/", "cluster.local:443/"),
        _ => principal
            .split("/ns/")
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

fn odd_name(choices: &mut Choices, name: &str) -> String {
    match choices.below(4) {
        0 => name.to_ascii_uppercase(),
        1 => format!("{name}."),
        2 => format!("x-{name}"),
        _ => format!("{name}.{}", choices.pick(&HOSTS)),
    }
}

fn odd_host(choices: &mut Choices, host: &str) -> String {
    match choices.below(14) {
        0..=2 => odd_name(choices, host),
        3 => format!("{host}:8080"),
        4 => format!("{host}:"),
        5 => format!("{host}:99999"),
        6 => format!("{host}:http"),
        7 => format!("{host}.:443"),
        8 => format!("{host}.."),
        9 => format!("user@{host}"),
        10 => host.replacen('e', "%65", 1),
        11 => format!("é.{host}"),
        12 => "[FD00::1]:80".to_owned(),
        _ => choices
            .pick(&["127.1", "127.0.0.1", "0x7f000001", "exa_mple.com"])
            .to_owned(),
    }
}

fn odd_path(choices: &mut Choices, path: &str) -> String {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (path, String::new()),
    };
    let path = match choices.below(6) {
        0..=2 => {
            let mut slashes = path.match_indices('/').map(|(at, _)| at);
            let at = slashes.nth(choices.below(2)).unwrap_or_default();
            let (before, rest) = path.split_at_checked(at).unwrap_or((path, ""));
            let slash = choices.pick(&SLASHES);
            // What does not begin with a slash is no path to most codecs.
            let first = if at == 0 && !slash.starts_with('/') {
                "/"
            } else {
                ""
            };
            let rest = rest.strip_prefix('/').unwrap_or(rest);
            format!("{before}{first}{slash}{rest}")
        }
        3 => escape_one(choices, path),
        4 => path.to_ascii_uppercase(),
        _ => format!("{path}{}", choices.pick(&PATH_ENDS)),
    };
    format!("{path}{query}")
}

/// The same path with one of its letters escaped, which is the same path.
fn escape_one(choices: &mut Choices, path: &str) -> String {
    let letters = || path.char_indices().filter(|(_, c)| c.is_alphanumeric());
    let chosen = choices.below(letters().count());
    let Some((at, letter)) = letters().nth(chosen) else {
        return path.to_owned();
    };
    let (before, rest) = path.split_at_checked(at).unwrap_or((path, ""));
    let rest = rest.strip_prefix(letter).unwrap_or(rest);
    format!("{before}%{:02x}{rest}", u32::from(letter))
}

fn add_odd_headers(choices: &mut Choices, headers: &mut Vec<(String, String)>) {
    if choices.chance(30) {
        headers.retain(|(name, _)| name != "content-type");
        let value = choices.pick(&CONTENT_TYPES);
        headers.push(("content-type".to_owned(), value.to_owned()));
    }
    let name = choices.pick(&super::HEADERS);
    let value = choices.pick(&VALUES);
    let odd = match choices.below(7) {
        0 => value.to_ascii_uppercase(),
        1 => format!("{value},{}", choices.pick(&VALUES)),
        2 => format!("{value} {value}"),
        3 => format!("{value}é"),
        4 => format!("{value}%00"),
        5 => value.repeat(500),
        // The name of another header, and once more than there was.
        _ => {
            headers.push((format!("{name}-x"), value.to_owned()));
            value.to_owned()
        }
    };
    headers.push((name.to_owned(), odd));
}
