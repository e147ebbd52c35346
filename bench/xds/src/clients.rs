//! Clients that speak delta ADS, as many as wanted, over as many connections as wanted.
//!
//! They are light: HTTP/2 and the messages, and a task for each stream, which accepts every
//! response at once. The generator must not be what is measured.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse,
};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

const METHOD: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
/// Bytes that a client takes before it reads, for a stream and for a connection: those of Envoy.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// How often a connection is tried, and the pause between.
const ATTEMPTS: usize = 20;
const BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// A message of gRPC begins with a mark of compression and its length.
const HEAD: usize = 5;

/// Who connects, and what for.
#[derive(Clone)]
pub struct Plan {
    pub address: SocketAddr,
    pub connections: usize,
    pub streams: Vec<Subscription>,
    pub type_url: String,
    /// Version of all resources that the clients have from before.
    pub held: Option<String>,
}

/// What one stream asks for.
#[derive(Clone)]
pub struct Subscription {
    pub node: String,
    pub cluster: String,
    pub names: Vec<String>,
}

/// What all clients have got.
#[derive(Default)]
struct Tally {
    /// Streams that the server has answered.
    streams: Counter,
    /// Resources.
    resources: Counter,
    /// Bytes of bodies of responses, and those of resources among them.
    bytes: AtomicU64,
    resource_bytes: AtomicU64,
    /// The version that is being published.
    expected: Mutex<Option<Arc<str>>>,
    /// The version that came last.
    last: Mutex<Option<String>>,
    failed: Mutex<Option<Error>>,
}

/// A number that grows, for one at a time to wait for.
struct Counter {
    value: AtomicU64,
    goal: AtomicU64,
    reached: Notify,
}

/// Live streams; they end with this.
pub struct Clients {
    tally: Arc<Tally>,
    connections: JoinSet<()>,
}

impl Clients {
    /// Connects, all at once as after a server's restart, and waits until the server has answered
    /// all streams with headers.
    pub async fn connect(plan: &Plan) -> Result<Self> {
        let clients = Self::open(plan)?;
        clients.answered(plan.streams.len()).await?;
        Ok(clients)
    }

    /// Begins to connect.
    pub fn open(plan: &Plan) -> Result<Self> {
        ensure!(plan.connections > 0, "no connections");
        let tally = Arc::<Tally>::default();
        let mut shares = vec![Vec::new(); plan.connections];
        for (index, subscription) in plan.streams.iter().enumerate() {
            shares[index % plan.connections].push(request(plan, subscription));
        }
        let mut connections = JoinSet::new();
        for share in shares {
            let (tally, address, type_url) = (tally.clone(), plan.address, plan.type_url.clone());
            connections.spawn(async move {
                if let Err(error) = connection(address, &type_url, share, &tally).await {
                    tally.fail(error);
                }
            });
        }
        Ok(Self { tally, connections })
    }

    /// Waits until so many streams are answered with headers. Some servers send them with the first
    /// response only.
    pub async fn answered(&self, streams: usize) -> Result<()> {
        self.tally.wait(&self.tally.streams, streams as u64).await
    }

    /// Waits until so many resources have come since the beginning.
    pub async fn got(&self, resources: usize) -> Result<()> {
        self.tally
            .wait(&self.tally.resources, resources as u64)
            .await
    }

    /// From now on, counts resources of this version only.
    pub fn expect(&self, version: u64) {
        let mut expected = lock(&self.tally.expected);
        *expected = Some(version.to_string().into());
    }

    /// Resources that came.
    pub fn resources(&self) -> u64 {
        self.tally.resources.value.load(Ordering::SeqCst)
    }

    /// The version that came last, to whomever.
    pub fn last_version(&self) -> Option<String> {
        lock(&self.tally.last).clone()
    }

    /// Bytes of responses, and of resources in them.
    pub fn bytes(&self) -> (u64, u64) {
        let Tally {
            bytes,
            resource_bytes,
            ..
        } = &*self.tally;
        (
            bytes.load(Ordering::SeqCst),
            resource_bytes.load(Ordering::SeqCst),
        )
    }

    /// Fails if any stream did.
    pub fn check(&self) -> Result<()> {
        lock(&self.tally.failed).take().map_or(Ok(()), Err)
    }

    /// Ends all streams and connections.
    pub async fn close(mut self) {
        self.connections.shutdown().await;
    }
}

/// The first request of a stream.
fn request(plan: &Plan, subscription: &Subscription) -> DeltaDiscoveryRequest {
    let Subscription {
        node,
        cluster,
        names,
    } = subscription;
    let held = plan.held.iter();
    let initial = held.flat_map(|version| names.iter().map(|n| (n.clone(), version.clone())));
    DeltaDiscoveryRequest {
        node: Some(Node {
            id: node.clone(),
            cluster: cluster.clone(),
            ..Default::default()
        }),
        type_url: plan.type_url.clone(),
        resource_names_subscribe: names.clone(),
        initial_resource_versions: initial.collect(),
        ..Default::default()
    }
}

/// Runs a connection with all of its streams, and tries again as long as the server does not
/// answer: a listener that is overrun drops and resets connections, and clients come back.
async fn connection(
    address: SocketAddr,
    type_url: &str,
    requests: Vec<DeltaDiscoveryRequest>,
    tally: &Arc<Tally>,
) -> Result<()> {
    let answered = Arc::new(AtomicBool::new(false));
    let mut attempts = 0;
    loop {
        attempts += 1;
        let attempt = attempt(address, type_url, requests.clone(), &answered, tally).await;
        if attempts == ATTEMPTS || answered.load(Ordering::SeqCst) {
            return attempt;
        }
        tokio::time::sleep(BACKOFF).await;
    }
}

