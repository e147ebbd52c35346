//! The answers of the admin port, as far as they are shown.
//!
//! Fields that are not known are passed over, so that a newer server can be asked. Times are seconds
//! since 1970-01-01T00:00:00Z, durations are seconds unless the name says otherwise.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// Text that a terminal can be given: a proxy words its refusals itself, and a control character
/// in them could rewrite what stands on the screen.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(from = "String")]
pub(super) struct Text(String);

impl From<String> for Text {
    fn from(text: String) -> Text {
        let mut clean = String::with_capacity(text.len());
        for character in text.chars() {
            if character.is_control() {
                clean.extend(character.escape_default());
            } else {
                clean.push(character);
            }
        }
        Text(clean)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// `/status`.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) readiness: Readiness,
    pub(super) policies: Vec<Policy>,
    /// Workloads that are known.
    pub(super) workloads: usize,
    /// Why the state on disk cannot be written, if it cannot.
    #[serde(rename = "stateError")]
    pub(super) state_error: Option<Text>,
}

/// Whether proxies are served what they should enforce.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Readiness {
    pub(super) ready: bool,
    /// Whether what is served is known from the state on disk only.
    pub(super) from_disk: bool,
    pub(super) sources: Vec<Source>,
}

/// How one kind of objects of one cluster is heard of.
#[derive(Debug, Deserialize)]
pub(super) struct Source {
    pub(super) cluster: Text,
    pub(super) kind: Text,
    pub(super) synced: bool,
    pub(super) state: SourceState,
    /// The reason of the last failure, if it is failing.
    pub(super) reason: Option<Text>,
    /// Seconds since the cluster was last heard of.
    pub(super) silence: Option<u64>,
}

/// What a source is doing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum SourceState {
    Listing,
    Watching,
    Absent,
    Failing,
    /// What only a newer server says.
    #[serde(other)]
    Unknown,
}

/// A policy or configuration.
#[derive(Debug, Deserialize)]
pub(super) struct Policy {
    pub(super) cluster: Text,
    /// `kind/namespace/name`.
    pub(super) name: Text,
    pub(super) state: PolicyState,
    /// Why it is not accepted, and what holds instead; or why a workload cannot enforce it.
    pub(super) reason: Option<Text>,
    pub(super) proxies: Counts,
}

/// What has become of a policy.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum PolicyState {
    Accepted,
    Repeated,
    Refused,
    Conflicted,
    /// What only a newer server says.
    #[serde(other)]
    Unknown,
}

/// Counts of connected proxies.
#[derive(Debug, Deserialize)]
pub(super) struct Counts {
    /// Those that the policy concerns.
    pub(super) selected: usize,
    /// Those that enforce it.
    pub(super) programmed: usize,
    /// Those that refused it.
    pub(super) refused: usize,
}

/// One of `/proxies`.
#[derive(Debug, Deserialize)]
pub(super) struct Proxy {
    /// Id of the node.
    pub(super) node: Text,
    /// `cluster/namespace/name`.
    pub(super) workload: Text,
    /// Its verified SPIFFE id; none on a connection without TLS.
    pub(super) principal: Option<Text>,
    /// Its address.
    pub(super) address: Text,
    /// When its stream was opened.
    pub(super) since: u64,
    /// What is delivered to it, by type URL.
    pub(super) types: BTreeMap<Text, Delivery>,
}

/// What a proxy has of one type.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Delivery {
    /// Versions that it should have, by resource; only of those that it has accepted before.
    pub(super) meant: BTreeMap<Text, Text>,
    /// Versions that it has accepted, by resource.
    pub(super) acked: BTreeMap<Text, Text>,
    /// The last response that it refused, if it has accepted none since.
    pub(super) nack: Option<Nack>,
    /// Milliseconds for which it has been owing an answer.
    pub(super) lag_milliseconds: Option<u64>,
}

/// A refusal.
#[derive(Debug, Deserialize)]
pub(super) struct Nack {
    /// When it came.
    pub(super) at: u64,
    /// In the words of the proxy.
    pub(super) reason: Text,
}

/// `/workloads/CLUSTER/NAMESPACE/POD`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Workload {
    /// `cluster/namespace/name`.
    pub(super) name: Text,
    /// The SPIFFE id that its certificate should carry.
    pub(super) principal: Text,
    pub(super) addresses: Vec<Text>,
    /// Policies that apply, in the order of evaluation.
    pub(super) applies: Vec<Text>,
    pub(super) not_applied: Vec<NotApplied>,
    /// Version of what it should enforce; none if that is nothing yet.
    pub(super) version: Option<Text>,
    /// Bytes of its program.
    pub(super) program_bytes: Option<usize>,
    /// Bytes of its peer table.
    pub(super) peer_table_bytes: Option<usize>,
    /// Why it does not enforce what it should.
    pub(super) failure: Option<Text>,
    pub(super) sets: Vec<PeerSet>,
}

/// A policy that does not apply.
#[derive(Debug, Deserialize)]
pub(super) struct NotApplied {
    pub(super) policy: Text,
    pub(super) reason: Text,
}

/// A peer set, and who is in it.
#[derive(Debug, Deserialize)]
pub(super) struct PeerSet {
    /// The set, in the words of explanations.
    pub(super) set: Text,
    /// Its members, as `cluster/namespace/name`.
    pub(super) members: Vec<Text>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_steer_a_terminal() {
        let text: Text = serde_json::from_str(r#""a\u001b[2Jb\n\u009bc é""#).unwrap();
        assert_eq!(text.to_string(), r"a\u{1b}[2Jb\n\u{9b}c é");
    }

    #[test]
    fn what_a_newer_server_says_is_no_error() {
        let source = r#"{"cluster": "a", "kind": "Pod", "synced": true, "state": "resting",
            "reason": null, "silence": null, "mood": "calm"}"#;
        let source: Source = serde_json::from_str(source).unwrap();
        assert_eq!(source.state, SourceState::Unknown);
    }
}
