//! "How the client specifies what resources to return".

use crate::harness::{CDS, EDS, LDS, delta, state};

#[test]
fn newly_requested_resources_are_sent_even_if_a_wildcard_brought_them() {
    let mut stream = state().having(EDS, "a=1 b=1");
    stream.subscribe(EDS, &["*"]);
    assert_eq!(
        stream.ack("1", &["*", "a"]),
        ["acked eds a=1 b=1", "send eds #2 a=1"]
    );
    let mut stream = state().having(LDS, "a=1 b=1");
    stream.subscribe(LDS, &["*"]);
    assert_eq!(
        stream.ack("1", &["*", "a"]),
        ["acked lds a=1 b=1", "send lds #2 a=1 b=1"]
    );
}

#[test]
fn resources_that_are_requested_again_are_sent_again() {
    let mut stream = state().having(EDS, "a=1 b=1");
    stream.subscribe(EDS, &["a", "b"]);
    stream.ack("1", &["a"]);
    let mut request = stream.request(EDS, &["a", "b"]);
    request.nonce = "1".into();
    assert_eq!(stream.send(request).unwrap(), ["send eds #2 b=1"]);
}

#[test]
fn wildcard_in_state_of_the_world() {
    // The example of the document, step by step.
    let mut stream = state().having(CDS, "A=1 B=1");
    assert_eq!(stream.subscribe(CDS, &[]), ["send cds #1 A=1 B=1"]);
    // `*` goes on, A is new.
    assert_eq!(
        stream.ack("1", &["*", "A"]),
        ["acked cds A=1 B=1", "send cds #2 A=1 B=1"]
    );
    // `*` ends, A goes on.
    stream.ack("2", &["A"]);
    assert!(stream.change(CDS, "B=2").is_empty());
    assert_eq!(stream.change(CDS, "A=2"), ["send cds #3 A=2"]);
    // Nothing is subscribed to any more.
    stream.ack("3", &[]);
    assert!(stream.change(CDS, "A=3 B=3").is_empty());
    assert!(stream.watched.is_empty());
}

#[test]
fn wildcard_in_delta() {
    let mut stream = delta().having(CDS, "A=1 B=1");
    assert_eq!(stream.subscribe(CDS, &[]), ["send cds #1 A=1 B=1"]);
    stream.ack("1", &[]);
    assert_eq!(stream.subscribe(CDS, &["A"]), ["send cds #2 A=1"]);
    stream.ack("2", &[]);
    assert_eq!(stream.change(CDS, "B=2"), ["send cds #3 B=2"]);
    stream.ack("3", &[]);
    // `*` ends, A goes on.
    assert!(stream.unsubscribe(CDS, &["*"]).is_empty());
    assert!(stream.change(CDS, "B=3").is_empty());
    assert_eq!(stream.change(CDS, "A=2"), ["send cds #4 A=2"]);
    stream.ack("4", &[]);
    stream.unsubscribe(CDS, &["A"]);
    assert!(stream.change(CDS, "A=3").is_empty());
    // An empty list is no wildcard any more.
    assert!(stream.subscribe(CDS, &[]).is_empty());
    assert!(stream.change(CDS, "A=4").is_empty());
    assert!(stream.watched.is_empty());
}

#[test]
fn an_ack_does_not_bring_back_a_wildcard_that_ended() {
    let mut stream = delta().having(CDS, "a=1");
    stream.subscribe(CDS, &[]);
    stream.unsubscribe(CDS, &["*"]);
    assert_eq!(stream.ack("1", &[]), ["acked cds a=1"]);
    assert!(stream.change(CDS, "a=2").is_empty());
}

#[test]
fn an_explicit_wildcard_in_state_of_the_world_ends_with_an_empty_list() {
    let mut stream = state().having(CDS, "a=1");
    stream.subscribe(CDS, &["*"]);
    stream.ack("1", &[]);
    assert!(stream.change(CDS, "a=2").is_empty());
}

#[test]
fn a_wildcard_brings_what_comes_later() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1");
        stream.subscribe(EDS, &["*"]);
        stream.ack("1", &["*"]);
        assert_eq!(stream.change(EDS, "b=1"), ["send eds #2 b=1"]);
    }
}

#[test]
fn a_client_that_starts_learns_that_there_is_nothing() {
    // Envoy waits for the first answer of these types before it serves.
    for mut stream in [state(), delta()] {
        assert_eq!(stream.subscribe(CDS, &[]), ["send cds #1"]);
        assert_eq!(stream.subscribe(LDS, &["*"]), ["send lds #2"]);
    }
}
