//! Programs that come over a stream of the filter's own.

use std::time::Duration;

use meshwall_filter_host::fake::HostCall::{
    GetBufferBytes, GetHeaderMapPairs, GetProperty, IncrementMetric,
};
use meshwall_filter_host::property::{Property, XDS_NODE_ID};
use meshwall_filter_host::{Action, ContextId, LogLevel, Status, StreamKind, StreamToken};
use meshwall_policy::bundle::Bundle;
use meshwall_policy::delivery::{
    CHUNK_TYPE, ChunkId, Delivery, MAX_MESSAGE_BYTES, POLICY_NAME, POLICY_TYPE,
};

use crate::messages::{Request, Resource, Response};
use crate::support::{CONSOLE, FRONTEND, ROOT, Rig, bundle, frontend_reads, policy};

const CLUSTER_ID: Property<'static, Vec<u8>> =
    Property::from_encoded(b"xds\0node\0metadata\0CLUSTER_ID");
const CLUSTER: &str = "outbound|15443||meshwall.svc";
const NETWORK_ROOT: ContextId = ContextId(60);
const NEW_ROOT: ContextId = ContextId(61);
const FIRST: StreamToken = StreamToken(1);
const SECOND: StreamToken = StreamToken(2);
/// How long a change waits before it reaches what lives.
const GRACE: Duration = Duration::from_millis(400);
const NOON: Duration = Duration::from_secs(1_767_225_600);

fn bootstrap(direction: &str, until_first: &str) -> Vec<u8> {
    format!(
        r#"{{"policyServer": {{"cluster": "{CLUSTER}"}}, "direction": "{direction}",
            "untilFirst": "{until_first}"}}"#
    )
    .into_bytes()
}

fn everybody() -> String {
    policy("\n  - {name: all, action: Allow}")
}

/// The response that brings what documents mean.
fn delivery(documents: &str, nonce: &str) -> Vec<u8> {
    let bundle = Bundle::load(&bundle(documents)).unwrap();
    let delivery = Delivery::new(bundle.program.bytes(), bundle.peers.bytes()).unwrap();
    assert!(delivery.chunks.is_empty());
    let version = delivery.version().to_string();
    let manifest = Resource::new(POLICY_TYPE, POLICY_NAME, &version, &delivery.manifest);
    Response::new(POLICY_TYPE, nonce, vec![manifest]).bytes()
}

impl Rig {
    /// A filter that is to get its programs, and has not yet.
    fn awaiting(root_id: &str, until_first: &str) -> Rig {
        let mut rig = Rig::empty();
        rig.proxy.set_now(NOON);
        assert!(rig.await_under(ROOT, root_id, &bootstrap("ingress", until_first)));
        rig
    }

    fn await_under(&mut self, root: ContextId, root_id: &str, bootstrap: &[u8]) -> bool {
        self.proxy
            .stream(root)
            .property(XDS_NODE_ID, "sidecar~10.0.0.9~ledger-0.shop~shop.svc")
            .property(CLUSTER_ID, "east");
        self.configure(root, root_id, bootstrap)
    }

    /// A filter that has an open stream, and what these documents mean.
    fn delivered(root_id: &str, documents: &str) -> Rig {
        let mut rig = Rig::awaiting(root_id, "Deny");
        rig.tick(ROOT);
        rig.grpc_receive(ROOT, FIRST, &delivery(documents, "1"));
        rig
    }

    /// What was sent on a stream, the first is 1.
    fn sent(&self, stream: StreamToken) -> Vec<Request> {
        let streams = self.proxy.grpc_streams();
        let sent = &streams[stream.0 as usize - 1].sent;
        sent.iter().map(|bytes| Request::read(bytes)).collect()
    }

    fn events(&self, event: &str) -> Option<u64> {
        let name = format!("meshwall_delivery_total;reason={event}");
        self.proxy.metric(&name)
    }

