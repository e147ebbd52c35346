//! "Resource warming".

use crate::harness::{CDS, EDS, LDS, RDS, delta, state};

#[test]
fn endpoints_and_routes_are_supplied_while_clusters_and_listeners_warm() {
    for mut stream in [state(), delta()] {
        stream = stream.having(CDS, "c=1").having(EDS, "c=1");
        stream = stream.having(LDS, "l=1").having(RDS, "r=1");
        assert_eq!(stream.subscribe(CDS, &["*"]), ["send cds #1 c=1"]);
        // Not even the acknowledgement of what warms is waited for.
        assert_eq!(stream.subscribe(EDS, &["c"]), ["send eds #2 c=1"]);
        assert_eq!(stream.subscribe(LDS, &["*"]), ["send lds #3 l=1"]);
        assert_eq!(stream.subscribe(RDS, &["r"]), ["send rds #4 r=1"]);
    }
}

#[test]
fn a_delta_client_that_warms_a_cluster_again_is_sent_its_endpoints_again() {
    let mut stream = delta().having(CDS, "c=1").having(EDS, "c=1");
    stream.subscribe(CDS, &["*"]);
    stream.subscribe(EDS, &["c"]);
    stream.ack("1", &[]);
    stream.ack("2", &[]);
    assert_eq!(stream.change(CDS, "c=2"), ["send cds #3 c=2"]);
    assert_eq!(stream.subscribe(EDS, &["c"]), ["send eds #4 c=1"]);
}
