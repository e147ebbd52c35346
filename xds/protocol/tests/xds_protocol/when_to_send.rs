//! "When to send an update".

use crate::harness::{CDS, EDS, delta, state};

#[test]
fn nothing_is_sent_unless_something_changed() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1").having(CDS, "a=1");
        stream.subscribe(EDS, &["a"]);
        stream.subscribe(CDS, &["*"]);
        stream.ack("1", &["a"]);
        stream.ack("2", &["*"]);
        assert!(stream.change(EDS, "a=1").is_empty());
        assert!(stream.change(CDS, "a=1").is_empty());
        assert!(stream.all_changed().is_empty());
    }
}

#[test]
fn an_ack_is_not_answered() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1");
        stream.subscribe(EDS, &["a"]);
        assert_eq!(stream.ack("1", &["a"]), ["acked eds a=1"]);
    }
}

#[test]
fn one_response_of_a_type_is_in_flight_and_changes_merge() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1 b=1 c=1");
        stream.subscribe(EDS, &["a", "b", "c"]);
        assert!(stream.change(EDS, "a=2").is_empty());
        assert!(stream.change(EDS, "b=2").is_empty());
        assert!(stream.change(EDS, "a=3").is_empty());
        // Back to what was sent: nothing to say.
        assert!(stream.change(EDS, "c=2").is_empty());
        assert!(stream.change(EDS, "c=1").is_empty());
        assert_eq!(
            stream.ack("1", &["a", "b", "c"]),
            ["acked eds a=1 b=1 c=1", "send eds #2 a=3 b=2"]
        );
    }
}

#[test]
fn a_newer_request_supersedes_the_older() {
    let mut stream = state().having(EDS, "a=1");
    stream.subscribe(EDS, &["x"]);
    stream.subscribe(EDS, &["y"]);
    assert!(stream.change(EDS, "x=1").is_empty());
    assert_eq!(stream.change(EDS, "y=1"), ["send eds #1 y=1"]);
}
