//! Bundles, good and bad.

use meshwall_filter_host::{Action, ContextId, LogLevel};
use meshwall_policy::bundle::MAX_BUNDLE_BYTES;

use crate::support::{CONSOLE, FRONTEND, ROOT, Rig, bundle, bundle_for, frontend_reads, policy};

const NEW_ROOT: ContextId = ContextId(100);
/// Where the direction, the port of the listener and the edition are in a bundle.
const DIRECTION: usize = 12;
const PORT: std::ops::Range<usize> = 14..16;
const EDITION: std::ops::Range<usize> = 24..40;

fn everybody() -> Vec<u8> {
    bundle(&policy("\n  - {name: all, action: Allow}"))
}

#[test]
fn a_program_that_is_in_force_says_so() {
    let rig = Rig::http(&frontend_reads());
    let logs = rig.proxy.logs();
    let [(LogLevel::Info, line)] = logs.as_slice() else {
        panic!("{logs:?}");
    };
    assert!(line.starts_with("meshwall: ingress program "), "{line}");
    assert!(
        line.ends_with(" for shop/ledger-0 in force: 1 rules, 0 peers"),
        "{line}"
    );
}

#[test]
fn a_bundle_that_is_cut_short_or_changed_is_refused_and_the_last_one_kept() {
    let good = bundle(&frontend_reads());
    let mut rig = Rig::http(&frontend_reads());
    let cut = (0..good.len()).map(|len| good[..len].to_vec());
    // With another port it is a good bundle, for another listener; with another edition the same.
    let matters = |at: &usize| !PORT.contains(at) && !EDITION.contains(at);
    let flipped = (0..good.len()).filter(matters).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        bytes
    });
    let longer = [&good[..], b"\0"].concat();
    for bytes in cut.chain(flipped).chain([longer]) {
        assert!(!rig.configure(NEW_ROOT, "http", &bytes));
    }
    assert_eq!(rig.get(2, FRONTEND, "/v1/a"), Action::Continue);
    assert_eq!(rig.get(3, CONSOLE, "/v1/a"), Action::Pause);
}

#[test]
fn a_refusal_says_why() {
    let mut rig = Rig::empty();
    let mut newer = everybody();
    newer[8] = 9;
    let too_large = vec![b'x'; MAX_BUNDLE_BYTES + 1];
    for (root_id, bytes, reason) in [
        ("http", &b"garbage"[..], "not a Meshwall bundle"),
        ("http", b"", "not a Meshwall bundle"),
        (
            "http",
            &newer,
            "bundle format 9 is unknown; this filter reads format 1: update the filter before \
             the policy server",
        ),
        (
            "http",
            &too_large,
            "bundle of 12582913 bytes exceeds the limit of 12582912",
        ),
        (
            "grpc",
            &everybody(),
            "root id `grpc` is neither `http` nor `network`",
        ),
    ] {
        assert!(!rig.configure(NEW_ROOT, root_id, bytes));
        let line = format!("meshwall: configuration refused: {reason}");
        assert_eq!(rig.proxy.logs().pop(), Some((LogLevel::Error, line)));
    }
}

#[test]
fn a_new_program_holds_for_old_and_new_requests_of_its_listener_only() {
    let mut rig = Rig::http(&frontend_reads());
    // Another workload's, another port's and another role's programs are other listeners'.
    let other_workload = bundle_for("other-0", &policy("\n  - {name: all, action: Allow}"));
    let mut other_port = everybody();
    other_port[PORT.start] = 80;
    let mut egress = everybody();
    egress[DIRECTION] = 1;
    for (number, (root_id, bytes)) in [
        ("http", other_workload),
        ("http", other_port),
        ("http", egress),
        ("network", everybody()),
    ]
    .into_iter()
    .enumerate()
    {
        let root = ContextId(200 + u32::try_from(number).unwrap());
        assert!(rig.configure(root, root_id, &bytes));
        assert_eq!(rig.get(2, CONSOLE, "/v1/a"), Action::Pause);
    }
    assert!(rig.configure(NEW_ROOT, "http", &everybody()));
    assert_eq!(rig.get(3, CONSOLE, "/v1/a"), Action::Continue);
}

#[test]
fn a_program_goes_with_its_last_root_context() {
    let mut rig = Rig::http(&frontend_reads());
    assert!(rig.configure(NEW_ROOT, "http", &everybody()));
    rig.delete(ROOT);
    assert_eq!(rig.headers_of_new_root(), Action::Continue);
    rig.delete(NEW_ROOT);
    assert_eq!(rig.headers_of_new_root(), Action::Pause);
}

impl Rig {
    fn headers_of_new_root(&mut self) -> Action {
        let head = [(":method", "GET"), (":path", "/")];
        let map = meshwall_filter_host::MapKind::RequestHeaders;
        self.proxy.stream(ContextId(2)).map(map, &head);
        self.headers(NEW_ROOT, 2)
    }
}