async fn attempt(
    address: SocketAddr,
    type_url: &str,
    requests: Vec<DeltaDiscoveryRequest>,
    answered: &Arc<AtomicBool>,
    tally: &Arc<Tally>,
) -> Result<()> {
    let socket = TcpStream::connect(address).await.context("connecting")?;
    socket.set_nodelay(true)?;
    let (sender, driver) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake::<_, Bytes>(socket)
        .await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        driver.await?;
        bail!("the server closed the connection")
    });
    for request in requests {
        let (sender, type_url) = (sender.clone(), type_url.to_owned());
        let (answered, tally) = (answered.clone(), tally.clone());
        tasks.spawn(
            async move { stream(sender, address, request, type_url, &answered, &tally).await },
        );
    }
    match tasks.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}

/// Runs a stream, which is not meant to end.
async fn stream(
    sender: SendRequest<Bytes>,
    address: SocketAddr,
    first: DeltaDiscoveryRequest,
    type_url: String,
    answered: &AtomicBool,
    tally: &Tally,
) -> Result<()> {
    let head = Request::post(format!("http://{address}{METHOD}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let mut sender = sender.ready().await?;
    let (response, mut requests) = sender.send_request(head, false)?;
    requests.send_data(frame(&first), false)?;
    let response = response.await?;
    answered.store(true, Ordering::SeqCst);
    refuse(response.headers())?;
    tally.streams.add(1);
    let mut body = response.into_body();
    let mut buffer = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        tally.bytes.fetch_add(data.len() as u64, Ordering::SeqCst);
        buffer.extend_from_slice(&data);
        while let Some(message) = unframe(&mut buffer) {
            let response = DeltaDiscoveryResponse::decode(message)?;
            accept(response, &type_url, &mut requests, tally)?;
        }
    }
    Err(ending(body).await)
}

/// Accepts a response, and counts what is in it.
fn accept(
    response: DeltaDiscoveryResponse,
    type_url: &str,
    requests: &mut SendStream<Bytes>,
    tally: &Tally,
) -> Result<()> {
    let ack = DeltaDiscoveryRequest {
        type_url: type_url.to_owned(),
        response_nonce: response.nonce,
        ..Default::default()
    };
    requests.send_data(frame(&ack), false)?;
    let expected = lock(&tally.expected).clone();
    let mut counted = 0;
    for resource in response.resources {
        if expected.as_deref().is_none_or(|e| e == resource.version) {
            counted += 1;
        }
        let bytes = resource.resource.map_or(0, |any| any.value.len());
        tally
            .resource_bytes
            .fetch_add(bytes as u64, Ordering::SeqCst);
        *lock(&tally.last) = Some(resource.version);
    }
    tally.resources.add(counted);
    Ok(())
}

/// Why a stream ended.
async fn ending(mut body: RecvStream) -> Error {
    match body.trailers().await {
        Ok(Some(trailers)) => refuse(&trailers).err(),
        Ok(None) => None,
        Err(error) => Some(error.into()),
    }
    .unwrap_or_else(|| anyhow!("the server ended a stream"))
}

/// Fails if headers or trailers have a status other than that all is well.
fn refuse(headers: &HeaderMap) -> Result<()> {
    if let Some(status) = headers.get("grpc-status").filter(|status| *status != "0") {
        let message = headers.get("grpc-message");
        bail!("the server ended a stream with status {status:?}: {message:?}");
    }
    Ok(())
}

fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut buffer = BytesMut::with_capacity(HEAD + length);
    buffer.put_u8(0);
    buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    buffer.extend_from_slice(&message.encode_to_vec());
    buffer.freeze()
}

/// Takes a message, if a whole one has come.
fn unframe(buffer: &mut BytesMut) -> Option<Bytes> {
    let length = buffer.get(1..HEAD)?.get_u32() as usize;
    if buffer.len() < HEAD + length {
        return None;
    }
    buffer.advance(HEAD);
    Some(buffer.split_to(length).freeze())
}

impl Tally {
    async fn wait(&self, counter: &Counter, goal: u64) -> Result<()> {
        counter.goal.store(goal, Ordering::SeqCst);
        let reached = async {
            while counter.value.load(Ordering::SeqCst) < goal {
                counter.reached.notified().await;
                if let Some(error) = lock(&self.failed).take() {
                    return Err(error);
                }
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, reached)
            .await
            .unwrap_or_else(|_| {
                let value = counter.value.load(Ordering::SeqCst);
                Err(anyhow!(
                    "{value} instead of {goal} came within {PATIENCE:?}"
                ))
            })
    }

    fn fail(&self, error: Error) {
        lock(&self.failed).get_or_insert(error);
        self.streams.reached.notify_one();
        self.resources.reached.notify_one();
    }
}

impl Counter {
    fn add(&self, by: u64) {
        let value = self.value.fetch_add(by, Ordering::SeqCst) + by;
        if value >= self.goal.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            value: AtomicU64::new(0),
            goal: AtomicU64::new(u64::MAX),
            reached: Notify::new(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
