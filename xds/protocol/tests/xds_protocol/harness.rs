//! A stream without a socket, and a short notation for what happens on it.
//!
//! ```text
//! send eds #3 a=1 b=2/10s c~1 -d     a response: nonce, resources with versions and TTL,
//!                                    heartbeats, removals
//! acked eds a=1                      nacked eds a=1: reason
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use meshwall_xds_protocol::type_url::{
    CLUSTER, ENDPOINTS, EXTENSION_CONFIG, LISTENER, ROUTES, VIRTUAL_HOST,
};
use meshwall_xds_protocol::{
    Ask, Effect, ErrorDetail, Limits, Node, Refusal, Request, Resource, ResourceName, Response,
    Scope, Session, TypeUrl, View,
};

pub(crate) const CDS: &str = CLUSTER;
pub(crate) const EDS: &str = ENDPOINTS;
pub(crate) const LDS: &str = LISTENER;
pub(crate) const RDS: &str = ROUTES;
pub(crate) const VHDS: &str = VIRTUAL_HOST;
pub(crate) const ECDS: &str = EXTENSION_CONFIG;
pub(crate) const TTL_FEATURES: [&str; 2] = [
    "xds.config.supports-resource-ttl",
    "xds.config.supports-resource-in-sotw",
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    State,
    Delta,
}

/// The resources of one client.
#[derive(Default)]
pub(crate) struct World(BTreeMap<(TypeUrl, ResourceName), Arc<Resource>>);

impl View for World {
    fn resource(&self, type_url: &TypeUrl, name: &ResourceName) -> Option<Arc<Resource>> {
        let found = self.0.get(&(type_url.clone(), name.clone())).or_else(|| {
            self.0
                .iter()
                .find(|((url, _), resource)| url == type_url && resource.aliases.contains(name))
                .map(|(_, resource)| resource)
        });
        found.cloned()
    }

    fn names(&self, type_url: &TypeUrl) -> Vec<ResourceName> {
        let of_type = self.0.keys().filter(|(url, _)| url == type_url);
        of_type.map(|(_, name)| name.clone()).collect()
    }
}

pub(crate) struct Stream {
    variant: Variant,
    scope: Scope,
    limits: Limits,
    features: Vec<String>,
    session: Option<Session>,
    world: World,
    now: Instant,
    /// What the session asked to be told about.
    pub(crate) watched: BTreeSet<(TypeUrl, ResourceName)>,
    /// All responses, by their nonce.
    pub(crate) responses: BTreeMap<String, Response>,
}

pub(crate) fn delta() -> Stream {
    Stream::new(Variant::Delta, Scope::Aggregated)
}

pub(crate) fn state() -> Stream {
    Stream::new(Variant::State, Scope::Aggregated)
}

impl Stream {
    pub(crate) fn new(variant: Variant, scope: Scope) -> Self {
        Self {
            variant,
            scope,
            limits: Limits::default(),
            features: Vec::new(),
            session: None,
            world: World::default(),
            now: Instant::now(),
            watched: BTreeSet::new(),
            responses: BTreeMap::new(),
        }
    }

    /// Whether names are unsubscribed one by one.
    pub(crate) fn unsubscribes(&self) -> bool {
        self.variant == Variant::Delta
    }

    pub(crate) fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    pub(crate) fn with_features(mut self, features: &[&str]) -> Self {
        self.features = features.iter().map(ToString::to_string).collect();
        self
    }

    /// Puts resources into the world before the client comes: `name=version`.
    pub(crate) fn having(mut self, type_url: &str, resources: &str) -> Self {
        for word in resources.split_whitespace() {
            self.put(resource(word), type_url);
        }
        self
    }

    /// The next stream of the same client, to the same world.
    pub(crate) fn reconnected(self) -> Self {
        Self {
            session: None,
            watched: BTreeSet::new(),
            responses: BTreeMap::new(),
            ..self
        }
    }

    /// Changes resources (`name=version`) and removes some (`-name`), at once.
    pub(crate) fn change(&mut self, type_url: &str, changes: &str) -> Vec<String> {
        let mut names = Vec::new();
        for word in changes.split_whitespace() {
            names.extend(match word.strip_prefix('-') {
                Some(gone) => self.remove(type_url, gone),
                None => self.put(resource(word), type_url),
            });
        }
        self.tell(type_url, &names)
    }

