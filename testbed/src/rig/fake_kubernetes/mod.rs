//! A small API server in this process, that fails on demand.
//!
//! It speaks as much of the Kubernetes API as a client that lists, watches and writes sees of it:
//! lists in pages, watches with bookmarks and selectors, resource versions, generations, status
//! subresources, and kinds that come with a custom resource definition and go with it. It has
//! neither defaults nor validation nor authorization. The test target `kubernetes` asks it and a
//! real API server the same things and compares the answers.
//!
//! What a real one does not do on demand is in [`Fault`], [`FakeKubernetes::inject`] and
//! [`FakeKubernetes::availability`].

mod answer;
mod fault;
mod path;
mod selector;
mod serve;
mod store;
mod watch;

pub use self::fault::{Availability, Fault, Verb};

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch as signal;
use tokio::task::JoinHandle;

use self::fault::Faults;
use self::store::Store;
use super::client::Client;
use super::kubernetes::Api;

/// A request that reached the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// What the request was to do; none if it was neither a list nor a watch.
    pub verb: Option<Verb>,
    /// Name of the kind in URLs, as in `pods`.
    pub plural: String,
    /// The query, as it was sent.
    pub query: String,
}

/// A running server. It ends, with all its connections, on drop.
#[derive(Debug)]
pub struct FakeKubernetes {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Sent whenever the state changes.
    changed: signal::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    faults: Faults,
    seen: Vec<Seen>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked while it held the lock has left a state that is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and tells the watches.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.send_replace(());
        result
    }
}

impl FakeKubernetes {
    /// Starts a server on a free port of 127.0.0.1, without TLS.
    ///
    /// # Errors
    ///
    /// If no socket can be opened.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: signal::Sender::new(()),
        });
        let task = tokio::spawn(serve::accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A user, who may do everything.
    #[must_use]
    pub fn admin(&self) -> Api {
        Api::new(Client::plaintext(), self.address, "admin")
    }

    /// Lets the next `times` requests of this kind fail. Requests that already wait for an answer,
    /// and watches that already run, are not touched.
    pub fn inject(&self, verb: Verb, plural: &str, fault: Fault, times: usize) {
        self.shared
            .change(|state| state.faults.inject(verb, plural, fault, times));
    }

    /// Takes back what was injected and did not happen yet.
    pub fn heal(&self) {
        self.shared.change(|state| state.faults.heal());
    }

    /// Whether the server answers at all. It does, at first.
    pub fn availability(&self, availability: Availability) {
        self.shared
            .change(|state| state.faults.availability = availability);
    }

    /// Ends all watches of a kind, in the middle of a line.
    pub fn cut_watches(&self, plural: &str) {
        self.shared.change(|state| state.faults.cut(plural));
    }

    /// Sends what happens to objects of a kind to nobody, until it is released: kinds are watched
    /// apart, so nothing says in which order changes of two kinds arrive.
    pub fn hold(&self, plural: &str) {
        self.shared.change(|state| state.faults.hold(plural));
    }

    /// Ends a [`FakeKubernetes::hold`].
    pub fn release(&self, plural: &str) {
        self.shared.change(|state| state.faults.release(plural));
    }

    /// Sends a bookmark on all watches that asked for them.
    pub fn bookmark(&self) {
        self.shared.change(|state| state.store.bookmark());
    }

    /// Forgets what happened until now: whoever watches from an older resource version is told
    /// that it is gone.
    pub fn compact(&self) {
        self.shared.change(|state| state.store.compact());
    }

    /// The resource version of the last change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.shared.state().store.revision()
    }

    /// The lists and watches that were asked for, in their order, those that failed included.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// Waits until `condition` holds for what was asked for. It is for the caller to give up.
    pub async fn wait_until(&self, mut condition: impl FnMut(&[Seen]) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        while !condition(&self.shared.state().seen) {
            // The sender lives as long as this server.
            let _ = changed.changed().await;
        }
    }
}

impl Drop for FakeKubernetes {
    fn drop(&mut self) {
        self.task.abort();
    }
}
