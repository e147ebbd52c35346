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
fn a_request_with_a_stale_nonce_is_not_answered_and_no_nack() {
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
fn an_unknown_nonce_is_stale() {
    let mut stream = state().having(CDS, "a=1");
    stream.subscribe(CDS, &["*"]);
    for nonce in ["0", "2", "01", "x", "18446744073709551616"] {
        let mut request = stream.request(CDS, &["b"]);
        request.nonce = nonce.into();
        assert!(stream.send(request).unwrap().is_empty(), "{nonce}");
    }
    assert_eq!(stream.ack("1", &["*"]), ["acked cds a=1"]);
}
