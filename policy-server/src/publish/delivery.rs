//! The policy for a filter that asks for it on a stream of its own: a manifest, and the chunks that
//! it names.

use envoy_types::pb::google::protobuf::{Any, BytesValue};
use meshwall_policy::delivery::{CHUNK_TYPE, Delivery, POLICY_NAME, POLICY_TYPE};
use meshwall_xds_server::protocol::{NameError, Resource, ResourceName, Version};
use prost::Message;

use super::PublishError;
use crate::index::Enforced;

/// The manifest, and the chunks.
pub(super) fn resources(enforced: &Enforced) -> Result<(Resource, Vec<Resource>), PublishError> {
    let (program, peers) = (enforced.program.bytes(), enforced.peers.bytes());
    let delivery = Delivery::new(program, peers)?;
    let version = delivery.version().to_string();
    let policy = resource(POLICY_TYPE, POLICY_NAME, &version, delivery.manifest)?;
    let chunks = delivery.chunks.iter().map(|(id, data)| {
        let name = id.to_string();
        resource(CHUNK_TYPE, &name, &name, data.to_vec())
    });
    Ok((policy, chunks.collect::<Result<_, _>>()?))
}

fn resource(
    type_url: &str,
    name: &str,
    version: &str,
    content: Vec<u8>,
) -> Result<Resource, NameError> {
    Ok(Resource {
        name: ResourceName::new(name)?,
        version: Version::from(version),
        body: any(type_url, content).into(),
        ttl: None,
        aliases: Vec::new(),
    })
}

/// An encoded `Any` with a message of which field 1 is bytes, as both messages are.
fn any(type_url: &str, content: Vec<u8>) -> Vec<u8> {
    Any {
        type_url: type_url.to_owned(),
        value: BytesValue { value: content }.encode_to_vec(),
    }
    .encode_to_vec()
}
