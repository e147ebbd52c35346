//! The byte stream under a client, which remembers how it broke.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// How a connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Break {
    /// The kind of the error.
    pub kind: io::ErrorKind,
    /// The TLS alert that the peer sent, if that was it.
    pub alert: Option<AlertDescription>,
}

impl Break {
    pub(super) fn of(error: &io::Error) -> Self {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        let alert = match cause {
            Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
            _ => None,
        };
        Self {
            kind: error.kind(),
            alert,
        }
    }

    /// Whether the peer ended the connection, rather than something here.
    #[must_use]
    pub fn is_disconnect(&self) -> bool {
        self.alert.is_some()
            || matches!(
                self.kind,
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::NotConnected
            )
    }
}

/// The first break of a connection. The HTTP implementation reports some of them without
/// their cause, so the stream under it keeps the cause here.
#[derive(Debug, Clone, Default)]
pub(super) struct Fate(Arc<OnceLock<Break>>);

impl Fate {
    pub(super) fn broken(&self) -> Option<Break> {
        self.0.get().copied()
    }

    fn watch<T>(&self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &poll {
            // A later break is a consequence of the first.
            let _ = self.0.set(Break::of(error));
        }
        poll
    }
}

/// TCP, with or without TLS on it.
#[derive(Debug)]
pub(super) struct Stream {
    transport: Transport,
    fate: Fate,
}

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self {
            transport: Transport::Plain(stream),
            fate: Fate::default(),
        }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self {
            transport: Transport::Tls(Box::new(stream)),
            fate: Fate::default(),
        }
    }

    pub(super) fn fate(&self) -> Fate {
        self.fate.clone()
    }

    pub(super) fn alpn(&self) -> Option<&[u8]> {
        match &self.transport {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => stream.get_ref().1.alpn_protocol(),
        }
    }

    pub(super) fn session_tickets(&self) -> u32 {
        match &self.transport {
            Transport::Plain(_) => 0,
            Transport::Tls(stream) => stream.get_ref().1.tls13_tickets_received(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let poll = match &mut this.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        this.fate.watch(poll)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = match &mut this.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        this.fate.watch(poll)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let poll = match &mut this.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        this.fate.watch(poll)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let poll = match &mut this.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        };
        this.fate.watch(poll)
    }
}
