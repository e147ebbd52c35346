//! "Variants of the xDS Transport Protocol".

use meshwall_xds_protocol::{Code, Refusal, Scope, TypeUrl};

use crate::harness::{CDS, ECDS, EDS, Stream, Variant, delta, state};

#[test]
fn state_of_the_world_is_named_in_full_with_each_request() {
    let mut stream = state().having(EDS, "a=1 b=1");
    assert_eq!(stream.subscribe(EDS, &["a"]), ["send eds #1 a=1"]);
    assert_eq!(
        stream.ack("1", &["a", "b"]),
        ["acked eds a=1", "send eds #2 b=1"]
    );
    stream.ack("2", &["b"]);
    assert!(stream.change(EDS, "a=2").is_empty());
}

#[test]
fn delta_names_only_what_changes() {
    let mut stream = delta().having(EDS, "a=1 b=1");
    assert_eq!(stream.subscribe(EDS, &["a"]), ["send eds #1 a=1"]);
    stream.ack("1", &[]);
    assert_eq!(stream.subscribe(EDS, &["b"]), ["send eds #2 b=1"]);
    stream.ack("2", &[]);
    assert_eq!(stream.change(EDS, "a=2"), ["send eds #3 a=2"]);
}

#[test]
fn a_service_of_one_type_needs_no_type_url_and_has_no_other_type() {
    for variant in [Variant::State, Variant::Delta] {
        let scope = Scope::One(TypeUrl::from(ECDS));
        let mut stream = Stream::new(variant, scope).having(ECDS, "a=1");
        assert_eq!(stream.subscribe("", &["a"]), ["send ecds #1 a=1"]);
        let refusal = stream.send(stream.request(CDS, &[])).unwrap_err();
        assert_eq!(refusal, Refusal::WrongType(CDS.into()));
        assert_eq!(refusal.code(), Code::InvalidArgument);
    }
}

#[test]
fn an_aggregated_service_needs_the_type_url() {
    for mut stream in [state(), delta()] {
        let refusal = stream.send(stream.request("", &["a"])).unwrap_err();
        assert_eq!(refusal, Refusal::NoType);
    }
}

#[test]
fn a_stream_speaks_one_variant() {
    let mut stream = delta();
    stream.subscribe(EDS, &["a"]);
    let other = state();
    let mut request = other.request(EDS, &["a"]);
    request.node = None;
    assert_eq!(stream.send(request), Err(Refusal::MixedVariants));
}
