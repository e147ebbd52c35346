//! Sockets: accepting connections, watching over them, and letting them go.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio_rustls::TlsAcceptor;

use crate::authorize::{Authorizer, Peer};
use crate::service::{Connection, Shared, serve};
use crate::settings::Settings;
use crate::status::{Counters, Event, Registry, StreamStatus, count};
use crate::store::{Change, Store};
use crate::tls::{Reloaded, TlsError, TlsFiles, peer_certificate};

/// Pause after a connection could not be accepted, as when there are no file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait to be accepted. When a server comes back, all clients come at once, and who
/// finds no place tries again after a second. The kernel may allow fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// Bytes of the headers of a request.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// An xDS server: a store of resources, and the sockets on which clients get them.
///
/// Clones are the same server. It runs on the Tokio runtime on which [`Server::listen`] is called.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    phase: Arc<watch::Sender<Phase>>,
    /// One permit for each connection.
    connections: Arc<Semaphore>,
}

/// How connections are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all: for clients on the same machine, and tests. They have no identity.
    Plaintext,
    /// By TLS.
    Tls(TlsFiles),
}

/// Why a server does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be listened on.
    #[error("`{address}`: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The files of TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It serves.
    Serving,
    /// It takes nothing new, and clients are asked to go.
    Draining,
    /// What is left is cut off.
    Stopped,
}

impl Server {
    /// Makes a server that has no resources and listens nowhere yet.
    #[must_use]
    pub fn new(settings: Settings, authorizer: Arc<dyn Authorizer>) -> Self {
        let connections = settings.connections.min(Semaphore::MAX_PERMITS);
        let registry = Arc::new(Registry::new(settings.events));
        Self {
            shared: Arc::new(Shared {
                settings,
                authorizer,
                store: Store::default(),
                registry,
            }),
            phase: Arc::new(watch::Sender::new(Phase::Serving)),
            connections: Arc::new(Semaphore::new(connections)),
        }
    }

    /// Accepts connections on a TCP address from now on; port 0 takes a free one. Returns the
    /// address with its port. A server may listen on several.
    ///
    /// # Errors
    ///
    /// If the address is taken, or the files of TLS cannot be used.
    pub async fn listen(
        &self,
        address: SocketAddr,
        security: Security,
    ) -> Result<SocketAddr, ListenError> {
        let tls = match security {
            Security::Plaintext => None,
            Security::Tls(files) => Some(Arc::new(Reloaded::load(files)?)),
        };
        let bind = |error| ListenError::Bind { address, error };
        let listener = listen(address).map_err(bind)?;
        let bound = listener.local_addr().map_err(bind)?;
        if let Some(tls) = &tls {
            tokio::spawn(self.clone().follow_files(tls.clone()));
        }
        tokio::spawn(self.clone().accept(listener, tls));
        tracing::info!(address = %bound, "listening");
        Ok(bound)
    }

    /// Applies changes, and sends them to those who are subscribed. A stream sees all of them or
    /// none. Returns how many resources are different from before; what is the same costs nobody
    /// anything.
    pub fn publish(&self, changes: impl IntoIterator<Item = Change>) -> usize {
        let changed = self.shared.store.publish(changes);
        count(&self.shared.registry.counters.changes, changed as u64);
        changed
    }

