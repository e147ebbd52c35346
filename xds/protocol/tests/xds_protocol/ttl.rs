//! "TTL" and "SotW TTL". Where the document leaves the time of heartbeats open, they come at half
//! of the time to live.

use std::time::Duration;

use crate::harness::{CDS, EDS, TTL_FEATURES, delta, state};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_client_that_supports_it_is_sent_the_time_to_live() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1/10").with_features(&TTL_FEATURES);
        assert_eq!(stream.subscribe(EDS, &["a"]), ["send eds #1 a=1/10"]);
    }
}

#[test]
fn a_client_that_does_not_say_so_is_not_sent_it() {
    let wrapped_only = &TTL_FEATURES[1..];
    let ttl_only = &TTL_FEATURES[..1];
    for (stream, features) in [
        (state(), &[][..]),
        (state(), ttl_only),
        (state(), wrapped_only),
        (delta(), &[]),
        (delta(), wrapped_only),
    ] {
        let mut stream = stream.having(EDS, "a=1/10").with_features(features);
        assert_eq!(stream.subscribe(EDS, &["a"]), ["send eds #1 a=1"]);
        stream.ack("1", &["a"]);
        assert_eq!(stream.deadline(), None);
    }
}

#[test]
fn heartbeats_renew_it_without_the_resource() {
    for mut stream in [state(), delta()] {
        stream = stream
            .having(EDS, "a=1/10 b=1")
            .with_features(&TTL_FEATURES);
        stream.subscribe(EDS, &["a", "b"]);
        stream.ack("1", &["a", "b"]);
        assert_eq!(stream.deadline(), Some(5 * SECOND));
        assert!(stream.wait(4 * SECOND).is_empty());
        assert_eq!(stream.wait(SECOND), ["send eds #2 a~1/10"]);
        assert_eq!(stream.ack("2", &["a", "b"]), ["acked eds"]);
        assert_eq!(stream.deadline(), Some(5 * SECOND));
    }
}

#[test]
fn a_heartbeat_waits_for_the_answer_to_the_response_in_flight() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1/10").with_features(&TTL_FEATURES);
        stream.subscribe(EDS, &["a"]);
        assert_eq!(stream.deadline(), None);
        assert!(stream.wait(7 * SECOND).is_empty());
        assert_eq!(
            stream.ack("1", &["a"]),
            ["acked eds a=1", "send eds #2 a~1/10"]
        );
    }
}

#[test]
fn a_change_is_no_heartbeat_and_renews_it() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1/10").with_features(&TTL_FEATURES);
        stream.subscribe(EDS, &["a"]);
        stream.ack("1", &["a"]);
        stream.wait(3 * SECOND);
        assert_eq!(stream.change(EDS, "a=2/10"), ["send eds #2 a=2/10"]);
        stream.ack("2", &["a"]);
        assert!(stream.wait(2 * SECOND).is_empty());
        assert_eq!(stream.deadline(), Some(3 * SECOND));
    }
}

#[test]
fn another_time_to_live_or_none_is_sent_with_the_resource() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1/10").with_features(&TTL_FEATURES);
        stream.subscribe(EDS, &["a"]);
        stream.ack("1", &["a"]);
        assert_eq!(stream.change(EDS, "a=1/20"), ["send eds #2 a=1/20"]);
        stream.ack("2", &["a"]);
        assert!(stream.wait(9 * SECOND).is_empty());
        assert_eq!(stream.wait(SECOND), ["send eds #3 a~1/20"]);
        stream.ack("3", &["a"]);
        assert_eq!(stream.change(EDS, "a=1"), ["send eds #4 a=1"]);
        stream.ack("4", &["a"]);
        assert!(stream.wait(20 * SECOND).is_empty());
        assert_eq!(stream.deadline(), None);
    }
}

#[test]
fn what_was_refused_or_removed_has_no_heartbeats() {
    let mut stream = delta()
        .having(EDS, "a=1/10 b=1/10")
        .with_features(&TTL_FEATURES);
    stream.subscribe(EDS, &["a"]);
    stream.nack("1", &[]);
    stream.subscribe(EDS, &["b"]);
    stream.ack("2", &[]);
    assert_eq!(stream.wait(5 * SECOND), ["send eds #3 b~1/10"]);
    stream.ack("3", &[]);
    stream.change(EDS, "-b");
    stream.ack("4", &[]);
    assert!(stream.wait(5 * SECOND).is_empty());
}

#[test]
fn clusters_and_listeners_are_renewed_as_a_whole_in_state_of_the_world() {
    // A response of heartbeats alone would have a client remove what is not in it.
    let mut stream = state()
        .having(CDS, "a=1/10 b=1")
        .with_features(&TTL_FEATURES);
    stream.subscribe(CDS, &["*"]);
    stream.ack("1", &["*"]);
    assert_eq!(stream.wait(5 * SECOND), ["send cds #2 a=1/10 b=1"]);
}

#[test]
fn a_client_that_comes_back_is_renewed_at_once() {
    let mut stream = delta().having(EDS, "a=1/10").with_features(&TTL_FEATURES);
    assert_eq!(
        stream.resume(EDS, &["a"], "a=1"),
        ["acked eds a=1", "send eds #1 a~1/10"]
    );
    let mut stream = state().having(EDS, "a=1/10").with_features(&TTL_FEATURES);
    stream.subscribe(EDS, &["*"]);
    let version = stream.version("1");
    let mut stream = stream.reconnected();
    assert_eq!(
        stream.resume(EDS, &["*"], &version),
        ["acked eds a=1", "send eds #1 a~1/10"]
    );
}
