//! What becomes of live streams when the policy changes.

use std::time::Duration;

use meshwall_filter_host::{Action, ContextId, LogLevel, StreamKind};

use crate::support::{CONSOLE, FRONTEND, ROOT, Rig, bundle, frontend_reads, policy};

const NEW_ROOT: ContextId = ContextId(100_000);
const GRACE: Duration = Duration::from_millis(400);
const SWEEP: Duration = Duration::from_millis(20);
const SETTLE: Duration = Duration::from_secs(1);

fn everybody() -> String {
    policy("\n  - {name: all, action: Allow}")
}

#[test]
fn requests_that_are_no_longer_permitted_are_closed_and_the_others_left_alone() {
    let mut rig = Rig::http(&everybody());
    rig.get(2, FRONTEND, "/v1/a");
    rig.get(3, FRONTEND, "/v2/a");
    rig.get(4, CONSOLE, "/v1/a");
    assert!(rig.configure(NEW_ROOT, "http", &bundle(&frontend_reads())));
    assert_eq!(rig.proxy.tick_period(NEW_ROOT), GRACE);
    rig.tick(NEW_ROOT);
    assert_eq!(rig.closed(2), []);
    assert_eq!(rig.closed(3), [StreamKind::Request]);
    assert_eq!(rig.closed(4), [StreamKind::Request]);
    assert_eq!(rig.proxy.tick_period(NEW_ROOT), SETTLE);
    rig.tick(NEW_ROOT);
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
    assert_eq!(rig.closed(2), []);
    assert_eq!(rig.closed(3), [StreamKind::Downstream]);
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
    for (period, most) in [(GRACE, 500), (SWEEP, 500), (SWEEP, 200)] {
        assert_eq!(rig.proxy.tick_period(NEW_ROOT), period);
        rig.tick(NEW_ROOT);
        left -= most;
        let open = (2..1202).filter(|context| rig.closed(*context).is_empty());
        assert_eq!(open.count(), left);
    }
    assert_eq!(rig.proxy.tick_period(NEW_ROOT), SETTLE);
}

#[test]
fn only_the_newest_root_context_looks_after_streams() {
    let mut rig = Rig::http(&everybody());
    rig.get(2, CONSOLE, "/v1/a");
    assert!(rig.configure(ContextId(50), "http", &bundle(&everybody())));
    assert!(rig.configure(NEW_ROOT, "http", &bundle(&frontend_reads())));
    rig.tick(ContextId(50));
    assert_eq!(rig.proxy.tick_period(ContextId(50)), Duration::ZERO);
    assert_eq!(rig.closed(2), []);
    rig.tick(NEW_ROOT);
    assert_eq!(rig.closed(2), [StreamKind::Request]);
}

#[test]
fn a_request_too_large_to_be_kept_is_closed() {
    let mut rig = Rig::http(&everybody());
    let large = "v".repeat(17 << 10);
    let head = [(":method", "GET"), (":path", "/"), ("x-large", &large)];
    assert_eq!(rig.request(2, FRONTEND, &head), Action::Continue);
    assert!(rig.configure(NEW_ROOT, "http", &bundle(&everybody())));
    rig.tick(NEW_ROOT);
    assert_eq!(rig.closed(2), [StreamKind::Request]);
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
    assert_eq!((rig.closed(2), rig.closed(3)), (vec![], vec![]));
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
    rig.tick(ROOT);
    assert_eq!(rig.closed(2), []);
    rig.proxy.set_now(new_year);
    rig.tick(ROOT);
    rig.tick(ROOT);
    assert_eq!(rig.closed(2), [StreamKind::Request]);
    assert_eq!(rig.get(3, CONSOLE, "/"), Action::Pause);
    assert_eq!(rig.proxy.tick_period(ROOT), Duration::from_secs(5));
}

/// A proxy that goes back to an earlier configuration tells the filter nothing.
#[test]
fn a_program_that_is_brought_back_is_in_force_again_for_old_and_new_requests() {
    let mut rig = Rig::http(&frontend_reads());
    rig.get(2, FRONTEND, "/v1/a");
    assert!(rig.configure(NEW_ROOT, "http", &bundle(&everybody())));
    rig.tick(NEW_ROOT);
    assert_eq!(rig.get_under(NEW_ROOT, 3, CONSOLE), Action::Continue);

    assert_eq!(rig.get_under(ROOT, 4, CONSOLE), Action::Pause);
    let (_, line) = rig.proxy.logs().pop().unwrap();
    assert!(
        line.ends_with(" for shop/ledger-0 in force again"),
        "{line}"
    );
    assert_eq!(rig.proxy.tick_period(ROOT), GRACE);
    rig.tick(ROOT);
    assert_eq!(
        (rig.closed(2), rig.closed(3)),
        (vec![], vec![StreamKind::Request])
    );
    assert_eq!(rig.proxy.tick_period(ROOT), Duration::ZERO);
    rig.tick(NEW_ROOT);
    assert_eq!(rig.proxy.tick_period(NEW_ROOT), Duration::ZERO);

    // And forth again.
    assert_eq!(rig.get_under(NEW_ROOT, 5, CONSOLE), Action::Continue);
}