    fn pass(&mut self, now: Duration) {
        self.proxy.set_now(now);
    }
}

#[test]
fn the_stream_is_opened_by_a_tick_and_says_who_asks() {
    let mut rig = Rig::awaiting("http", "Deny");
    assert_eq!(rig.proxy.grpc_streams(), [], "configuring opens nothing");
    assert_eq!(rig.proxy.tick_period(ROOT), Duration::from_millis(1));
    let line = format!("meshwall: ingress programs come from `{CLUSTER}`");
    assert_eq!(rig.proxy.logs().pop(), Some((LogLevel::Info, line)));

    rig.tick(ROOT);
    assert_eq!(rig.proxy.tick_period(ROOT), Duration::ZERO);
    let streams = rig.proxy.grpc_streams();
    assert_eq!(streams.len(), 1);
    assert_eq!(streams[0].cluster, CLUSTER);
    assert_eq!(
        streams[0].method,
        "envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
    );
    let sent = rig.sent(FIRST);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].type_url, POLICY_TYPE);
    assert_eq!(sent[0].subscribe, [POLICY_NAME]);
    let node = sent[0].node.clone().unwrap();
    assert_eq!(node.id, "sidecar~10.0.0.9~ledger-0.shop~shop.svc");
    assert_eq!(node.texts(), [("CLUSTER_ID".to_owned(), "east".to_owned())]);
    assert_eq!(node.user_agent_name, "meshwall-firewall");
    assert_eq!(node.user_agent_version, env!("CARGO_PKG_VERSION"));
}

#[test]
fn what_is_delivered_is_enforced_and_costs_what_a_bundle_does() {
    let mut rig = Rig::delivered("http", &frontend_reads());
    let answer = rig.sent(FIRST).pop().unwrap();
    assert_eq!((answer.nonce.as_str(), answer.error), ("1", None));
    assert_eq!(
        (rig.events("connected"), rig.events("accepted")),
        (Some(1), Some(1))
    );
    assert_eq!(rig.get(2, FRONTEND, "/v1/a"), Action::Continue);
    assert_eq!(rig.get(3, CONSOLE, "/v1/a"), Action::Pause);
    let calls = rig.calls_of(|rig| {
        rig.get(4, FRONTEND, "/v1/a");
    });
    let expected = [
        (GetHeaderMapPairs, 1),
        (GetProperty, 1),
        (IncrementMetric, 1),
    ];
    assert_eq!(calls, expected.into());
}

#[test]
fn before_the_first_program_everything_is_refused() {
    let mut rig = Rig::awaiting("http", "Deny");
    assert_eq!(rig.get(2, FRONTEND, "/v1/a"), Action::Pause);
    assert_eq!(rig.details(2).as_deref(), Some("meshwall_fault[no_policy]"));
    rig.tick(ROOT);
    rig.grpc_receive(ROOT, FIRST, &delivery(&frontend_reads(), "1"));
    assert_eq!(rig.get(3, FRONTEND, "/v1/a"), Action::Continue);
}

#[test]
fn what_is_let_in_before_the_first_program_is_decided_by_it() {
    let counter = "meshwall_permitted_without_policy_total";
    let mut rig = Rig::awaiting("http", "Allow");
    assert_eq!(rig.get(2, FRONTEND, "/v1/a"), Action::Continue);
    assert_eq!(rig.get(3, CONSOLE, "/v1/a"), Action::Continue);
    assert_eq!(rig.proxy.metric(counter), Some(2));
    rig.tick(ROOT);
    rig.grpc_receive(ROOT, FIRST, &delivery(&frontend_reads(), "1"));
    assert_eq!(rig.get(4, CONSOLE, "/v1/a"), Action::Pause, "at once");
    assert_eq!(rig.proxy.tick_period(ROOT), GRACE);
    rig.pass(NOON + GRACE);
    rig.tick(ROOT);
    assert_eq!(
        (rig.closed(2), rig.closed(3)),
        (vec![], vec![StreamKind::Request])
    );
    assert_eq!(rig.proxy.metric(counter), Some(2));

    let mut rig = Rig::awaiting("network", "Allow");
    assert_eq!(rig.connect(2, CONSOLE), Action::Continue);
    rig.tick(ROOT);
    rig.grpc_receive(
        ROOT,
        FIRST,
        &delivery(&everybody().replace("Allow", "Deny"), "1"),
    );
    rig.pass(NOON + GRACE);
    rig.tick(ROOT);
    assert_eq!(rig.closed(2), [StreamKind::Downstream]);
}

