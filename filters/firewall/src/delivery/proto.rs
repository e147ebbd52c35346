//! The messages of incremental xDS, as far as the filter writes and reads them.
//!
//! From `envoy/service/discovery/v3/discovery.proto`, `envoy/config/core/v3/base.proto`,
//! `google/rpc/status.proto` and `google/protobuf/{any,struct}.proto`, declared by hand: what is
//! generated of the whole would be larger than the filter. Fields that are not here are skipped
//! when they are read.

use prost::Message;

/// The service on which the stream is opened.
pub(crate) const SERVICE: &str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
/// Its method for the incremental variant of the protocol.
pub(crate) const METHOD: &str = "DeltaAggregatedResources";

/// `google.rpc.Code.INVALID_ARGUMENT`.
const INVALID_ARGUMENT: i32 = 3;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeltaDiscoveryRequest {
    /// On the first request of a stream only.
    #[prost(message, optional, tag = "1")]
    pub(crate) node: Option<Node>,
    #[prost(string, tag = "2")]
    pub(crate) type_url: String,
    #[prost(string, repeated, tag = "3")]
    pub(crate) resource_names_subscribe: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub(crate) resource_names_unsubscribe: Vec<String>,
    /// Versions of what is there already.
    #[prost(message, repeated, tag = "5")]
    pub(crate) initial_resource_versions: Vec<VersionEntry>,
    /// The response that this answers; empty if it answers none.
    #[prost(string, tag = "6")]
    pub(crate) response_nonce: String,
    /// Why the response is refused.
    #[prost(message, optional, tag = "7")]
    pub(crate) error_detail: Option<Status>,
}

/// An entry of a map: the version of a resource by its name.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct VersionEntry {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeltaDiscoveryResponse {
    #[prost(message, repeated, tag = "2")]
    pub(crate) resources: Vec<Resource>,
    #[prost(string, tag = "4")]
    pub(crate) type_url: String,
    #[prost(string, tag = "5")]
    pub(crate) nonce: String,
    #[prost(string, repeated, tag = "6")]
    pub(crate) removed_resources: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Resource {
    #[prost(string, tag = "1")]
    pub(crate) version: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) resource: Option<Any>,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Any {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

/// `meshwall.v1alpha1.Policy` and `meshwall.v1alpha1.Chunk`, which have one field each.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Content {
    /// The manifest, or the data of the chunk.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) metadata: Option<Struct>,
    #[prost(string, tag = "6")]
    pub(crate) user_agent_name: String,
    #[prost(string, tag = "7")]
    pub(crate) user_agent_version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Struct {
    #[prost(message, repeated, tag = "1")]
    pub(crate) fields: Vec<FieldEntry>,
}

/// An entry of a map; on the wire, a map is the list of its entries.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldEntry {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<Value>,
}

/// A value that is a text.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Value {
    #[prost(string, optional, tag = "3")]
    pub(crate) string_value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

impl Status {
    /// What was sent is wrong, for this reason.
    pub(crate) fn refused(reason: String) -> Status {
        Status {
            code: INVALID_ARGUMENT,
            message: reason,
        }
    }
}

impl Node {
    /// This filter in a proxy with this id, in this cluster of a mesh of several.
    pub(crate) fn new(id: String, cluster: Option<String>) -> Node {
        let metadata = cluster.map(|cluster| Struct {
            fields: vec![FieldEntry {
                key: "CLUSTER_ID".to_owned(),
                value: Some(Value {
                    string_value: Some(cluster),
                }),
            }],
        });
        Node {
            id,
            metadata,
            user_agent_name: "meshwall-firewall".to_owned(),
            user_agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
