//! Objects of a Kubernetes cluster, as its API server tells of them.
//!
//! Each kind has a task of its own ([`watch`]), so that neither another cluster nor another kind
//! waits for one that is slow, dead, or answers and says nothing. What a task asks next is decided
//! in `reflector.rs`, without connections; how it asks, and for how long it waits, is in
//! `transport.rs`.
//!
//! A definition of our kinds that is not installed is no failure: then there is no object of the
//! kind, and it is asked for again. But an API server that has just started answers as if they were
//! not there, and so would one that lost them for a moment; so the kind counts as absent only if the
//! server says that its definition is. Until then, what was told holds.
//!
//! What a source has to be allowed: to list and watch `namespaces`, `pods`, `services` and
//! `serviceaccounts`, and the three kinds of `meshwall.io`; and to get
//! `customresourcedefinitions.apiextensions.k8s.io`. It writes nothing.

mod backoff;
mod connect;
mod reflector;
mod resources;
mod transport;

pub use self::connect::{Access, ConnectError, connect};

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{info, warn};

use self::backoff::Backoff;
use self::reflector::{Failure, Page, Reflector, Request, Told};
use self::resources::Resource;
use self::transport::{Transport, Trouble};
use super::{Event, Health, State};
use crate::index::{ClusterName, Kind, Object};

/// How long a source waits for what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// For an answer, or a page of a list.
    pub answer: Duration,
    /// Seconds after which the server is to end a watch, so that watches of many clients are spread
    /// over its replicas again.
    pub watch_seconds: u32,
    /// Without an event or a bookmark, after which a watch is given up. Servers send a bookmark
    /// about once a minute.
    pub silence: Duration,
    /// After a first failure.
    pub shortest_wait: Duration,
    /// After many failures.
    pub longest_wait: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            answer: Duration::from_secs(30),
            watch_seconds: 240,
            silence: Duration::from_secs(90),
            shortest_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(30),
        }
    }
}

/// The tasks that watch a cluster. They end when this is dropped.
#[derive(Debug)]
pub struct Watching {
    _tasks: JoinSet<()>,
}

/// Watches these kinds of a cluster, and tells `events` of them until its receiver is gone.
#[must_use]
pub fn watch(
    cluster: &ClusterName,
    client: &kube::Client,
    kinds: &[Kind],
    timing: Timing,
    events: &mpsc::Sender<Event>,
    health: &Health,
) -> Watching {
    let mut tasks = JoinSet::new();
    for kind in kinds {
        let resource = Resource::of(*kind);
        health.note(cluster, *kind, |_| {});
        let source = Source {
            cluster: cluster.clone(),
            resource,
            transport: Transport::new(client.clone(), resource, timing),
            reflector: Reflector::new(Backoff::new(timing.shortest_wait, timing.longest_wait)),
            events: events.clone(),
            health: health.clone(),
            failing: false,
        };
        tasks.spawn(async move {
            // Ends when nobody listens any more.
            let _ = source.run().await;
        });
    }
    Watching { _tasks: tasks }
}

/// Nobody listens any more.
struct NobodyListens;

/// One kind of one cluster.
struct Source {
    cluster: ClusterName,
    resource: Resource,
    transport: Transport,
    reflector: Reflector<Object>,
    events: mpsc::Sender<Event>,
    health: Health,
    /// Whether the last request failed, and that was said.
    failing: bool,
}

