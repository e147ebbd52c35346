//! One question to the firewall of one workload, and its answer.

use std::fmt;
use std::net::IpAddr;

use meshwall_policy::decision::{Decision, Verdict};
use meshwall_policy::inventory::Workload;
use meshwall_policy::program::Program;
use meshwall_policy::spec::{Direction, Timestamp};
use serde_json::{Map, Value};

/// A connection or a request, as the firewall of a workload sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The workload whose firewall is asked.
    pub workload: Workload,
    /// How that workload sees the connection.
    pub direction: Direction,
    /// When it happens.
    pub now: Timestamp,
    /// URI of the verified certificate of the client; `None` on egress.
    pub principal: Option<String>,
    /// Address of the other end: of the client on ingress, of the destination on egress.
    pub address: IpAddr,
    /// Address of the client as trusted proxies tell it; `None` stands for the other end.
    pub remote_address: Option<IpAddr>,
    /// Destination TCP port, 1-65535.
    pub port: u16,
    /// Server name of the TLS handshake, as sent.
    pub sni: Option<String>,
    /// The HTTP request; `None` for other connections.
    pub request: Option<Request>,
}

/// An HTTP request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// All headers, the pseudo-headers `:method`, `:path`, `:authority` and `:scheme` among them,
    /// names in lower case, in the order in which they arrive.
    pub headers: Vec<(String, String)>,
    /// Claims of the verified JSON Web Token.
    pub claims: Map<String, Value>,
}

impl Request {
    /// The first value of a header, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }

    /// The texts of the claim at a path: one, or those of the elements of a list; numbers and
    /// booleans in JSON's notation. A mapping has none, nor has an empty text.
    #[must_use]
    pub fn claim(&self, path: &str) -> Vec<String> {
        let mut names = path.split('\0');
        let first = names.next().and_then(|name| self.claims.get(name));
        let found = names.fold(first, |value, name| value?.get(name));
        match found {
            Some(Value::Array(elements)) => elements.iter().filter_map(scalar).collect(),
            Some(value) => scalar(value)
                .filter(|text| !text.is_empty())
                .into_iter()
                .collect(),
            None => Vec::new(),
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What a firewall says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The verdict that holds, and why.
    pub enforced: Outcome,
    /// The verdict that would hold if every monitored policy were enforced, if it is another one.
    pub would_be: Option<Outcome>,
}

/// A verdict with its cause.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// The cause, as counters and access logs name it.
    pub cause: String,
}

impl Answer {
    /// A decision in words.
    #[must_use]
    pub fn new(program: &Program, decision: &Decision) -> Answer {
        let outcome = |outcome: meshwall_policy::decision::Outcome| Outcome {
            verdict: outcome.verdict,
            cause: program.cause(outcome.cause).to_string(),
        };
        let Decision {
            enforced,
            combined,
            identity_mismatch: _,
        } = *decision;
        Answer {
            enforced: outcome(enforced),
            would_be: (combined.verdict != enforced.verdict).then(|| outcome(combined)),
        }
    }

    /// The verdict that would hold if every monitored policy were enforced.
    #[must_use]
    pub fn combined(&self) -> Verdict {
        self.would_be
            .as_ref()
            .map_or(self.enforced.verdict, |would_be| would_be.verdict)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verdict, self.cause)
    }
}
