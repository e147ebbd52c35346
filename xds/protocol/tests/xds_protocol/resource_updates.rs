//! "Resource updates".

use crate::harness::{CDS, EDS, state};

#[test]
fn more_names_may_come_at_the_same_version() {
    let mut stream = state().having(EDS, "foo=1 bar=1");
    stream.subscribe(EDS, &["foo"]);
    stream.ack("1", &["foo"]);
    // The same nonce again, with another name.
    assert_eq!(stream.ack("1", &["foo", "bar"]), ["send eds #2 bar=1"]);
}

#[test]
fn a_request_with_a_stale_nonce_is_not_answered_and_is_no_nack() {
    let mut stream = state().having(EDS, "foo=1 bar=1");
    stream.subscribe(EDS, &["foo"]);
    stream.ack("1", &["foo"]);
    assert_eq!(stream.change(EDS, "foo=2"), ["send eds #2 foo=2"]);
    // Sent by the client before it saw the second response.
    assert!(stream.ack("1", &["foo", "bar"]).is_empty());
    // It says it again with its answer to the second.
    assert_eq!(
        stream.ack("2", &["foo", "bar"]),
        ["acked eds foo=2", "send eds #3 bar=1"]
    );
}

#[test]
fn a_request_that_crossed_with_the_first_response_is_stale() {
    let mut stream = state().having(EDS, "foo=1 bar=1");
    stream.subscribe(EDS, &["foo"]);
    assert!(stream.subscribe(EDS, &["foo", "bar"]).is_empty());
    assert_eq!(
        stream.ack("1", &["foo", "bar"]),
        ["acked eds foo=1", "send eds #2 bar=1"]
    );
}

#[test]
fn a_name_that_was_dropped_meanwhile_is_sent_again() {
    let mut stream = state().having(EDS, "foo=1 bar=1");
    stream.subscribe(EDS, &["foo"]);
    assert_eq!(
        stream.ack("1", &["foo", "bar"]),
        ["acked eds foo=1", "send eds #2 bar=1"]
    );
    // Sent before the client saw the second response, by which foo is gone and back.
    assert!(stream.ack("1", &["bar"]).is_empty());
    assert!(stream.ack("1", &["foo", "bar"]).is_empty());
    assert_eq!(
        stream.ack("2", &["foo", "bar"]),
        ["acked eds bar=1", "send eds #3 foo=1"]
    );
}

#[test]
fn an_unknown_nonce_is_no_answer() {
    let mut stream = state().having(CDS, "a=1 b=1");
    stream.subscribe(CDS, &["a"]);
    let unknown = ["0", "2", "01", "x", "18446744073709551616"];
    let send = |stream: &mut crate::harness::Stream, names: &[&str]| {
        for nonce in unknown {
            let mut request = stream.request(CDS, names);
            request.nonce = nonce.into();
            assert!(stream.send(request).unwrap().is_empty(), "{nonce}");
        }
    };
    send(&mut stream, &["a"]);
    assert_eq!(stream.ack("1", &["a"]), ["acked cds a=1"]);
    // It is out of order once the client has answered all.
    send(&mut stream, &["b"]);
    assert_eq!(stream.change(CDS, "a=2 b=2"), ["send cds #2 a=2"]);
}
