//! Whatever the order of events, a client that keeps to the protocol ends up with what there is.
//!
//! A model client and a session exchange messages over two queues that are emptied at any pace,
//! while resources come, change and go, the client subscribes, unsubscribes, refuses and comes
//! back. On every message the rules hold that are checked in [`link`]; in the end, when the queues
//! have run empty, the client has what the world has.

#![cfg(test)]

mod client;
mod link;

use proptest::prelude::*;

use crate::client::{NAMES, TYPES, Variant};
use crate::link::Link;

#[derive(Clone, Debug)]
enum Step {
    /// A resource gets this version, or goes.
    Change(usize, usize, Option<u8>),
    /// Several at once.
    Batch(Vec<(usize, usize, Option<u8>)>),
    /// The client asks for a name, again if it has asked before.
    Subscribe(usize, usize),
    Unsubscribe(usize, usize),
    /// The oldest message to the server arrives.
    ToServer,
    /// The oldest message to the client arrives, and is accepted or refused.
    ToClient {
        refuse: bool,
    },
    /// Everything may have changed, the server is told.
    AllChanged,
    /// The stream breaks, and the client opens another.
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = 0..TYPES.len();
    let name = 0..NAMES.len() - 1;
    let version = prop::option::weighted(0.8, 0..4_u8);
    let change = (kind.clone(), name, version);
    let pattern = 0..NAMES.len();
    prop_oneof![
        5 => change.clone().prop_map(|(t, n, v)| Step::Change(t, n, v)),
        1 => prop::collection::vec(change, 1..8).prop_map(Step::Batch),
        3 => (kind.clone(), pattern.clone()).prop_map(|(t, n)| Step::Subscribe(t, n)),
        2 => (kind, pattern).prop_map(|(t, n)| Step::Unsubscribe(t, n)),
        6 => Just(Step::ToServer),
        6 => prop::bool::weighted(0.1).prop_map(|refuse| Step::ToClient { refuse }),
        1 => Just(Step::AllChanged),
        1 => Just(Step::Reconnect),
    ]
}

fn run(variant: Variant, steps: Vec<Step>) {
    let mut link = Link::new(variant);
    for step in steps {
        match step {
            Step::Change(kind, name, version) => link.change(&[(kind, name, version)]),
            Step::Batch(changes) => link.change(&changes),
            Step::Subscribe(kind, name) => link.client.subscribe(kind, NAMES[name]),
            Step::Unsubscribe(kind, name) => link.client.unsubscribe(kind, NAMES[name]),
            Step::ToServer => link.server_receives(),
            Step::ToClient { refuse } => link.client_receives(refuse),
            Step::AllChanged => link.all_changed(),
            Step::Reconnect => link.reconnect(),
        }
    }
    link.settle();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn delta(steps in prop::collection::vec(step(), 1..80)) {
        run(Variant::Delta, steps);
    }

    #[test]
    fn state_of_the_world(steps in prop::collection::vec(step(), 1..80)) {
        run(Variant::State, steps);
    }
}