impl Source {
    async fn run(mut self) -> Result<(), NobodyListens> {
        loop {
            let wait = match self.reflector.next() {
                Request::List { limit, token } => self.list(limit, token).await?,
                Request::Watch { version } => self.watch(&version).await?,
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn list(
        &mut self,
        limit: Option<u32>,
        token: Option<String>,
    ) -> Result<Duration, NobodyListens> {
        let (told, wait) = match self.transport.list(limit, token).await {
            Ok(page) => {
                self.heard();
                let page = Page {
                    objects: self.read_all(page.objects),
                    version: page.version,
                    token: page.token,
                };
                self.reflector.page(page)
            }
            Err(trouble) if trouble.status == Some(404) => {
                match self.transport.is_defined().await {
                    Ok(false) => {
                        self.absent();
                        self.reflector.absent()
                    }
                    Ok(true) => return Ok(self.failed(&trouble)),
                    Err(trouble) => return Ok(self.failed(&trouble)),
                }
            }
            Err(trouble) => return Ok(self.failed(&trouble)),
        };
        self.tell(told).await?;
        Ok(wait)
    }

    async fn watch(&mut self, version: &str) -> Result<Duration, NobodyListens> {
        let started = Instant::now();
        let mut watch = match self.transport.watch(version).await {
            Ok(watch) => watch,
            Err(trouble) => return Ok(self.failed(&trouble)),
        };
        self.watching();
        loop {
            let event = tokio::select! {
                event = watch.next() => event,
                () = self.events.closed() => return Err(NobodyListens),
            };
            match event {
                Ok(Some(event)) => {
                    self.heard();
                    if let Some(event) = self.read_event(event) {
                        let told = self.reflector.event(event);
                        self.tell(told).await?;
                    }
                }
                Ok(None) => return Ok(self.reflector.ended(started.elapsed())),
                Err(trouble) => return Ok(self.failed(&trouble)),
            }
        }
    }

    async fn tell(&mut self, told: Told<Object>) -> Result<(), NobodyListens> {
        let cluster = self.cluster.clone();
        let kind = self.resource.kind;
        let event = match told {
            Told::Nothing => return Ok(()),
            Told::All(objects) => {
                let count = objects.len();
                info!(%cluster, %kind, objects = count, "listed");
                Event::Listed {
                    cluster,
                    kind,
                    objects,
                }
            }
            Told::Applied(object) => Event::Applied {
                cluster,
                object: Box::new(object),
            },
            Told::Deleted(object) => Event::Deleted {
                cluster,
                key: object.key().clone(),
            },
        };
        let is_list = matches!(event, Event::Listed { .. });
        self.events.send(event).await.map_err(|_| NobodyListens)?;
        self.health.note(&self.cluster, kind, |health| {
            if is_list {
                health.listed = true;
                health.lists += 1;
            } else {
                health.changes += 1;
            }
        });
        Ok(())
    }

    fn read_all(&self, objects: Vec<Value>) -> Vec<Object> {
        let objects = objects.into_iter();
        objects.filter_map(|object| self.read(object)).collect()
    }

    fn read_event(&self, event: reflector::Event<Value>) -> Option<reflector::Event<Object>> {
        use reflector::Event::{Applied, Bookmark, Deleted};
        Some(match event {
            Applied { version, object } => Applied {
                version,
                object: self.read(object)?,
            },
            Deleted { version, object } => Deleted {
                version,
                object: self.read(object)?,
            },
            Bookmark { version } => Bookmark { version },
        })
    }

    /// Reads an object. It need not say what it is: that was asked for.
    fn read(&self, mut object: Value) -> Option<Object> {
        if let Value::Object(fields) = &mut object {
            let kind = self.resource.kind.as_str();
            fields.insert("apiVersion".to_owned(), self.resource.api_version.into());
            fields.insert("kind".to_owned(), kind.into());
        }
        let object = Object::read(object);
        if let Err(error) = &object {
            self.health
                .note(&self.cluster, self.resource.kind, |health| {
                    health.unnamed += 1
                });
            warn!(cluster = %self.cluster, %error, "passed over an object");
        }
        object.ok()
    }

    fn heard(&self) {
        self.health
            .note(&self.cluster, self.resource.kind, |health| {
                health.heard = Some(Instant::now());
            });
    }

    fn watching(&mut self) {
        if std::mem::take(&mut self.failing) {
            info!(cluster = %self.cluster, kind = %self.resource.kind, "hears of changes again");
        }
        self.health
            .note(&self.cluster, self.resource.kind, |health| {
                health.heard = Some(Instant::now());
                health.state = State::Watching;
            });
    }

    fn absent(&mut self) {
        let mut is_new = false;
        self.health
            .note(&self.cluster, self.resource.kind, |health| {
                health.heard = Some(Instant::now());
                is_new = std::mem::replace(&mut health.state, State::Absent) != State::Absent;
            });
        self.failing = false;
        if is_new {
            warn!(
                cluster = %self.cluster,
                kind = %self.resource.kind,
                "has no definition of this kind: no objects of it until there is one",
            );
        }
    }

    fn failed(&mut self, trouble: &Trouble) -> Duration {
        let wait = self.reflector.failed(trouble.failure);
        self.health
            .note(&self.cluster, self.resource.kind, |health| {
                health.failures += 1;
                health.state = State::Failing(trouble.to_string());
            });
        // A version that is gone is the ordinary end of a long wait.
        let is_ordinary = trouble.failure == Failure::Gone;
        if !is_ordinary && !std::mem::replace(&mut self.failing, true) {
            warn!(
                cluster = %self.cluster,
                kind = %self.resource.kind,
                reason = %trouble,
                "does not hear of changes; tries again, and what was heard holds",
            );
        }
        wait
    }
}
