//! What a hostile client can make a session keep.

#![cfg(test)]

use std::sync::Arc;
use std::time::Instant;

use meshwall_xds_protocol::{
    Ask, Code, Limits, Node, Refusal, Request, Resource, ResourceName, Scope, Session, TypeUrl,
    View,
};

struct Nothing;

impl View for Nothing {
    fn resource(&self, _: &TypeUrl, _: &ResourceName) -> Option<Arc<Resource>> {
        None
    }

    fn names(&self, _: &TypeUrl) -> Vec<ResourceName> {
        Vec::new()
    }
}

const LIMITS: Limits = Limits {
    names: 100,
    name_bytes: 1000,
    text_bytes: 50,
    types: 4,
    reason_bytes: 10,
    response_bytes: 1000,
};

fn request(type_url: &str, ask: Ask) -> Request {
    Request {
        type_url: type_url.into(),
        node: Some(Node {
            id: "node".into(),
            ..Node::default()
        }),
        nonce: String::new(),
        error: None,
        ask,
    }
}

fn delta(subscribe: Vec<String>, unsubscribe: Vec<String>) -> Ask {
    Ask::Delta {
        subscribe,
        unsubscribe,
        initial_versions: Vec::new(),
    }
}

fn state(names: Vec<String>) -> Ask {
    Ask::State {
        version: String::new(),
        names,
    }
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|i| i.to_string()).collect()
}

/// The first refusal that a series of requests earns.
fn refusal(requests: impl IntoIterator<Item = Request>) -> Option<Refusal> {
    let mut requests = requests.into_iter().peekable();
    let opened = Session::open(Scope::Aggregated, LIMITS, requests.peek()?);
    let (mut session, _) = match opened {
        Ok(opened) => opened,
        Err(refusal) => return Some(refusal),
    };
    requests.find_map(|r| session.request(r, &Nothing, Instant::now()).err())
}

#[test]
fn names_are_counted_over_all_types() {
    for ask in [state, |names| delta(names, Vec::new())] {
        let fits = [
            request("t", ask(names(0..60))),
            request("u", ask(names(0..40))),
        ];
        assert_eq!(refusal(fits), None);
        let too_many = [
            request("t", ask(names(0..60))),
            request("u", ask(names(0..41))),
        ];
        let refusal = refusal(too_many).unwrap();
        assert_eq!(
            refusal,
            Refusal::TooMany {
                what: "subscribed names",
                limit: 100
            }
        );
        assert_eq!(refusal.code(), Code::ResourceExhausted);
    }
}

#[test]
fn bytes_of_names_are_counted() {
    let long = |i: usize| format!("{i:050}");
    let fits = request("t", delta((0..20).map(long).collect(), Vec::new()));
    assert_eq!(refusal([fits]), None);
    let too_many = request("t", delta((0..21).map(long).collect(), Vec::new()));
    assert_eq!(
        refusal([too_many]),
        Some(Refusal::TooMany {
            what: "bytes of subscribed names",
            limit: 1000
        })
    );
}

#[test]
fn long_texts_are_refused() {
    let long = "x".repeat(51);
    let node = |id: &str, cluster: &str| Request {
        node: Some(Node {
            id: id.into(),
            cluster: cluster.into(),
            ..Node::default()
        }),
        ..request("t", state(Vec::new()))
    };
    let resumed = Ask::Delta {
        subscribe: vec!["a".into()],
        unsubscribe: Vec::new(),
        initial_versions: vec![("a".into(), long.clone())],
    };
    let cases = [
        ("resource name", request("t", state(vec![long.clone()]))),
        (
            "resource name",
            request("t", delta(Vec::new(), vec![long.clone()])),
        ),
        ("type URL", request(&long, state(Vec::new()))),
        ("node id", node(&long, "")),
        ("node cluster", node("n", &long)),
        ("version", request("t", resumed)),
    ];
    for (what, request) in cases {
        assert_eq!(
            refusal([request]),
            Some(Refusal::TooLong {
                what,
                bytes: 51,
                limit: 50
            })
        );
    }
}

#[test]
fn names_that_come_and_go_unanswered_are_counted() {
    // Under a wildcard each unsubscription has to be answered, and this client takes no answer.
    let mut requests = vec![request("t", delta(vec!["*".into()], Vec::new()))];
    for i in 0..10 {
        let some = names(i * 20..i * 20 + 20);
        requests.push(request("t", delta(some.clone(), Vec::new())));
        requests.push(request("t", delta(Vec::new(), some)));
    }
    assert_eq!(
        refusal(requests),
        Some(Refusal::TooMany {
            what: "names to answer",
            limit: 100
        })
    );
}

#[test]
fn unsubscribing_makes_room() {
    let mut requests = Vec::new();
    for i in 0..4 {
        let some = names(i * 50..i * 50 + 50);
        requests.push(request("t", delta(some.clone(), Vec::new())));
        requests.push(request("t", delta(Vec::new(), some)));
    }
    // Each was answered before by the first response, or is not to be answered any more.
    assert!(!matches!(
        refusal(requests),
        Some(Refusal::TooMany {
            what: "subscribed names",
            ..
        })
    ));
}
