//! "Eventual consistency considerations": make before break.

use crate::harness::{CDS, ECDS, EDS, LDS, RDS, Stream, VHDS, delta, state};

const ORDER: [&str; 5] = [CDS, EDS, LDS, RDS, VHDS];

/// A client that has one resource `x` of each type, asked for in the reverse order.
fn settled(mut stream: Stream) -> Stream {
    for type_url in ORDER.iter().chain([&ECDS]) {
        stream = stream.having(type_url, "x=1");
    }
    for (type_url, nonce) in ORDER.iter().chain([&ECDS]).rev().zip(1..) {
        stream.subscribe(type_url, &["x"]);
        stream.ack(&nonce.to_string(), &["x"]);
    }
    stream
}

fn put_all(stream: &mut Stream, resource: &str) {
    for type_url in ORDER.iter().chain([&ECDS]) {
        stream.put(crate::harness::resource(resource), type_url);
    }
}

#[test]
fn clusters_go_before_endpoints_before_listeners_before_routes() {
    for stream in [state(), delta()] {
        let mut stream = settled(stream);
        put_all(&mut stream, "x=2");
        assert_eq!(
            stream.all_changed(),
            [
                "send cds #7 x=2",
                "send eds #8 x=2",
                "send lds #9 x=2",
                "send rds #10 x=2",
                "send vhds #11 x=2",
                "send ecds #12 x=2",
            ]
        );
    }
}

#[test]
fn what_depends_on_a_change_waits_until_that_can_be_sent() {
    for stream in [state(), delta()] {
        let mut stream = settled(stream);
        assert_eq!(stream.change(CDS, "x=2"), ["send cds #7 x=2"]);
        // The next change of the cluster has to wait for the client, and the route with it.
        put_all(&mut stream, "x=3");
        assert_eq!(stream.all_changed(), ["send ecds #8 x=3"]);
        assert_eq!(
            stream.ack("7", &["x"]),
            [
                "acked cds x=2",
                "send cds #9 x=3",
                "send eds #10 x=3",
                "send lds #11 x=3",
                "send rds #12 x=3",
                "send vhds #13 x=3",
            ]
        );
    }
}

#[test]
fn types_on_which_nothing_depends_are_not_held_back() {
    for stream in [state(), delta()] {
        let mut stream = settled(stream);
        stream.change(CDS, "x=2");
        stream.change(CDS, "x=3");
        assert_eq!(stream.change(ECDS, "x=2"), ["send ecds #8 x=2"]);
    }
}

#[test]
fn clusters_and_endpoints_are_removed_after_what_points_to_them() {
    let mut stream = settled(delta());
    stream.put(crate::harness::resource("x=2"), RDS);
    stream.remove(CDS, "x");
    stream.remove(EDS, "x");
    assert_eq!(
        stream.all_changed(),
        ["send rds #7 x=2", "send cds #8 -x", "send eds #9 -x"]
    );
}

#[test]
fn a_removal_waits_while_a_change_of_routes_waits() {
    let mut stream = settled(delta());
    assert_eq!(stream.change(RDS, "x=2"), ["send rds #7 x=2"]);
    stream.put(crate::harness::resource("x=3"), RDS);
    stream.put(crate::harness::resource("y=1"), CDS);
    stream.subscribe(CDS, &["y"]);
    stream.ack("8", &[]);
    stream.remove(CDS, "x");
    assert!(stream.all_changed().is_empty());
    assert_eq!(
        stream.ack("7", &[]),
        ["acked rds x=2", "send rds #9 x=3", "send cds #10 -x"]
    );
}

#[test]
fn a_cluster_that_is_back_before_its_removal_was_sent_is_no_news() {
    let mut stream = settled(delta());
    stream.change(RDS, "x=2");
    stream.change(RDS, "x=3");
    assert!(stream.change(CDS, "-x").is_empty());
    assert!(stream.change(CDS, "x=1").is_empty());
    assert_eq!(stream.ack("7", &[]), ["acked rds x=2", "send rds #8 x=3"]);
}

#[test]
fn an_answer_that_something_does_not_exist_is_not_a_removal() {
    let mut stream = settled(delta());
    stream.change(RDS, "x=2");
    stream.change(RDS, "x=3");
    assert_eq!(
        stream.subscribe(CDS, &["missing"]),
        ["send cds #8 -missing"]
    );
}

#[test]
fn a_removal_does_not_wait_for_a_change_that_was_none() {
    let mut stream = settled(delta());
    assert_eq!(stream.change(LDS, "x=2"), ["send lds #7 x=2"]);
    // It may have changed once more, but did not.
    stream.change(LDS, "x=2");
    assert!(stream.change(CDS, "-x").is_empty());
    assert_eq!(stream.ack("7", &[]), ["acked lds x=2", "send cds #8 -x"]);
}
