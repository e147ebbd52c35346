//! "Deleting Resources".

use crate::harness::{CDS, EDS, LDS, delta, state};

#[test]
fn delta_says_what_is_removed() {
    for type_url in [CDS, EDS, LDS] {
        let mut stream = delta().having(type_url, "a=1 b=1");
        stream.subscribe(type_url, &["*"]);
        stream.ack("1", &[]);
        let sent = stream.change(type_url, "-b");
        assert!(sent[0].ends_with("#2 -b"), "{sent:?}");
        stream.ack("2", &[]);
        assert!(stream.all_changed().is_empty());
    }
}

#[test]
fn state_of_the_world_leaves_out_removed_clusters_and_listeners() {
    for type_url in [CDS, LDS] {
        let mut stream = state().having(type_url, "a=1 b=1");
        stream.subscribe(type_url, &[]);
        stream.ack("1", &[]);
        let sent = stream.change(type_url, "-b");
        assert!(sent[0].ends_with("#2 a=1"), "{sent:?}");
        stream.ack("2", &[]);
        // A response without any removes all.
        let sent = stream.change(type_url, "-a");
        assert!(sent[0].ends_with("#3"), "{sent:?}");
    }
}

#[test]
fn state_of_the_world_says_nothing_of_other_types_that_are_removed() {
    let mut stream = state().having(EDS, "a=1 b=1");
    stream.subscribe(EDS, &["a", "b"]);
    stream.ack("1", &["a", "b"]);
    assert!(stream.change(EDS, "-b").is_empty());
    // When it is back, it is news.
    assert_eq!(stream.change(EDS, "b=1"), ["send eds #2 b=1"]);
}

#[test]
fn what_is_removed_and_back_before_the_client_could_be_told_is_no_news() {
    let mut stream = delta().having(EDS, "a=1");
    stream.subscribe(EDS, &["a"]);
    assert!(stream.change(EDS, "-a").is_empty());
    assert!(stream.change(EDS, "a=1").is_empty());
    assert_eq!(stream.ack("1", &[]), ["acked eds a=1"]);
}
