//! Who is connected, what each client has, and what happened: for status reports and metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use meshwall_xds_protocol::{Effect, ErrorDetail, Node, ResourceName, TypeUrl, Version};
use tokio::sync::broadcast;

use crate::authorize::Peer;
use crate::mailbox::Mailbox;
use crate::store::ViewKey;
use crate::sync::lock;

/// Names a stream; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

/// One stream, at one moment.
#[derive(Clone, Debug)]
pub struct StreamStatus {
    /// The stream.
    pub id: StreamId,
    /// Address of the client.
    pub address: SocketAddr,
    /// Id of the client's node.
    pub node: Arc<str>,
    /// The view that it has.
    pub view: ViewKey,
    /// When it was opened.
    pub since: SystemTime,
    /// What is delivered on it, by type.
    pub types: BTreeMap<TypeUrl, Delivery>,
}

/// What a client has of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The versions that the client has in force, of what it was sent or said that it has.
    pub acked: BTreeMap<ResourceName, Version>,
    /// The last response that it refused; none once it has accepted one that is newer.
    pub nack: Option<Nack>,
    /// When the response was sent that the client has not answered yet.
    pub unanswered: Option<Instant>,
}

/// A response that a client refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nack {
    /// When the refusal came.
    pub at: SystemTime,
    /// What the response held. Any of it may be to blame.
    pub versions: Vec<(ResourceName, Version)>,
    /// The client's reason.
    pub error: ErrorDetail,
}

/// Something that happened on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The stream.
    pub stream: StreamId,
    /// Id of the client's node.
    pub node: Arc<str>,
    /// The view that it has.
    pub view: ViewKey,
    /// What happened.
    pub kind: EventKind,
}

