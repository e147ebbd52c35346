//! "Unsubscribing From Resources", in state of the world.

use crate::harness::{CDS, EDS, delta, state};

#[test]
fn a_name_that_is_left_out_is_unsubscribed() {
    let mut stream = state().having(EDS, "A=1 B=1");
    stream.subscribe(EDS, &["A", "B"]);
    assert_eq!(stream.ack("1", &["A"]), ["acked eds A=1 B=1"]);
    assert!(stream.change(EDS, "B=2").is_empty());
    assert_eq!(stream.change(EDS, "A=2"), ["send eds #2 A=2"]);
}

#[test]
fn what_became_due_before_is_not_sent_after() {
    for mut stream in [state(), delta()] {
        let is_delta = stream.unsubscribes();
        stream = stream.having(EDS, "A=1 B=1");
        stream.subscribe(EDS, &["A", "B"]);
        stream.change(EDS, "B=2");
        if is_delta {
            stream.unsubscribe(EDS, &["B"]);
        }
        assert_eq!(stream.ack("1", &["A"]), ["acked eds A=1 B=1"]);
    }
}

#[test]
fn resources_of_a_wildcard_cannot_be_unsubscribed_one_by_one() {
    let mut stream = delta().having(CDS, "A=1");
    stream.subscribe(CDS, &["*"]);
    stream.ack("1", &[]);
    assert!(stream.unsubscribe(CDS, &["A"]).is_empty());
    assert_eq!(stream.change(CDS, "A=2"), ["send cds #2 A=2"]);
}

#[test]
fn nothing_is_watched_when_nothing_is_subscribed() {
    let mut stream = state().having(EDS, "a=1");
    stream.subscribe(EDS, &["a", "b"]);
    assert_eq!(stream.watched.len(), 2);
    stream.ack("1", &[]);
    assert!(stream.watched.is_empty());
}