#[test]
fn all_filters_of_a_virtual_machine_share_what_comes() {
    let mut rig = Rig::awaiting("http", "Deny");
    assert!(rig.await_under(NETWORK_ROOT, "network", &bootstrap("ingress", "Deny")));
    rig.tick(ROOT);
    rig.tick(NETWORK_ROOT);
    assert_eq!(rig.proxy.grpc_streams().len(), 1);
    let only_front =
        policy("\n  - {name: front, action: Allow, from: [{serviceAccounts: [frontend]}]}");
    rig.grpc_receive(NETWORK_ROOT, FIRST, &delivery(&only_front, "1"));
    assert_eq!(rig.get(2, FRONTEND, "/v1/a"), Action::Continue);
    assert_eq!(rig.get(3, CONSOLE, "/v1/a"), Action::Pause);
    assert_eq!(
        rig.connect_under(NETWORK_ROOT, 4, FRONTEND),
        Action::Continue
    );
    assert_eq!(rig.connect_under(NETWORK_ROOT, 5, CONSOLE), Action::Pause);

    // One that is configured later has it at once.
    assert!(rig.await_under(NEW_ROOT, "http", &bootstrap("egress", "Deny")));
    let line = rig.proxy.logs().into_iter().rev().nth(1).unwrap().1;
    assert!(line.starts_with("meshwall: egress program"), "{line}");
}

#[test]
fn a_change_reaches_live_connections() {
    let mut rig = Rig::delivered("network", &everybody());
    assert_eq!(rig.connect(2, FRONTEND), Action::Continue);
    assert_eq!(rig.connect(3, CONSOLE), Action::Continue);
    let only_front =
        policy("\n  - {name: front, action: Allow, from: [{serviceAccounts: [frontend]}]}");
    rig.grpc_receive(ROOT, FIRST, &delivery(&only_front, "2"));
    rig.pass(NOON + GRACE);
    rig.tick(ROOT);
    assert_eq!(
        (rig.closed(2), rig.closed(3)),
        (vec![], vec![StreamKind::Downstream])
    );
}

#[test]
fn a_new_configuration_takes_over_the_program_and_later_the_stream() {
    let mut rig = Rig::delivered("http", &frontend_reads());
    assert!(rig.await_under(NEW_ROOT, "http", &bootstrap("ingress", "Allow")));
    assert_eq!(rig.get_under(NEW_ROOT, 2, FRONTEND), Action::Continue);
    assert_eq!(rig.get_under(NEW_ROOT, 3, CONSOLE), Action::Pause);
    rig.tick(NEW_ROOT);
    assert_eq!(rig.proxy.grpc_streams().len(), 1);

    // What comes over the stream of the old root context is for both.
    rig.grpc_receive(ROOT, FIRST, &delivery(&everybody(), "2"));
    assert_eq!(rig.get_under(NEW_ROOT, 4, CONSOLE), Action::Continue);

    rig.delete(ROOT);
    rig.tick(NEW_ROOT);
    assert_eq!(rig.proxy.grpc_streams().len(), 2);
    let first = rig.sent(SECOND).remove(0);
    assert!(first.known.contains_key(POLICY_NAME));
    assert_eq!(rig.get_under(NEW_ROOT, 5, CONSOLE), Action::Continue);

    // Of the old stream nothing is heard any more, and nothing believed.
    rig.grpc_receive(NEW_ROOT, FIRST, &delivery(&frontend_reads(), "3"));
    assert_eq!(rig.get_under(NEW_ROOT, 6, CONSOLE), Action::Continue);
}

