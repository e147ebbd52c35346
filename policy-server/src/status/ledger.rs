//! What was written to the objects of a cluster, and what is to be written now.
//!
//! An object is written to only if its status would say something else, and at most once in a while,
//! so that a churn of pods is not a churn of writes. What has become of the object itself
//! (`Accepted`) does not wait: it changes when somebody changes an object, and that person waits for
//! the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use meshwall_mesh_config::crds::status::{Answer, Condition, Status};

use super::desired::{Claim, Desired};
use crate::index::ObjectKey;

/// Type of the condition that says what has become of an object.
pub const ACCEPTED: &str = "Accepted";

/// Type of the condition that says how far proxies have come.
pub const PROGRAMMED: &str = "Programmed";

/// The present moment, by two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For how long ago something was.
    pub instant: Instant,
    /// For people.
    pub time: Timestamp,
}

/// What is to be written to an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Write {
    /// The object.
    pub object: ObjectKey,
    /// Its new status.
    pub status: Status,
    /// What is to be told of it besides, once.
    pub warnings: Vec<Warning>,
}

/// Something that an operator should hear of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    /// The reason in one word.
    pub reason: String,
    /// The reason for people.
    pub message: String,
}

/// What the objects of a cluster have as their status, as far as known.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The least time between two writes to an object.
    every: Duration,
    entries: BTreeMap<ObjectKey, Entry>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    status: Option<Status>,
    /// When it was written.
    written: Option<Instant>,
    /// Until when nothing is tried after a failure.
    held: Option<Instant>,
    /// Whether anything is to be said about the object. Of one that was only found, it may not be
    /// known yet.
    wanted: bool,
}

impl Ledger {
    /// A ledger that knows nothing. An object is written to once in `every`, at most.
    #[must_use]
    pub fn new(every: Duration) -> Ledger {
        Ledger {
            every,
            entries: BTreeMap::new(),
        }
    }

    /// Takes what all objects have, as they were just read.
    pub fn found(&mut self, statuses: impl IntoIterator<Item = (ObjectKey, Option<Status>)>) {
        let mut before = std::mem::take(&mut self.entries);
        for (object, status) in statuses {
            let entry = before.remove(&object).unwrap_or_default();
            self.entries.insert(object, Entry { status, ..entry });
        }
    }

    /// What is to be written now: first what has become of objects, then what waits longest.
    #[must_use]
    pub fn due(&self, desired: &BTreeMap<ObjectKey, Desired>, now: Now) -> Vec<Write> {
        let unknown = Entry::default();
        let mut due = Vec::new();
        for (object, desired) in desired {
            let entry = self.entries.get(object).unwrap_or(&unknown);
            let before = entry.status.as_ref();
            let status = stamped(desired, before, now.time);
            if before == Some(&status) || entry.held.is_some_and(|held| now.instant < held) {
                continue;
            }
            let is_news = condition(before, ACCEPTED) != condition(Some(&status), ACCEPTED);
            let next = entry.written.and_then(|at| at.checked_add(self.every));
            if !is_news && next.is_some_and(|next| now.instant < next) {
                continue;
            }
            let warnings = warnings(before, &status);
            let write = Write {
                object: object.clone(),
                status,
                warnings,
            };
            due.push((!is_news, entry.written, write));
        }
        due.sort_by_key(|(later, written, _)| (*later, *written));
        due.into_iter().map(|(_, _, write)| write).collect()
    }

    /// A status was written.
    pub fn wrote(&mut self, object: &ObjectKey, status: Status, at: Instant) {
        let entry = Entry {
            status: Some(status),
            written: Some(at),
            held: None,
            wanted: true,
        };
        self.entries.insert(object.clone(), entry);
    }

    /// A status could not be written.
    pub fn failed(&mut self, object: &ObjectKey, at: Instant) {
        let entry = self.entries.entry(object.clone()).or_default();
        entry.held = at.checked_add(self.every);
    }

    /// Forgets objects of which nothing is to be said any more: those that are gone. One that comes
    /// again under the same name has no status.
    pub fn keep(&mut self, objects: &BTreeSet<&ObjectKey>) {
        self.entries.retain(|object, entry| {
            let is_wanted = objects.contains(object);
            let stays = is_wanted || !entry.wanted;
            entry.wanted |= is_wanted;
            stays
        });
    }
}

fn condition<'a>(status: Option<&'a Status>, kind: &str) -> Option<&'a Condition> {
    let conditions = &status?.conditions;
    conditions.iter().find(|condition| condition.kind == kind)
}

/// A status with its times: an answer that stays has the time at which it was first given.
fn stamped(desired: &Desired, before: Option<&Status>, now: Timestamp) -> Status {
    let Desired {
        generation,
        accepted,
        programmed,
        proxies,
        refusals,
    } = desired;
    let stamp = |kind: &str, claim: &Claim| {
        let before = condition(before, kind);
        let same = before.filter(|before| before.status == claim.answer);
        Condition {
            kind: kind.to_owned(),
            status: claim.answer,
            observed_generation: *generation,
            last_transition_time: match same {
                Some(same) => same.last_transition_time.clone(),
                None => seconds(now),
            },
            reason: claim.reason.to_owned(),
            message: claim.message.clone(),
        }
    };
    let accepted = stamp(ACCEPTED, accepted);
    let programmed = programmed.as_ref().map(|claim| stamp(PROGRAMMED, claim));
    Status {
        observed_generation: *generation,
        conditions: [accepted].into_iter().chain(programmed).collect(),
        proxies: *proxies,
        refusals: refusals.clone(),
    }
}

/// What an operator should hear of when a status becomes another: that an object is not accepted,
/// and that proxies refuse it. Not that they still do, in other numbers.
fn warnings(before: Option<&Status>, after: &Status) -> Vec<Warning> {
    let accepted = condition(Some(after), ACCEPTED)
        .filter(|now| now.status == Answer::False && condition(before, ACCEPTED) != Some(*now));
    let refused = condition(Some(after), PROGRAMMED).filter(|now| {
        let is_known = condition(before, PROGRAMMED).is_some_and(|before| {
            before.reason == now.reason && before.observed_generation == now.observed_generation
        });
        matches!(now.reason.as_str(), "Refused" | "ProgramFailed") && !is_known
    });
    let warnings = accepted.into_iter().chain(refused);
    let warnings = warnings.map(|condition| Warning {
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    });
    warnings.collect()
}

/// RFC 3339 in seconds, as the API conventions have it.
fn seconds(time: Timestamp) -> String {
    let whole = Timestamp::from_second(time.as_second());
    whole.unwrap_or(time).to_string()
}