#[test]
fn a_program_that_goes_leaves_the_one_before_it_in_force() {
    let mut rig = Rig::http(&frontend_reads());
    rig.get(2, FRONTEND, "/v1/a");
    assert!(rig.configure(NEW_ROOT, "http", &bundle(&everybody())));
    rig.tick(NEW_ROOT);
    assert_eq!(rig.get(3, CONSOLE, "/v1/a"), Action::Continue);
    rig.delete(NEW_ROOT);
    assert_eq!(rig.proxy.tick_period(ROOT), GRACE);
    rig.tick(ROOT);
    assert_eq!(
        (rig.closed(2), rig.closed(3)),
        (vec![], vec![StreamKind::Request])
    );
    assert_eq!(rig.get(4, CONSOLE, "/v1/a"), Action::Pause);
}

#[test]
fn a_request_under_the_old_root_context_is_not_the_way_back_while_a_change_spreads() {
    let mut rig = Rig::http(&everybody());
    rig.get(2, CONSOLE, "/v1/a");
    assert!(rig.configure(NEW_ROOT, "http", &bundle(&frontend_reads())));
    for context in 3..6 {
        assert_eq!(rig.get_under(ROOT, context, CONSOLE), Action::Pause);
    }
    rig.tick(NEW_ROOT);
    assert_eq!(rig.closed(2), [StreamKind::Request]);
    assert_eq!(rig.get_under(ROOT, 6, CONSOLE), Action::Pause);
    // A second later it has spread, though nobody has asked under the new root context.
    assert_eq!(rig.proxy.tick_period(NEW_ROOT), SETTLE);
    rig.tick(NEW_ROOT);
    assert_eq!(rig.proxy.tick_period(NEW_ROOT), Duration::ZERO);
    assert_eq!(rig.get_under(ROOT, 7, CONSOLE), Action::Continue);
}

#[test]
fn an_earlier_program_that_is_too_large_to_be_kept_refuses_everything() {
    // More than 4 MiB each, of which one can be kept beside the one in force.
    let large = |letter: char| {
        let names = (0..550).map(|n| format!("{}-{n}", String::from(letter).repeat(8_000)));
        let names: Vec<_> = names.collect();
        let names = names.join(", ");
        let rules =
            format!("\n  - {{name: a, action: Allow, operations: [{{methods: [GET, {names}]}}]}}");
        bundle(&policy(&rules))
    };
    let mut rig = Rig::empty();
    for (number, letter) in ('a'..='c').enumerate() {
        let root = ContextId(100 + u32::try_from(number).unwrap());
        assert!(rig.configure(root, "http", &large(letter)));
        assert_eq!(rig.get_under(root, 2, FRONTEND), Action::Continue);
    }
    assert_eq!(rig.get_under(ContextId(101), 2, FRONTEND), Action::Continue);
    assert_eq!(rig.get_under(ContextId(100), 2, FRONTEND), Action::Pause);
    assert_eq!(rig.details(2).as_deref(), Some("meshwall_fault[no_policy]"));
    let (level, _) = rig.proxy.logs().pop().unwrap();
    assert_eq!(level, LogLevel::Error);
    // Until there is a new one.
    assert!(rig.configure(NEW_ROOT, "http", &bundle(&everybody())));
    assert_eq!(rig.get_under(NEW_ROOT, 2, FRONTEND), Action::Continue);
}

#[test]
fn changes_that_follow_each_other_do_not_put_off_their_effect() {
    let mut rig = Rig::http(&everybody());
    rig.get(2, CONSOLE, "/v1/a");
    let step = Duration::from_millis(150);
    let mut now = Duration::from_secs(1_000);
    for (number, left) in [400, 250, 100, 1, 1].into_iter().enumerate() {
        rig.proxy.set_now(now);
        let root = ContextId(100 + u32::try_from(number).unwrap());
        assert!(rig.configure(root, "http", &bundle(&frontend_reads())));
        assert_eq!(
            rig.proxy.tick_period(root),
            Duration::from_millis(left),
            "{number}"
        );
        now += step;
    }
    rig.tick(ContextId(104));
    assert_eq!(rig.closed(2), [StreamKind::Request]);
}
