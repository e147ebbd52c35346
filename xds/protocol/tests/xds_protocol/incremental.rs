//! "Incremental xDS".

mod nonexistent_resources;
mod resource_names;
mod subscribing;
mod unsubscribing;

use meshwall_xds_protocol::{Ask, Limits, Refusal};

use crate::harness::{CDS, EDS, LDS, delta, many};

#[test]
fn the_subscription_changes_even_if_the_nonce_is_stale() {
    let mut stream = delta().having(EDS, "a=1 b=1 c=1");
    stream.subscribe(EDS, &["a", "b"]);
    stream.ack("1", &[]);
    stream.change(EDS, "a=2");
    // It answers the first response a second time, and is no answer to the one in flight.
    let mut request = stream.request(EDS, &["c"]);
    request.nonce = "1".into();
    let Ask::Delta { unsubscribe, .. } = &mut request.ask else {
        panic!()
    };
    unsubscribe.push("b".into());
    assert!(stream.send(request).unwrap().is_empty());
    assert_eq!(stream.ack("2", &[]), ["acked eds a=2", "send eds #3 c=1"]);
    stream.ack("3", &[]);
    assert!(stream.change(EDS, "b=2").is_empty());
}

#[test]
fn a_request_without_a_nonce_is_no_answer() {
    let mut stream = delta().having(EDS, "a=1 b=1");
    stream.subscribe(EDS, &["a"]);
    // b is asked for, and waits for the answer to the first response.
    assert!(stream.subscribe(EDS, &["b"]).is_empty());
    assert_eq!(stream.ack("1", &[]), ["acked eds a=1", "send eds #2 b=1"]);
}

#[test]
fn an_answer_may_change_the_subscription() {
    let mut stream = delta().having(EDS, "a=1 b=1");
    stream.subscribe(EDS, &["a"]);
    assert_eq!(
        stream.ack("1", &["b"]),
        ["acked eds a=1", "send eds #2 b=1"]
    );
}

#[test]
fn a_client_that_comes_back_is_sent_only_what_it_lacks() {
    let mut stream = delta().having(EDS, "a=2 b=1 c=1");
    assert_eq!(
        stream.resume(EDS, &["a", "b", "c"], "a=1 b=1"),
        ["acked eds b=1", "send eds #1 a=2 c=1"]
    );
}

#[test]
fn a_client_that_comes_back_unchanged_is_sent_nothing() {
    for (type_url, names) in [(EDS, &["a", "b"][..]), (CDS, &["*"]), (LDS, &[])] {
        let mut stream = delta().having(type_url, "a=1 b=1");
        let shown = stream.resume(type_url, names, "a=1 b=1");
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(shown[0].starts_with("acked"));
        assert_eq!(stream.change(type_url, "a=2").len(), 1);
    }
}

#[test]
fn a_client_that_comes_back_learns_what_is_gone() {
    for names in [&["a", "b"][..], &["*"], &[]] {
        let mut stream = delta().having(CDS, "a=1");
        assert_eq!(
            stream.resume(CDS, names, "a=1 b=1"),
            ["acked cds a=1", "send cds #1 -b"]
        );
    }
}

#[test]
fn what_a_client_has_and_does_not_ask_for_is_ignored() {
    let mut stream = delta().having(EDS, "a=1 b=2");
    assert_eq!(stream.resume(EDS, &["a"], "a=1 b=1 c=1"), ["acked eds a=1"]);
    assert!(stream.change(EDS, "b=3").is_empty());
}

#[test]
fn initial_versions_count_in_the_first_message_of_a_type_only() {
    let mut stream = delta().having(EDS, "a=1").having(CDS, "a=1");
    stream.subscribe(EDS, &[]);
    stream.ack("1", &[]);
    assert_eq!(stream.resume(EDS, &["a"], "a=1"), ["send eds #2 a=1"]);
    // The first one of another type.
    assert_eq!(stream.resume(CDS, &["a"], "a=1"), ["acked cds a=1"]);
}

#[test]
fn a_client_that_comes_back_cannot_claim_any_number_of_resources() {
    let limits = Limits {
        names: 10,
        ..Limits::default()
    };
    let mut stream = delta().with_limits(limits);
    let mut request = stream.request(CDS, &["*"]);
    let Ask::Delta {
        initial_versions, ..
    } = &mut request.ask
    else {
        panic!()
    };
    *initial_versions = many(11).into_iter().map(|n| (n, "1".into())).collect();
    assert_eq!(
        stream.send(request),
        Err(Refusal::TooMany {
            what: "initial versions of unknown resources",
            limit: 10
        })
    );
}
