//! What is published: programs and peer tables, and which edition of them a workload gets.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use meshwall_policy::bundle::{self, Edition};
use meshwall_policy::program::Version;
use meshwall_policy::spec::Direction;

/// A program or a peer table. Clones share the bytes.
#[derive(Clone)]
pub struct Part {
    bytes: Arc<[u8]>,
    version: Version,
}

impl Part {
    /// Takes a program or a peer table that has just been written.
    pub(super) fn new(bytes: Vec<u8>) -> Part {
        Part {
            version: Version::written(&bytes),
            bytes: bytes.into(),
        }
    }

    /// The bytes, as [`meshwall_policy::program::Program::load`] or
    /// [`meshwall_policy::peers::PeerTable::load`] reads them.
    #[must_use]
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// SHA-256 of the content.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Part) -> bool {
        self.version == other.version
    }
}

impl Eq for Part {}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.version, self.bytes.len())
    }
}

/// What a workload enforces. The program is for both directions, and for HTTP and TCP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Enforced {
    /// The program.
    pub program: Part,
    /// The peer table for the peer sets of the program.
    pub peers: Part,
    /// Tells bundles of the same content apart that the same workload may get one after the other:
    /// the number of an update of the index. Of no meaning to another process.
    pub edition: u64,
}

impl Enforced {
    /// The version of the content, equal in every process; the edition is no part of it.
    #[must_use]
    pub fn version(&self) -> ContentVersion {
        ContentVersion {
            program: self.program.version,
            peers: self.peers.version,
        }
    }

    /// The configuration of a filter. `process` is a random number of this process.
    #[must_use]
    pub fn bundle(&self, direction: Direction, port: Option<u16>, process: u64) -> Vec<u8> {
        let edition = u128::from(process) << 64 | u128::from(self.edition);
        let edition = Edition(edition.to_be_bytes());
        let (program, peers) = (&self.program.bytes, &self.peers.bytes);
        bundle::encode_edition(direction, port, edition, program, peers)
    }
}

/// The version of what a workload enforces.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ContentVersion {
    /// Version of the program.
    pub program: Version,
    /// Version of the peer table.
    pub peers: Version,
}

impl fmt::Display for ContentVersion {
    /// 32 hexadecimal digits of the program, a dash, and as many of the peer table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.program, self.peers)
    }
}

/// Which editions there are.
///
/// Of each content there is one that is given out. It was made in some update. A workload that last
/// changed before that update cannot have had it; for any other workload a new one is made, and
/// given out from then on.
#[derive(Debug, Default)]
pub(super) struct Editions(HashMap<ContentVersion, Issue>);

#[derive(Debug)]
struct Issue {
    made: u64,
    workloads: usize,
}

impl Editions {
    /// The edition for a workload that changes to some content in update `now`, and that last
    /// changed in `before`.
    pub(super) fn issue(&mut self, content: ContentVersion, before: Option<u64>, now: u64) -> u64 {
        let issue = self.0.entry(content).or_insert(Issue {
            made: now,
            workloads: 0,
        });
        issue.workloads = issue.workloads.saturating_add(1);
        if before.is_some_and(|before| issue.made <= before) {
            issue.made = now;
        }
        issue.made
    }

    /// A workload has left some content.
    pub(super) fn leave(&mut self, content: ContentVersion) {
        let Some(issue) = self.0.get_mut(&content) else {
            return;
        };
        issue.workloads = issue.workloads.saturating_sub(1);
        if issue.workloads == 0 {
            self.0.remove(&content);
        }
    }
}
