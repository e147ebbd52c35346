//! Whatever happens in whatever order: every response is answered once, no more is outstanding
//! than may be, what is in force is something that was published, and when the faults are over it
//! is the last.

use std::collections::BTreeMap;

use meshwall_policy::cases::Choices;
use meshwall_policy::delivery::{CHUNK_TYPE, ChunkId, MAX_OUTSTANDING_BYTES};

use super::{Done, Parts, Rig, Sent, at, resource, response};

/// A server that keeps to the protocol, and its stream.
struct Server<'a> {
    published: &'a [Parts],
    current: usize,
    nonces: u32,
    /// Responses that wait for their answer.
    open: Vec<String>,
    /// Chunks that are subscribed to, with their length.
    subscribed: BTreeMap<ChunkId, usize>,
    /// Chunks that were subscribed to and are to be sent.
    to_send: Vec<ChunkId>,
    /// Whether the client has the current policy, or has been sent it.
    is_told: bool,
}

impl<'a> Server<'a> {
    fn nonce(&mut self) -> String {
        self.nonces += 1;
        let nonce = self.nonces.to_string();
        self.open.push(nonce.clone());
        nonce
    }

    fn answered(&mut self, nonce: &str) {
        let at = self.open.iter().position(|open| open == nonce);
        self.open.remove(at.expect("a response is answered once"));
    }

    /// Takes what the client has sent.
    fn take(&mut self, done: Done) {
        for sent in done.sent {
            match sent {
                Sent::Subscribe(known) => {
                    let current = self.published[self.current].version.clone();
                    self.is_told = known.iter().any(|(_, version)| *version == current);
                }
                Sent::Policy(nonce, _) | Sent::Other(nonce, _) => self.answered(&nonce),
                Sent::Chunks {
                    answers,
                    subscribe,
                    unsubscribe,
                } => {
                    if let Some((nonce, _)) = answers {
                        self.answered(&nonce);
                    }
                    for id in unsubscribe {
                        assert!(self.subscribed.remove(&id).is_some());
                        self.to_send.retain(|known| *known != id);
                    }
                    for id in subscribe {
                        let length = self.data(id).map_or(0, <[u8]>::len);
                        assert!(self.subscribed.insert(id, length).is_none());
                        self.to_send.push(id);
                    }
                }
            }
        }
        let outstanding: usize = self.subscribed.values().sum();
        assert!(outstanding <= MAX_OUTSTANDING_BYTES);
    }

    fn data(&self, id: ChunkId) -> Option<&'a [u8]> {
        let data = |parts: &'a Parts| parts.chunks.get(&id);
        self.published.iter().find_map(data).map(Vec::as_slice)
    }

    /// The next message, if there is one.
    fn message(&mut self, choices: &mut Choices, faults: bool) -> Option<Vec<u8>> {
        if !self.is_told {
            self.is_told = true;
            let nonce = self.nonce();
            return Some(self.published[self.current].policy(&nonce));
        }
        if self.to_send.is_empty() {
            return None;
        }
        let id = self.to_send.swap_remove(choices.below(self.to_send.len()));
        let nonce = self.nonce();
        let name = id.to_string();
        if faults && choices.chance(3) {
            self.is_told = false;
            return Some(response(CHUNK_TYPE, &nonce, Vec::new(), &[&name]));
        }
        let data = if faults && choices.chance(3) {
            self.is_told = false;
            b"damaged"
        } else {
            self.data(id).unwrap_or_default()
        };
        let resource = resource(CHUNK_TYPE, &name, "1", data);
        Some(response(CHUNK_TYPE, &nonce, vec![resource], &[]))
    }

    fn disconnected(&mut self) {
        self.open.clear();
        self.subscribed.clear();
        self.to_send.clear();
    }
}

#[test]
fn when_the_faults_are_over_the_last_policy_is_in_force() {
    let published = [
        Parts::small(),
        Parts::large(0, 2_000),
        Parts::large(0, 2_001),
        Parts::large(1, 2_001),
    ];
    for seed in 0..30 {
        let mut choices = Choices::new(seed);
        let mut rig = Rig::open();
        let mut server = Server {
            published: &published,
            current: 0,
            nonces: 0,
            open: Vec::new(),
            subscribed: BTreeMap::new(),
            to_send: Vec::new(),
            is_told: false,
        };
        for _ in 0..120 {
            match choices.below(20) {
                0 => {
                    server.disconnected();
                    let done = rig.reconnect();
                    server.take(done);
                }
                1 => {
                    server.current = choices.below(published.len());
                    server.is_told = false;
                }
                2 => {
                    rig.now += at(choices.below(40_000) as u64);
                    let done = rig.wake();
                    if done.resets {
                        server.disconnected();
                        let done = rig.reconnect();
                        server.take(done);
                    }
                }
                _ => {
                    if let Some(message) = server.message(&mut choices, true) {
                        let done = rig.receive(&message);
                        assert!(!done.resets);
                        server.take(done);
                    }
                }
            }
            let enforced = rig.enforced.iter();
            assert!(enforced.into_iter().all(|parts| published.contains(parts)));
        }
        // Once more, since a refused policy is not sent again by itself.
        server.is_told = false;
        while let Some(message) = server.message(&mut choices, false) {
            let done = rig.receive(&message);
            server.take(done);
        }
        assert!(server.open.is_empty(), "seed {seed}: {:?}", server.open);
        assert!(server.subscribed.is_empty());
        let current = &published[server.current];
        assert!(rig.enforced.as_ref() == Some(current), "seed {seed}");
    }
}
