//! What can stop a compilation.

use std::fmt;

use super::{MAX_CLAUSES, MAX_PATTERN_BYTES, MAX_RULES};
use crate::bundle::{MAX_PEER_TABLE_BYTES, MAX_PROGRAM_BYTES};
use crate::spec::{Direction, ObjectRef, Policy};

/// A policy that cannot be compiled. The others are not to blame: whoever compiles keeps the last
/// good version of this one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CompileError {
    /// The policy.
    pub policy: Box<ObjectRef>,
    /// Direction of the rule.
    pub direction: Direction,
    /// Name of the rule.
    pub rule: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Problem {
    /// The program has more rules than [`MAX_RULES`].
    TooManyRules,
    /// The program has more clauses than [`MAX_CLAUSES`].
    TooManyClauses,
    /// The program is larger than [`MAX_PROGRAM_BYTES`].
    TooLarge {
        /// Size in bytes.
        bytes: usize,
    },
    /// A value is longer than [`MAX_PATTERN_BYTES`].
    TooLong {
        /// Length in bytes.
        bytes: usize,
    },
    /// A regular expression is malformed or too large when compiled.
    Regex {
        /// The expression.
        regex: String,
        /// The reason.
        reason: String,
    },
}

impl CompileError {
    /// The program is too large: blames the policy with the most rules.
    pub(super) fn too_large(selected: &[&Policy], bytes: usize) -> CompileError {
        let size = |policy: &Policy| policy.ingress.len() + policy.egress.len();
        let largest = selected.iter().max_by_key(|policy| size(policy));
        let rule = largest.and_then(|policy| policy.ingress.first().or(policy.egress.first()));
        CompileError {
            policy: Box::new(largest.map_or_else(
                || ObjectRef {
                    kind: String::new(),
                    namespace: None,
                    name: String::new(),
                },
                |policy| policy.origin.clone(),
            )),
            direction: Direction::Ingress,
            rule: rule.map(|rule| rule.name.clone()).unwrap_or_default(),
            problem: Problem::TooLarge { bytes },
        }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} rule `{}`: {}",
            self.policy, self.direction, self.rule, self.problem
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::TooManyRules => {
                write!(f, "the workload has more than {MAX_RULES} rules")
            }
            Problem::TooManyClauses => write!(
                f,
                "the workload has more than {MAX_CLAUSES} combinations of peers and operations"
            ),
            Problem::TooLarge { bytes } => write!(
                f,
                "the program of the workload has {bytes} bytes, more than {MAX_PROGRAM_BYTES}; \
                 this policy is the largest part of it"
            ),
            Problem::TooLong { bytes } => {
                write!(
                    f,
                    "a value has {bytes} bytes, more than {MAX_PATTERN_BYTES}"
                )
            }
            Problem::Regex { regex, reason } => {
                write!(f, "regular expression `{regex}`: {reason}")
            }
        }
    }
}

impl std::error::Error for CompileError {}

/// A peer table larger than [`MAX_PEER_TABLE_BYTES`]. Policies with fewer or narrower selectors
/// make it smaller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerTableError {
    /// Size in bytes.
    pub bytes: usize,
    /// Addresses in the largest of its sets.
    pub addresses: usize,
    /// That set, in the words of the policy that has it.
    pub set: String,
}

impl fmt::Display for PeerTableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PeerTableError {
            bytes,
            addresses,
            set,
        } = self;
        write!(
            f,
            "the peer table of the workload has {bytes} bytes, more than {MAX_PEER_TABLE_BYTES}; \
             the largest of its sets, with {addresses} addresses, is `{set}`"
        )
    }
}

impl std::error::Error for PeerTableError {}
