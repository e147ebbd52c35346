//! Requests to streams: what is asked for, by whom, and whether they may.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use meshwall_xds_protocol::{Code, Refusal, Session};
use tonic::Status;

use crate::authorize::{Authorizer, Peer};
use crate::inbound::Inbound;
use crate::method;
use crate::settings::Settings;
use crate::status::{Registry, count};
use crate::store::Store;
use crate::stream::Stream;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// What all streams of a server have in common.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
}

/// A connection, and how many streams there are on it.
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    streams: AtomicUsize,
}

/// A stream on a connection, for as long as this lives.
pub(crate) struct OnConnection(Arc<Connection>);

impl Connection {
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer,
            streams: AtomicUsize::new(0),
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.streams.load(Ordering::Relaxed) == 0
    }
}

impl OnConnection {
    fn new(connection: Arc<Connection>) -> Self {
        connection.streams.fetch_add(1, Ordering::Relaxed);
        Self(connection)
    }
}

impl Drop for OnConnection {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of a response: that of a stream, or none.
#[derive(Default)]
pub(crate) struct ResponseBody(Option<Box<Stream>>);

/// Answers a request: with a stream, or with the status of gRPC that says why not.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    request: http::Request<Incoming>,
) -> Response<ResponseBody> {
    let is_grpc = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(GRPC.as_bytes()));
    if request.method() != Method::POST || !is_grpc {
        let mut response = Response::new(ResponseBody::default());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    match open(&shared, &connection, request).await {
        Ok(stream) => {
            let mut response = Response::new(ResponseBody(Some(Box::new(stream))));
            response.headers_mut().insert(CONTENT_TYPE, GRPC);
            response
        }
        Err(status) => {
            let counters = &shared.registry.counters;
            let counter = if status.code() == tonic::Code::PermissionDenied {
                &counters.streams_denied
            } else {
                tracing::warn!(
                    address = %connection.peer.address,
                    reason = status.message(),
                    "a stream was refused"
                );
                &counters.streams_refused
            };
            count(counter, 1);
            status.into_http()
        }
    }
}

async fn open(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    request: http::Request<Incoming>,
) -> Result<Stream, Status> {
    let peer = &connection.peer;
    let on_connection = OnConnection::new(connection.clone());
    let (variant, scope) = method::find(request.uri().path())
        .ok_or_else(|| Status::unimplemented("there is no such method"))?;
    let place = shared
        .registry
        .place(shared.settings.streams)
        .ok_or_else(|| Status::resource_exhausted("too many streams"))?;
    let mut inbound = Inbound::new(request.into_body(), variant, shared.settings.message_bytes);
    let first = tokio::time::timeout(shared.settings.first_message_timeout, inbound.next())
        .await
        .map_err(|_| Status::deadline_exceeded("no first message"))?
        .ok_or_else(|| Status::invalid_argument("no first message"))??;
    let (session, node) = Session::open(scope, shared.settings.stream, &first)
        .map_err(|refusal| status_of(&refusal))?;
    let view = shared.authorizer.authorize(peer, &node).map_err(|denied| {
        tracing::warn!(
            address = %peer.address,
            certificate = ?peer.certificate.as_ref().map(|c| &c.uri_names),
            node = node.id,
            reason = denied.reason,
            "a peer may not be the node that it says"
        );
        Status::permission_denied("the peer may not be this node")
    })?;
    tracing::info!(address = %peer.address, node = node.id, %view, "a stream was opened");
    let registered = shared.registry.open(peer, &node, view.clone());
    let held = (place, on_connection);
    let mut stream = Stream::new(shared.clone(), registered, held, view, session, inbound);
    stream.request(first);
    Ok(stream)
}

pub(crate) fn status_of(refusal: &Refusal) -> Status {
    let code = match refusal.code() {
        Code::InvalidArgument => tonic::Code::InvalidArgument,
        Code::ResourceExhausted => tonic::Code::ResourceExhausted,
    };
    Status::new(code, refusal.to_string())
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.get_mut().0 {
            Some(stream) => Pin::new(&mut **stream).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}
