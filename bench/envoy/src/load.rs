//! Requests on connections that stay open, each sent when the one before it is answered.

use std::net::SocketAddr;

use anyhow::{Result, bail, ensure};
use meshwall_testbed::rig::client::{Client, Connection, End, Exchange};

/// Connections to one Envoy, and the request that is sent on them.
pub struct Load {
    connections: Vec<Connection>,
    request: Vec<u8>,
    /// Bytes of an answer.
    answer: usize,
}

impl Load {
    /// Opens connections. Requests are what the rule `number` permits, and are permitted.
    pub async fn new(client: &Client, to: SocketAddr, number: usize, many: usize) -> Result<Load> {
        let request = request(number);
        let mut connections = Vec::new();
        for _ in 0..many {
            connections.push(client.open(to, &["http/1.1"]).await?);
        }
        let mut answer = 0;
        for connection in &mut connections {
            let text = converse(connection, &request).await?;
            ensure!(text.starts_with("HTTP/1.1 200 "), "not permitted: {text}");
            answer = text.len();
        }
        Ok(Load {
            connections,
            request,
            answer,
        })
    }

    /// Sends so many requests, rounded up to the same number on all connections; how many.
    pub async fn run(&mut self, requests: usize) -> Result<usize> {
        let each = requests.div_ceil(self.connections.len());
        let mut tasks = Vec::new();
        for mut connection in std::mem::take(&mut self.connections) {
            let (request, expect) = (self.request.clone(), self.answer);
            tasks.push(tokio::spawn(async move {
                let exchange = Exchange {
                    send: &request,
                    expect,
                };
                for _ in 0..each {
                    match connection.exchange(exchange).await {
                        End::Received(bytes) if bytes.starts_with(b"HTTP/1.1 200 ") => {}
                        other => bail!("a request failed: {other:?}"),
                    }
                }
                Ok(connection)
            }));
        }
        for task in tasks {
            self.connections.push(task.await??);
        }
        Ok(each * self.connections.len())
    }
}

/// Whether a request that no rule permits is refused.
pub async fn refuses(client: &Client, to: SocketAddr, number: usize) -> Result<bool> {
    let mut connection = client.open(to, &["http/1.1"]).await?;
    // Of another rule, which is for another client.
    let text = converse(&mut connection, &request(number + 1)).await?;
    Ok(text.starts_with("HTTP/1.1 403 "))
}

async fn converse(connection: &mut Connection, request: &[u8]) -> Result<String> {
    let mut text = String::new();
    let mut send = request;
    loop {
        match connection.exchange(Exchange { send, expect: 1 }).await {
            End::Received(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            other => bail!("no answer: {other:?}"),
        }
        send = b"";
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(Ok(0), str::parse)?;
            if body.len() == length {
                return Ok(text);
            }
        }
    }
}

/// The headers of the requests of the `decide` benchmark.
fn request(number: usize) -> Vec<u8> {
    format!(
        "GET /api/v{}/client-{number}/items/17?limit=10 HTTP/1.1\r\n\
         host: payments.shop.svc.cluster.local:8080\r\n\
         accept: */*\r\n\
         user-agent: client/1.0\r\n\
         x-env: prod\r\n\
         \r\n",
        number % 3
    )
    .into_bytes()
}
