//! Asking the module that is shipped, in the wasmtime host, as Envoy asks it.
//!
//! What the listeners that we generate tell the filter is told here: the header map, the peer in
//! filter state, the addresses and the server name, the claims where `jwt_authn` leaves them. The
//! answer is read where an operator reads it: in the local reply or the closed connection, in
//! filter state, and in counters.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use meshwall_mesh_config::envoy::contract::{
    HTTP_ROOT_ID, JWT_CLAIMS, NETWORK_ROOT_ID, PEER_ADDRESS, PEER_URI_SANS, WOULD_BE,
};
use meshwall_policy::decision::Verdict;
use meshwall_policy::spec::{Direction, Timestamp};

use super::question::{Answer, Outcome, Question, Request};
use crate::host::{
    self, BuildError, Clock, CloseType, Metrics, Module, PeerCertificate, Phase, StreamAttributes,
    StreamError, TcpOutcome, Value, Vm,
};

/// Where `jwt_authn` leaves what it has verified.
const JWT_METADATA: &str = "envoy.filters.http.jwt_authn";
/// The port that a peer connects from; no policy looks at it.
const SOURCE_PORT: u16 = 40_000;
/// What the first to speak on a connection says; no policy looks at it.
const GREETING: &[u8] = b"hello";

/// A proxy with the firewall of one workload in it, for one direction.
#[derive(Debug)]
pub struct Sidecar {
    http: Vm,
    network: Vm,
    metrics: Metrics,
}

/// Why the module gave no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ModuleError {
    /// It does not start, or refuses its configuration.
    Start(BuildError),
    /// It trapped.
    Stream(StreamError),
    /// It did something that is neither a permission nor a denial.
    Odd(String),
}

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleError::Start(error) => error.fmt(f),
            ModuleError::Stream(error) => error.fmt(f),
            ModuleError::Odd(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for ModuleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ModuleError::Start(error) => Some(error),
            ModuleError::Stream(error) => Some(error),
            ModuleError::Odd(_) => None,
        }
    }
}

impl From<StreamError> for ModuleError {
    fn from(error: StreamError) -> Self {
        ModuleError::Stream(error)
    }
}

impl Sidecar {
    /// Starts the module with a bundle, at a time.
    ///
    /// # Errors
    ///
    /// If it does not start with it.
    pub fn start(module: &Module, bundle: &[u8], now: Timestamp) -> Result<Sidecar, ModuleError> {
        let seconds = u64::try_from(now.0).unwrap_or(0);
        let clock = Clock::at_nanos(seconds.saturating_mul(1_000_000_000));
        let metrics = Metrics::new();
        let start = |root_id: &str| {
            Vm::builder(module)
                .root_id(root_id)
                .plugin_name("meshwall.firewall")
                .plugin_configuration(bundle)
                .clock(&clock)
                .metrics(&metrics)
                .build()
                .map_err(ModuleError::Start)
        };
        Ok(Sidecar {
            http: start(HTTP_ROOT_ID)?,
            network: start(NETWORK_ROOT_ID)?,
            metrics,
        })
    }

    /// The module's answer to a question about its workload and direction.
    ///
    /// # Errors
    ///
    /// If it fails, or its answer contradicts itself.
    pub fn ask(&self, question: &Question) -> Result<Answer, ModuleError> {
        match &question.request {
            Some(request) => self.request(question, request),
            None => {
                let client_first = self.connection(question, Speaker::Client)?;
                let server_first = self.connection(question, Speaker::Server)?;
                if client_first == server_first {
                    return Ok(client_first);
                }
                Err(ModuleError::Odd(format!(
                    "the answer depends on who speaks first: {} if the client does, {} if the \
                     server does",
                    client_first.enforced, server_first.enforced
                )))
            }
        }
    }

    fn request(&self, question: &Question, request: &Request) -> Result<Answer, ModuleError> {
        let before = self.counters("meshwall_requests_total");
        let stream = self.http.http_stream(attributes(question));
        let outcome = stream.request_headers(&request.headers, true)?;
        let counted = self.counted("meshwall_requests_total", &before)?;
        let would_be = stream.filter_state(wasm(WOULD_BE));
        stream.finish()?;
        let enforced = match outcome {
            host::Outcome::Continue => Outcome {
                verdict: Verdict::Allow,
                cause: counted.cause.clone(),
            },
            host::Outcome::LocalReply(reply) => {
                let details = String::from_utf8_lossy(&reply.details);
                let cause = details
                    .strip_prefix("meshwall_denied[")
                    .and_then(|rest| rest.strip_suffix(']'));
                let cause = cause.ok_or_else(|| {
                    let status = reply.status;
                    ModuleError::Odd(format!("it answered {status} with the details `{details}`"))
                })?;
                Outcome {
                    verdict: Verdict::Deny,
                    cause: cause.to_owned(),
                }
            }
            other => return Err(ModuleError::Odd(format!("the request ended as {other:?}"))),
        };
        answer(enforced, &counted, would_be)
    }

    fn connection(&self, question: &Question, first: Speaker) -> Result<Answer, ModuleError> {
        let before = self.counters("meshwall_connections_total");
        let stream = self.network.tcp_stream(attributes(question));
        stream.new_connection()?;
        let outcome = match first {
            Speaker::Client => stream.downstream_data(GREETING, false)?,
            Speaker::Server => stream.upstream_data(GREETING, false)?,
        };
        let counted = self.counted("meshwall_connections_total", &before)?;
        let would_be = stream.filter_state(wasm(WOULD_BE));
        let passed = [stream.sent_upstream(), stream.sent_downstream()].concat();
        let verdict = match outcome {
            TcpOutcome::Continue => Verdict::Allow,
            TcpOutcome::Closed if passed.is_empty() => Verdict::Deny,
            TcpOutcome::Closed => {
                let what = "bytes have passed on a connection that was then denied";
                return Err(ModuleError::Odd(what.to_owned()));
            }
            other => {
                return Err(ModuleError::Odd(format!(
                    "the connection ended as {other:?}"
                )));
            }
        };
        stream.downstream_close(CloseType::Remote)?;
        let enforced = Outcome {
            verdict,
            cause: counted.cause.clone(),
        };
        answer(enforced, &counted, would_be)
    }

