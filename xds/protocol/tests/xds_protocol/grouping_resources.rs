//! "Grouping Resources into Responses".

use meshwall_xds_protocol::Limits;

use crate::harness::{CDS, EDS, LDS, delta, state};

#[test]
fn delta_sends_what_changed_and_no_more() {
    for type_url in [CDS, LDS, EDS] {
        let mut stream = delta().having(type_url, "a=1 b=1 c=1");
        stream.subscribe(type_url, &["*"]);
        stream.ack("1", &[]);
        let sent = stream.change(type_url, "b=2");
        assert!(sent[0].ends_with("#2 b=2"), "{sent:?}");
    }
}

#[test]
fn state_of_the_world_sends_all_clusters_and_listeners() {
    for type_url in [CDS, LDS] {
        let mut stream = state().having(type_url, "a=1 b=1 c=1");
        stream.subscribe(type_url, &["*"]);
        stream.ack("1", &["*"]);
        let sent = stream.change(type_url, "b=2");
        assert!(sent[0].ends_with("#2 a=1 b=2 c=1"), "{sent:?}");
    }
}

#[test]
fn the_state_of_the_world_is_what_the_client_subscribes_to() {
    let mut stream = state().having(LDS, "a=1 b=1 c=1");
    assert_eq!(stream.subscribe(LDS, &["a", "b"]), ["send lds #1 a=1 b=1"]);
    stream.ack("1", &["a", "b"]);
    assert!(stream.change(LDS, "c=2").is_empty());
    assert_eq!(stream.change(LDS, "b=2"), ["send lds #2 a=1 b=2"]);
}

#[test]
fn state_of_the_world_of_other_types_sends_what_changed() {
    let mut stream = state().having(EDS, "a=1 b=1");
    stream.subscribe(EDS, &["a", "b"]);
    stream.ack("1", &["a", "b"]);
    assert_eq!(stream.change(EDS, "b=2"), ["send eds #2 b=2"]);
}

#[test]
fn a_large_answer_comes_in_parts() {
    let limits = Limits {
        response_bytes: 2,
        ..Limits::default()
    };
    for mut stream in [state(), delta()] {
        // A version of one letter is a body of one byte.
        stream = stream.having(EDS, "a=1 b=2 c=3").with_limits(limits);
        let names = ["a", "b", "c"];
        assert_eq!(stream.subscribe(EDS, &names), ["send eds #1 a=1 b=2"]);
        assert_eq!(
            stream.ack("1", &names),
            ["acked eds a=1 b=2", "send eds #2 c=3"]
        );
    }
}
