//! How sources are doing: for health checks, metrics, and people.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::index::{ClusterName, Kind};

/// How all sources are doing. Copies are of the same.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<(ClusterName, Kind), KindHealth>>>);

/// How the objects of one kind in one cluster are heard of.
#[derive(Clone, Debug, Default)]
pub struct KindHealth {
    /// Whether all objects were told once.
    pub listed: bool,
    /// What it is doing.
    pub state: State,
    /// When the cluster was heard of last.
    pub heard: Option<Instant>,
    /// Lists that were told.
    pub lists: u64,
    /// Changes that were told.
    pub changes: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Objects that were passed over because it cannot be said which they are.
    pub unnamed: u64,
}

/// What a source is doing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum State {
    /// It has asked for all objects, and waits for an answer.
    #[default]
    Listing,
    /// It hears of changes as they happen.
    Watching,
    /// The kind is not there. It is asked for again and again.
    Absent,
    /// It cannot hear of changes; why, in the words of the last failure.
    Failing(String),
}

impl Health {
    /// How each kind of each cluster is doing.
    #[must_use]
    pub fn all(&self) -> BTreeMap<(ClusterName, Kind), KindHealth> {
        self.lock().clone()
    }

    /// How a kind of a cluster is doing; `None` if no source is for it.
    #[must_use]
    pub fn of(&self, cluster: &ClusterName, kind: Kind) -> Option<KindHealth> {
        self.lock().get(&(cluster.clone(), kind)).cloned()
    }

    pub(super) fn note(
        &self,
        cluster: &ClusterName,
        kind: Kind,
        note: impl FnOnce(&mut KindHealth),
    ) {
        note(self.lock().entry((cluster.clone(), kind)).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(ClusterName, Kind), KindHealth>> {
        // Each change is one assignment after the other: there is no half of it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
