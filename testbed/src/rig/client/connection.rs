//! A connection on which any bytes can be sent.

use std::io;
use std::time::Duration;

use rustls::AlertDescription;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stream::{Break, Stream};

/// What to do on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange<'a> {
    /// Bytes to send first; may be empty.
    pub send: &'a [u8],
    /// Bytes to wait for. If the peer is expected to send nothing, wait for one.
    pub expect: usize,
}

/// How an exchange ended, and what was received until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// As many bytes came as were expected; the connection is still open.
    Received(Vec<u8>),
    /// The peer closed the connection in order after these bytes.
    Closed(Vec<u8>),
    /// The peer reset the connection, or ended it without TLS's own goodbye, after these
    /// bytes.
    Reset(Vec<u8>),
    /// The peer sent a fatal TLS alert after these bytes.
    Alert(Vec<u8>, AlertDescription),
    /// Neither came in time: the connection is open and silent after these bytes.
    Silent(Vec<u8>),
    /// The connection failed in another way after these bytes.
    Failed(Vec<u8>, io::ErrorKind),
}

impl End {
    /// The bytes that were received.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        match self {
            Self::Received(bytes)
            | Self::Closed(bytes)
            | Self::Reset(bytes)
            | Self::Alert(bytes, _)
            | Self::Silent(bytes)
            | Self::Failed(bytes, _) => bytes,
        }
    }

    /// Whether the peer ended the connection.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Closed(_) | Self::Reset(_) | Self::Alert(..))
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    timeout: Duration,
}

impl Connection {
    pub(super) fn new(stream: Stream, timeout: Duration) -> Self {
        Self { stream, timeout }
    }

    /// What the peer chose of the protocols that were offered by ALPN.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.stream.alpn()
    }

    /// How many tickets for resuming the session the peer has given (TLS 1.3). They arrive
    /// with the first data at the latest.
    #[must_use]
    pub fn session_tickets(&self) -> u32 {
        self.stream.session_tickets()
    }

    /// Sends and receives what `exchange` says.
    pub async fn exchange(&mut self, exchange: Exchange<'_>) -> End {
        let mut received = Vec::new();
        let work = converse(&mut self.stream, exchange, &mut received);
        match tokio::time::timeout(self.timeout, work).await {
            Err(_) => End::Silent(received),
            Ok(Ok(())) if received.len() >= exchange.expect => End::Received(received),
            Ok(Ok(())) => End::Closed(received),
            Ok(Err(error)) => match Break::of(&error) {
                Break {
                    alert: Some(alert), ..
                } => End::Alert(received, alert),
                broken if broken.is_disconnect() => End::Reset(received),
                broken => End::Failed(received, broken.kind),
            },
        }
    }

    /// Sends `bytes`.
    ///
    /// # Errors
    ///
    /// If the connection is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Waits for the peer to end the connection, collecting what it still sends.
    pub async fn ended(&mut self) -> End {
        self.exchange(Exchange {
            send: &[],
            expect: usize::MAX,
        })
        .await
    }

    /// Says that nothing more will be sent; receiving goes on.
    ///
    /// # Errors
    ///
    /// If the connection is gone.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

async fn converse(
    stream: &mut Stream,
    exchange: Exchange<'_>,
    received: &mut Vec<u8>,
) -> io::Result<()> {
    // A peer that refuses may be gone before it was written to; what it said before that
    // (a TLS alert, say) is still there to be read, and tells more than a broken pipe.
    let written = async {
        stream.write_all(exchange.send).await?;
        stream.flush().await
    }
    .await;
    while received.len() < exchange.expect {
        if stream.read_buf(received).await? == 0 {
            return written;
        }
    }
    written
}