#[test]
fn a_configuration_that_comes_back_has_the_program_of_now() {
    let mut rig = Rig::delivered("http", &everybody());
    assert_eq!(rig.get(2, CONSOLE, "/v1/a"), Action::Continue);
    assert!(rig.await_under(NEW_ROOT, "http", &bootstrap("ingress", "Allow")));
    assert_eq!(rig.get_under(NEW_ROOT, 3, CONSOLE), Action::Continue);
    rig.grpc_receive(ROOT, FIRST, &delivery(&frontend_reads(), "2"));
    rig.pass(NOON + GRACE);
    rig.tick(NEW_ROOT);
    // Envoy uses the old root context again, and says nothing.
    assert_eq!(rig.get_under(ROOT, 4, CONSOLE), Action::Pause);
    assert_eq!(rig.get_under(ROOT, 5, FRONTEND), Action::Continue);
    rig.delete(NEW_ROOT);
    assert_eq!(rig.get_under(ROOT, 6, CONSOLE), Action::Pause);
    assert_eq!(rig.get_under(ROOT, 7, FRONTEND), Action::Continue);
}

#[test]
fn a_server_that_is_away_leaves_the_last_good_program() {
    let mut rig = Rig::delivered("http", &frontend_reads());
    rig.proxy.set_grpc_close_message(b"upstream reset");
    rig.grpc_close(ROOT, FIRST, 14);
    let line =
        format!("meshwall: no stream to policy server `{CLUSTER}`: gRPC status 14: upstream reset");
    assert_eq!(rig.proxy.logs().pop(), Some((LogLevel::Warn, line)));
    assert!(
        rig.proxy.grpc_streams()[0].cancelled,
        "Envoy's entry must be gone before the root context is"
    );
    rig.proxy.set_grpc_failure(Some(Status::InternalFailure));
    let mut now = NOON + GRACE;
    // The tick that decides what lives again comes first.
    assert_eq!(rig.proxy.tick_period(ROOT), GRACE);
    rig.pass(now);
    rig.tick(ROOT);
    let pauses = [100, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
    for pause in pauses {
        let pause = Duration::from_millis(pause);
        assert_eq!(rig.proxy.tick_period(ROOT), pause);
        now += pause;
        rig.pass(now);
        rig.tick(ROOT);
        assert_eq!(rig.get(2, FRONTEND, "/v1/a"), Action::Continue);
        assert_eq!(rig.get(3, CONSOLE, "/v1/a"), Action::Pause);
    }
    assert_eq!(rig.events("disconnected"), Some(9));
    assert_eq!(rig.proxy.grpc_streams().len(), 1);

    rig.proxy.set_grpc_failure(None);
    now += Duration::from_secs(30);
    rig.pass(now);
    rig.tick(ROOT);
    let first = rig.sent(SECOND).remove(0);
    assert!(
        first.known.contains_key(POLICY_NAME),
        "nothing is to be sent again"
    );
}

#[test]
fn policies_expire_while_the_server_is_away() {
    let until_noon = everybody().replace("spec:", "spec:\n  expires: 2026-01-01T00:00:00Z");
    let mut rig = Rig::awaiting("network", "Deny");
    rig.pass(NOON - Duration::from_secs(60));
    rig.tick(ROOT);
    rig.grpc_receive(ROOT, FIRST, &delivery(&until_noon, "1"));
    assert_eq!(rig.connect(2, CONSOLE), Action::Continue);
    rig.grpc_close(ROOT, FIRST, 14);
    rig.proxy.set_grpc_failure(Some(Status::InternalFailure));
    let mut now = NOON - Duration::from_secs(60);
    while now < NOON + Duration::from_secs(6) {
        let period = rig.proxy.tick_period(ROOT);
        assert!(!period.is_zero() && period <= Duration::from_secs(5));
        now += period;
        rig.pass(now);
        rig.tick(ROOT);
    }
    assert_eq!(rig.closed(2), [StreamKind::Downstream]);
    assert!(rig.events("disconnected") > Some(4));
}

#[test]
fn a_refusal_is_answered_counted_and_logged() {
    let mut rig = Rig::delivered("http", &frontend_reads());
    let garbage = Resource::new(POLICY_TYPE, POLICY_NAME, "2", b"garbage");
    let response = Response::new(POLICY_TYPE, "2", vec![garbage]).bytes();
    rig.grpc_receive(ROOT, FIRST, &response);
    let answer = rig.sent(FIRST).pop().unwrap();
    let reason = "not a Meshwall manifest".to_owned();
    assert_eq!(
        (answer.nonce.as_str(), answer.error),
        ("2", Some((3, reason)))
    );
    assert_eq!(rig.events("refused"), Some(1));
    let line = "meshwall: policy refused, the last good one stays: not a Meshwall manifest";
    assert_eq!(
        rig.proxy.logs().pop(),
        Some((LogLevel::Error, line.to_owned()))
    );
    assert_eq!(rig.get(2, FRONTEND, "/v1/a"), Action::Continue);
    assert_eq!(rig.get(3, CONSOLE, "/v1/a"), Action::Pause);
}

#[test]
fn chunks_are_fetched_and_put_together() {
    let mut rig = Rig::awaiting("http", "Deny");
    rig.tick(ROOT);
    let long = "0123456789".repeat(700);
    let rule = |number: u32| {
        format!(
            "\n  - {{name: r{number}, action: Allow, operations: [{{paths: [\"/x{number}{long}\"]}}]}}"
        )
    };
    let documents = policy(&(0..20).map(rule).collect::<String>());
    let bundle = Bundle::load(&bundle(&documents)).unwrap();
    let delivery = Delivery::new(bundle.program.bytes(), bundle.peers.bytes()).unwrap();
    assert_eq!(delivery.chunks.len(), 2, "program and peers");
    let manifest = Resource::new(POLICY_TYPE, POLICY_NAME, "1", &delivery.manifest);
    let response = Response::new(POLICY_TYPE, "1", vec![manifest]);
    rig.grpc_receive(ROOT, FIRST, &response.bytes());
    assert!(
        rig.proxy.tick_period(ROOT) > Duration::from_secs(29),
        "it does not wait for ever"
    );
    let asked = rig.sent(FIRST).pop().unwrap();
    assert_eq!(asked.type_url, CHUNK_TYPE);
    let resources = asked.subscribe.iter().map(|name| {
        let id = ChunkId::parse(name).unwrap();
        let (_, data) = delivery
            .chunks
            .iter()
            .find(|(known, _)| *known == id)
            .unwrap();
        Resource::new(CHUNK_TYPE, name, "1", data)
    });
    let response = Response::new(CHUNK_TYPE, "2", resources.collect());
    rig.grpc_receive(ROOT, FIRST, &response.bytes());
    let path = format!("/x7{long}");
    assert_eq!(rig.get(2, FRONTEND, &path), Action::Continue);
    assert_eq!(rig.get(3, FRONTEND, "/x7"), Action::Pause);
    assert_eq!(rig.proxy.tick_period(ROOT), GRACE);
}

#[test]
fn a_message_that_is_too_large_is_not_read() {
    let mut rig = Rig::delivered("http", &frontend_reads());
    let message = vec![0; MAX_MESSAGE_BYTES + 1];
    let calls = rig.calls_of(|rig| rig.grpc_receive(ROOT, FIRST, &message));
    assert_eq!(calls.get(&GetBufferBytes), None);
    assert_eq!(rig.events("disconnected"), Some(1));
    assert!(
        !rig.proxy.grpc_streams()[0].cancelled,
        "Envoy may have more messages at hand"
    );
    rig.grpc_receive(ROOT, FIRST, &delivery(&everybody(), "2"));
    assert_eq!(rig.get(2, FRONTEND, "/v1/a"), Action::Continue);
    assert_eq!(rig.get(3, CONSOLE, "/v1/a"), Action::Pause);
    assert_eq!(rig.proxy.tick_period(ROOT), Duration::from_millis(1));
    rig.tick(ROOT);
    assert!(rig.proxy.grpc_streams()[0].cancelled);
    assert_eq!(rig.proxy.grpc_streams().len(), 1, "the next comes later");
}

#[test]
fn a_bootstrap_that_is_wrong_is_refused_with_the_reason() {
    for (text, reason) in [
        (
            r#"{"policyServer": {"cluster": "c"}, "direction": "ingress", "role": "http"}"#,
            "bootstrap: unknown field `role`, expected one of `policyServer`, `direction`, \
             `untilFirst` at line 1 column 65",
        ),
        (
            "{}",
            "bootstrap: missing field `policyServer` at line 1 column 2",
        ),
        ("\n\x0acluster", "not a Meshwall bundle"),
    ] {
        let mut rig = Rig::empty();
        assert!(!rig.await_under(ROOT, "http", text.as_bytes()));
        let line = format!("meshwall: configuration refused: {reason}");
        assert_eq!(rig.proxy.logs().pop(), Some((LogLevel::Error, line)));
        assert_eq!(rig.proxy.tick_period(ROOT), Duration::ZERO);
    }
    let mut rig = Rig::empty();
    assert!(!rig.configure(ROOT, "http", &bootstrap("ingress", "Allow")));
    let reason = "the proxy has no node id, by which a policy server knows it";
    let line = format!("meshwall: configuration refused: bootstrap: {reason}");
    assert_eq!(rig.proxy.logs().pop(), Some((LogLevel::Error, line)));
    assert_eq!(
        rig.get(2, FRONTEND, "/v1/a"),
        Action::Pause,
        "nothing is let in"
    );
}

#[test]
fn a_bundle_in_place_of_a_bootstrap_ends_the_stream() {
    let mut rig = Rig::delivered("http", &everybody());
    assert!(rig.configure(ROOT, "http", &bundle(&frontend_reads())));
    assert!(rig.proxy.grpc_streams()[0].cancelled);
    assert_eq!(rig.get(2, CONSOLE, "/v1/a"), Action::Pause);
    rig.grpc_receive(ROOT, FIRST, &delivery(&everybody(), "2"));
    assert_eq!(rig.get(3, CONSOLE, "/v1/a"), Action::Pause);
}

#[test]
fn another_server_is_another_session() {
    let mut rig = Rig::delivered("http", &everybody());
    let elsewhere = bootstrap("ingress", "Deny");
    let elsewhere = String::from_utf8(elsewhere)
        .unwrap()
        .replace(CLUSTER, "elsewhere");
    assert!(rig.await_under(NEW_ROOT, "http", elsewhere.as_bytes()));
    assert_eq!(rig.get_under(NEW_ROOT, 2, FRONTEND), Action::Pause);
    rig.tick(NEW_ROOT);
    let streams = rig.proxy.grpc_streams();
    assert_eq!(
        (streams.len(), streams[1].cluster.as_str()),
        (2, "elsewhere")
    );
    assert!(rig.sent(SECOND).remove(0).known.is_empty());
    rig.grpc_receive(NEW_ROOT, SECOND, &delivery(&frontend_reads(), "1"));
    assert_eq!(rig.get_under(NEW_ROOT, 3, FRONTEND), Action::Continue);
    assert_eq!(rig.get_under(NEW_ROOT, 4, CONSOLE), Action::Pause);
    // What is left of the old one has its own program.
    assert_eq!(rig.get_under(ROOT, 5, CONSOLE), Action::Continue);
}