    /// Changes resources without telling the session.
    pub(crate) fn put(&mut self, resource: Resource, type_url: &str) -> Vec<ResourceName> {
        let mut names = resource.aliases.clone();
        names.push(resource.name.clone());
        let key = (TypeUrl::from(type_url), resource.name.clone());
        if let Some(old) = self.world.0.insert(key, Arc::new(resource)) {
            names.extend(old.aliases.iter().cloned());
        }
        names
    }

    pub(crate) fn remove(&mut self, type_url: &str, gone: &str) -> Vec<ResourceName> {
        let key = (TypeUrl::from(type_url), name(gone));
        let resource = self.world.0.remove(&key).unwrap();
        let mut names = resource.aliases.clone();
        names.push(resource.name.clone());
        names
    }

    /// Tells the session of changes, if it asked to be told.
    pub(crate) fn tell(&mut self, type_url: &str, names: &[ResourceName]) -> Vec<String> {
        let type_url = TypeUrl::from(type_url);
        let watched =
            |name: &ResourceName| self.watched.contains(&(type_url.clone(), name.clone()));
        let told: Vec<_> = names
            .iter()
            .filter(|name| {
                watched(name)
                    || watched(&ResourceName::wildcard())
                    || name.collection().is_some_and(|c| watched(&c))
            })
            .collect();
        let Some(session) = &mut self.session else {
            return Vec::new();
        };
        let effects = session.changed(&type_url, told, &self.world, self.now);
        self.note(effects)
    }

    /// Subscribes: in state of the world, to exactly these names.
    pub(crate) fn subscribe(&mut self, type_url: &str, names: &[&str]) -> Vec<String> {
        self.send(self.request(type_url, names)).unwrap()
    }

    pub(crate) fn unsubscribe(&mut self, type_url: &str, names: &[&str]) -> Vec<String> {
        let mut request = self.request(type_url, &[]);
        let Ask::Delta { unsubscribe, .. } = &mut request.ask else {
            panic!("only delta requests unsubscribe");
        };
        *unsubscribe = texts(names);
        self.send(request).unwrap()
    }

    /// Accepts a response, and subscribes to these names; delta requests only name what is new.
    pub(crate) fn ack(&mut self, nonce: &str, names: &[&str]) -> Vec<String> {
        self.answer(nonce, names, None)
    }

    pub(crate) fn nack(&mut self, nonce: &str, names: &[&str]) -> Vec<String> {
        let error = ErrorDetail {
            code: 13,
            message: "bad".into(),
        };
        self.answer(nonce, names, Some(error))
    }

    fn answer(&mut self, nonce: &str, names: &[&str], error: Option<ErrorDetail>) -> Vec<String> {
        let response = &self.responses[nonce];
        let is_said = |text: &&str| {
            let key = (response.type_url.clone(), name(text));
            self.variant == Variant::State || !self.watched.contains(&key)
        };
        let names: Vec<&str> = names.iter().copied().filter(is_said).collect();
        let mut request = self.request(response.type_url.as_str(), &names);
        if let (Ask::State { version, .. }, Some(new), None) =
            (&mut request.ask, &response.version, &error)
        {
            *version = new.to_string();
        }
        request.nonce = nonce.into();
        request.error = error;
        self.send(request).unwrap()
    }

    /// A request of this stream's variant; the first one carries the node.
    pub(crate) fn request(&self, type_url: &str, names: &[&str]) -> Request {
        Request {
            type_url: type_url.into(),
            node: self.session.is_none().then(|| Node {
                id: "node".into(),
                client_features: self.features.clone(),
                ..Node::default()
            }),
            nonce: String::new(),
            error: None,
            ask: match self.variant {
                Variant::State => Ask::State {
                    version: String::new(),
                    names: texts(names),
                },
                Variant::Delta => Ask::Delta {
                    subscribe: texts(names),
                    unsubscribe: Vec::new(),
                    initial_versions: Vec::new(),
                },
            },
        }
    }

