//! What a user writes, as types: the comments on the fields are what the reference says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use meshwall_policy::document::schema;
use meshwall_policy::document::types::{Port, Resource};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Questions to the firewall of a world, and the answers that are expected.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScenarioSpec {
    /// Files with the policies and the inventory, or folders of such files, relative to the file of
    /// the scenario. The other documents in the file of the scenario belong to its world, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<String>>,
    /// The moment at which all of it happens, as in `2026-12-31T00:00:00Z` (RFC 3339). Without it,
    /// the moment of the test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// The questions.
    pub cases: Vec<CaseSpec>,
}

impl Resource for ScenarioSpec {
    const KIND: &'static str = "Scenario";
    const NAMESPACED: bool = false;

    fn schema() -> &'static Value {
        static SCHEMA: OnceLock<Value> = OnceLock::new();
        SCHEMA.get_or_init(schema::of::<Self>)
    }
}

/// One question, and the answer that is expected. It is about exactly one of `http`, `grpc` and
/// `tcp`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Case")]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CaseSpec {
    /// What it is about, in a few words. Unique in the scenario.
    pub name: String,
    /// Whose firewall is asked: with `ingress` that of `to`, with `egress` that of `from`. Default
    /// `ingress`, or `egress` if `to` is an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<DirectionSpec>,
    /// Who connects. Without it, someone without a certificate from no address in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<FromSpec>,
    /// To whom: a workload, `namespace/name`, or an IP address. A workload is named by its pod, or
    /// by what the pods of a Deployment, StatefulSet, DaemonSet or Job begin with.
    pub to: String,
    /// Destination TCP port: a number, or the name that the destination gives one of its ports.
    pub port: Port,
    /// Server name that the client asks for in its TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// It is an HTTP request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSpec>,
    /// It is a gRPC call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcSpec>,
    /// It is a connection on which something else than HTTP is spoken: `tcp: {}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpSpec>,
    /// The verdict.
    pub expect: VerdictSpec,
    /// The cause of the verdict, such as `FirewallPolicy/shop/payments/checkout-charges`. Without
    /// it, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The verdict that would hold if every monitored policy were enforced. Without it, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_be: Option<VerdictSpec>,
}

/// Who connects.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "From")]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FromSpec {
    /// A workload, `namespace/name`, with its certificate and from its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Someone whose verified certificate has this URI, such as
    /// `spiffe://cluster.local/ns/shop/sa/frontend`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// The IP address at the other end of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The IP address of the client as the trusted proxies in front of the mesh tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_address: Option<String>,
}

/// An HTTP request.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Http")]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpSpec {
    /// Method. Default `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Path as sent, with the query. Default `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Host, with or without a port. Default: what `to` says, `name.namespace` for a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Headers: one value, or a list of values, for each name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, HeaderValues>>,
    /// Claims of the request's verified JSON Web Token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<BTreeMap<String, Claim>>,
}

/// A gRPC call.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Grpc")]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GrpcSpec {
    /// Full name of the service, with its package, as in `shop.Payments`.
    pub service: String,
    /// Method of the service.
    pub method: String,
    /// Host, with or without a port. Default: what `to` says, `name.namespace` for a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Headers: one value, or a list of values, for each name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, HeaderValues>>,
    /// Claims of the request's verified JSON Web Token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<BTreeMap<String, Claim>>,
}

/// A connection.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Tcp")]
#[serde(deny_unknown_fields)]
pub struct TcpSpec {}

/// The direction of a connection as the workload whose firewall is asked sees it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Direction")]
#[serde(rename_all = "lowercase")]
pub enum DirectionSpec {
    /// Someone connects to it.
    Ingress,
    /// It connects to someone.
    Egress,
}

/// A verdict.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Verdict")]
#[serde(rename_all = "lowercase")]
pub enum VerdictSpec {
    /// It goes on.
    Allow,
    /// It does not.
    Deny,
}

/// The values of a header.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum HeaderValues {
    /// The header is there once.
    One(String),
    /// The header is there once for each of these.
    Many(Vec<String>),
}

impl JsonSchema for HeaderValues {
    fn schema_name() -> Cow<'static, str> {
        "HeaderValues".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "array"], "items": {"type": "string"}})
    }
}

/// A claim: text, a whole number, a boolean, a list or a mapping of claims.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Claim(pub Value);

impl JsonSchema for Claim {
    fn schema_name() -> Cow<'static, str> {
        "Claim".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let claim = generator.subschema_for::<Claim>();
        json_schema!({
            "description": "Text, a whole number, a boolean, a list or a mapping of claims.",
            "type": ["string", "integer", "boolean", "array", "object"],
            "items": claim,
            "additionalProperties": claim,
        })
    }
}
