//! "Resource names" and aliases.

use crate::harness::{VHDS, delta};

#[test]
fn the_answer_has_the_name_and_the_aliases() {
    let mut stream = delta().having(VHDS, "a=1,x,y");
    assert_eq!(stream.subscribe(VHDS, &["x"]), ["send vhds #1 a=1"]);
    let [item] = &*stream.responses["1"].resources else {
        panic!("one resource");
    };
    assert_eq!(item.resource.aliases.len(), 2);
}

#[test]
fn a_change_reaches_who_subscribed_to_an_alias() {
    let mut stream = delta().having(VHDS, "a=1,x");
    stream.subscribe(VHDS, &["x"]);
    stream.ack("1", &[]);
    assert_eq!(stream.change(VHDS, "a=2,x"), ["send vhds #2 a=2"]);
    stream.ack("2", &[]);
    assert!(stream.change(VHDS, "a=2,x").is_empty());
    assert_eq!(stream.change(VHDS, "-a"), ["send vhds #3 -a"]);
    stream.ack("3", &[]);
    assert_eq!(stream.change(VHDS, "a=3,x"), ["send vhds #4 a=3"]);
}

#[test]
fn an_alias_that_moves_brings_the_new_resource_and_removes_the_old() {
    let mut stream = delta().having(VHDS, "a=1,x b=1");
    stream.subscribe(VHDS, &["x"]);
    stream.ack("1", &[]);
    assert_eq!(stream.change(VHDS, "a=2 b=2,x"), ["send vhds #2 b=2 -a"]);
}

#[test]
fn an_alias_that_is_lost_does_not_remove_what_another_name_holds() {
    let mut stream = delta().having(VHDS, "a=1,x,y");
    stream.subscribe(VHDS, &["x", "y"]);
    stream.ack("1", &[]);
    assert_eq!(stream.change(VHDS, "a=2,y"), ["send vhds #2 a=2"]);
    stream.ack("2", &[]);
    assert_eq!(stream.change(VHDS, "a=2"), ["send vhds #3 -a"]);
}

#[test]
fn a_client_that_comes_back_by_an_alias_is_sent_nothing_unchanged() {
    let mut stream = delta().having(VHDS, "a=1,x");
    assert_eq!(stream.resume(VHDS, &["x"], "a=1"), ["acked vhds a=1"]);
    assert_eq!(stream.change(VHDS, "-a"), ["send vhds #1 -a"]);
}