    /// All streams, and what their clients have.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamStatus> {
        self.shared.registry.snapshot()
    }

    /// How many streams there are.
    #[must_use]
    pub fn stream_count(&self) -> usize {
        self.shared.registry.len()
    }

    /// How many connections there are.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        let all = self.shared.settings.connections.min(Semaphore::MAX_PERMITS);
        all.saturating_sub(self.connections.available_permits())
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.registry.counters.read()
    }

    /// What happens from now on. A receiver that is too slow is told how many events it missed,
    /// and finds the state of things in [`Server::streams`].
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.registry.events()
    }

    /// Stops: takes no more connections and streams, ends all streams with `UNAVAILABLE`, so that
    /// clients go elsewhere, and cuts off what is left after `deadline`.
    pub async fn shut_down(&self, deadline: Duration) {
        self.phase.send_replace(Phase::Draining);
        self.shared.registry.close_all();
        let all = self.shared.settings.connections.min(Semaphore::MAX_PERMITS);
        // A semaphore counts permits in 32 bits when they are taken together.
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        let done = self.connections.acquire_many(all);
        if tokio::time::timeout(deadline, done).await.is_err() {
            tracing::warn!(
                connections = self.connection_count(),
                "connections are cut off after the deadline"
            );
        }
        self.phase.send_replace(Phase::Stopped);
    }

    async fn accept(self, listener: TcpListener, tls: Option<Arc<Reloaded>>) {
        let mut phase = self.phase.subscribe();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = phase.wait_for(|p| *p != Phase::Serving) => return,
                accepted = listener.accept() => accepted,
            };
            let counters = &self.shared.registry.counters;
            match accepted {
                Ok((socket, address)) => match self.connections.clone().try_acquire_owned() {
                    Ok(permit) => {
                        count(&counters.connections, 1);
                        let connection = self.clone().connect(socket, address, tls.clone(), permit);
                        tokio::spawn(connection);
                    }
                    Err(_) => {
                        count(&counters.connections_refused, 1);
                        tracing::warn!(%address, "too many connections");
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connect(
        self,
        socket: TcpStream,
        address: SocketAddr,
        tls: Option<Arc<Reloaded>>,
        permit: OwnedSemaphorePermit,
    ) {
        // It only makes small responses slower if this fails.
        let _ = socket.set_nodelay(true);
        let Some(tls) = tls else {
            let peer = Peer {
                address,
                certificate: None,
            };
            return self.serve(socket, peer, permit).await;
        };
        let acceptor = TlsAcceptor::from(tls.config());
        let timeout = self.shared.settings.handshake_timeout;
        let handshake = tokio::time::timeout(timeout, acceptor.accept(socket)).await;
        let failed = |reason: String| {
            count(&self.shared.registry.counters.handshakes_failed, 1);
            tracing::warn!(%address, reason, "a TLS handshake failed");
        };
        let stream = match handshake {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return failed(error.to_string()),
            Err(_) => return failed("it took too long".to_owned()),
        };
        let leaf = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(<[_]>::first);
        let certificate = match leaf.map(|der| peer_certificate(der)).transpose() {
            Ok(certificate) => certificate,
            Err(reason) => return failed(reason),
        };
        let peer = Peer {
            address,
            certificate,
        };
        self.serve(stream, peer, permit).await;
    }

    async fn serve(
        self,
        io: impl AsyncRead + AsyncWrite + Unpin,
        peer: Peer,
        _permit: OwnedSemaphorePermit,
    ) {
        let Settings {
            streams_per_connection,
            idle_timeout,
            keepalive_interval,
            keepalive_timeout,
            ..
        } = self.shared.settings;
        let connection = Arc::new(Connection::new(peer));
        let service = service_fn(|request| {
            let stream = serve(self.shared.clone(), connection.clone(), request);
            async move { Ok::<_, Infallible>(stream.await) }
        });
        let http = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(streams_per_connection)
            .max_header_list_size(MAX_HEADER_BYTES)
            .keep_alive_interval(keepalive_interval)
            .keep_alive_timeout(keepalive_timeout)
            .serve_connection(TokioIo::new(io), service);
        let mut http = pin!(http);
        let mut phase = self.phase.subscribe();
        let mut seen = Phase::Serving;
        let mut idle = tokio::time::interval(idle_timeout);
        idle.reset();
        let mut idle_ticks = 0_u8;
        loop {
            let last = seen;
            tokio::select! {
                ended = http.as_mut() => {
                    if let Err(error) = ended {
                        let address = connection.peer.address;
                        tracing::debug!(%address, %error, "a connection broke");
                    }
                    return;
                }
                next = phase.wait_for(move |phase| *phase != last) => {
                    seen = next.map_or(Phase::Stopped, |phase| *phase);
                    match seen {
                        Phase::Serving => {}
                        Phase::Draining => http.as_mut().graceful_shutdown(),
                        Phase::Stopped => return,
                    }
                }
                _ = idle.tick() => {
                    idle_ticks = if connection.is_idle() { idle_ticks.saturating_add(1) } else { 0 };
                    match idle_ticks {
                        // One tick may come right after the connection lost its last stream.
                        0 | 1 => {}
                        2 => http.as_mut().graceful_shutdown(),
                        _ => return,
                    }
                }
            }
        }
    }

    async fn follow_files(self, tls: Arc<Reloaded>) {
        let mut phase = self.phase.subscribe();
        let mut tick = tokio::time::interval(self.shared.settings.certificate_interval);
        loop {
            tokio::select! {
                _ = phase.wait_for(|p| *p != Phase::Serving) => return,
                _ = tick.tick() => {}
            }
            let tls = tls.clone();
            let counters = &self.shared.registry.counters;
            match tokio::task::spawn_blocking(move || tls.reload()).await {
                Ok(Some(Ok(()))) => {
                    count(&counters.certificates_reloaded, 1);
                    tracing::info!("certificates were read again");
                }
                Ok(Some(Err(error))) => {
                    count(&counters.certificates_refused, 1);
                    tracing::error!(%error, "certificates cannot be used, the last good ones stay");
                }
                // Nothing changed; or the runtime is going down.
                Ok(None) | Err(_) => {}
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As `TcpListener::bind` does it: a restart takes the address again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
