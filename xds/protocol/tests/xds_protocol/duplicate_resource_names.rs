//! "Duplicate Resource Names".

use crate::harness::{CDS, EDS, VHDS, delta, state};

#[test]
fn a_response_has_each_name_once() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1").having(CDS, "a=1");
        assert_eq!(stream.subscribe(EDS, &["a", "*", "a"]), ["send eds #1 a=1"]);
        assert_eq!(stream.subscribe(CDS, &["a", "*", "a"]), ["send cds #2 a=1"]);
    }
}

#[test]
fn a_resource_with_two_names_is_sent_once() {
    for mut stream in [state(), delta()] {
        stream = stream.having(VHDS, "a=1,x,y");
        assert_eq!(
            stream.subscribe(VHDS, &["a", "x", "y"]),
            ["send vhds #1 a=1"]
        );
    }
}
