//! Asking a real sidecar.
//!
//! The verdict is what a client and a backend can see: the request arrived, or did not and was
//! answered in its place; the greeting of the server was heard, or not a byte of it. The cause is
//! what an operator can see: the counter that has grown.

use std::collections::BTreeMap;

use meshwall_policy::decision::Verdict;
use serde_json::Value;

use super::mesh::{Backend, Door, Error, GREETING, Mesh, Running};
use super::plan::Entry;
use crate::rig::client::{self, Client, Exchange, Version};
use crate::rig::grpc;
use crate::scenario::{Answer, Outcome, Request, read_labels};

/// Where Envoy puts the metrics of filters.
const METRICS: &str = "wasmcustom.";
const WOULD_BE: &str = "meshwall_would_be_total";

/// Counters of the firewall, by their full names.
type Counters = BTreeMap<String, u64>;

impl Mesh {
    /// Puts a question to the sidecar that it is about, and reads the answer.
    ///
    /// A request goes by HTTP/1.1 and by HTTP/2, gRPC by HTTP/2 only, and a connection is one
    /// on which the server speaks first.
    ///
    /// # Errors
    ///
    /// If there is no answer, or it contradicts itself.
    pub async fn ask(&self, entry: &Entry) -> Result<Answer, Error> {
        let Call {
            client,
            running,
            door,
            backend,
        } = self.call(entry)?;
        match backend {
            Backend::Tcp(_) => {
                let before = counters(running).await?;
                let heard = hear(&client, entry, door).await?;
                let after = counters(running).await?;
                answer(entry, "meshwall_connections_total", heard, &before, &after)
            }
            Backend::Http(backend) => {
                let request = self.request(entry)?;
                let mut answers = Vec::new();
                for version in versions(&request) {
                    let before = counters(running).await?;
                    let earlier = backend.traffic().requests;
                    let response = client.request(door.address, *version, &request).await;
                    response.map_err(|source| failed(entry, source))?;
                    let arrived = backend.traffic().requests > earlier;
                    let after = counters(running).await?;
                    let total = "meshwall_requests_total";
                    answers.push(answer(entry, total, arrived, &before, &after)?);
                }
                let first = answers.pop();
                match first.filter(|first| answers.iter().all(|answer| answer == first)) {
                    Some(answer) => Ok(answer),
                    None => Err(odd(entry, "the answer depends on the version of HTTP")),
                }
            }
        }
    }

    /// What it takes to put a question.
    pub(super) fn call(&self, entry: &Entry) -> Result<Call<'_>, Error> {
        let question = &entry.question;
        let running = self.sidecar(&question.workload);
        let running = running.ok_or_else(|| odd(entry, "the workload has no sidecar"))?;
        let door = running.doors.get(&question.port);
        let backend = running.backends.get(&question.port);
        let (Some(door), Some(backend)) = (door, backend) else {
            return Err(odd(entry, "the sidecar does not listen on that port"));
        };
        let is_http = matches!(backend, Backend::Http(_));
        if is_http != question.request.is_some() {
            return Err(odd(entry, "the name of the port says another protocol"));
        }
        let principal = question.principal.as_deref().unwrap_or_default();
        let client = self.client(principal);
        let client = client.ok_or_else(|| odd(entry, "who asks has no certificate"))?;
        let client = client.clone().from_address(question.address);
        Ok(Call {
            client: match &question.sni {
                Some(name) => client.sni(name),
                None => client,
            },
            running,
            door,
            backend,
        })
    }

    /// The request of a question, with a token for its claims.
    pub(super) fn request(&self, entry: &Entry) -> Result<client::Request, Error> {
        let question = &entry.question;
        let Some(Request { headers, claims }) = &question.request else {
            return Ok(client::Request::get("/"));
        };
        let asked = question.request.clone().unwrap_or_default();
        let mut request = client::Request::new(asked.header(":method"), asked.header(":path"))
            .authority(asked.header(":authority"));
        for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
            request = request.header(name, value);
        }
        if let Some(address) = question.remote_address {
            request = request.header("x-forwarded-for", address.to_string());
        }
        if !claims.is_empty() {
            let token = self.issuer.sign(&Value::Object(claims.clone()))?;
            request = request.header("authorization", format!("Bearer {token}"));
        }
        Ok(match is_grpc(&request) {
            true => request.body(grpc::encode(b"")),
            false => request,
        })
    }
}

/// Who asks, and who answers.
pub(super) struct Call<'a> {
    pub(super) client: Client,
    running: &'a Running,
    pub(super) door: &'a Door,
    pub(super) backend: &'a Backend,
}

/// The versions of HTTP by which a request can go.
pub(super) fn versions(request: &client::Request) -> &'static [Version] {
    if is_grpc(request) {
        &[Version::Http2]
    } else {
        &[Version::Http1, Version::Http2]
    }
}

fn is_grpc(request: &client::Request) -> bool {
    let mut headers = request.headers.iter();
    headers.any(|(name, value)| name == "content-type" && value.starts_with(b"application/grpc"))
}

/// Whether the peer hears the server; a denied one must hear nothing at all.
async fn hear(client: &Client, entry: &Entry, door: &Door) -> Result<bool, Error> {
    let exchange = Exchange {
        send: b"",
        expect: GREETING.len(),
    };
    let end = client.exchange(door.address, exchange).await;
    let end = end.map_err(|source| failed(entry, source))?;
    match end.received() {
        GREETING => Ok(true),
        [] if end.is_ended() => Ok(false),
        _ => Err(odd(entry, &format!("the connection ended as {end:?}"))),
    }
}

async fn counters(running: &Running) -> Result<Counters, Error> {
    let stats = running.envoy.stats().await?;
    let ours = stats.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix(METRICS)?;
        Some((name.to_owned(), value))
    });
    Ok(ours.collect())
}

/// Puts together what happened and what was counted meanwhile.
fn answer(
    entry: &Entry,
    total: &str,
    arrived: bool,
    before: &Counters,
    after: &Counters,
) -> Result<Answer, Error> {
    let enforced = grown(total, before, after);
    let enforced = enforced.ok_or_else(|| odd(entry, "the firewall did not count one verdict"))?;
    if arrived != (enforced.verdict == Verdict::Allow) {
        let what = if arrived { "was" } else { "was not" };
        let reason = format!("{what} let through, and the firewall counted {enforced}");
        return Err(odd(entry, &reason));
    }
    Ok(Answer {
        enforced,
        would_be: grown(WOULD_BE, before, after),
    })
}

/// The outcome whose counter has grown, if it is one.
fn grown(total: &str, before: &Counters, after: &Counters) -> Option<Outcome> {
    let mut grown = after.iter().filter_map(|(name, value)| {
        let labels = name.strip_prefix(total)?.strip_prefix(';')?;
        (before.get(name).unwrap_or(&0) < value).then_some(labels)
    });
    match (grown.next(), grown.next()) {
        (Some(labels), None) => read_labels(labels),
        _ => None,
    }
}

pub(super) fn failed(entry: &Entry, source: client::Error) -> Error {
    Error::Client {
        who: entry.who.clone(),
        what: entry.what.clone(),
        source,
    }
}

pub(super) fn odd(entry: &Entry, reason: &str) -> Error {
    Error::Odd {
        what: entry.what.clone(),
        reason: reason.to_owned(),
    }
}
