//! Who is at the other end of a connection.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::LabelSelector;

/// Who connects. All fields that are there must match; of the values of one field, any one.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IngressPeer {
    /// Service accounts that the client's certificate proves: `name` for one in the policy's own
    /// namespace, `namespace/name`, or `namespace/*` for all of a namespace. A policy of the
    /// cluster has no namespace of its own and needs `namespace/`. They are of the mesh's own
    /// trust domain, unless `trustDomains` or `principals` names another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_accounts: Option<Vec<String>>,
    /// SPIFFE ids that the client's certificate proves. Exact, `prefix*`, `*suffix`, or `*` for
    /// any identity at all. What has no scheme begins with `spiffe://`, except a `*suffix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principals: Option<Vec<String>>,
    /// Trust domains of the client's SPIFFE id, written out. The name or an alias of the mesh's
    /// own stands for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_domains: Option<Vec<String>>,
    /// Namespaces of the client, as its certificate proves them. Exact, `prefix*`, `*suffix`, or
    /// `*` for any identity that has a namespace. They are of the mesh's own trust domain, as for
    /// `serviceAccounts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<String>>,
    /// Namespaces of the client, by their labels; `{}` is all of them. Labels are looked up by
    /// the client's address, and count only if the pod at that address runs as the service
    /// account that the client's certificate proves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Pods, by their labels; `{}` is all of them. They are pods of the policy's own namespace
    /// unless `namespaces` or `namespaceSelector` is there. A policy of the cluster needs one of
    /// these. Labels are looked up as for `namespaceSelector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// Addresses of the direct peer, which may be a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_blocks: Option<Vec<IpBlock>>,
    /// Addresses of the client, as the trusted proxies in front of the mesh tell it (see
    /// `trustedProxies` in MeshwallConfig); without such proxies, of the direct peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_ip_blocks: Option<Vec<IpBlock>>,
}

/// To whom a pod connects. All fields that are there must match; of the values of one field, any
/// one. A destination shows no certificate before it is connected, so its identity is that of the
/// workload that is known at its address.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EgressPeer {
    /// Service accounts that the destination runs as: `name` for one in the policy's own
    /// namespace, `namespace/name`, or `namespace/*` for all of a namespace. A policy of the
    /// cluster has no namespace of its own and needs `namespace/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_accounts: Option<Vec<String>>,
    /// SPIFFE ids of the destination. Exact, `prefix*`, `*suffix`, or `*` for any identity at
    /// all. What has no scheme begins with `spiffe://`, except a `*suffix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principals: Option<Vec<String>>,
    /// Trust domains of the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_domains: Option<Vec<String>>,
    /// Namespaces of the destination. Exact, `prefix*`, `*suffix`, or `*` for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<String>>,
    /// Namespaces of the destination, by their labels; `{}` is all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Pods, by their labels; `{}` is all of them. They are pods of the policy's own namespace
    /// unless `namespaces` or `namespaceSelector` is there. A policy of the cluster needs one of
    /// these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// Addresses of the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_blocks: Option<Vec<IpBlock>>,
}

/// An address range: `10.0.0.0/8`, one address, or a range with exceptions.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum IpBlock {
    /// A range without exceptions, or one address.
    Whole(String),
    /// A range with exceptions.
    Parts(IpNetwork),
}

/// A range of addresses with exceptions.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IpNetwork {
    /// The range in CIDR notation, IPv4 or IPv6, as in `10.0.0.0/8`; or one address. An
    /// IPv4-mapped IPv6 address is the IPv4 address.
    pub cidr: String,
    /// Ranges within `cidr` that do not belong to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<Vec<String>>,
}

impl JsonSchema for IpBlock {
    fn schema_name() -> Cow<'static, str> {
        "IpBlock".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = IpNetwork::json_schema(generator);
        schema.insert(
            "description".to_owned(),
            "A range of addresses: `10.0.0.0/8`, one address, or a mapping with `cidr` and \
             `except`."
                .into(),
        );
        schema.insert("type".to_owned(), vec!["string", "object"].into());
        schema
    }
}
