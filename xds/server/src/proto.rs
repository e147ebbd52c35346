//! Messages of Envoy's API, read and written.
//!
//! This is the only place that knows their types. Messages are taken apart field by field, so that
//! a field which is new in the API does not compile until someone has decided what it means.
//!
//! Responses are not encoded as a whole. A resource is an encoded `Any` that many streams share;
//! a response puts small heads around these bytes and passes them on without a copy.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::discovery::v3 as discovery;
use envoy_types::pb::google::protobuf as wellknown;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::rpc;
use meshwall_xds_protocol::{Ask, ErrorDetail, Item, Node, Request, ResourceName, Response};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// Type URL of `Resource`, in which state-of-the-world responses wrap what has a time to live.
const RESOURCE: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";
/// Field of `resources` in both responses, and of `resource` in `Resource`.
const RESOURCES: u32 = 2;
/// Fields of `Any`.
const ANY_TYPE_URL: u32 = 1;
const ANY_VALUE: u32 = 2;
/// Bytes in front of a message of gRPC: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// Bytes from which a resource is passed on and not copied. Below, a frame of its own costs more.
const SHARED_FROM: usize = 4096;

/// A message that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProtoError {
    /// It is not a message of its type.
    #[error("malformed message: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// It uses a part of the API that Envoy's documentation hides as not implemented.
    #[error("resource locators are not supported")]
    Locators,
}

/// Encodes a message as the `google.protobuf.Any` that a resource has as its body.
///
/// `message` is the encoded message, `type_url` its type.
#[must_use]
pub fn any(type_url: &str, message: &[u8]) -> Bytes {
    let any = wellknown::Any {
        type_url: type_url.to_owned(),
        value: message.to_vec(),
    };
    any.encode_to_vec().into()
}

/// Reads a `DiscoveryRequest`.
pub(crate) fn state_request(message: impl Buf) -> Result<Request, ProtoError> {
    let discovery::DiscoveryRequest {
        version_info,
        node: sender,
        resource_names,
        resource_locators,
        type_url,
        response_nonce,
        error_detail,
    } = discovery::DiscoveryRequest::decode(message)?;
    if !resource_locators.is_empty() {
        return Err(ProtoError::Locators);
    }
    Ok(Request {
        type_url,
        node: sender.map(node),
        nonce: response_nonce,
        error: error_detail.map(error),
        ask: Ask::State {
            version: version_info,
            names: resource_names,
        },
    })
}

/// Reads a `DeltaDiscoveryRequest`.
pub(crate) fn delta_request(message: impl Buf) -> Result<Request, ProtoError> {
    let discovery::DeltaDiscoveryRequest {
        node: sender,
        type_url,
        resource_names_subscribe,
        resource_names_unsubscribe,
        resource_locators_subscribe,
        resource_locators_unsubscribe,
        initial_resource_versions,
        response_nonce,
        error_detail,
    } = discovery::DeltaDiscoveryRequest::decode(message)?;
    if !resource_locators_subscribe.is_empty() || !resource_locators_unsubscribe.is_empty() {
        return Err(ProtoError::Locators);
    }
    Ok(Request {
        type_url,
        node: sender.map(node),
        nonce: response_nonce,
        error: error_detail.map(error),
        ask: Ask::Delta {
            subscribe: resource_names_subscribe,
            unsubscribe: resource_names_unsubscribe,
            initial_versions: initial_resource_versions.into_iter().collect(),
        },
    })
}

/// Encodes a response as a message of gRPC, in pieces that follow one another.
pub(crate) fn response(response: &Response) -> Vec<Bytes> {
    let heads: Vec<Vec<u8>> = response
        .resources
        .iter()
        .map(|i| item_head(i, response))
        .collect();
    let items = || heads.iter().zip(&response.resources);
    let item_len = |(head, item): (&Vec<u8>, &Item)| head.len() + body(item).len();
    let start = response_start(response);
    let length: usize = start.len() + items().map(|i| field_len(item_len(i))).sum::<usize>();

    let mut pieces = Vec::new();
    let mut piece = BytesMut::with_capacity(PREFIX + start.len());
    piece.put_u8(0);
    // No response comes near 4 GiB; a length that lied would end the stream at the client.
    piece.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    piece.put_slice(&start);
    for (head, item) in items() {
        put_field(RESOURCES, item_len((head, item)), &mut piece);
        piece.put_slice(head);
        let body = body(item);
        if body.len() < SHARED_FROM {
            piece.put_slice(&body);
        } else {
            pieces.push(piece.split().freeze());
            pieces.push(body);
        }
    }
    if !piece.is_empty() {
        pieces.push(piece.freeze());
    }
    pieces
}

