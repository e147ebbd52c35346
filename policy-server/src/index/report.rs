//! What is said about policies and about the work that was done.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use meshwall_mesh_config::inventory;
use meshwall_policy::compile::{CompileError, PeerTableError};

use super::key::{ClusterName, DefinitionKey, ObjectKey, WorkloadKey};
use super::object::Refusal;
use super::publish::Enforced;
use super::resolve::Conflict;

/// What an update of the index has changed.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// Workloads that enforce something else from now on.
    pub changed: Vec<(WorkloadKey, Enforced)>,
    /// Workloads that are gone.
    pub removed: Vec<WorkloadKey>,
    /// Workloads whose [`Duty`] may be another.
    pub touched: Vec<WorkloadKey>,
    /// What is said about policies and configurations, as far as it is something else.
    pub reports: Vec<Report>,
    /// Definitions that are gone.
    pub forgotten: Vec<DefinitionKey>,
    /// What was done.
    pub work: Work,
}

/// What a workload should enforce, in terms of who wants it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Duty {
    /// The policies that apply to it, and the configuration of its cluster.
    pub definitions: Arc<[DefinitionKey]>,
    /// Whether what it was told to enforce is just that; otherwise there is a [`Failure`].
    pub is_published: bool,
}

/// What an update has done, in numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Work {
    /// Workloads for which policies were selected again.
    pub selected: usize,
    /// Programs that were compiled.
    pub compiled: usize,
    /// Peer tables that were made.
    pub tables: usize,
    /// Workloads that got something else.
    pub published: usize,
}

/// How much the index holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Size {
    /// Workloads.
    pub workloads: usize,
    /// Definitions of policies and configurations.
    pub definitions: usize,
    /// Programs.
    pub programs: usize,
    /// Bytes of all programs.
    pub program_bytes: usize,
    /// Peer sets.
    pub sets: usize,
    /// Peer tables.
    pub tables: usize,
    /// Bytes of all peer tables.
    pub table_bytes: usize,
}

/// What is said about a policy or a configuration. It names fields, values and reasons of the
/// object itself, and other objects by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What it is about.
    pub definition: DefinitionKey,
    /// The generation of the object that it is about.
    pub generation: Option<i64>,
    /// What has become of it.
    pub standing: Standing,
    /// Workloads that it selects: those of its version that is in force.
    pub selects: usize,
    /// Programs that it is a part of and that could not be made, for which it is to blame. Their
    /// workloads keep their last good program.
    pub failures: BTreeSet<String>,
}

/// What has become of a definition.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It is in force.
    Accepted,
    /// It is in force, because the policy cluster says the same.
    Repeated,
    /// It is wrong.
    Refused {
        /// What is wrong with it.
        refusal: Arc<Refusal>,
        /// What holds instead.
        instead: Instead,
    },
    /// It contradicts another one.
    Conflicted {
        /// The contradiction.
        conflict: Conflict,
        /// What holds instead.
        instead: Instead,
    },
}

/// What holds in place of a version that is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Instead {
    /// What the policy said before.
    LastGood,
    /// Nothing of this object.
    Nothing,
    /// It is not known what held before: workloads that it may concern get nothing new.
    Held,
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Instead::LastGood => "its last good version stays in force",
            Instead::Nothing => "nothing of it is in force",
            Instead::Held => {
                "what was in force before is not known here, so proxies that it may concern keep \
                 what they have"
            }
        })
    }
}

/// Why some workloads do not enforce what they should, and keep what they have.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The program could not be made.
    Program(CompileError),
    /// The peer table is too large.
    PeerTable(PeerTableError),
    /// Something of what applies to them is not known.
    Held,
    /// Not all that applies to them has been listed yet.
    NotListed,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Program(error) => error.fmt(f),
            Failure::PeerTable(error) => error.fmt(f),
            Failure::Held => f.write_str("a policy that may apply cannot be read"),
            Failure::NotListed => f.write_str("not all that applies has been listed yet"),
        }
    }
}

/// An object that cannot be read and therefore counts as absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// The cluster.
    pub cluster: ClusterName,
    /// The object.
    pub object: ObjectKey,
    /// What is wrong with it.
    pub errors: Vec<inventory::Error>,
}
