//! What happens when something is wrong. What was in force stays.

use meshwall_policy::delivery::{
    CHUNK_TYPE, ChunkId, MAX_MESSAGE_BYTES, Manifest, POLICY_NAME, POLICY_TYPE, Part,
};

use super::{Event, Parts, Rig, Sent, accepts, at, refuses, resource, response};

#[test]
fn a_server_that_is_away_is_asked_ever_more_rarely() {
    let mut rig = Rig::new();
    let pauses = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
    for pause in pauses {
        assert!(rig.wake().opens);
        let told = rig.close("no route").told;
        assert_eq!(told, [Event::Disconnected("no route".to_owned())]);
        let next = rig.now + at(pause);
        assert_eq!(rig.session.alarm(), Some(next));
        rig.now = next - at(1);
        assert_eq!(rig.wake(), super::Done::default());
        rig.now = next;
    }
    // A stream that can be opened and brings nothing is no better.
    assert!(rig.wake().opens);
    rig.opened();
    rig.close("");
    assert_eq!(rig.session.alarm(), Some(rig.now + at(30_000)));
    // One response that makes sense is.
    rig.now += at(30_000);
    assert!(rig.wake().opens);
    rig.opened();
    rig.receive(&Parts::small().policy("1"));
    rig.close("");
    assert_eq!(rig.session.alarm(), Some(rig.now + at(500)));
}

#[test]
fn chunks_that_came_before_a_disconnect_are_not_asked_for_again() {
    let parts = Parts::large(0, 2_000);
    let mut rig = Rig::open();
    let asked = rig.receive(&parts.policy("1")).asked();
    let (got, _) = asked.split_at(asked.len() / 2);
    rig.receive(&parts.chunks("2", got));

    let done = rig.reconnect();
    assert_eq!(
        done.sent,
        [Sent::Subscribe(Vec::new())],
        "nothing is in force"
    );
    assert_eq!(rig.session.alarm(), None);
    let done = rig.receive(&parts.policy("3"));
    assert!(done.asked().iter().all(|id| !got.contains(id)));
    assert_eq!(rig.serve(done, &parts), parts.chunks.len() - got.len());
    assert_eq!(rig.enforced, Some(parts));
}

#[test]
fn a_chunk_that_is_not_what_its_name_says_is_refused_with_its_manifest() {
    let (good, parts) = (Parts::small(), Parts::large(0, 500));
    let mut rig = Rig::with(&good);
    let asked = rig.receive(&parts.policy("2")).asked();
    let (first, second) = (asked[0], asked[1]);
    let forged = resource(CHUNK_TYPE, &second.to_string(), "1", b"something else");
    let mut both = parts.chunks("3", &[first]);
    both.extend(response("", "", vec![forged], &[]));
    let done = rig.receive(&both);

    let reason = format!("`{second}` does not match its name");
    let [
        policy,
        Sent::Chunks {
            answers,
            subscribe,
            unsubscribe,
        },
    ] = &*done.sent
    else {
        panic!("{done:?}");
    };
    assert_eq!(*policy, refuses("2", &reason));
    assert_eq!(*answers, Some(("3".to_owned(), Some(reason.clone()))));
    assert_eq!(subscribe, &[]);
    assert_eq!(unsubscribe.len(), asked.len(), "all that was outstanding");
    let refused = Event::Refused(reason);
    assert_eq!(done.told, [refused.clone(), refused]);
    assert_eq!(rig.enforced, Some(good));
    assert_eq!(rig.session.alarm(), None);

    // The server may try again; what was right is kept.
    let done = rig.receive(&parts.policy("4"));
    assert!(!done.asked().contains(&first) && done.asked().contains(&second));
    rig.serve(done, &parts);
    assert_eq!(rig.enforced, Some(parts));
}

#[test]
fn a_chunk_that_the_server_does_not_have_ends_its_manifest() {
    let (good, parts) = (Parts::small(), Parts::large(0, 500));
    let mut rig = Rig::with(&good);
    let asked = rig.receive(&parts.policy("2")).asked();
    let gone = asked[0].to_string();
    let done = rig.receive(&response(CHUNK_TYPE, "3", Vec::new(), &[&gone]));
    let reason = format!("the server does not have `{gone}`");
    assert_eq!(done.sent[0], refuses("2", &reason));
    let Sent::Chunks { answers, .. } = &done.sent[1] else {
        panic!("{done:?}");
    };
    assert_eq!(*answers, Some(("3".to_owned(), None)));
    assert_eq!(rig.enforced, Some(good));
}

/// A response with a manifest that says what it likes.
fn lie(change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let parts = Parts::large(0, 500);
    let mut manifest = Manifest::decode(&parts.manifest).unwrap();
    change(&mut manifest);
    let resource = resource(POLICY_TYPE, POLICY_NAME, "lie", &manifest.encode().unwrap());
    response(POLICY_TYPE, "2", vec![resource], &[])
}

#[test]
fn a_manifest_that_lies_about_a_length_is_refused_when_that_shows() {
    let parts = Parts::large(0, 500);
    let good = Parts::small();
    let mut rig = Rig::with(&good);
    let asked = rig
        .receive(&lie(|manifest| {
            if let Part::Chunks(chunks) = &mut manifest.program {
                chunks[0].bytes += 1;
            }
        }))
        .asked();
    let done = rig.receive(&parts.chunks("3", &asked[..1]));
    let Sent::Policy(nonce, Some(reason)) = &done.sent[0] else {
        panic!("{done:?}");
    };
    assert_eq!(nonce, "2");
    assert!(reason.contains("bytes where the manifest says"), "{reason}");
    assert_eq!(rig.enforced, Some(good));
}

