//! "Basic Protocol Overview".

use meshwall_xds_protocol::{Code, Node, Refusal};

use crate::harness::{EDS, RDS, delta, state};

#[test]
fn the_first_request_is_answered_with_what_it_subscribes_to() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1 b=1");
        assert_eq!(stream.subscribe(EDS, &["a"]), ["send eds #1 a=1"]);
    }
}

#[test]
fn further_responses_follow_whenever_resources_change() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1");
        stream.subscribe(EDS, &["a"]);
        stream.ack("1", &["a"]);
        assert_eq!(stream.change(EDS, "a=2"), ["send eds #2 a=2"]);
        stream.ack("2", &["a"]);
        assert_eq!(stream.change(EDS, "a=3"), ["send eds #3 a=3"]);
    }
}

#[test]
fn every_response_has_a_nonce_of_its_own() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1").having(RDS, "a=1");
        stream.subscribe(EDS, &["a"]);
        stream.subscribe(RDS, &["a"]);
        // The harness refuses one that comes twice.
        assert_eq!(stream.responses.len(), 2);
    }
}

#[test]
fn a_nonce_does_not_survive_its_stream() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1");
        let mut request = stream.request(EDS, &["a"]);
        request.nonce = "1".into();
        assert_eq!(stream.send(request).unwrap(), ["send eds #1 a=1"]);
    }
}

#[test]
fn the_node_is_needed_with_the_first_message() {
    for (node, mut stream) in [None, Some(Node::default())]
        .into_iter()
        .flat_map(|node| [(node.clone(), state()), (node, delta())])
    {
        let mut request = stream.request(EDS, &["a"]);
        request.node = node;
        let refusal = stream.send(request).unwrap_err();
        assert_eq!(refusal, Refusal::NoNode);
        assert_eq!(refusal.code(), Code::InvalidArgument);
    }
}

#[test]
fn the_node_is_not_looked_at_in_later_messages() {
    for mut stream in [state(), delta()] {
        stream = stream.having(EDS, "a=1").having(RDS, "a=1");
        let again = stream.request(RDS, &["a"]);
        stream.subscribe(EDS, &["a"]);
        assert!(again.node.is_some());
        assert_eq!(stream.send(again).unwrap(), ["send rds #2 a=1"]);
    }
}
