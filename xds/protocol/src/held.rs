//! What a client has of one type, as far as the server knows.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::name::ResourceName;
use crate::resource::{Resource, Version};

/// Bytes of the digest that make a version: enough that two states never share one.
const VERSION_BYTES: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Held {
    entries: BTreeMap<ResourceName, Entry>,
    /// No heartbeat is due before this.
    heartbeat: Option<Instant>,
}

/// The last that a client was sent of one resource.
#[derive(Debug)]
pub(crate) struct Entry {
    version: Version,
    ttl: Option<Duration>,
    standing: Standing,
    /// When to renew the time to live.
    heartbeat: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was sent, and nothing came back yet.
    Sent,
    /// The client has it in force.
    Accepted,
    /// The client refused the response it came in. It is not sent again until it changes.
    Rejected,
}

impl Held {
    pub(crate) fn names(&self) -> impl Iterator<Item = &ResourceName> {
        self.entries.keys()
    }

    pub(crate) fn contains(&self, name: &ResourceName) -> bool {
        self.entries.contains_key(name)
    }

    /// Whether what was sent last is this, in content and time to live.
    pub(crate) fn is_current(&self, resource: &Resource, ttl: Option<Duration>) -> bool {
        self.entries
            .get(&resource.name)
            .is_some_and(|e| e.version == resource.version && e.ttl == ttl)
    }

    /// Takes note of what the client now has. A time to live is renewed at half of it.
    pub(crate) fn insert(
        &mut self,
        resource: &Resource,
        ttl: Option<Duration>,
        standing: Standing,
        now: Instant,
    ) {
        let entry = Entry {
            version: resource.version.clone(),
            ttl,
            standing,
            heartbeat: ttl.and_then(|ttl| now.checked_add(ttl / 2)),
        };
        self.heartbeat = earlier(self.heartbeat, entry.heartbeat);
        self.entries.insert(resource.name.clone(), entry);
    }

    /// Takes note of what the client has from an earlier stream. Its time to live has been running
    /// for an unknown time, so it is renewed at once.
    pub(crate) fn resume(
        &mut self,
        name: ResourceName,
        version: Version,
        ttl: Option<Duration>,
        now: Instant,
    ) {
        let entry = Entry {
            version,
            ttl,
            standing: Standing::Accepted,
            heartbeat: ttl.map(|_| now),
        };
        self.heartbeat = earlier(self.heartbeat, entry.heartbeat);
        self.entries.insert(name, entry);
    }

    pub(crate) fn remove(&mut self, name: &ResourceName) -> bool {
        self.entries.remove(name).is_some()
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&ResourceName) -> bool) {
        self.entries.retain(|name, _| keep(name));
    }

    /// Takes note of the client's answer to a response, as far as nothing newer was sent.
    pub(crate) fn settle(&mut self, versions: &[(ResourceName, Version)], standing: Standing) {
        for (name, version) in versions {
            if let Some(entry) = self.entries.get_mut(name)
                && entry.version == *version
            {
                entry.standing = standing;
            }
        }
    }

    /// When the next heartbeat may be due.
    pub(crate) fn next_heartbeat(&self) -> Option<Instant> {
        self.heartbeat
    }

    /// The resources whose time to live has to be renewed now, with it; the next time is set.
    /// What the client refused has none that runs.
    pub(crate) fn beat(&mut self, now: Instant) -> Vec<(ResourceName, Version, Duration)> {
        if self.heartbeat.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.heartbeat = None;
        let mut due = Vec::new();
        for (name, entry) in &mut self.entries {
            if let Some(ttl) = entry.ttl
                && entry.heartbeat.is_some_and(|at| at <= now)
            {
                entry.heartbeat = now.checked_add(ttl / 2);
                if entry.standing != Standing::Rejected {
                    due.push((name.clone(), entry.version.clone(), ttl));
                }
            }
            self.heartbeat = earlier(self.heartbeat, entry.heartbeat);
        }
        due
    }

    /// The state-of-the-world version of this: a hash of names and versions, and so the same on
    /// every stream and replica. What was refused is marked, because a client that comes back with
    /// this version does not have it. `is_all` is whether the client subscribes to all there is.
    pub(crate) fn version(&self, is_all: bool) -> Version {
        state_version(
            is_all,
            self.entries
                .iter()
                .map(|(name, e)| (name, &e.version, e.standing != Standing::Rejected)),
        )
    }
}

/// The version of resources that are given in the order of their names, each with whether the
/// client has it. A client that asked for names has another version than one that asked for all,
/// even if they have the same.
pub(crate) fn state_version<'a>(
    is_all: bool,
    resources: impl Iterator<Item = (&'a ResourceName, &'a Version, bool)>,
) -> Version {
    let mut hash = Sha256::new();
    hash.update([u8::from(is_all)]);
    for (name, version, has) in resources {
        for text in [name.as_str(), version.as_str()] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.update([u8::from(has)]);
    }
    let mut text = String::with_capacity(2 * VERSION_BYTES);
    for byte in hash.finalize().iter().take(VERSION_BYTES) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Version::from(text.as_str())
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
