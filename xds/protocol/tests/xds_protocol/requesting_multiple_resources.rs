//! "Requesting Multiple Resources on a Single Stream".

use crate::harness::{EDS, delta, state};

#[test]
fn any_number_of_names_may_be_in_a_request() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "foo=1 bar=1");
        assert_eq!(
            stream.subscribe(EDS, &["foo", "bar"]),
            ["send eds #1 bar=1 foo=1"]
        );
    }
}

#[test]
fn names_may_come_one_after_the_other() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "foo=1 bar=1");
        assert_eq!(stream.subscribe(EDS, &["foo"]), ["send eds #1 foo=1"]);
        assert_eq!(
            stream.ack("1", &["foo", "bar"])[1..],
            ["send eds #2 bar=1".to_owned()]
        );
    }
}
