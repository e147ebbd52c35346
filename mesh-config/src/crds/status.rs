//! The status of our objects: what a server made of an object, and how far it has come.
//!
//! All kinds have the same status. The conditions are those of the Gateway API's policy attachment
//! (GEP-713): `Accepted` once the object was read and found right, then `Programmed` once every proxy
//! that it concerns enforces it. The counts say how far that is, and `refusals` what stands in the
//! way. Texts here are read by everyone who may read the object: they name fields and reasons, and
//! no other object's content.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Refusals that are listed; the others are counted.
pub const MAX_REFUSALS: usize = 10;

/// What a server made of the object.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Generation of the object (`metadata.generation`) that the status is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// Answers to questions about the object, one of each type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["type"]
    ))]
    pub conditions: Vec<Condition>,
    /// How many proxies the object concerns, and how many of them enforce it.
    #[serde(default)]
    pub proxies: Proxies,
    /// Proxies that refused what was made of the object: some of them, if there are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_REFUSALS))]
    pub refusals: Vec<Refusal>,
}

/// An answer to a question about an object.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The question: `Accepted`, or `Programmed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The answer.
    pub status: Answer,
    /// Generation of the object that the answer is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// When the answer last became another, as in `2026-12-31T00:00:00Z`.
    pub last_transition_time: String,
    /// The reason for the answer, in one word for machines.
    pub reason: String,
    /// The reason for the answer, for people.
    pub message: String,
}

/// The answer to a question.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Answer {
    /// Yes.
    True,
    /// No.
    False,
    /// Not known yet.
    Unknown,
}

/// Counts of proxies.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxies {
    /// Connected proxies that the object concerns.
    #[serde(default)]
    pub selected: u32,
    /// Those that enforce its present generation.
    #[serde(default)]
    pub programmed: u32,
    /// Those that refused it, and enforce what they had before.
    #[serde(default)]
    pub refused: u32,
}

/// A proxy that refused what it was sent.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The workload beside which the proxy runs, as `cluster/namespace/name`.
    pub proxy: String,
    /// Why, in the words of the proxy.
    pub message: String,
}
