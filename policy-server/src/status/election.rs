//! Which of several replicas writes: the one that holds the lease.
//!
//! A lease is taken over when it has not changed for as long as it is given for, by the clock of who
//! wants it: clocks of two machines are never compared. This is the rule of Kubernetes' own
//! controllers (client-go, `leaderelection`). It makes two writers at once unlikely and not
//! impossible; they would write the same.

use std::time::{Duration, Instant};

/// What is read of a lease.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// Who holds it; empty if it was given back.
    pub holder: String,
    /// `metadata.resourceVersion`: another one with every change.
    pub version: String,
}

/// What to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// There is no lease: create it.
    Create,
    /// Renew it.
    Renew,
    /// Take it from who has let it expire.
    Take,
    /// Somebody else has it.
    Wait,
}

/// A candidate.
#[derive(Clone, Debug)]
pub struct Election {
    me: String,
    lasts: Duration,
    /// The version that was last seen of the lease, and since when.
    seen: Option<(String, Instant)>,
}

impl Election {
    /// A candidate of this name, for a lease that is given for `lasts`.
    #[must_use]
    pub fn new(me: String, lasts: Duration) -> Election {
        Election {
            me,
            lasts,
            seen: None,
        }
    }

    /// The name of the candidate.
    #[must_use]
    pub fn me(&self) -> &str {
        &self.me
    }

    /// What to do about a lease that was just read.
    pub fn turn(&mut self, lease: Option<&Held>, now: Instant) -> Turn {
        let Some(lease) = lease else {
            return Turn::Create;
        };
        let since = match &self.seen {
            Some((version, since)) if *version == lease.version => *since,
            _ => now,
        };
        self.seen = Some((lease.version.clone(), since));
        if lease.holder == self.me {
            Turn::Renew
        } else if lease.holder.is_empty() || now.duration_since(since) >= self.lasts {
            Turn::Take
        } else {
            Turn::Wait
        }
    }
}