    /// A first request of a client that has resources from an earlier stream: `name=version`.
    pub(crate) fn resume(&mut self, type_url: &str, names: &[&str], has: &str) -> Vec<String> {
        let mut request = self.request(type_url, names);
        match &mut request.ask {
            Ask::State { version, .. } => *version = has.into(),
            Ask::Delta {
                initial_versions, ..
            } => {
                *initial_versions = has
                    .split_whitespace()
                    .map(|word| word.split_once('=').unwrap())
                    .map(|(name, version)| (name.into(), version.into()))
                    .collect();
            }
        }
        self.send(request).unwrap()
    }

    pub(crate) fn send(&mut self, request: Request) -> Result<Vec<String>, Refusal> {
        let session = match &mut self.session {
            Some(session) => session,
            empty => {
                let (session, _) = Session::open(self.scope.clone(), self.limits, &request)?;
                empty.insert(session)
            }
        };
        let effects = session.request(request, &self.world, self.now)?;
        Ok(self.note(effects))
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        let deadline = self.session.as_ref()?.deadline()?;
        Some(deadline.saturating_duration_since(self.now))
    }

    pub(crate) fn wait(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        let session = self.session.as_mut().unwrap();
        let effects = session.timeout(&self.world, self.now);
        self.note(effects)
    }

    pub(crate) fn all_changed(&mut self) -> Vec<String> {
        let session = self.session.as_mut().unwrap();
        let effects = session.all_changed(&self.world, self.now);
        self.note(effects)
    }

    /// The state-of-the-world version of a response.
    pub(crate) fn version(&self, nonce: &str) -> String {
        self.responses[nonce].version.as_ref().unwrap().to_string()
    }

    fn note(&mut self, effects: Vec<Effect>) -> Vec<String> {
        let mut shown = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send(response) => {
                    shown.push(show(&response));
                    let nonce = response.nonce.to_string();
                    assert!(self.responses.insert(nonce, response).is_none());
                }
                Effect::Subscribed { type_url, name } => {
                    assert!(self.watched.insert((type_url, name)));
                }
                Effect::Unsubscribed { type_url, name } => {
                    assert!(self.watched.remove(&(type_url, name)));
                }
                Effect::Acked { type_url, versions } => {
                    shown.push(format!("acked {}{}", short(&type_url), list(&versions)));
                }
                Effect::Nacked {
                    type_url,
                    versions,
                    error,
                } => shown.push(format!(
                    "nacked {}{}: {}",
                    short(&type_url),
                    list(&versions),
                    error.message
                )),
            }
        }
        shown
    }
}

/// Reads `name=version`, `name=version/TTL-in-seconds`, and aliases behind it: `,alias`.
pub(crate) fn resource(word: &str) -> Resource {
    let mut words = word.split(',');
    let (resource_name, version) = words.next().unwrap().rsplit_once('=').unwrap();
    let (version, ttl) = match version.split_once('/') {
        Some((version, seconds)) => (version, Some(Duration::from_secs(seconds.parse().unwrap()))),
        None => (version, None),
    };
    Resource {
        name: name(resource_name),
        version: version.into(),
        body: Bytes::copy_from_slice(version.as_bytes()),
        ttl,
        aliases: words.map(name).collect(),
    }
}

pub(crate) fn name(text: &str) -> ResourceName {
    ResourceName::new(text).unwrap()
}

pub(crate) fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// A list of many names.
pub(crate) fn many(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("name-{i}")).collect()
}

fn show(response: &Response) -> String {
    let mut text = format!("send {} #{}", short(&response.type_url), response.nonce);
    for item in &response.resources {
        let mark = if item.heartbeat { '~' } else { '=' };
        text += &format!(" {}{mark}{}", item.resource.name, item.resource.version);
        if let Some(ttl) = item.ttl {
            text += &format!("/{}", ttl.as_secs());
        }
    }
    for name in &response.removed {
        text += &format!(" -{name}");
    }
    text
}

fn list(versions: &[(ResourceName, meshwall_xds_protocol::Version)]) -> String {
    let each = versions.iter().map(|(name, v)| format!(" {name}={v}"));
    each.collect()
}

fn short(type_url: &TypeUrl) -> &'static str {
    match type_url.as_str() {
        CDS => "cds",
        EDS => "eds",
        LDS => "lds",
        RDS => "rds",
        VHDS => "vhds",
        ECDS => "ecds",
        _ => "other",
    }
}
