//! What virtual machines share: data with compare-and-swap, and queues.
//!
//! In Envoy both are global to the process and kept apart by `vm_id`. Here they belong to a
//! [`SharedState`] that a test hands to the machines that are to see each other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::status::Status;

/// Shared data and shared queues. Clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct SharedState(Arc<Mutex<Store>>);

/// A name, kept apart by the `vm_id` before it.
type Key = (Vec<u8>, Vec<u8>);

#[derive(Debug)]
struct Store {
    /// Values and their versions.
    data: BTreeMap<Key, (Vec<u8>, u32)>,
    /// Never 0: that means "whatever the value is" to the one who writes.
    next_version: u32,
    tokens: BTreeMap<Key, u32>,
    queues: BTreeMap<u32, Queue>,
    /// Consumers that are to hear that their queue has something.
    ready: VecDeque<Notice>,
    /// How many virtual machines have been made: each gets a number of its own.
    machines: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            data: BTreeMap::new(),
            next_version: 1,
            tokens: BTreeMap::new(),
            queues: BTreeMap::new(),
            ready: VecDeque::new(),
            machines: 0,
        }
    }
}

#[derive(Debug)]
struct Queue {
    /// The last context that registered it. One consumer a queue: the last one wins.
    consumer: Consumer,
    items: VecDeque<Vec<u8>>,
}

/// Who hears of a queue: a virtual machine by its number, a root context in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Consumer {
    pub(crate) machine: u64,
    pub(crate) context: u32,
}

/// A queue has received something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) consumer: Consumer,
    pub(crate) token: u32,
}

impl SharedState {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A shared value and its version, as the machines with this `vm_id` see it.
    pub fn data(&self, vm_id: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Option<(Vec<u8>, u32)> {
        self.lock().data.get(&id(vm_id, key)).cloned()
    }

    /// Writes a shared value, if its version is still `version`; 0 writes in any case, and
    /// so does the first write.
    ///
    /// # Errors
    /// [`Status::CasMismatch`] if somebody else has written it since.
    pub fn set_data(
        &self,
        vm_id: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
        value: impl Into<Vec<u8>>,
        version: u32,
    ) -> Result<(), Status> {
        let mut store = self.lock();
        let key = id(vm_id, key);
        if let Some((_, current)) = store.data.get(&key)
            && version != 0
            && version != *current
        {
            return Err(Status::CasMismatch);
        }
        let next = store.next_version;
        store.next_version = next.checked_add(1).unwrap_or(1);
        store.data.insert(key, (value.into(), next));
        Ok(())
    }

    /// Puts something into a queue, as a machine in another part of the proxy would.
    ///
    /// # Errors
    /// [`Status::NotFound`] if nobody has registered the queue.
    pub fn enqueue(
        &self,
        vm_id: impl AsRef<[u8]>,
        queue: impl AsRef<[u8]>,
        item: impl Into<Vec<u8>>,
    ) -> Result<(), Status> {
        let token = self
            .resolve(vm_id.as_ref(), queue.as_ref())
            .ok_or(Status::NotFound)?;
        self.enqueue_token(token, item.into())
    }

    /// How many items a queue holds; none if nobody has registered it.
    pub fn queue_len(&self, vm_id: impl AsRef<[u8]>, queue: impl AsRef<[u8]>) -> Option<usize> {
        let store = self.lock();
        let token = store.tokens.get(&id(vm_id, queue))?;
        store.queues.get(token).map(|queue| queue.items.len())
    }

    pub(crate) fn register(&self, vm_id: &[u8], queue: &[u8], consumer: Consumer) -> u32 {
        let mut store = self.lock();
        let next = u32::try_from(store.tokens.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let token = *store.tokens.entry(id(vm_id, queue)).or_insert(next);
        store
            .queues
            .entry(token)
            .and_modify(|queue| queue.consumer = consumer)
            .or_insert_with(|| Queue {
                consumer,
                items: VecDeque::new(),
            });
        token
    }

    pub(crate) fn resolve(&self, vm_id: &[u8], queue: &[u8]) -> Option<u32> {
        self.lock().tokens.get(&id(vm_id, queue)).copied()
    }

    pub(crate) fn enqueue_token(&self, token: u32, item: Vec<u8>) -> Result<(), Status> {
        let mut store = self.lock();
        let queue = store.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.items.push_back(item);
        let notice = Notice {
            consumer: queue.consumer,
            token,
        };
        store.ready.push_back(notice);
        Ok(())
    }

    pub(crate) fn dequeue(&self, token: u32) -> Result<Vec<u8>, Status> {
        let mut store = self.lock();
        let queue = store.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.items.pop_front().ok_or(Status::Empty)
    }

    /// A number for a new machine.
    pub(crate) fn new_machine(&self) -> u64 {
        let mut store = self.lock();
        store.machines += 1;
        store.machines
    }

    /// The next notice for a machine, taken out.
    pub(crate) fn next_notice(&self, machine: u64) -> Option<Notice> {
        let mut store = self.lock();
        let at = store
            .ready
            .iter()
            .position(|notice| notice.consumer.machine == machine)?;
        store.ready.remove(at)
    }

    /// Drops the notices for a machine that is gone.
    pub(crate) fn forget(&self, machine: u64) {
        self.lock()
            .ready
            .retain(|notice| notice.consumer.machine != machine);
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id(vm_id: impl AsRef<[u8]>, name: impl AsRef<[u8]>) -> Key {
    (vm_id.as_ref().to_vec(), name.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_compared_and_swapped() {
        let state = SharedState::new();
        // As in Envoy, the first write takes any version.
        assert_eq!(state.set_data("vm", "k", "v1", 999), Ok(()));
        let (value, version) = state.data("vm", "k").unwrap();
        assert_eq!(value, b"v1");
        assert_eq!(
            state.set_data("vm", "k", "v2", version + 1),
            Err(Status::CasMismatch)
        );
        assert_eq!(state.set_data("vm", "k", "v2", version), Ok(()));
        assert_eq!(state.set_data("vm", "k", "v3", 0), Ok(()));
        assert_eq!(state.data("vm", "k").unwrap().0, b"v3");
        assert_eq!(state.data("other", "k"), None);
    }

    #[test]
    fn a_queue_tells_its_last_consumer() {
        let state = SharedState::new();
        assert_eq!(state.enqueue("vm", "q", "x"), Err(Status::NotFound));
        let first = Consumer {
            machine: 1,
            context: 7,
        };
        let second = Consumer {
            machine: 2,
            context: 8,
        };
        let token = state.register(b"vm", b"q", first);
        assert_eq!(state.register(b"vm", b"q", second), token);
        assert_eq!(state.dequeue(token), Err(Status::Empty));
        state.enqueue("vm", "q", "x").unwrap();
        assert_eq!(state.queue_len("vm", "q"), Some(1));
        assert_eq!(state.next_notice(1), None);
        assert_eq!(
            state.next_notice(2),
            Some(Notice {
                consumer: second,
                token
            })
        );
        assert_eq!(state.next_notice(2), None);
        assert_eq!(state.dequeue(token), Ok(b"x".to_vec()));
        assert_eq!(state.dequeue(token + 1), Err(Status::NotFound));
    }
}