/// What happened on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A client was let in.
    Connected,
    /// A client has these resources in force.
    Acked {
        /// Type URL of the resources.
        type_url: TypeUrl,
        /// The resources.
        versions: Vec<(ResourceName, Version)>,
    },
    /// A client refused these resources, and keeps what it had.
    Nacked {
        /// Type URL of the resources.
        type_url: TypeUrl,
        /// The resources. Any of them may be to blame.
        versions: Vec<(ResourceName, Version)>,
        /// The client's reason.
        error: ErrorDetail,
    },
    /// The stream ended.
    Disconnected,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What was counted since the server was made.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters { $($(#[$doc])* pub $name: u64,)* }

        #[derive(Debug, Default)]
        pub(crate) struct LiveCounters { $(pub(crate) $name: AtomicU64,)* }

        impl LiveCounters {
            pub(crate) fn read(&self) -> Counters {
                Counters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Connections that were accepted.
    connections,
    /// Connections that were closed at once because there were too many.
    connections_refused,
    /// TLS handshakes that failed or took too long.
    handshakes_failed,
    /// Streams that were let in.
    streams,
    /// Streams whose peer may not be the node that it says.
    streams_denied,
    /// Streams that were refused before they were let in, for any other reason.
    streams_refused,
    /// Streams that ended because the client broke the protocol or a bound.
    streams_broken,
    /// Responses that were sent.
    responses,
    /// Bytes of these responses.
    response_bytes,
    /// Responses that were accepted, counting resources that a client said it already has as one.
    acks,
    /// Responses that were refused.
    nacks,
    /// Resources that a publication changed.
    changes,
    /// Certificates, keys or authorities that were read from disk in place of others.
    certificates_reloaded,
    /// Those that could not be read; the last good ones stay.
    certificates_refused,
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// All streams of a server.
pub(crate) struct Registry {
    streams: Mutex<BTreeMap<StreamId, Arc<Registered>>>,
    /// Streams that hold a place, those that are not let in yet included.
    places: AtomicUsize,
    next: AtomicU64,
    closing: AtomicBool,
    events: broadcast::Sender<Event>,
    pub(crate) counters: LiveCounters,
}

/// A stream as others see it.
pub(crate) struct Registered {
    pub(crate) mailbox: Arc<Mailbox>,
    status: Mutex<StreamStatus>,
}

/// The right to be one of a bounded number of streams.
pub(crate) struct Place(Arc<Registry>);

impl Registry {
    pub(crate) fn new(events: usize) -> Self {
        Self {
            streams: Mutex::default(),
            places: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            events: broadcast::Sender::new(events.max(1)),
            counters: LiveCounters::default(),
        }
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Takes a place for a stream, if there are fewer than `limit`.
    pub(crate) fn place(self: &Arc<Self>, limit: usize) -> Option<Place> {
        let taken = self.places.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.clone());
        (taken < limit).then_some(place)
    }

    pub(crate) fn open(&self, peer: &Peer, node: &Node, view: ViewKey) -> Arc<Registered> {
        let id = StreamId(self.next.fetch_add(1, Ordering::Relaxed));
        let stream = Arc::new(Registered {
            mailbox: Arc::default(),
            status: Mutex::new(StreamStatus {
                id,
                address: peer.address,
                node: node.id.as_str().into(),
                view,
                since: SystemTime::now(),
                types: BTreeMap::new(),
            }),
        });
        lock(&self.streams).insert(id, stream.clone());
        // Either this sees the mark, or `close_all` sees the stream.
        if self.closing.load(Ordering::SeqCst) {
            stream.mailbox.close();
        }
        count(&self.counters.streams, 1);
        self.tell(&stream, EventKind::Connected);
        stream
    }

    pub(crate) fn close(&self, stream: &Registered) {
        let id = lock(&stream.status).id;
        lock(&self.streams).remove(&id);
        self.tell(stream, EventKind::Disconnected);
    }

    pub(crate) fn snapshot(&self) -> Vec<StreamStatus> {
        let streams: Vec<_> = lock(&self.streams).values().cloned().collect();
        streams.iter().map(|s| lock(&s.status).clone()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.streams).len()
    }

    /// Asks all streams to end, those that are to come as well.
    pub(crate) fn close_all(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let streams: Vec<_> = lock(&self.streams).values().cloned().collect();
        for stream in streams {
            stream.mailbox.close();
        }
    }

    /// Notes what an effect says about the client.
    pub(crate) fn note(&self, stream: &Registered, effect: Effect) {
        match effect {
            Effect::Send(response) => {
                let mut status = lock(&stream.status);
                let delivery = status.types.entry(response.type_url).or_default();
                delivery.unanswered = Some(Instant::now());
                for gone in &response.removed {
                    delivery.acked.remove(gone);
                }
            }
            Effect::Subscribed { .. } => {}
            Effect::Unsubscribed { type_url, name } => {
                let mut status = lock(&stream.status);
                if let Some(delivery) = status.types.get_mut(&type_url) {
                    delivery.acked.remove(&name);
                }
            }
            Effect::Acked { type_url, versions } => {
                count(&self.counters.acks, 1);
                {
                    let mut status = lock(&stream.status);
                    let delivery = status.types.entry(type_url.clone()).or_default();
                    delivery.unanswered = None;
                    delivery.acked.extend(versions.iter().cloned());
                    if !versions.is_empty() {
                        delivery.nack = None;
                    }
                }
                self.tell(stream, EventKind::Acked { type_url, versions });
            }
            Effect::Nacked {
                type_url,
                versions,
                error,
            } => {
                count(&self.counters.nacks, 1);
                {
                    let mut status = lock(&stream.status);
                    tracing::warn!(
                        node = &*status.node,
                        view = %status.view,
                        %type_url,
                        ?versions,
                        reason = error.message,
                        "a client refused what it was sent"
                    );
                    let delivery = status.types.entry(type_url.clone()).or_default();
                    delivery.unanswered = None;
                    delivery.nack = Some(Nack {
                        at: SystemTime::now(),
                        versions: versions.clone(),
                        error: error.clone(),
                    });
                }
                let kind = EventKind::Nacked {
                    type_url,
                    versions,
                    error,
                };
                self.tell(stream, kind);
            }
        }
    }

    fn tell(&self, stream: &Registered, kind: EventKind) {
        if self.events.receiver_count() == 0 {
            return;
        }
        let event = {
            let status = lock(&stream.status);
            Event {
                stream: status.id,
                node: status.node.clone(),
                view: status.view.clone(),
                kind,
            }
        };
        // It fails if the last receiver has just gone.
        let _ = self.events.send(event);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Delivery {
    /// How long the client has been owing an answer.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        self.unanswered.map(|since| since.elapsed())
    }
}
