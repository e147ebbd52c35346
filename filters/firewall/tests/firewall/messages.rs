//! The messages of incremental xDS as a server sees them, declared apart from the filter's own.

use std::collections::BTreeMap;

use prost::Message;

/// A request, as far as these tests look at it.
pub(crate) struct Request {
    pub(crate) node: Option<Node>,
    pub(crate) type_url: String,
    pub(crate) subscribe: Vec<String>,
    pub(crate) known: BTreeMap<String, String>,
    pub(crate) nonce: String,
    /// Code and message.
    pub(crate) error: Option<(i32, String)>,
}

#[derive(Clone, PartialEq, Message)]
struct RawRequest {
    #[prost(message, optional, tag = "1")]
    node: Option<Node>,
    #[prost(string, tag = "2")]
    type_url: String,
    #[prost(string, repeated, tag = "3")]
    subscribe: Vec<String>,
    #[prost(btree_map = "string, string", tag = "5")]
    known: BTreeMap<String, String>,
    #[prost(string, tag = "6")]
    nonce: String,
    #[prost(message, optional, tag = "7")]
    error: Option<RawStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct RawStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<Struct>,
    #[prost(string, tag = "6")]
    pub(crate) user_agent_name: String,
    #[prost(string, tag = "7")]
    pub(crate) user_agent_version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "3")]
    string_value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Response {
    #[prost(message, repeated, tag = "2")]
    resources: Vec<Resource>,
    #[prost(string, tag = "4")]
    type_url: String,
    #[prost(string, tag = "5")]
    nonce: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Resource {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(message, optional, tag = "2")]
    resource: Option<Any>,
    #[prost(string, tag = "3")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Content {
    #[prost(bytes = "vec", tag = "1")]
    bytes: Vec<u8>,
}

impl Request {
    pub(crate) fn read(bytes: &[u8]) -> Request {
        let RawRequest {
            node,
            type_url,
            subscribe,
            known,
            nonce,
            error,
        } = RawRequest::decode(bytes).unwrap();
        Request {
            node,
            type_url,
            subscribe,
            known,
            nonce,
            error: error.map(|error| (error.code, error.message)),
        }
    }
}

impl Node {
    #[allow(
        dead_code,
        reason = "the test bed uses the same messages, and not all of them"
    )]
    pub(crate) fn texts(&self) -> Vec<(String, String)> {
        let fields = self.metadata.iter().flat_map(|metadata| &metadata.fields);
        let text = |(key, value): (&String, &Value)| (key.clone(), value.string_value.clone());
        fields.map(text).collect()
    }
}

impl Response {
    pub(crate) fn new(type_url: &str, nonce: &str, resources: Vec<Resource>) -> Response {
        Response {
            resources,
            type_url: type_url.to_owned(),
            nonce: nonce.to_owned(),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

impl Resource {
    pub(crate) fn new(type_url: &str, name: &str, version: &str, bytes: &[u8]) -> Resource {
        let bytes = bytes.to_vec();
        Resource {
            version: version.to_owned(),
            resource: Some(Any {
                type_url: type_url.to_owned(),
                value: Content { bytes }.encode_to_vec(),
            }),
            name: name.to_owned(),
        }
    }
}
