//! What becomes of live streams when the policy changes.

use std::time::Duration;

use meshwall_filter_host::{Action, ContextId, StreamKind};

use crate::support::{CONSOLE, FRONTEND, ROOT, Rig, bundle, frontend_reads, policy};

const NEW_ROOT: ContextId = ContextId(100_000);
const SWEEP: Duration = Duration::from_millis(20);

fn everybody() -> String {
    policy("\n  - {name: all, action: Allow}")
}

fn closed(rig: &Rig, context: u32) -> Vec<StreamKind> {
    rig.proxy.stream(ContextId(context)).closed()
}

#[test]
fn requests_that_are_no_longer_permitted_are_closed_and_the_others_left_alone() {
    let mut rig = Rig::http(&everybody());
    rig.get(2, FRONTEND, "/v1/a");
    rig.get(3, FRONTEND, "/v2/a");
    rig.get(4, CONSOLE, "/v1/a");
    assert!(rig.configure(NEW_ROOT, "http", &bundle(&frontend_reads())));
    assert_eq!(rig.proxy.tick_period(NEW_ROOT), SWEEP);
    rig.tick(NEW_ROOT);
    assert_eq!(closed(&rig, 2), []);
    assert_eq!(closed(&rig, 3), [StreamKind::Request]);
    assert_eq!(closed(&rig, 4), [StreamKind::Request]);
    assert_eq!(rig.proxy.tick_period(NEW_ROOT), Duration::ZERO);
    let revoked = "meshwall_revoked_total;direction=ingress;verdict=deny;\
                   reason=no_rule_matched/Namespace";
    assert_eq!(rig.proxy.metric(revoked), Some(2));
    let cause = rig.filter_state(4, "meshwall.cause");
    assert_eq!(cause.as_deref(), Some("no_rule_matched/Namespace"));
}

#[test]
fn connections_that_are_no_longer_permitted_are_closed() {
    let mut rig = Rig::network(&everybody());
    rig.connect(2, FRONTEND);
    rig.connect(3, CONSOLE);
    let narrow = policy("\n  - {name: a, action: Allow, from: [{serviceAccounts: [frontend]}]}");
    assert!(rig.configure(NEW_ROOT, "network", &bundle(&narrow)));
    rig.tick(NEW_ROOT);
    assert_eq!(closed(&rig, 2), []);
    assert_eq!(closed(&rig, 3), [StreamKind::Downstream]);
    assert_eq!(rig.downstream_data(ContextId(3)), Action::Pause);
}

#[test]
fn many_streams_are_decided_over_several_ticks() {
    let mut rig = Rig::http(&everybody());
    for context in 2..1202 {
        rig.get(context, CONSOLE, "/v1/a");
    }
    assert!(rig.configure(NEW_ROOT, "http", &bundle(&frontend_reads())));
    let mut left = 1200;
    for most in [500, 500, 200] {
        assert_eq!(rig.proxy.tick_period(NEW_ROOT), SWEEP);
        rig.tick(NEW_ROOT);
        left -= most;
        let open = (2..1202).filter(|context| closed(&rig, *context).is_empty());
        assert_eq!(open.count(), left);
    }
    assert_eq!(rig.proxy.tick_period(NEW_ROOT), Duration::ZERO);
}

#[test]
fn only_the_newest_root_context_looks_after_streams() {
    let mut rig = Rig::http(&everybody());
    rig.get(2, CONSOLE, "/v1/a");
    assert!(rig.configure(ContextId(50), "http", &bundle(&everybody())));
    assert!(rig.configure(NEW_ROOT, "http", &bundle(&frontend_reads())));
    rig.tick(ContextId(50));
    assert_eq!(rig.proxy.tick_period(ContextId(50)), Duration::ZERO);
    assert_eq!(closed(&rig, 2), []);
    rig.tick(NEW_ROOT);
    assert_eq!(closed(&rig, 2), [StreamKind::Request]);
}

#[test]
fn a_request_too_large_to_be_kept_is_closed() {
    let mut rig = Rig::http(&everybody());
    let large = "v".repeat(17 << 10);
    let head = [(":method", "GET"), (":path", "/"), ("x-large", &large)];
    assert_eq!(rig.request(2, FRONTEND, &head), Action::Continue);
    assert!(rig.configure(NEW_ROOT, "http", &bundle(&everybody())));
    rig.tick(NEW_ROOT);
    assert_eq!(closed(&rig, 2), [StreamKind::Request]);
    assert_eq!(
        rig.proxy
            .metric("meshwall_faults_total;reason=head_not_kept"),
        Some(1)
    );
}

#[test]
fn a_stream_that_has_ended_is_not_touched() {
    let mut rig = Rig::http(&everybody());
    rig.get(2, CONSOLE, "/v1/a");
    rig.get(3, CONSOLE, "/v1/a");
    rig.delete(ContextId(2));
    // The proxy forgets a stream without telling.
    rig.proxy.end(ContextId(3));
    assert!(rig.configure(NEW_ROOT, "http", &bundle(&frontend_reads())));
    rig.tick(NEW_ROOT);
    assert_eq!((closed(&rig, 2), closed(&rig, 3)), (vec![], vec![]));
}

#[test]
fn what_a_policy_permits_ends_when_the_policy_expires() {
    let expiring = "
apiVersion: meshwall.io/v1alpha1
kind: FirewallPolicy
metadata: {name: ledger, namespace: shop}
spec:
  expires: 2026-01-01T00:00:00Z
  ingress:
  - {name: all, action: Allow}
";
    let new_year = Duration::from_secs(1_767_225_600);
    let mut rig = Rig::http(expiring);
    rig.proxy.set_now(new_year - Duration::from_secs(1));
    assert_eq!(rig.get(2, CONSOLE, "/"), Action::Continue);
    assert_eq!(rig.proxy.tick_period(ROOT), Duration::from_secs(5));
    rig.tick(ROOT);
    assert_eq!(closed(&rig, 2), []);
    rig.proxy.set_now(new_year);
    rig.tick(ROOT);
    assert_eq!(closed(&rig, 2), [StreamKind::Request]);
    assert_eq!(rig.get(3, CONSOLE, "/"), Action::Pause);
    assert_eq!(rig.proxy.tick_period(ROOT), Duration::from_secs(5));
}