#[test]
fn parts_that_are_whole_and_wrong_are_refused_as_a_bundle_is() {
    let good = Parts::small();
    let part = |bytes: &[u8]| Part::Inline(bytes.to_vec());
    for (program, peers, reason) in [
        (&b"garbage"[..], &good.peers[..], "not a Meshwall program"),
        (b"", b"", "not a Meshwall program"),
        (&good.program, b"garbage", "not a Meshwall peer table"),
        (
            &good.program,
            &peers_of_no_sets(),
            "peer table answers for the peer sets of another program",
        ),
    ] {
        let mut rig = Rig::with(&good);
        let done = rig.receive(&lie(|manifest| {
            manifest.program = part(program);
            manifest.peers = part(peers);
        }));
        assert_eq!(done.sent, [refuses("2", reason)]);
        assert_eq!(rig.enforced.as_ref(), Some(&good));
        // What is in force is still known to be.
        let version = rig.reconnect().sent;
        let known = vec![(POLICY_NAME.to_owned(), good.version.clone())];
        assert_eq!(version, [Sent::Subscribe(known)]);
    }
}

fn peers_of_no_sets() -> Vec<u8> {
    meshwall_policy::peers::PeerTable::empty().bytes().to_vec()
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let parts = Parts::small();
    let manifest = parts.manifest;
    let policy = |name, type_url, bytes: &[u8]| {
        let resource = resource(type_url, name, "1", bytes);
        response(POLICY_TYPE, "1", vec![resource], &[])
    };
    let twice = vec![resource(POLICY_TYPE, POLICY_NAME, "1", &manifest); 2];
    for (message, reason) in [
        (
            policy("other", POLICY_TYPE, &manifest),
            "`other` was not asked for",
        ),
        (
            policy(POLICY_NAME, CHUNK_TYPE, &manifest),
            "`policy` is not of type `type.googleapis.com/meshwall.v1alpha1.Policy`",
        ),
        (
            policy(POLICY_NAME, POLICY_TYPE, b"{}"),
            "not a Meshwall manifest",
        ),
        (
            response(POLICY_TYPE, "1", twice, &[]),
            "`policy` is there twice",
        ),
    ] {
        let mut rig = Rig::open();
        let done = rig.receive(&message);
        assert_eq!(done.sent, [refuses("1", reason)]);
        assert_eq!(rig.enforced, None);
    }
    let mut rig = Rig::open();
    let done = rig.receive(&response("type.googleapis.com/x", "1", Vec::new(), &[]));
    let reason = "type `type.googleapis.com/x` was not asked for".to_owned();
    assert_eq!(done.sent, [Sent::Other("1".to_owned(), Some(reason))]);

    let mut rig = Rig::open();
    let stray = resource(CHUNK_TYPE, &ChunkId::of(b"x").to_string(), "1", b"x");
    let done = rig.receive(&response(CHUNK_TYPE, "1", vec![stray], &[]));
    let accepted = Sent::Chunks {
        answers: Some(("1".to_owned(), None)),
        subscribe: Vec::new(),
        unsubscribe: Vec::new(),
    };
    assert_eq!(done.sent, [accepted], "a chunk that comes late is no fault");
}

#[test]
fn a_message_that_makes_no_sense_ends_the_stream() {
    let mut rig = Rig::open();
    let done = rig.receive(b"\xff\xff\xff");
    assert!(done.resets);
    let reason = "a message that is no discovery response".to_owned();
    assert_eq!(done.told, [Event::Disconnected(reason)]);
    assert_eq!(rig.session.alarm(), Some(at(500)));

    let rig = Rig::open();
    assert!(rig.session.may_read(MAX_MESSAGE_BYTES));
    assert!(!rig.session.may_read(MAX_MESSAGE_BYTES + 1));
}

#[test]
fn chunks_that_do_not_come_end_the_stream_and_what_has_come_is_kept() {
    let parts = Parts::large(0, 500);
    let mut rig = Rig::open();
    let asked = rig.receive(&parts.policy("1")).asked();
    rig.now = at(20_000);
    rig.receive(&parts.chunks("2", &asked[..1]));
    assert_eq!(rig.session.alarm(), Some(at(50_000)), "there was progress");
    rig.now = at(50_000);
    let done = rig.wake();
    assert!(done.resets);
    let reason = "no chunk has come for 30 s".to_owned();
    assert_eq!(done.told, [Event::Disconnected(reason)]);
    rig.now = rig.session.alarm().unwrap();
    assert!(rig.wake().opens);
    rig.opened();
    let done = rig.receive(&parts.policy("1"));
    assert!(!done.asked().contains(&asked[0]));
    rig.serve(done, &parts);
    assert_eq!(rig.enforced, Some(parts));
}

#[test]
fn a_refusal_is_not_the_end() {
    let mut rig = Rig::open();
    rig.receive(&lie(|manifest| {
        manifest.program = Part::Inline(b"x".to_vec())
    }));
    let parts = Parts::small();
    let done = rig.receive(&parts.policy("3"));
    assert_eq!(done.sent.last(), Some(&accepts("3")));
    assert_eq!(rig.enforced, Some(parts));
}
