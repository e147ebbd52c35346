//! Peers: clients with a workload identity, a source address, and bad manners on demand.
//!
//! A [`Client`] says who speaks: which certificate, from which address of 127.0.0.0/8,
//! with which SNI. Its methods say what is spoken: HTTP/1.1 or HTTP/2 through a proper
//! implementation ([`HttpConnection`]), gRPC on top of that, or any bytes at all
//! ([`Connection`], [`Client::hostile_http1`]).
//!
//! The server's certificate is verified against the trusted authorities, but not against
//! a host name: a SPIFFE certificate has none.

mod connection;
mod hostile;
mod http;
mod stream;
mod tls;

pub use self::connection::{Connection, End, Exchange};
pub use self::hostile::HostileHttp1;
pub use self::http::{HttpConnection, Request, Response, Streaming, Version};
pub use self::stream::Break;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, ClientConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use self::stream::Stream;
use super::pki::{Authority, Identity};

/// Why a client got no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The TLS configuration is not usable, for example a key that does not fit.
    #[error("cannot use this TLS configuration: {0}")]
    Configuration(#[from] rustls::Error),
    /// The name for SNI is not a DNS name.
    #[error("`{name}` is not a DNS name, so it cannot be sent as SNI")]
    Sni {
        /// The name as it was given.
        name: String,
    },
    /// No connection came about.
    #[error("cannot connect to {to}: {source}")]
    Connect {
        /// The peer.
        to: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The TLS handshake failed.
    #[error("no TLS with {to}: {source}")]
    Handshake {
        /// The peer.
        to: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The request cannot be expressed in HTTP; [`HostileHttp1`] sends such things.
    #[error("not a request: {0}")]
    Request(#[from] ::http::Error),
    /// The HTTP exchange broke off, or the peer reset the stream.
    #[error("HTTP exchange failed: {source}")]
    Http {
        /// Why.
        source: hyper::Error,
        /// How the connection under it broke, if it did.
        broken: Option<Break>,
    },
    /// Reading or writing failed.
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
    /// What came back is not an HTTP/1.1 response.
    #[error("not an HTTP/1.1 response: {reason}")]
    Response {
        /// What is wrong with it.
        reason: String,
    },
    /// No answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

impl Error {
    /// How the connection broke, if that is why there is no answer.
    #[must_use]
    pub fn broken(&self) -> Option<Break> {
        match self {
            Self::Http { broken, .. } => *broken,
            Self::Io(source) | Self::Handshake { source, .. } => Some(Break::of(source)),
            _ => None,
        }
    }

    /// The TLS alert with which the peer ended the connection, if it did. In TLS 1.3 the
    /// refusal of a client certificate arrives when the client has long been done with the
    /// handshake, so it can be behind any of these errors.
    #[must_use]
    pub fn tls_alert(&self) -> Option<AlertDescription> {
        self.broken()?.alert
    }

    /// Whether the peer ended the connection without an answer, with or without a TLS
    /// alert.
    #[must_use]
    pub fn is_disconnect(&self) -> bool {
        match self {
            Self::Http {
                source,
                broken: None,
            } => source.is_incomplete_message() || source.is_canceled() || source.is_closed(),
            _ => self.broken().is_some_and(|broken| broken.is_disconnect()),
        }
    }
}

/// Who speaks.
#[derive(Debug, Clone)]
pub struct Client {
    source: IpAddr,
    preamble: Vec<u8>,
    tls: Option<Tls>,
    timeout: Duration,
}

#[derive(Debug, Clone)]
struct Tls {
    config: Arc<ClientConfig>,
    sni: Option<String>,
}

impl Client {
    /// A client that speaks without TLS.
    #[must_use]
    pub fn plaintext() -> Self {
        Self {
            source: Ipv4Addr::LOCALHOST.into(),
            preamble: Vec::new(),
            tls: None,
            timeout: Duration::from_secs(10),
        }
    }

    /// A client that shows `identity` and accepts servers that any of `trusted` vouches
    /// for.
    ///
    /// # Errors
    ///
    /// If rustls refuses the certificate or the key.
    pub fn mtls(identity: &Identity, trusted: &[&Authority]) -> Result<Self, Error> {
        Self::with_tls(tls::config(Some(identity), trusted)?)
    }

    /// A client that speaks TLS but shows no certificate.
    ///
    /// # Errors
    ///
    /// If rustls refuses an authority.
    pub fn tls(trusted: &[&Authority]) -> Result<Self, Error> {
        Self::with_tls(tls::config(None, trusted)?)
    }

    fn with_tls(config: ClientConfig) -> Result<Self, Error> {
        let tls = Some(Tls {
            config: Arc::new(config),
            sni: None,
        });
        Ok(Self {
            tls,
            ..Self::plaintext()
        })
    }

    /// The same client, speaking from `source`, an address of 127.0.0.0/8 for example.
    #[must_use]
    pub fn from_address(self, source: impl Into<IpAddr>) -> Self {
        Self {
            source: source.into(),
            ..self
        }
    }

    /// The same client, sending `bytes` before anything else, TLS included: a PROXY header, for
    /// example, by which a listener learns of addresses that loopback has not.
    #[must_use]
    pub fn preamble(self, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            preamble: bytes.into(),
            ..self
        }
    }

    /// The same client, naming `name` as SNI. Without, none is sent. A plaintext client
    /// has nowhere to put it.
    #[must_use]
    pub fn sni(mut self, name: impl Into<String>) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.sni = Some(name.into());
        }
        self
    }

    /// The same client, waiting at most `timeout` for each answer; the default is 10 s.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Opens a connection without saying anything on it. `alpn` is what is offered by TLS,
    /// best first; nothing is negotiated if it is empty.
    ///
    /// # Errors
    ///
    /// If no connection comes about or the TLS handshake fails.
    pub async fn open(&self, to: SocketAddr, alpn: &[&str]) -> Result<Connection, Error> {
        let stream = self.within(self.stream(to, alpn)).await?;
        Ok(Connection::new(stream, self.timeout))
    }

    /// Opens a connection, sends and receives what `exchange` says, and closes it.
    ///
    /// # Errors
    ///
    /// If no connection comes about. How an open connection ends is part of the result.
    pub async fn exchange(&self, to: SocketAddr, exchange: Exchange<'_>) -> Result<End, Error> {
        Ok(self.open(to, &[]).await?.exchange(exchange).await)
    }

    /// Opens a connection for HTTP requests.
    ///
    /// # Errors
    ///
    /// If no connection comes about or the TLS or HTTP/2 handshake fails.
    pub async fn http(&self, to: SocketAddr, version: Version) -> Result<HttpConnection, Error> {
        self.within(async {
            let stream = self.stream(to, &[version.alpn()]).await?;
            HttpConnection::handshake(stream, version, self.timeout).await
        })
        .await
    }

    /// Sends one request on a connection of its own.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub async fn request(
        &self,
        to: SocketAddr,
        version: Version,
        request: &Request,
    ) -> Result<Response, Error> {
        self.http(to, version).await?.send(request).await
    }

    /// Opens a connection for bytes that claim to be HTTP/1.1 requests.
    ///
    /// # Errors
    ///
    /// If no connection comes about or the TLS handshake fails.
    pub async fn hostile_http1(&self, to: SocketAddr) -> Result<HostileHttp1, Error> {
        let stream = self
            .within(self.stream(to, &[Version::Http1.alpn()]))
            .await?;
        Ok(HostileHttp1::new(stream, self.timeout))
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        within(self.timeout, work).await
    }

    async fn stream(&self, to: SocketAddr, alpn: &[&str]) -> Result<Stream, Error> {
        let connected = connect(self.source, to, &self.preamble).await;
        let tcp = connected.map_err(|source| Error::Connect { to, source })?;
        let Some(tls) = &self.tls else {
            return Ok(Stream::plain(tcp));
        };
        let mut config = ClientConfig::clone(&tls.config);
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.enable_sni = tls.sni.is_some();
        let name = tls::server_name(tls.sni.as_deref(), to)?;
        let handshake = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await;
        let stream = handshake.map_err(|source| Error::Handshake { to, source })?;
        Ok(Stream::tls(stream))
    }
}

async fn within<T>(
    timeout: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(timeout, work)
        .await
        .unwrap_or(Err(Error::TimedOut(timeout)))
}

async fn connect(from: IpAddr, to: SocketAddr, preamble: &[u8]) -> io::Result<TcpStream> {
    let socket = if from.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.bind((from, 0).into())?;
    let mut stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    stream.write_all(preamble).await?;
    Ok(stream)
}
