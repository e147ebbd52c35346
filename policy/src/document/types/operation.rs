//! What is asked over a connection, and what must hold besides.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What is asked. All fields that are there must match; of the values of one field, any one.
/// Fields other than `ports` look into HTTP requests; a rule that has them matches no other
/// traffic.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Operation {
    /// Destination TCP ports: a number, a range such as `9000-9010`, or the name of a container
    /// port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<Port>>,
    /// HTTP hosts, without port. Exact, `*.example.com`, `example.*`, or `*`. Case does not
    /// matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// HTTP methods. Exact, `prefix*`, `*suffix`, or `*`. Case matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// HTTP paths, without the query, compared in normal form. Exact, `/prefix*`, `*suffix`, `*`,
    /// or a template, such as `/v1/{*}/items` or `/static/{**}`. Case matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// HTTP headers: all of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<HeaderMatch>>,
    /// Query parameters: all of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Vec<QueryMatch>>,
    /// gRPC calls: one of these. Not together with `methods` and `paths`, which a call implies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<Vec<GrpcMatch>>,
}

/// Ports of a destination.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Port {
    /// One port.
    Number(u16),
    /// A range, `9000-9010`, or the name of a container port.
    Text(String),
}

impl JsonSchema for Port {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": 65535,
            "x-kubernetes-int-or-string": true
        })
    }
}

/// A requirement on an HTTP header. Exactly one of `values`, `regex` and `present` must be there.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HeaderMatch {
    /// Name of the header. Case does not matter.
    pub name: String,
    /// The header has one of these values: exact, `prefix*`, `*suffix`, or `*` for any that is
    /// not empty. If the header is there more than once, an Allow or Pass rule needs each value to
    /// match, and a Deny rule one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
    /// A value of the header matches this regular expression from its first to its last byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// `true`: the header is there, whatever its value. `false`: it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
}

/// A requirement on a query parameter. Exactly one of `values`, `regex` and `present` must be
/// there.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct QueryMatch {
    /// Name of the parameter, decoded. Case matters.
    pub name: String,
    /// The parameter has one of these values, decoded: exact, `prefix*`, `*suffix`, or `*` for any
    /// that is not empty. If the parameter is there more than once, an Allow or Pass rule needs each
    /// value to match, and a Deny rule one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
    /// A value of the parameter, decoded, matches this regular expression from its first to its
    /// last byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// `true`: the parameter is there, whatever its value. `false`: it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
}

/// gRPC calls.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GrpcMatch {
    /// Full name of the service, with its package, as in `shop.Payments`. Case matters.
    pub service: String,
    /// Methods of the service; without it, all of them. Case matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
}

/// What must hold besides. A condition is about either a `claim` or `sni`; a condition on a claim
/// has exactly one of `values`, `regex` and `present`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Condition {
    /// A claim of the request's verified JSON Web Token: its name, or the list of names that lead
    /// to it, as in `[realm_access, roles]`. A claim that is a list has each of its elements as a
    /// value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimPath>,
    /// The claim has one of these values: exact, `prefix*`, `*suffix`, or `*` for any that is not
    /// empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
    /// A value of the claim matches this regular expression from its first to its last byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// `true`: the claim is there, whatever its value. `false`: it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
    /// Server names that the client asks for in its TLS handshake. Exact, `*.example.com`,
    /// `example.*`, or `*`. Case does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<Vec<String>>,
}

/// Where a claim stands in a token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClaimPath {
    /// At the top, under this name.
    Name(String),
    /// Within other claims: their names from the outside in.
    Path(Vec<String>),
}

impl JsonSchema for ClaimPath {
    fn schema_name() -> Cow<'static, str> {
        "ClaimPath".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "array"], "items": {"type": "string"}})
    }
}
