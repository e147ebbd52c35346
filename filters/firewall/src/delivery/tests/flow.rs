//! What happens when all is well.

use std::sync::Arc;

use meshwall_policy::delivery::{ChunkId, MAX_OUTSTANDING_BYTES, POLICY_NAME, POLICY_TYPE};

use super::{Done, Event, Parts, Rig, Sent, accepts, at, refuses, response};

#[test]
fn a_small_policy_is_in_force_at_once() {
    let parts = Parts::small();
    let mut rig = Rig::open();
    let done = rig.receive(&parts.policy("1"));
    let expected = Done {
        sent: vec![accepts("1")],
        told: vec![Event::Connected, Event::Accepted(parts.version.clone())],
        enforces: true,
        ..Done::default()
    };
    assert_eq!(done, expected);
    assert_eq!(rig.enforced, Some(parts));
    assert_eq!(rig.session.alarm(), None);
}

#[test]
fn a_large_policy_is_asked_for_piece_by_piece_and_accepted_at_the_end() {
    let parts = Parts::new(1_500_000, 10_000);
    let mut rig = Rig::open();
    let mut done = rig.receive(&parts.policy("1"));
    assert_eq!(done.told, [Event::Connected]);
    let mut outstanding = done.asked();
    let mut got = 0;
    while let Some(id) = outstanding.pop() {
        assert_eq!(rig.enforced, None);
        got += 1;
        let nonce = format!("chunk-{got}");
        done = rig.receive(&parts.chunks(&nonce, &[id]));
        let [
            Sent::Chunks {
                answers,
                subscribe,
                unsubscribe,
            },
            ..,
        ] = &*done.sent
        else {
            panic!("{done:?}");
        };
        assert_eq!(answers, &Some((nonce, None)));
        assert_eq!(unsubscribe, &[id]);
        outstanding.extend(subscribe);
        let bytes: usize = outstanding.iter().map(|id| parts.chunks[id].len()).sum();
        assert!(bytes <= MAX_OUTSTANDING_BYTES, "{bytes} outstanding");
    }
    assert_eq!(got, parts.chunks.len());
    assert_eq!(done.sent.last(), Some(&accepts("1")));
    assert_eq!(done.told, [Event::Accepted(parts.version.clone())]);
    assert_eq!(rig.enforced, Some(parts));
    assert_eq!(rig.session.alarm(), None);
}

#[test]
fn of_a_change_only_what_is_new_is_asked_for() {
    let (before, after) = (Parts::large(0, 10_000), Parts::large(0, 10_001));
    assert_eq!(before.program, after.program);
    let mut rig = Rig::with(&before);
    let (program, _) = rig.session.in_force().unwrap();
    let done = rig.receive(&after.policy("2"));
    let is_new = |id: &&ChunkId| !before.chunks.contains_key(id);
    let new = after.chunks.keys().filter(is_new).count();
    assert!((1..=3).contains(&new), "{new} new chunks");
    assert_eq!(rig.serve(done, &after), new);
    assert_eq!(rig.enforced, Some(after));
    let (same, _) = rig.session.in_force().unwrap();
    assert!(Arc::ptr_eq(&program, &same), "it is not even loaded again");
}

#[test]
fn after_a_reconnect_nothing_is_asked_for_again() {
    let parts = Parts::large(0, 100);
    let mut rig = Rig::with(&parts);
    let known = vec![(POLICY_NAME.to_owned(), parts.version.clone())];
    let done = rig.reconnect();
    assert_eq!(done.sent, [Sent::Subscribe(known)]);
    assert_eq!(rig.enforced, Some(parts.clone()));

    // A server that sends it all the same is answered, and that is all.
    let done = rig.receive(&parts.policy("again"));
    assert_eq!(done.sent, [accepts("again")]);
    assert_eq!((done.told, done.enforces), (vec![Event::Connected], false));
}

#[test]
fn a_policy_that_changes_while_it_comes_is_the_new_one_in_the_end() {
    let (first, second) = (Parts::large(0, 3_000), Parts::large(7, 3_000));
    let mut rig = Rig::open();
    let asked = rig.receive(&first.policy("1")).asked();
    let (some, rest) = asked.split_at(2);
    rig.receive(&first.chunks("2", some));
    let done = rig.receive(&second.policy("3"));
    assert_eq!(done.sent.first(), Some(&refuses("1", "superseded")));
    let dropped = done.dropped();
    let is_shared = |id: &&ChunkId| second.chunks.contains_key(id);
    let shared: Vec<_> = rest.iter().filter(is_shared).copied().collect();
    assert!(!shared.is_empty() && !dropped.is_empty());
    assert_eq!(dropped.len() + shared.len(), rest.len());

    // What the server had sent before it heard of that is passed over.
    let silence = rig.receive(&first.chunks("4", &dropped));
    let accepted = Sent::Chunks {
        answers: Some(("4".to_owned(), None)),
        subscribe: Vec::new(),
        unsubscribe: Vec::new(),
    };
    assert_eq!(silence.sent, [accepted]);
    rig.serve(done, &second);
    assert_eq!(rig.enforced, None);
    rig.receive(&second.chunks("5", &shared));
    assert_eq!(rig.enforced, Some(second));
}

#[test]
fn a_server_that_has_nothing_changes_nothing() {
    let removed = response(POLICY_TYPE, "9", Vec::new(), &[POLICY_NAME]);
    let mut rig = Rig::open();
    let done = rig.receive(&removed);
    assert_eq!(done.sent, [accepts("9")]);
    assert_eq!(done.told, [Event::Connected, Event::Removed]);

    let parts = Parts::small();
    let mut rig = Rig::with(&parts);
    let done = rig.receive(&removed);
    assert_eq!(done.sent, [accepts("9")]);
    assert_eq!((done.told, done.enforces), (vec![Event::Removed], false));
    assert_eq!(rig.enforced, Some(parts));
}

#[test]
fn a_stream_that_ends_with_its_root_context_is_followed_at_once() {
    let mut rig = Rig::with(&Parts::small());
    rig.now = at(5_000);
    rig.session.orphaned();
    assert!(rig.wake().opens);
}