/// All of a response but its resources.
fn response_start(response: &Response) -> Vec<u8> {
    let Response {
        type_url,
        nonce,
        version,
        resources: _,
        removed,
    } = response;
    match version {
        Some(version) => discovery::DiscoveryResponse {
            version_info: version.to_string(),
            resources: Vec::new(),
            canary: false,
            type_url: type_url.to_string(),
            nonce: nonce.to_string(),
            control_plane: None,
            resource_errors: Vec::new(),
        }
        .encode_to_vec(),
        None => discovery::DeltaDiscoveryResponse {
            system_version_info: String::new(),
            resources: Vec::new(),
            type_url: type_url.to_string(),
            removed_resources: removed.iter().map(ResourceName::to_string).collect(),
            removed_resource_names: Vec::new(),
            nonce: nonce.to_string(),
            control_plane: None,
            resource_errors: Vec::new(),
        }
        .encode_to_vec(),
    }
}

/// What stands before the body of a resource. The body comes last in all forms.
fn item_head(item: &Item, response: &Response) -> Vec<u8> {
    let is_state = response.version.is_some();
    if is_state && item.ttl.is_none() && !item.heartbeat {
        return Vec::new();
    }
    let resource = resource_head(item);
    if !is_state {
        return resource;
    }
    let mut head = Vec::with_capacity(RESOURCE.len() + resource.len() + 16);
    put_field(ANY_TYPE_URL, RESOURCE.len(), &mut head);
    head.extend_from_slice(RESOURCE.as_bytes());
    put_field(ANY_VALUE, resource.len() + body(item).len(), &mut head);
    head.extend_from_slice(&resource);
    head
}

/// A `Resource` up to its body.
fn resource_head(item: &Item) -> Vec<u8> {
    let Item {
        resource,
        ttl,
        heartbeat,
    } = item;
    let mut head = discovery::Resource {
        name: resource.name.to_string(),
        resource_name: None,
        aliases: resource
            .aliases
            .iter()
            .map(ResourceName::to_string)
            .collect(),
        version: resource.version.to_string(),
        resource: None,
        ttl: ttl.map(|ttl| wellknown::Duration {
            seconds: i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(ttl.subsec_nanos()).unwrap_or_default(),
        }),
        cache_control: None,
        metadata: None,
    }
    .encode_to_vec();
    if !heartbeat {
        put_field(RESOURCES, resource.body.len(), &mut head);
    }
    head
}

fn body(item: &Item) -> Bytes {
    if item.heartbeat {
        Bytes::new()
    } else {
        item.resource.body.clone()
    }
}

/// Begins a field of `length` bytes.
fn put_field(field: u32, length: usize, to: &mut impl BufMut) {
    encode_key(field, WireType::LengthDelimited, to);
    encode_varint(length as u64, to);
}

/// Bytes of a field with a number under 16 that has `length` bytes.
fn field_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

fn error(status: rpc::Status) -> ErrorDetail {
    let rpc::Status {
        code,
        message,
        details: _,
    } = status;
    ErrorDetail { code, message }
}

