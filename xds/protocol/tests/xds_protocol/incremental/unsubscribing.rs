//! "Unsubscribing from Resources".

use meshwall_xds_protocol::Ask;

use crate::harness::{CDS, EDS, VHDS, delta};

#[test]
fn an_unsubscription_is_not_answered() {
    let mut stream = delta().having(EDS, "a=1");
    stream.subscribe(EDS, &["a"]);
    stream.ack("1", &[]);
    assert!(stream.unsubscribe(EDS, &["a"]).is_empty());
    assert!(stream.change(EDS, "a=2").is_empty());
    assert!(stream.watched.is_empty());
}

#[test]
fn what_was_not_subscribed_to_is_ignored() {
    let mut stream = delta().having(EDS, "a=1");
    stream.subscribe(EDS, &["a"]);
    stream.ack("1", &[]);
    assert!(stream.unsubscribe(EDS, &["b", "*"]).is_empty());
    assert_eq!(stream.change(EDS, "a=2"), ["send eds #2 a=2"]);
}

#[test]
fn under_a_wildcard_that_has_the_resource_it_is_sent() {
    let mut stream = delta().having(CDS, "a=1");
    stream.subscribe(CDS, &["*", "a"]);
    stream.ack("1", &[]);
    assert_eq!(stream.unsubscribe(CDS, &["a"]), ["send cds #2 a=1"]);
}

#[test]
fn under_a_wildcard_that_does_not_have_the_resource_it_is_removed() {
    let mut stream = delta().having(CDS, "a=1");
    stream.subscribe(CDS, &["*", "b"]);
    stream.ack("1", &[]);
    assert_eq!(stream.unsubscribe(CDS, &["b"]), ["send cds #2 -b"]);
}

#[test]
fn a_name_or_an_alias_means_the_resource() {
    for (subscribed, unsubscribed) in [("a", "x"), ("x", "a"), ("x", "y"), ("x", "x")] {
        let mut stream = delta().having(VHDS, "a=1,x,y");
        stream.subscribe(VHDS, &[subscribed]);
        stream.ack("1", &[]);
        assert!(stream.unsubscribe(VHDS, &[unsubscribed]).is_empty());
        assert!(stream.change(VHDS, "a=2,x,y").is_empty());
        assert!(stream.watched.is_empty());
    }
}

#[test]
fn a_name_that_is_removed_and_added_in_one_request_is_subscribed() {
    let mut stream = delta().having(EDS, "a=1");
    stream.subscribe(EDS, &["a"]);
    stream.ack("1", &[]);
    let mut request = stream.request(EDS, &["a"]);
    let Ask::Delta { unsubscribe, .. } = &mut request.ask else {
        panic!()
    };
    unsubscribe.push("a".into());
    assert_eq!(stream.send(request).unwrap(), ["send eds #2 a=1"]);
    stream.ack("2", &[]);
    assert_eq!(stream.change(EDS, "a=2"), ["send eds #3 a=2"]);
}

#[test]
fn a_first_request_that_only_unsubscribes_is_no_wildcard() {
    let mut stream = delta().having(CDS, "a=1");
    assert!(stream.unsubscribe(CDS, &["a"]).is_empty());
    assert!(stream.watched.is_empty());
}

#[test]
fn what_crossed_with_its_unsubscription_is_told_of_under_a_wildcard() {
    let mut stream = delta().having(CDS, "a=1");
    stream.subscribe(CDS, &["a"]);
    // The client does not have it yet, drops it, and then wants all: so it keeps it.
    assert!(stream.unsubscribe(CDS, &["a"]).is_empty());
    assert!(stream.change(CDS, "-a").is_empty());
    assert!(stream.subscribe(CDS, &["*"]).is_empty());
    assert_eq!(stream.ack("1", &[]), ["acked cds a=1", "send cds #2 -a"]);
}
