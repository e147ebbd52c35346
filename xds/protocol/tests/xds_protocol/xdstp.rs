//! The xRFC TP1 of cncf/xds: "xdstp:// structured resource naming".

use meshwall_xds_protocol::{Code, NameError, Refusal, ResourceName};

use crate::harness::{LDS, delta, name};

const FOO: &str = "xdstp://a/envoy.config.listener.v3.Listener/foo";

#[test]
fn names_are_equal_up_to_the_order_of_context_parameters() {
    let sorted = name("xdstp://a/t/id?x=1&y=2");
    for same in ["xdstp://a/t/id?y=2&x=1", "xdstp://a/t/id?&y=2&x=1&"] {
        assert_eq!(name(same), sorted);
    }
    for other in [
        "xdstp://a/t/id",
        "xdstp://a/t/id?x=1",
        "xdstp://b/t/id?x=1&y=2",
        "xdstp://a/t/ID?x=1&y=2",
        "xdstp:///t/id?x=1&y=2",
    ] {
        assert_ne!(name(other), sorted);
    }
    assert_eq!(name("xdstp://a/t/id?"), name("xdstp://a/t/id"));
}

#[test]
fn a_resource_is_found_by_any_spelling_of_its_name() {
    let mut stream = delta().having(LDS, &format!("{FOO}?y=2&x=1=1"));
    assert_eq!(
        stream.subscribe(LDS, &[&format!("{FOO}?x=1&y=2")]),
        [format!("send lds #1 {FOO}?x=1&y=2=1")]
    );
}

#[test]
fn an_opaque_name_is_compared_as_it_is() {
    for (a, b) in [("n?x=1&y=2", "n?y=2&x=1"), ("n", "N"), ("n/*", "n/a")] {
        assert_ne!(name(a), name(b));
        assert_eq!(name(a).collection(), None);
        assert!(!name(a).is_collection());
    }
}

#[test]
fn a_name_of_the_form_has_a_type_and_an_id() {
    let cases = [
        ("", NameError::Empty),
        ("xdstp://", NameError::Incomplete),
        ("xdstp://a", NameError::Incomplete),
        ("xdstp://a/t", NameError::Incomplete),
        ("xdstp://a/t/", NameError::Incomplete),
        ("xdstp://a//id", NameError::Incomplete),
        ("xdstp://a/t?x=1/id", NameError::Incomplete),
        ("xdstp://a/t/id#entry=x", NameError::Directive),
    ];
    for (text, error) in cases {
        assert_eq!(ResourceName::new(text), Err(error), "{text}");
    }
    let mut stream = delta();
    let refusal = stream
        .send(stream.request(LDS, &["xdstp://a/t"]))
        .unwrap_err();
    assert_eq!(
        refusal,
        Refusal::BadName {
            name: "xdstp://a/t".into(),
            error: NameError::Incomplete
        }
    );
    assert_eq!(refusal.code(), Code::InvalidArgument);
}

#[test]
fn a_glob_collection_brings_its_members() {
    let members = format!("{FOO}/a=1 {FOO}/b=1 {FOO}/b/c=1 {FOO}/d?x=1=1 {FOO}=1");
    let mut stream = delta().having(LDS, &members);
    assert_eq!(
        stream.subscribe(LDS, &[&format!("{FOO}/*")]),
        [format!("send lds #1 {FOO}/a=1 {FOO}/b=1")]
    );
    stream.ack("1", &[]);
    assert_eq!(
        stream.change(LDS, &format!("{FOO}/b=2 -{FOO}/a {FOO}/e=1")),
        [format!("send lds #2 {FOO}/b=2 {FOO}/e=1 -{FOO}/a")]
    );
    stream.ack("2", &[]);
    assert!(stream.change(LDS, &format!("{FOO}=2")).is_empty());
    stream.unsubscribe(LDS, &[&format!("{FOO}/*")]);
    assert!(stream.change(LDS, &format!("{FOO}/b=3")).is_empty());
    assert!(stream.watched.is_empty());
}

#[test]
fn context_parameters_of_a_collection_must_match() {
    let members = format!("{FOO}/a?x=1&y=2=1 {FOO}/b=1 {FOO}/c?x=1=1");
    let mut stream = delta().having(LDS, &members);
    assert_eq!(
        stream.subscribe(LDS, &[&format!("{FOO}/*?y=2&x=1")]),
        [format!("send lds #1 {FOO}/a?x=1&y=2=1")]
    );
}

#[test]
fn an_empty_collection_is_named_as_removed() {
    let mut stream = delta();
    let glob = format!("{FOO}/*");
    assert_eq!(
        stream.subscribe(LDS, &[&glob]),
        [format!("send lds #1 -{glob}")]
    );
    stream.ack("1", &[]);
    assert_eq!(
        stream.change(LDS, &format!("{FOO}/a=1")),
        [format!("send lds #2 {FOO}/a=1")]
    );
}

#[test]
fn a_collection_that_is_subscribed_to_again_is_sent_again() {
    let mut stream = delta().having(LDS, &format!("{FOO}/a=1"));
    let glob = format!("{FOO}/*");
    stream.subscribe(LDS, &[&glob]);
    stream.ack("1", &[]);
    assert_eq!(
        stream.subscribe(LDS, &[&glob]),
        [format!("send lds #2 {FOO}/a=1")]
    );
}

#[test]
fn a_client_that_comes_back_to_a_collection_is_sent_only_changes() {
    let mut stream = delta().having(LDS, &format!("{FOO}/a=1 {FOO}/b=2 {FOO}/d=1"));
    let glob = format!("{FOO}/*");
    assert_eq!(
        stream.resume(LDS, &[&glob], &format!("{FOO}/a=1 {FOO}/b=1 {FOO}/c=1")),
        [
            format!("acked lds {FOO}/a=1"),
            format!("send lds #1 {FOO}/b=2 {FOO}/d=1 -{FOO}/c")
        ]
    );
}
