//! What goes wrong, and when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a request is to do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verb {
    /// List objects.
    List,
    /// Watch objects.
    Watch,
}

/// How a request fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is answered with this status: 410 says that the resource version is gone, 429 asks to
    /// come back in a second.
    Status(u16),
    /// It is never answered.
    Hang,
    /// Its connection is closed.
    Reset,
    /// The answer is 200, and its first event that the resource version is gone (a watch only).
    GoneEvent,
    /// The answer is 200, and then nothing comes (a watch only).
    Silence,
    /// Every event is sent twice (a watch only).
    Duplicates,
    /// What is listed is the state at this resource version (a list only).
    Stale(u64),
}

/// Whether a server answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Availability {
    /// It does.
    #[default]
    Up,
    /// It takes connections, answers nothing, and sends nothing on watches.
    Frozen,
    /// It closes all connections.
    Down,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) availability: Availability,
    waiting: BTreeMap<(Verb, String), VecDeque<Fault>>,
    held: BTreeSet<String>,
    cuts: BTreeMap<String, u64>,
}

impl Faults {
    pub(super) fn inject(&mut self, verb: Verb, plural: &str, fault: Fault, times: usize) {
        let waiting = self.waiting.entry((verb, plural.to_owned())).or_default();
        waiting.extend(std::iter::repeat_n(fault, times));
    }

    pub(super) fn heal(&mut self) {
        self.waiting.clear();
    }

    /// What happens to a request of this kind.
    pub(super) fn next(&mut self, verb: Verb, plural: &str) -> Option<Fault> {
        self.waiting
            .get_mut(&(verb, plural.to_owned()))?
            .pop_front()
    }

    pub(super) fn hold(&mut self, plural: &str) {
        self.held.insert(plural.to_owned());
    }

    pub(super) fn release(&mut self, plural: &str) {
        self.held.remove(plural);
    }

    pub(super) fn is_held(&self, plural: &str) -> bool {
        self.held.contains(plural) || self.availability == Availability::Frozen
    }

    pub(super) fn cut(&mut self, plural: &str) {
        *self.cuts.entry(plural.to_owned()).or_default() += 1;
    }

    /// How often watches of this kind were cut. One that started before the last of these ends.
    pub(super) fn cuts(&self, plural: &str) -> u64 {
        self.cuts.get(plural).copied().unwrap_or_default()
    }
}