    /// The counters of this name, by their labels.
    fn counters(&self, name: &str) -> BTreeMap<String, u64> {
        let names = self.metrics.names().into_iter();
        names
            .filter_map(|(_, full)| {
                let value = self.metrics.counter(&full)?;
                let full = String::from_utf8(full).ok()?;
                let labels = full.strip_prefix(name)?.strip_prefix(';')?;
                Some((labels.to_owned(), value))
            })
            .collect()
    }

    /// What has been counted since.
    fn counted(&self, name: &str, before: &BTreeMap<String, u64>) -> Result<Outcome, ModuleError> {
        let now = self.counters(name);
        let mut grown = now
            .iter()
            .filter(|(labels, value)| before.get(*labels).unwrap_or(&0) < *value);
        match (grown.next(), grown.next()) {
            (Some((labels, _)), None) => read_labels(labels)
                .ok_or_else(|| ModuleError::Odd(format!("it counted `{name};{labels}`"))),
            _ => Err(ModuleError::Odd(format!(
                "it did not count one verdict as `{name}`"
            ))),
        }
    }
}

/// Who speaks first on a connection.
#[derive(Clone, Copy, Debug)]
enum Speaker {
    Client,
    Server,
}

/// The verdict and cause in the labels of a counter.
pub(crate) fn read_labels(labels: &str) -> Option<Outcome> {
    let label = |name: &str| {
        let mut labels = labels.split(';').filter_map(|label| label.split_once('='));
        labels
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    };
    let cause = match (label("policy"), label("rule")) {
        (Some(policy), Some(rule)) => format!("{policy}/{rule}"),
        _ => label("reason")?.to_owned(),
    };
    Some(Outcome {
        verdict: read_verdict(label("verdict")?)?,
        cause,
    })
}

fn read_verdict(text: &str) -> Option<Verdict> {
    [Verdict::Allow, Verdict::Deny]
        .into_iter()
        .find(|verdict| verdict.to_string() == text)
}

/// Puts together what the proxy did and what the operator sees of it; they must agree.
fn answer(
    enforced: Outcome,
    counted: &Outcome,
    would_be: Option<Vec<u8>>,
) -> Result<Answer, ModuleError> {
    if enforced != *counted {
        return Err(ModuleError::Odd(format!(
            "it did `{enforced}` and counted `{counted}`"
        )));
    }
    let would_be = would_be.map(|text| {
        let text = String::from_utf8_lossy(&text).into_owned();
        let outcome = text.split_once(' ').and_then(|(verdict, cause)| {
            Some(Outcome {
                verdict: read_verdict(verdict)?,
                cause: cause.to_owned(),
            })
        });
        outcome.ok_or_else(|| ModuleError::Odd(format!("the would-be verdict is `{text}`")))
    });
    Ok(Answer {
        enforced,
        would_be: would_be.transpose()?,
    })
}

/// The key under which filter state that a filter writes is found.
fn wasm(key: &str) -> String {
    format!("wasm.{key}")
}

/// What the proxy knows about the connection.
fn attributes(question: &Question) -> StreamAttributes {
    let Question {
        workload,
        direction,
        now: _,
        principal,
        address,
        remote_address,
        port,
        sni,
        request,
    } = question;
    let own = workload.addresses.first().copied();
    let own = own.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let (client, server, listener) = match direction {
        Direction::Ingress => (*address, own, host::Direction::Inbound),
        Direction::Egress => (own, *address, host::Direction::Outbound),
    };
    let direct = SocketAddr::new(client, SOURCE_PORT);
    // Envoy takes forwarding headers into account here, in HTTP only.
    let told = request.as_ref().and(*remote_address).unwrap_or(client);
    let mut attributes = StreamAttributes::new()
        .direction(listener)
        .source(SocketAddr::new(told, SOURCE_PORT))
        .destination(SocketAddr::new(server, *port))
        .property(["filter_state", PEER_ADDRESS], direct.to_string());
    attributes = match principal {
        Some(principal) => attributes
            .mtls(PeerCertificate::spiffe(principal))
            .property_from(
                Phase::Data,
                ["filter_state", PEER_URI_SANS],
                principal.as_str(),
            ),
        None => attributes.no_mtls(),
    };
    if let Some(sni) = sni {
        attributes = attributes.requested_server_name(sni);
    }
    if let Some(request) = request
        .as_ref()
        .filter(|request| !request.claims.is_empty())
    {
        let claims = metadata(&serde_json::Value::Object(request.claims.clone()));
        attributes = attributes.property_from(
            Phase::RequestHeaders,
            ["metadata", "filter_metadata", JWT_METADATA, JWT_CLAIMS],
            claims,
        );
    }
    attributes
}

/// A JSON value as it is in Envoy's metadata, where all numbers are doubles.
fn metadata(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Bytes(Vec::new()),
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        serde_json::Value::Number(number) => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(elements) => Value::List(elements.iter().map(metadata).collect()),
        serde_json::Value::Object(fields) => Value::Map(
            fields
                .iter()
                .map(|(name, value)| (name.clone().into_bytes(), metadata(value)))
                .collect(),
        ),
    }
}
