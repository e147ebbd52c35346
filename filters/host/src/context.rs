//! Contexts: how a proxy names the thing that a callback is about.
//!
//! A root context is one plugin configuration; a stream context is one HTTP request with its
//! response, or one TCP connection. A proxy numbers both from one sequence and tells the
//! filter when a number begins (`on_context_create`) and when it ends (`on_delete`).

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

/// A root or stream context, unique within its VM while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextId(pub u32);

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a filter knows of each live context.
///
/// Lookups happen in every callback, so the hash is one multiplication: the proxy, not a peer,
/// chooses the numbers. Whatever is inserted must be removed in `on_delete`: a proxy may use a
/// number again, and the memory of a VM never shrinks.
#[derive(Debug)]
pub struct ContextMap<T> {
    contexts: HashMap<ContextId, T, BuildHasherDefault<IdHasher>>,
}

impl<T> ContextMap<T> {
    /// An empty map. Allocates nothing.
    pub const fn new() -> Self {
        Self {
            contexts: HashMap::with_hasher(BuildHasherDefault::new()),
        }
    }

    /// Begins a context; returns the state that was left under the same number, if any.
    pub fn insert(&mut self, id: ContextId, state: T) -> Option<T> {
        self.contexts.insert(id, state)
    }

    /// The state of a live context.
    pub fn get(&self, id: ContextId) -> Option<&T> {
        self.contexts.get(&id)
    }

    /// The state of a live context, to be changed.
    pub fn get_mut(&mut self, id: ContextId) -> Option<&mut T> {
        self.contexts.get_mut(&id)
    }

    /// Ends a context; returns its state.
    pub fn remove(&mut self, id: ContextId) -> Option<T> {
        self.contexts.remove(&id)
    }

    /// Every live context, in no particular order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (ContextId, &mut T)> {
        self.contexts.iter_mut().map(|(id, state)| (*id, state))
    }

    /// How many contexts live.
    pub fn len(&self) -> usize {
        self.contexts.len()
    }

    /// Whether none lives.
    pub fn is_empty(&self) -> bool {
        self.contexts.is_empty()
    }
}

impl<T> Default for ContextMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Fibonacci hashing of one `u32`: spreads a sequence of numbers over all 64 bits, of which
/// the standard map uses both ends.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{ContextId, ContextMap};

    #[test]
    fn contexts_come_and_go_and_numbers_are_used_again() {
        let mut contexts = ContextMap::new();
        for round in 0..3 {
            for id in 0..10_000 {
                assert_eq!(contexts.insert(ContextId(id), (id, round)), None);
            }
            assert_eq!(contexts.len(), 10_000);
            for id in 0..10_000 {
                assert_eq!(contexts.get(ContextId(id)), Some(&(id, round)));
                assert_eq!(contexts.remove(ContextId(id)), Some((id, round)));
            }
            assert!(contexts.is_empty());
        }
    }

    #[test]
    fn a_number_in_use_gives_back_what_was_left() {
        let mut contexts = ContextMap::new();
        assert_eq!(contexts.insert(ContextId(u32::MAX), "old"), None);
        assert_eq!(contexts.insert(ContextId(u32::MAX), "new"), Some("old"));
        for (id, state) in contexts.iter_mut() {
            assert_eq!((id, *state), (ContextId(u32::MAX), "new"));
            *state = "changed";
        }
        assert_eq!(contexts.get_mut(ContextId(u32::MAX)), Some(&mut "changed"));
        assert_eq!(contexts.get(ContextId(0)), None);
    }
}
