//! The count of what went through a backend's sockets.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// What went through a backend since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Connections accepted.
    pub connections: u64,
    /// Connections that are still open.
    pub open: u64,
    /// Requests whose head arrived; 0 for a TCP backend.
    pub requests: u64,
    /// Bytes received on all connections, HTTP framing included.
    pub bytes_in: u64,
    /// Bytes sent on all connections, HTTP framing included.
    pub bytes_out: u64,
}

/// A condition on a backend's traffic did not come true in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not so within {within:?}: {last:?}")]
pub struct TimedOut {
    /// How long was waited.
    pub within: Duration,
    /// The traffic at the end of that time.
    pub last: Traffic,
}

/// The count itself, shared by a backend and its connections.
#[derive(Debug, Clone)]
pub(super) struct Ledger(Arc<watch::Sender<Traffic>>);

impl Default for Ledger {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Traffic::default())))
    }
}

impl Ledger {
    pub(super) fn traffic(&self) -> Traffic {
        *self.0.borrow()
    }

    pub(super) fn request(&self) {
        self.0.send_modify(|traffic| traffic.requests += 1);
    }

    pub(super) async fn wait_until(
        &self,
        within: Duration,
        condition: impl FnMut(&Traffic) -> bool,
    ) -> Result<Traffic, TimedOut> {
        let mut receiver = self.0.subscribe();
        let mut condition = condition;
        let waited =
            tokio::time::timeout(within, receiver.wait_for(|traffic| condition(traffic))).await;
        match waited {
            Ok(Ok(traffic)) => Ok(*traffic),
            // The sender lives as long as `self`.
            Ok(Err(_)) | Err(_) => Err(TimedOut {
                within,
                last: self.traffic(),
            }),
        }
    }
}

/// A stream whose bytes are entered in a ledger.
#[derive(Debug)]
pub(super) struct Counted<S> {
    stream: S,
    ledger: Ledger,
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S, ledger: Ledger) -> Self {
        ledger.0.send_modify(|traffic| {
            traffic.connections += 1;
            traffic.open += 1;
        });
        Self { stream, ledger }
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        self.ledger.0.send_modify(|traffic| traffic.open -= 1);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len().saturating_sub(before) as u64;
        self.ledger
            .0
            .send_modify(|traffic| traffic.bytes_in += read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.ledger
            .0
            .send_modify(|traffic| traffic.bytes_out += written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