fn node(node: core::Node) -> Node {
    #[expect(deprecated, reason = "all fields are named, to see those that are new")]
    let core::Node {
        id,
        cluster,
        metadata,
        dynamic_parameters: _,
        locality: _,
        user_agent_name: _,
        extensions: _,
        client_features,
        listening_addresses: _,
        user_agent_version_type: _,
    } = node;
    let metadata = metadata.map(|m| m.fields).unwrap_or_default();
    Node {
        id,
        cluster,
        metadata: metadata
            .into_iter()
            .filter_map(|(key, value)| match value.kind {
                Some(Kind::StringValue(text)) => Some((key, text)),
                _ => None,
            })
            .collect(),
        client_features,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use meshwall_xds_protocol::{Limits, Resource, Scope, Session, TypeUrl, View};

    use super::*;

    struct One(Arc<Resource>);

    impl View for One {
        fn resource(&self, _: &TypeUrl, name: &ResourceName) -> Option<Arc<Resource>> {
            (*name == self.0.name).then(|| self.0.clone())
        }

        fn names(&self, _: &TypeUrl) -> Vec<ResourceName> {
            vec![self.0.name.clone()]
        }
    }

    /// The response to a first request for `a` and `b`, of which there is `a`.
    fn first_response(ask: Ask, body: &[u8], ttl: Option<Duration>, has: bool) -> Response {
        use meshwall_xds_protocol::Effect;
        let resource = Resource {
            name: ResourceName::new("a").unwrap(),
            version: "v1".into(),
            body: any("t", body),
            ttl,
            aliases: vec![ResourceName::new("x").unwrap()],
        };
        let mut ask = ask;
        if let (
            true,
            Ask::Delta {
                initial_versions, ..
            },
        ) = (has, &mut ask)
        {
            initial_versions.push(("a".into(), "v1".into()));
        }
        let request = Request {
            type_url: "t".into(),
            node: Some(Node {
                id: "n".into(),
                client_features: vec![
                    "xds.config.supports-resource-ttl".into(),
                    "xds.config.supports-resource-in-sotw".into(),
                ],
                ..Node::default()
            }),
            nonce: String::new(),
            error: None,
            ask,
        };
        let (mut session, _) =
            Session::open(Scope::Aggregated, Limits::default(), &request).unwrap();
        let now = std::time::Instant::now();
        let effects = session
            .request(request, &One(Arc::new(resource)), now)
            .unwrap();
        match effects.into_iter().last() {
            Some(Effect::Send(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    fn delta() -> Ask {
        Ask::Delta {
            subscribe: vec!["a".into(), "b".into()],
            unsubscribe: Vec::new(),
            initial_versions: Vec::new(),
        }
    }

    fn state() -> Ask {
        Ask::State {
            version: String::new(),
            names: vec!["a".into(), "b".into()],
        }
    }

    fn join(pieces: &[Bytes]) -> Bytes {
        let message: Vec<u8> = pieces.concat();
        let (prefix, message) = message.split_at(PREFIX);
        assert_eq!(prefix[0], 0);
        assert_eq!(
            prefix[1..],
            u32::try_from(message.len()).unwrap().to_be_bytes()
        );
        Bytes::copy_from_slice(message)
    }

    /// A body of each size that has a way of its own.
    const SIZES: [usize; 4] = [0, 100, SHARED_FROM, 100_000];

    #[test]
    fn a_delta_response_reads_back() {
        for size in SIZES {
            for ttl in [None, Some(Duration::from_millis(2500))] {
                let body = vec![7; size];
                let pieces = response(&first_response(delta(), &body, ttl, false));
                let read = discovery::DeltaDiscoveryResponse::decode(join(&pieces)).unwrap();
                let expected = discovery::DeltaDiscoveryResponse {
                    type_url: "t".into(),
                    nonce: "1".into(),
                    removed_resources: vec!["b".into()],
                    resources: vec![discovery::Resource {
                        name: "a".into(),
                        version: "v1".into(),
                        aliases: vec!["x".into()],
                        resource: Some(wellknown::Any {
                            type_url: "t".into(),
                            value: body,
                        }),
                        ttl: ttl.map(|_| wellknown::Duration {
                            seconds: 2,
                            nanos: 500_000_000,
                        }),
                        ..Default::default()
                    }],
                    ..Default::default()
                };
                assert_eq!(read, expected);
            }
        }
    }

    #[test]
    fn a_state_response_reads_back() {
        for size in SIZES {
            for ttl in [None, Some(Duration::from_secs(2))] {
                let body = vec![7; size];
                let message = first_response(state(), &body, ttl, false);
                let pieces = response(&message);
                let read = discovery::DiscoveryResponse::decode(join(&pieces)).unwrap();
                let resource = wellknown::Any {
                    type_url: "t".into(),
                    value: body,
                };
                let wrapped = ttl.map(|ttl| wellknown::Any {
                    type_url: RESOURCE.into(),
                    value: discovery::Resource {
                        name: "a".into(),
                        version: "v1".into(),
                        aliases: vec!["x".into()],
                        resource: Some(resource.clone()),
                        ttl: Some(wellknown::Duration {
                            seconds: i64::try_from(ttl.as_secs()).unwrap(),
                            nanos: 0,
                        }),
                        ..Default::default()
                    }
                    .encode_to_vec(),
                });
                let [read_resource] = &*read.resources else {
                    panic!("one resource");
                };
                // The order of fields is free, so what is wrapped is compared decoded.
                match wrapped {
                    None => assert_eq!(*read_resource, resource),
                    Some(expected) => {
                        let decode = |any: &wellknown::Any| {
                            discovery::Resource::decode(&*any.value).unwrap()
                        };
                        assert_eq!(read_resource.type_url, RESOURCE);
                        assert_eq!(decode(read_resource), decode(&expected));
                    }
                }
                assert_eq!(read.version_info, message.version.unwrap().to_string());
                assert_eq!(read.nonce, "1");
            }
        }
    }

    #[test]
    fn a_heartbeat_has_no_body() {
        let ttl = Some(Duration::from_secs(2));
        let message = first_response(delta(), &[7; 100], ttl, true);
        let read = discovery::DeltaDiscoveryResponse::decode(join(&response(&message))).unwrap();
        let [resource] = &*read.resources else {
            panic!("one resource");
        };
        assert_eq!((&*resource.name, &*resource.version), ("a", "v1"));
        assert_eq!(resource.resource, None);
        assert!(resource.ttl.is_some());
    }

    #[test]
    fn large_bodies_are_shared() {
        let message = first_response(delta(), &[7; SHARED_FROM], None, false);
        let shared = &message.resources[0].resource.body;
        let pieces = response(&message);
        assert!(pieces.iter().any(|p| p.as_ptr() == shared.as_ptr()));
    }

    #[test]
    fn requests_read_back() {
        let metadata = wellknown::Struct {
            fields: [
                ("NAMESPACE", Kind::StringValue("shop".into())),
                ("NUMBER", Kind::NumberValue(1.0)),
            ]
            .into_iter()
            .map(|(key, kind)| (key.into(), wellknown::Value { kind: Some(kind) }))
            .collect(),
        };
        let node = core::Node {
            id: "n".into(),
            cluster: "c".into(),
            metadata: Some(metadata),
            client_features: vec!["f".into()],
            ..Default::default()
        };
        let message = discovery::DeltaDiscoveryRequest {
            node: Some(node),
            type_url: "t".into(),
            resource_names_subscribe: vec!["a".into()],
            resource_names_unsubscribe: vec!["b".into()],
            initial_resource_versions: [("a".into(), "v".into())].into(),
            response_nonce: "7".into(),
            error_detail: Some(rpc::Status {
                code: 13,
                message: "bad".into(),
                details: Vec::new(),
            }),
            ..Default::default()
        };
        let expected = Request {
            type_url: "t".into(),
            node: Some(Node {
                id: "n".into(),
                cluster: "c".into(),
                metadata: [("NAMESPACE".into(), "shop".into())].into(),
                client_features: vec!["f".into()],
            }),
            nonce: "7".into(),
            error: Some(ErrorDetail {
                code: 13,
                message: "bad".into(),
            }),
            ask: Ask::Delta {
                subscribe: vec!["a".into()],
                unsubscribe: vec!["b".into()],
                initial_versions: vec![("a".into(), "v".into())],
            },
        };
        assert_eq!(delta_request(&*message.encode_to_vec()).unwrap(), expected);
    }

    #[test]
    fn what_is_no_message_or_uses_locators_is_refused() {
        assert!(matches!(
            state_request(&[0xff_u8; 4][..]),
            Err(ProtoError::Malformed(_))
        ));
        let message = discovery::DiscoveryRequest {
            resource_locators: vec![discovery::ResourceLocator::default()],
            ..Default::default()
        };
        assert!(matches!(
            state_request(&*message.encode_to_vec()),
            Err(ProtoError::Locators)
        ));
    }
}
