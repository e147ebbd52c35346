//! Backends for protocols that are not HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::traffic::Counted;
use super::{Server, TimedOut, Traffic};

/// Who speaks first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speech {
    /// The server greets with these bytes as soon as it is connected to, as SMTP and
    /// MySQL do, then echoes.
    ServerFirst(Vec<u8>),
    /// The server echoes what it receives and says nothing of its own.
    ClientFirst,
}

/// A TCP server on 127.0.0.1.
#[derive(Debug)]
pub struct TcpBackend {
    server: Server,
}

impl TcpBackend {
    /// Starts a server on a free port.
    ///
    /// # Errors
    ///
    /// If no socket can be opened.
    pub async fn start(speech: Speech) -> io::Result<Self> {
        let greeting: Arc<[u8]> = match speech {
            Speech::ServerFirst(greeting) => greeting.into(),
            Speech::ClientFirst => Arc::default(),
        };
        let server = Server::start(move |stream, _| {
            let greeting = Arc::clone(&greeting);
            async move {
                // The peer going away is the usual end of a connection.
                let _ = converse(stream, &greeting).await;
            }
        })
        .await?;
        Ok(Self { server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What reached it until now.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.server.ledger.traffic()
    }

    /// Waits until `condition` holds for the traffic.
    ///
    /// # Errors
    ///
    /// If it does not hold `within` that time.
    pub async fn wait_until(
        &self,
        within: Duration,
        condition: impl FnMut(&Traffic) -> bool,
    ) -> Result<Traffic, TimedOut> {
        self.server.ledger.wait_until(within, condition).await
    }
}

async fn converse(mut stream: Counted<TcpStream>, greeting: &[u8]) -> io::Result<()> {
    stream.write_all(greeting).await?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer).await?;
        match buffer.get(..read) {
            None | Some([]) => return stream.shutdown().await,
            Some(received) => stream.write_all(received).await?,
        }
    }
}
