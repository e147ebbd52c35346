//! "ACK/NACK and resource type instance version".

use meshwall_xds_protocol::{ErrorDetail, Limits};

use crate::harness::{CDS, EDS, LDS, RDS, delta, state};

#[test]
fn an_ack_says_which_versions_are_in_force() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1 b=2");
        stream.subscribe(EDS, &["a", "b"]);
        assert_eq!(stream.ack("1", &["a", "b"]), ["acked eds a=1 b=2"]);
    }
}

#[test]
fn a_nack_is_told_by_its_error_and_not_by_the_version() {
    let mut stream = state().having(EDS, "a=1");
    stream.subscribe(EDS, &["a"]);
    // A version that is not the one of the response makes no NACK.
    let mut request = stream.request(EDS, &["a"]);
    request.nonce = "1".into();
    assert_eq!(stream.send(request).unwrap(), ["acked eds a=1"]);

    stream.change(EDS, "a=2");
    assert_eq!(stream.nack("2", &["a"]), ["nacked eds a=2: bad"]);
}

#[test]
fn a_nack_names_the_resources_that_stay_in_doubt() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1");
        stream.subscribe(EDS, &["a"]);
        stream.ack("1", &["a"]);
        stream.change(EDS, "a=2");
        assert_eq!(stream.nack("2", &["a"]), ["nacked eds a=2: bad"]);
    }
}

#[test]
fn what_was_refused_is_not_sent_again_until_it_changes() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1 b=1");
        stream.subscribe(EDS, &["a", "b"]);
        assert_eq!(stream.nack("1", &["a", "b"]), ["nacked eds a=1 b=1: bad"]);
        assert!(stream.change(EDS, "a=1").is_empty());
        assert!(stream.all_changed().is_empty());
        // Another one that changes does not bring it back.
        assert_eq!(stream.change(EDS, "b=2"), ["send eds #2 b=2"]);
        stream.ack("2", &["a", "b"]);
        assert_eq!(stream.change(EDS, "a=2"), ["send eds #3 a=2"]);
    }
}

#[test]
fn after_a_nack_the_old_version_is_sent_if_it_is_the_next() {
    // Which of the resources of a refused response are in force is not known.
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1");
        stream.subscribe(EDS, &["a"]);
        stream.ack("1", &["a"]);
        stream.change(EDS, "a=2");
        stream.nack("2", &["a"]);
        assert_eq!(stream.change(EDS, "a=1"), ["send eds #3 a=1"]);
    }
}

#[test]
fn a_change_while_a_response_is_in_flight_waits_for_its_nack_too() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1");
        stream.subscribe(EDS, &["a"]);
        assert!(stream.change(EDS, "a=2").is_empty());
        assert_eq!(
            stream.nack("1", &["a"]),
            ["nacked eds a=1: bad", "send eds #2 a=2"]
        );
    }
}

#[test]
fn only_the_first_answer_to_a_response_counts() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1");
        stream.subscribe(EDS, &["a"]);
        stream.ack("1", &["a"]);
        assert!(stream.nack("1", &["a"]).is_empty());
        assert!(stream.ack("1", &["a"]).is_empty());
    }
}

#[test]
fn types_are_answered_apart() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1").having(RDS, "a=2");
        stream.subscribe(EDS, &["a"]);
        stream.subscribe(RDS, &["a"]);
        // The nonce of one type means nothing to another.
        let mut request = stream.request(RDS, &["a"]);
        request.nonce = "1".into();
        let answer: Vec<String> = stream.send(request).unwrap();
        assert!(!answer.iter().any(|line| line.starts_with("acked")));
        assert_eq!(stream.ack("2", &["a"])[0], "acked rds a=2");
        assert_eq!(stream.ack("1", &["a"]), ["acked eds a=1"]);
    }
}

#[test]
fn the_reason_of_a_nack_is_cut_between_characters() {
    let limits = Limits {
        reason_bytes: 3,
        ..Limits::default()
    };
    let mut stream = delta().having(EDS, "a=1").with_limits(limits);
    stream.subscribe(EDS, &["a"]);
    let mut request = stream.request(EDS, &[]);
    request.nonce = "1".into();
    request.error = Some(ErrorDetail {
        code: 3,
        message: "naïve".into(),
    });
    assert_eq!(stream.send(request).unwrap(), ["nacked eds a=1: na"]);
}

#[test]
fn the_version_changes_with_any_resource_of_the_type_and_with_no_other() {
    let mut stream = state().having(CDS, "a=1 b=1").having(LDS, "x=1");
    stream.subscribe(CDS, &[]);
    let first = stream.version("1");
    stream.ack("1", &[]);
    stream.subscribe(LDS, &[]);
    stream.ack("2", &[]);
    assert_ne!(first, stream.version("2"));

    stream.change(CDS, "b=2");
    let second = stream.version("3");
    assert_ne!(first, second);
    stream.ack("3", &[]);
    stream.change(CDS, "b=1");
    assert_eq!(first, stream.version("4"));
}

#[test]
fn the_version_is_of_the_resources_and_not_of_the_stream() {
    let mut stream = state().having(CDS, "a=1 b=1");
    stream.subscribe(CDS, &["*"]);
    stream.ack("1", &["*"]);
    let version = stream.version("1");

    // Another replica.
    let mut other = state().having(CDS, "b=1 a=1");
    other.subscribe(CDS, &[]);
    assert_eq!(other.version("1"), version);
}

#[test]
fn a_client_of_all_that_comes_back_with_the_version_is_sent_nothing() {
    for (type_url, names) in [(CDS, &[][..]), (EDS, &["*"])] {
        let mut stream = state().having(type_url, "a=1 b=1");
        stream.subscribe(type_url, names);
        let version = stream.version("1");
        let mut stream = stream.reconnected();
        let acked = stream.resume(type_url, names, &version);
        assert_eq!(acked.len(), 1);
        assert!(acked[0].starts_with("acked"));
        // And then the changes.
        assert_eq!(stream.change(type_url, "b=2").len(), 1);
    }
}

#[test]
fn a_client_of_all_that_comes_back_with_another_version_is_sent_all() {
    let mut stream = state().having(CDS, "a=1 b=1");
    stream.subscribe(CDS, &["*"]);
    let version = stream.version("1");
    let mut stream = stream.reconnected();
    stream.change(CDS, "b=2");
    assert_eq!(
        stream.resume(CDS, &["*"], &version),
        ["send cds #1 a=1 b=2"]
    );
}

#[test]
fn a_client_of_names_that_comes_back_is_sent_them() {
    // It may have dropped what it asks for again, at the same version.
    for names in [&["a"][..], &["a", "b"], &["*", "a"]] {
        let mut stream = state().having(EDS, "a=1 b=1");
        stream.subscribe(EDS, names);
        let version = stream.version("1");
        let mut stream = stream.reconnected();
        let sent = stream.resume(EDS, names, &version);
        assert!(sent[0].starts_with("send eds #1 a=1"), "{sent:?}");
    }
}

#[test]
fn a_client_that_refused_something_is_sent_it_on_the_next_stream() {
    let mut stream = state().having(EDS, "a=1 b=1");
    stream.subscribe(EDS, &["*"]);
    stream.nack("1", &["*"]);
    stream.change(EDS, "b=2");
    stream.ack("2", &["*"]);
    let version = stream.version("2");
    let mut stream = stream.reconnected();
    assert_eq!(
        stream.resume(EDS, &["*"], &version),
        ["send eds #1 a=1 b=2"]
    );
}
