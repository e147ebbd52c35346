//! The messages of both variants, without their encoding, and the effects of a session.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::name::ResourceName;
use crate::resource::{Resource, Version};
use crate::type_url::TypeUrl;

/// A `DiscoveryRequest` or a `DeltaDiscoveryRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Type URL of the resources in question. May be empty on a service of one type.
    pub type_url: String,
    /// Who asks. Clients send it with the first message of a stream; later ones are not looked at.
    pub node: Option<Node>,
    /// Nonce of the response that is answered, or empty.
    pub nonce: String,
    /// Why that response is refused. Its presence makes the answer a NACK.
    pub error: Option<ErrorDetail>,
    /// What is asked for.
    pub ask: Ask,
}

/// What a request asks for, in one of the two variants of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// State of the world: the whole subscription, each time.
    State {
        /// The version that the client has, or empty.
        version: String,
        /// All names that the client subscribes to.
        names: Vec<String>,
    },
    /// Incremental: what changes in the subscription.
    Delta {
        /// Names that are added.
        subscribe: Vec<String>,
        /// Names that are removed.
        unsubscribe: Vec<String>,
        /// Resources that the client has from an earlier stream, by name, with their versions.
        initial_versions: Vec<(String, String)>,
    },
}

/// Who a client says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its id, unique in the world of the server.
    pub id: String,
    /// The group to which it belongs.
    pub cluster: String,
    /// Those of its metadata that are texts, by key.
    pub metadata: BTreeMap<String, String>,
    /// Features that it supports, such as `xds.config.supports-resource-ttl`.
    pub client_features: Vec<String>,
}

/// Why a client refuses a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorDetail {
    /// A code of gRPC.
    pub code: i32,
    /// The reason, for people.
    pub message: String,
}

/// A `DiscoveryResponse` or a `DeltaDiscoveryResponse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Type URL of the resources.
    pub type_url: TypeUrl,
    /// Marks the response; unique within the stream.
    pub nonce: Nonce,
    /// In state of the world, the version of all that the client then has of this type.
    pub version: Option<Version>,
    /// Resources, each name once.
    pub resources: Vec<Item>,
    /// Names of resources that are no longer there, or never were. Empty in state of the world.
    pub removed: Vec<ResourceName>,
}

/// A resource in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The resource.
    pub resource: Arc<Resource>,
    /// The time to live that is sent with it. In state of the world, a resource with one is wrapped
    /// in a `Resource` message.
    pub ttl: Option<Duration>,
    /// Whether it goes without its body, only to renew the time to live.
    pub heartbeat: bool,
}

/// The mark of one response, by which a client says which one it accepts or refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub(crate) u64);

/// What the owner of a session has to do or to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send this to the client.
    Send(Response),
    /// Tell the session from now on when a resource of this name changes. `*` means any resource of
    /// the type, a glob collection any of its members.
    Subscribed {
        /// Type URL of the resource.
        type_url: TypeUrl,
        /// What is subscribed to.
        name: ResourceName,
    },
    /// The session need no longer be told.
    Unsubscribed {
        /// Type URL of the resource.
        type_url: TypeUrl,
        /// What was subscribed to.
        name: ResourceName,
    },
    /// The client accepted a response, or said in the first message that it already has these.
    Acked {
        /// Type URL of the resources.
        type_url: TypeUrl,
        /// The resources that are in force, with their versions. Those that the client has from
        /// earlier responses are not repeated.
        versions: Vec<(ResourceName, Version)>,
    },
    /// The client refused a response, and keeps what it had.
    Nacked {
        /// Type URL of the resources.
        type_url: TypeUrl,
        /// The resources of the response. The protocol does not say which of them is to blame.
        versions: Vec<(ResourceName, Version)>,
        /// The client's reason, cut to a bounded length.
        error: ErrorDetail,
    },
}

impl Node {
    /// Whether the client says that it supports a feature.
    #[must_use]
    pub fn supports(&self, feature: &str) -> bool {
        self.client_features.iter().any(|f| f == feature)
    }
}

impl Nonce {
    /// Whether a request answers the response of this nonce.
    pub(crate) fn is(self, text: &str) -> bool {
        text == self.to_string()
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
