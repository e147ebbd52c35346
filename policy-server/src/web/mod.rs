//! HTTP servers with bounds on everything, for the webhook and the admin port.
//!
//! A peer can hold a place only for a time: a handshake, the head of a request, its body and the
//! answer each have a deadline, and whoever comes when all places are taken waits in the kernel.

pub(crate) mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, warn};

use self::tls::Certificates;

/// What a server bears.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Requests that are answered at a time.
    pub(crate) requests: usize,
    /// Bytes of the body of a request.
    pub(crate) body: usize,
    /// For a handshake, the head of a request, its body, and its answer, each.
    pub(crate) patience: Duration,
    /// For what is being answered when the server stops.
    pub(crate) grace: Duration,
}

/// Streams of one HTTP/2 connection at a time.
const STREAMS: u32 = 32;

/// Time after an accept that failed, as when there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// The answer to a request whose body has been read.
    fn answer(&self, request: Request<Bytes>) -> impl Future<Output = Response<Bytes>> + Send;
}

/// Serves until `stop` is there, and then what has begun, for a time.
pub(crate) async fn serve<H: Handler>(
    listener: TcpListener,
    certificates: Option<Arc<Certificates>>,
    limits: Limits,
    handler: H,
    stop: impl Future<Output = ()>,
) {
    let connections = Arc::new(Semaphore::new(limits.connections));
    let serving = Arc::new(Serving {
        limits,
        handler,
        requests: Semaphore::new(limits.requests),
    });
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let (place, stream) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let tls = certificates
            .as_ref()
            .map(|certificates| certificates.acceptor());
        let (serving, watcher) = (serving.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _place = place;
            match tls {
                None => connection(stream, serving, watcher).await,
                Some(tls) => match timeout(serving.limits.patience, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, serving, watcher).await,
                    Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
                    Err(_) => debug!("a TLS handshake took too long"),
                },
            }
        });
    }
    drop(listener);
    if timeout(limits.grace, graceful.shutdown()).await.is_err() {
        warn!("not everything was answered before the server stopped");
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(tokio::sync::OwnedSemaphorePermit, TcpStream)> {
    let place = connections.clone().acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((place, stream))
}

struct Serving<H> {
    limits: Limits,
    handler: H,
    requests: Semaphore,
}

async fn connection<H: Handler, S>(stream: S, serving: Arc<Serving<H>>, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = serving.limits.patience;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(patience)
        .keep_alive_timeout(patience)
        .max_concurrent_streams(STREAMS);
    let service = service_fn(move |request| {
        let serving = serving.clone();
        async move { Ok::<_, Infallible>(serving.answer(request).await.map(Full::new)) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        debug!(%error, "a connection ended early");
    }
}

impl<H: Handler> Serving<H> {
    async fn answer(&self, request: Request<Incoming>) -> Response<Bytes> {
        let patience = self.limits.patience;
        let Ok(Ok(_place)) = timeout(patience, self.requests.acquire()).await else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once");
        };
        let (head, body) = request.into_parts();
        let body = match timeout(patience, Limited::new(body, self.limits.body).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                let limit = self.limits.body;
                let text = format!("the body has more than {limit} bytes");
                return plain(StatusCode::PAYLOAD_TOO_LARGE, &text);
            }
            Ok(Err(_)) => return plain(StatusCode::BAD_REQUEST, "the body ended early"),
            Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
        };
        let answer = self.handler.answer(Request::from_parts(head, body));
        let late = || plain(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long");
        timeout(patience, answer).await.unwrap_or_else(|_| late())
    }
}

/// A line of text.
pub(crate) fn plain(status: StatusCode, text: &str) -> Response<Bytes> {
    let body = Bytes::from(format!("{text}\n"));
    content(status, "text/plain; charset=utf-8", body)
}

/// An answer of a type of content.
pub(crate) fn content(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
