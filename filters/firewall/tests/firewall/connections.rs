//! TCP connections.

use std::time::Duration;

use meshwall_filter_host::fake::HostCall::{
    CloseStream, GetProperty, IncrementMetric, SetEffectiveContext, SetProperty,
    SetTickPeriodMilliseconds,
};
use meshwall_filter_host::property::{CONNECTION_MTLS, DESTINATION_ADDRESS, SOURCE_ADDRESS};
use meshwall_filter_host::{Action, ContextId, StreamKind};
use meshwall_policy::document::{Set, parse};
use meshwall_policy::spec::{
    Alternatives, Cidr, Config, Direction, Field, Network, Patterns, Predicate, Rule,
};

use crate::support::{CONSOLE, FRONTEND, PEER_ADDRESS, ROOT, Rig, bundle_of, policy};

const LOOK: Duration = Duration::from_secs(1);

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
fn a_silent_peer_is_decided_when_it_is_known() {
    let mut rig = Rig::network(&frontend_only());
    let [frontend, console, unknown] = [2, 3, 4];
    let calls = rig.calls_of(|rig| rig.open(frontend, FRONTEND));
    // The root context is asked to look, and then the connection is in effect again.
    assert_eq!(
        calls,
        [(SetEffectiveContext, 2), (SetTickPeriodMilliseconds, 1)].into()
    );
    let calls = rig.calls_of(|rig| rig.open(console, CONSOLE));
    assert_eq!(calls, [].into());
    rig.open(unknown, "");
    assert_eq!(rig.proxy.tick_period(ROOT), LOOK);
    rig.tick(ROOT);
    assert_eq!(rig.closed(console), []);

    for known in [frontend, console] {
        rig.proxy
            .stream(ContextId(known))
            .property(CONNECTION_MTLS, [1]);
    }
    rig.tick(ROOT);
    assert_eq!(
        (rig.closed(frontend), rig.closed(unknown)),
        (vec![], vec![])
    );
    assert_eq!(rig.closed(console), [StreamKind::Downstream]);
    let denied = "meshwall_connections_total;direction=ingress;verdict=deny;\
                  reason=no_rule_matched/Namespace";
    assert_eq!(rig.proxy.metric(denied), Some(1));
    // What has been decided is not looked at again.
    let calls = rig.calls_of(|rig| {
        assert_eq!(rig.downstream_data(ContextId(frontend)), Action::Continue);
    });
    assert_eq!(calls, [].into());
    // Nor, for ever, what cannot be.
    for _ in 2..=20 {
        assert_eq!(rig.proxy.tick_period(ROOT), LOOK);
        rig.tick(ROOT);
    }
    assert_eq!(rig.proxy.tick_period(ROOT), Duration::ZERO);
    assert_eq!(rig.closed(unknown), []);
}

#[test]
fn silent_peers_do_not_keep_a_policy_from_expiring() {
    let expiring = frontend_only().replace("spec:", "spec:\n  expires: 2026-01-01T00:00:00Z");
    let mut rig = Rig::network(&expiring);
    rig.connect(2, FRONTEND);
    rig.proxy.set_now(Duration::from_secs(1_767_225_600));
    for context in 3..10 {
        rig.open(context, "");
        rig.tick(ROOT);
    }
    assert_eq!(rig.closed(2), [StreamKind::Downstream]);
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
fn on_egress_the_address_that_counts_is_the_destination() {
    let parsed = parse("policies", &frontend_only());
    let mut policies: Vec<_> = Set::from(parsed.documents)
        .policies
        .into_iter()
        .map(|policy| policy.value)
        .collect();
    let everywhere_but = |but: [u8; 4]| Predicate {
        field: Field::RemoteAddress,
        patterns: Patterns::Networks(vec![Network {
            cidr: Cidr {
                address: [0, 0, 0, 0].into(),
                prefix_len: 0,
            },
            except: vec![Cidr {
                address: but.into(),
                prefix_len: 32,
            }],
        }]),
        negated: false,
    };
    let config = Config {
        trusted_proxies: 1,
        ..Config::default()
    };
    let (workload, destination) = ([10, 0, 0, 9], [203, 0, 113, 7]);
    for (but, action) in [(workload, Action::Continue), (destination, Action::Pause)] {
        let rule = Rule {
            peers: Alternatives::OneOf(vec![vec![everywhere_but(but)]]),
            ..policies[0].ingress[0].clone()
        };
        policies[0].egress = vec![rule];
        let mut rig = Rig::empty();
        let bytes = bundle_of("ledger-0", Direction::Egress, &config, &policies);
        assert!(rig.configure(ROOT, "network", &bytes));
        rig.proxy
            .stream(ContextId(2))
            .property(SOURCE_ADDRESS, "10.0.0.9:41000")
            .property(DESTINATION_ADDRESS, "203.0.113.7:443");
        assert_eq!(rig.connect(2, ""), action, "all but {but:?}");
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
