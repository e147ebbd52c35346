//! "Knowing When a Requested Resource Does Not Exist".

use crate::harness::{CDS, EDS, delta};

#[test]
fn a_missing_resource_is_named_as_removed() {
    let mut stream = delta().having(EDS, "a=1");
    assert_eq!(
        stream.subscribe(EDS, &["a", "missing"]),
        ["send eds #1 a=1 -missing"]
    );
}

#[test]
fn it_is_sent_when_it_exists() {
    let mut stream = delta();
    stream.subscribe(EDS, &["a"]);
    stream.ack("1", &[]);
    assert_eq!(stream.change(EDS, "a=1"), ["send eds #2 a=1"]);
}

#[test]
fn it_is_named_once_and_again_if_asked_again() {
    let mut stream = delta();
    stream.subscribe(EDS, &["a"]);
    stream.ack("1", &[]);
    assert!(stream.all_changed().is_empty());
    assert_eq!(stream.subscribe(EDS, &["a"]), ["send eds #2 -a"]);
}

#[test]
fn under_a_wildcard_a_name_that_is_asked_for_is_answered() {
    let mut stream = delta().having(CDS, "a=1");
    assert_eq!(
        stream.subscribe(CDS, &["*", "missing"]),
        ["send cds #1 a=1 -missing"]
    );
}
