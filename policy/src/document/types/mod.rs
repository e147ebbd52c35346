//! What a user writes, as types.
//!
//! One set of types gives the reader its shape, the custom resource definitions their schema and
//! the reference its text: the comments on the fields are what users read. They hold values as
//! written; [`Located::lower`](super::Located::lower) works out what they mean.

mod config;
mod operation;
mod peer;
mod policy;
mod selector;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use self::config::{DefaultAction, DefaultActions, Denial, MeshwallConfigSpec};
pub use self::operation::{
    ClaimPath, Condition, GrpcMatch, HeaderMatch, Operation, Port, QueryMatch,
};
pub use self::peer::{EgressPeer, IngressPeer, IpBlock, IpNetwork};
pub use self::policy::{
    ClusterAction, ClusterFirewallPolicySpec, EgressRule, FirewallPolicySpec, IngressRule, Mode,
    PolicyAction, RuleAction, Subject, TargetRef, Tier,
};
pub use self::selector::{LabelSelector, MatchExpression, Operator};

/// API group of all kinds.
pub const GROUP: &str = "meshwall.io";

/// `apiVersion` of all kinds.
pub const API_VERSION: &str = "meshwall.io/v1alpha1";

/// The `spec` of a kind, and what is to be known of the kind.
pub trait Resource: Serialize + DeserializeOwned + JsonSchema {
    /// Value of `kind`.
    const KIND: &'static str;
    /// Whether objects of the kind are in a namespace.
    const NAMESPACED: bool;

    /// The schema of the objects of the kind, as [`schema::of`](super::schema::of) makes it.
    fn schema() -> &'static Value;
}

/// An object of one kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Object<S> {
    /// What names the object.
    pub metadata: Metadata,
    /// What the object says.
    pub spec: S,
}

/// What names an object. The other fields of Kubernetes' object metadata are accepted in a
/// document and mean nothing to it.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Name of the object, unique in its kind and namespace.
    pub name: String,
    /// Namespace of the object, for kinds that are in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<M, S> {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    metadata: M,
    spec: S,
}

impl<S: Resource> Serialize for Object<S> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let envelope = Envelope {
            api_version: API_VERSION.to_owned(),
            kind: S::KIND.to_owned(),
            metadata: &self.metadata,
            spec: &self.spec,
        };
        envelope.serialize(serializer)
    }
}

impl<'de, S: Resource> Deserialize<'de> for Object<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let envelope = Envelope::<Metadata, S>::deserialize(deserializer)?;
        if envelope.api_version != API_VERSION || envelope.kind != S::KIND {
            return Err(serde::de::Error::custom("another kind of object"));
        }
        Ok(Object {
            metadata: envelope.metadata,
            spec: envelope.spec,
        })
    }
}
