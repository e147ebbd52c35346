//! "Aggregated Discovery Service".

use meshwall_xds_protocol::{Code, Limits, Refusal};

use crate::harness::{EDS, RDS, delta, state};

#[test]
fn types_are_independent_on_one_stream() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1").having(RDS, "a=1");
        stream.subscribe(EDS, &["a"]);
        stream.subscribe(RDS, &["a"]);
        // A refusal of one type says nothing of another, and holds nothing back.
        stream.nack("1", &["a"]);
        stream.ack("2", &["a"]);
        assert_eq!(stream.change(RDS, "a=2"), ["send rds #3 a=2"]);
        assert_eq!(stream.change(EDS, "a=2"), ["send eds #4 a=2"]);
    }
}

#[test]
fn any_type_may_be_asked_for() {
    let mut stream = delta();
    assert_eq!(
        stream.subscribe("example.Unknown", &["a"]),
        ["send other #1 -a"]
    );
    let mut stream = state();
    assert!(stream.subscribe("example.Unknown", &["a"]).is_empty());
}

#[test]
fn the_number_of_types_is_bounded() {
    let limits = Limits {
        types: 2,
        ..Limits::default()
    };
    for mut stream in [state(), delta()] {
        stream = stream.with_limits(limits);
        stream.subscribe("example.A", &["a"]);
        stream.subscribe("example.B", &["a"]);
        let refusal = stream.send(stream.request("example.C", &[])).unwrap_err();
        assert_eq!(
            refusal,
            Refusal::TooMany {
                what: "types",
                limit: 2
            }
        );
        assert_eq!(refusal.code(), Code::ResourceExhausted);
    }
}
