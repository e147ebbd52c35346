//! "Knowing When a Requested Resource Does Not Exist", in state of the world.

use crate::harness::{CDS, EDS, LDS, state};

#[test]
fn what_does_not_exist_is_sent_when_it_does() {
    let mut stream = state();
    assert!(stream.subscribe(EDS, &["a"]).is_empty());
    assert_eq!(stream.change(EDS, "a=1"), ["send eds #1 a=1"]);
}

#[test]
fn clusters_and_listeners_are_answered_with_those_that_exist() {
    for type_url in [CDS, LDS] {
        let mut stream = state().having(type_url, "a=1");
        let sent = stream.subscribe(type_url, &["a", "missing"]);
        assert!(sent[0].ends_with("#1 a=1"), "{sent:?}");
        stream.ack("1", &["a", "missing"]);
        let sent = stream.change(type_url, "missing=1");
        assert!(sent[0].ends_with("#2 a=1 missing=1"), "{sent:?}");
    }
}

#[test]
fn a_missing_resource_does_not_hold_back_the_others() {
    let mut stream = state().having(EDS, "a=1");
    assert_eq!(
        stream.subscribe(EDS, &["a", "missing"]),
        ["send eds #1 a=1"]
    );
}
