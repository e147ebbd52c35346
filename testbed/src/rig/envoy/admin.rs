//! Envoy's admin interface.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use super::{Envoy, Error, Memory};
use crate::rig::client::{Client, Request, Response, Version};

/// Counters and gauges by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats(BTreeMap<String, u64>);

impl Stats {
    /// The value of a counter or gauge; 0 if there is none of that name, as Envoy makes
    /// many of them at first use.
    #[must_use]
    pub fn value(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// The sum of all whose name contains `part`.
    #[must_use]
    pub fn sum_of(&self, part: &str) -> u64 {
        self.iter()
            .filter(|(name, _)| name.contains(part))
            .map(|(_, value)| value)
            .sum()
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    fn parse(body: &Value) -> Self {
        let stats = body
            .get("stats")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        // Histograms and text readouts have no number in this place.
        Self(
            stats
                .filter_map(|stat| {
                    let name = stat.get("name")?.as_str()?;
                    Some((name.to_owned(), stat.get("value")?.as_u64()?))
                })
                .collect(),
        )
    }
}

impl Envoy {
    /// What the admin interface says to GET `path`.
    ///
    /// # Errors
    ///
    /// If it does not answer 200.
    pub async fn admin(&self, path: &str) -> Result<String, Error> {
        ask(self.admin_address(), "GET", path).await
    }

    /// What the admin interface says to POST `path`.
    ///
    /// # Errors
    ///
    /// If it does not answer 200.
    pub async fn admin_post(&self, path: &str) -> Result<String, Error> {
        ask(self.admin_address(), "POST", path).await
    }

    /// All counters and gauges.
    ///
    /// # Errors
    ///
    /// If the admin interface does not answer.
    pub async fn stats(&self) -> Result<Stats, Error> {
        Ok(Stats::parse(&self.admin_json("/stats?format=json").await?))
    }

    /// All statistics as Prometheus would read them.
    ///
    /// # Errors
    ///
    /// If the admin interface does not answer.
    pub async fn prometheus(&self) -> Result<String, Error> {
        self.admin("/stats/prometheus").await
    }

    /// The configuration that is in force, endpoints left out.
    ///
    /// # Errors
    ///
    /// If the admin interface does not answer.
    pub async fn config_dump(&self) -> Result<Value, Error> {
        self.admin_json("/config_dump").await
    }

    /// Tells Envoy to close its listeners when their connections are done, and to ask
    /// peers to be done.
    ///
    /// # Errors
    ///
    /// If the admin interface does not answer.
    pub async fn drain(&self) -> Result<(), Error> {
        self.admin_post("/drain_listeners?graceful").await.map(drop)
    }

    /// What Envoy's memory amounts to.
    ///
    /// # Errors
    ///
    /// If the process is gone or the admin interface does not answer.
    pub async fn memory(&self) -> Result<Memory, Error> {
        let report = self.admin_json("/memory").await?;
        let bytes = |name| report.get(name)?.as_str()?.parse().ok();
        Ok(Memory {
            allocated: bytes("allocated").unwrap_or_default(),
            heap: bytes("heap_size").unwrap_or_default(),
            ..Memory::resident_of(self.pid())?
        })
    }

    async fn admin_json(&self, path: &str) -> Result<Value, Error> {
        ask_json(self.admin_address(), path).await
    }
}

/// The addresses of all active listeners by name. One that listens on several addresses
/// counts with the first.
pub(super) async fn listeners(admin: SocketAddr) -> Result<BTreeMap<String, SocketAddr>, Error> {
    let report = ask_json(admin, "/listeners?format=json").await?;
    let statuses = report.get("listener_statuses").and_then(Value::as_array);
    Ok(statuses
        .into_iter()
        .flatten()
        .filter_map(listener)
        .collect())
}

fn listener(status: &Value) -> Option<(String, SocketAddr)> {
    let address = status.pointer("/local_address/socket_address")?;
    let ip = address.get("address")?.as_str()?.parse().ok()?;
    let port = u16::try_from(address.get("port_value")?.as_u64()?).ok()?;
    Some((
        status.get("name")?.as_str()?.to_owned(),
        SocketAddr::new(ip, port),
    ))
}

pub(super) async fn ask(admin: SocketAddr, method: &str, path: &str) -> Result<String, Error> {
    let request = Request::new(method, path).authority("localhost");
    let answer = Client::plaintext()
        .request(admin, Version::Http1, &request)
        .await;
    let path = path.to_owned();
    match answer {
        Err(source) => Err(Error::Admin {
            path,
            source: Box::new(source),
        }),
        Ok(answer @ Response { status: 200, .. }) => Ok(answer.text()),
        Ok(answer) => Err(Error::AdminAnswer {
            path,
            status: answer.status,
            body: answer.text(),
        }),
    }
}

async fn ask_json(admin: SocketAddr, path: &str) -> Result<Value, Error> {
    let body = ask(admin, "GET", path).await?;
    serde_json::from_str(&body).map_err(|_| Error::AdminAnswer {
        path: path.to_owned(),
        status: 200,
        body,
    })
}
