//! "Subscribing to Resources".

use crate::harness::{CDS, EDS, VHDS, delta};

#[test]
fn names_and_aliases_are_looked_up() {
    let mut stream = delta().having(VHDS, "a=1,x b=1,y");
    assert_eq!(
        stream.subscribe(VHDS, &["a", "y"]),
        ["send vhds #1 a=1 b=1"]
    );
}

#[test]
fn what_is_subscribed_to_again_is_sent_again() {
    // The client may have forgotten it.
    for (type_url, names) in [(EDS, &["a"][..]), (CDS, &["a"]), (CDS, &["*"])] {
        let mut stream = delta().having(type_url, "a=1");
        stream.subscribe(type_url, names);
        stream.ack("1", &[]);
        let sent = stream.subscribe(type_url, names);
        assert!(sent[0].ends_with("#2 a=1"), "{sent:?}");
    }
}

#[test]
fn what_was_refused_is_sent_again_if_the_client_asks() {
    let mut stream = delta().having(EDS, "a=1");
    stream.subscribe(EDS, &["a"]);
    stream.nack("1", &[]);
    assert_eq!(stream.subscribe(EDS, &["a"]), ["send eds #2 a=1"]);
}

#[test]
fn a_repeated_subscription_while_a_response_is_in_flight_is_answered_after_it() {
    let mut stream = delta().having(EDS, "a=1");
    stream.subscribe(EDS, &["a"]);
    assert!(stream.subscribe(EDS, &["a"]).is_empty());
    assert_eq!(stream.ack("1", &[]), ["acked eds a=1", "send eds #2 a=1"]);
}

#[test]
fn a_repeated_subscription_is_answered_whatever_else_may_have_changed() {
    for asks_first in [true, false] {
        let mut stream = delta().having(EDS, "a=1");
        stream.subscribe(EDS, &["a"]);
        if asks_first {
            stream.subscribe(EDS, &["a"]);
        }
        stream.change(EDS, "a=2");
        stream.change(EDS, "a=1");
        if !asks_first {
            stream.subscribe(EDS, &["a"]);
        }
        assert_eq!(stream.ack("1", &[]), ["acked eds a=1", "send eds #2 a=1"]);
    }
}
