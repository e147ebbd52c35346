//! TCP connections.

use meshwall_filter_host::fake::HostCall::{
    CloseStream, GetProperty, IncrementMetric, SetProperty,
};
use meshwall_filter_host::property::SOURCE_ADDRESS;
use meshwall_filter_host::{Action, ContextId, StreamKind};

use crate::support::{CONSOLE, FRONTEND, PEER_ADDRESS, Rig, policy};

fn frontend_only() -> String {
    policy("\n  - {name: front, action: Allow, from: [{serviceAccounts: [frontend]}]}")
}

#[test]
fn a_connection_is_decided_once_and_then_costs_nothing() {
    let mut rig = Rig::network(&frontend_only());
    rig.connect(2, FRONTEND);
    let first = rig.calls_of(|rig| assert_eq!(rig.connect(3, FRONTEND), Action::Continue));
    assert_eq!(first, [(GetProperty, 1), (IncrementMetric, 1)].into());
    let rest = rig.calls_of(|rig| {
        for _ in 0..10 {
            assert_eq!(rig.upstream_data(ContextId(3)), Action::Continue);
            assert_eq!(rig.downstream_data(ContextId(3)), Action::Continue);
        }
    });
    assert_eq!(rest, [].into());
}

#[test]
fn a_denied_connection_is_closed_and_whatever_comes_is_held_back() {
    let mut rig = Rig::network(&frontend_only());
    rig.connect(2, CONSOLE);
    let calls = rig.calls_of(|rig| assert_eq!(rig.connect(3, CONSOLE), Action::Pause));
    let expected = [
        (GetProperty, 1),
        (IncrementMetric, 1),
        (SetProperty, 2),
        (CloseStream, 1),
    ];
    assert_eq!(calls, expected.into());
    assert_eq!(rig.upstream_data(ContextId(3)), Action::Pause);
    assert_eq!(rig.downstream_data(ContextId(3)), Action::Pause);
    assert_eq!(
        rig.proxy.stream(ContextId(3)).closed(),
        [StreamKind::Downstream]
    );
    let cause = rig.filter_state(3, "meshwall.cause");
    assert_eq!(cause.as_deref(), Some("no_rule_matched/Namespace"));
    let denied = "meshwall_connections_total;direction=ingress;verdict=deny;\
                  reason=no_rule_matched/Namespace";
    assert_eq!(rig.proxy.metric(denied), Some(2));
}

#[test]
fn the_address_of_a_connection_needs_no_voucher() {
    let by_address = policy("\n  - {name: a, action: Allow, from: [{ipBlocks: [10.0.0.0/8]}]}");
    for (property, address, action) in [
        (SOURCE_ADDRESS, "10.1.2.3:9", Action::Continue),
        (SOURCE_ADDRESS, "11.1.2.3:9", Action::Pause),
        (PEER_ADDRESS, "10.1.2.3:9", Action::Continue),
        (PEER_ADDRESS, "[::ffff:10.1.2.3]:9", Action::Continue),
        (PEER_ADDRESS, "/socket", Action::Pause),
    ] {
        let mut rig = Rig::network(&by_address);
        rig.proxy.stream(ContextId(2)).property(property, address);
        assert_eq!(rig.connect(2, FRONTEND), action, "{address}");
    }
}

#[test]
fn rules_about_requests_permit_no_connection() {
    let http = policy("\n  - {name: a, action: Allow, operations: [{paths: [/v1/*]}]}");
    let mut rig = Rig::network(&http);
    assert_eq!(rig.connect(2, FRONTEND), Action::Pause);
}

#[test]
fn without_a_policy_a_connection_is_closed() {
    let mut rig = Rig::empty();
    assert_eq!(rig.connect(2, FRONTEND), Action::Pause);
    assert_eq!(
        rig.proxy.stream(ContextId(2)).closed(),
        [StreamKind::Downstream]
    );
    assert_eq!(
        rig.proxy.metric("meshwall_faults_total;reason=no_policy"),
        Some(1)
    );
}
