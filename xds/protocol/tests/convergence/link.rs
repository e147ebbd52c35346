//! A session, a client, what is on the way between them, and the rules for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use meshwall_xds_protocol::{
    Ask, Effect, Limits, Request, Resource, ResourceName, Response, Scope, Session, TypeUrl, View,
};

use crate::client::{Client, NAMES, TYPES, Variant, covers, is_full};

/// Messages after which a client that only answers must have come to rest.
const MAX_MESSAGES: usize = 1000;

#[derive(Default)]
struct World(BTreeMap<TypeUrl, BTreeMap<ResourceName, Arc<Resource>>>);

impl View for World {
    fn resource(&self, type_url: &TypeUrl, name: &ResourceName) -> Option<Arc<Resource>> {
        self.0.get(type_url)?.get(name).cloned()
    }

    fn names(&self, type_url: &TypeUrl) -> Vec<ResourceName> {
        let kind = self.0.get(type_url);
        kind.map(|k| k.keys().cloned().collect())
            .unwrap_or_default()
    }
}

/// What the server is allowed to do for one type of one stream.
#[derive(Default)]
struct Rules {
    /// The nonce of the response that the server has no answer to.
    in_flight: Option<String>,
    /// The last version that was sent, or that the client said it has.
    sent: BTreeMap<String, String>,
    /// Names to be answered, whatever was sent.
    asked: BTreeSet<String>,
    /// What the server was last told is subscribed to.
    subscribed: BTreeSet<String>,
    /// Whether the server has seen a request.
    spoke: bool,
}

pub(crate) struct Link {
    pub(crate) client: Client,
    world: World,
    session: Option<Session>,
    watched: BTreeSet<(TypeUrl, ResourceName)>,
    to_client: VecDeque<Response>,
    rules: BTreeMap<TypeUrl, Rules>,
}

impl Link {
    pub(crate) fn new(variant: Variant) -> Self {
        Self {
            client: Client::new(variant),
            world: World::default(),
            session: None,
            watched: BTreeSet::new(),
            to_client: VecDeque::new(),
            rules: BTreeMap::new(),
        }
    }

    pub(crate) fn change(&mut self, changes: &[(usize, usize, Option<u8>)]) {
        let mut told: BTreeMap<TypeUrl, Vec<ResourceName>> = BTreeMap::new();
        for (kind, name, version) in changes {
            let type_url = TypeUrl::from(TYPES[*kind]);
            // A collection is no resource.
            let name = ResourceName::new(NAMES[*name]).unwrap();
            if name.is_collection() {
                continue;
            }
            let resources = self.world.0.entry(type_url.clone()).or_default();
            match version {
                Some(version) => {
                    let resource = Resource {
                        name: name.clone(),
                        version: version.to_string().as_str().into(),
                        body: Bytes::new(),
                        ttl: None,
                        aliases: Vec::new(),
                    };
                    resources.insert(name.clone(), Arc::new(resource));
                }
                None => {
                    resources.remove(&name);
                    if self.client.variant == Variant::State {
                        // It cannot be told, so what comes back is news.
                        let rules = self.rules.entry(type_url.clone()).or_default();
                        rules.sent.remove(name.as_str());
                    }
                }
            }
            let is_watched =
                |name: &ResourceName| self.watched.contains(&(type_url.clone(), name.clone()));
            if is_watched(&name)
                || is_watched(&ResourceName::wildcard())
                || name.collection().is_some_and(|c| is_watched(&c))
            {
                told.entry(type_url).or_default().push(name);
            }
        }
        for (type_url, names) in told {
            if let Some(session) = &mut self.session {
                let effects = session.changed(&type_url, &names, &self.world, Instant::now());
                self.note(effects);
            }
        }
    }

    pub(crate) fn all_changed(&mut self) {
        if let Some(session) = &mut self.session {
            let effects = session.all_changed(&self.world, Instant::now());
            self.note(effects);
        }
    }

    pub(crate) fn server_receives(&mut self) {
        let Some(request) = self.client.to_server.pop_front() else {
            return;
        };
        self.rule(&request);
        let session = match &mut self.session {
            Some(session) => session,
            none => {
                let opened = Session::open(Scope::Aggregated, Limits::default(), &request);
                none.insert(opened.expect("a good client").0)
            }
        };
        let effects = session.request(request, &self.world, Instant::now());
        self.note(effects.expect("a good client"));
    }

    pub(crate) fn client_receives(&mut self, refuse: bool) {
        if let Some(response) = self.to_client.pop_front() {
            self.client.receive(&response, refuse);
        }
    }

    pub(crate) fn reconnect(&mut self) {
        self.session = None;
        self.watched.clear();
        self.to_client.clear();
        self.rules.clear();
        self.client.reconnect();
    }

    /// Lets all messages arrive, and compares what the client has with what there is.
    pub(crate) fn settle(&mut self) {
        let mut messages = 0;
        while !(self.to_client.is_empty() && self.client.to_server.is_empty()) {
            self.server_receives();
            self.client_receives(false);
            messages += 1;
            assert!(
                messages < MAX_MESSAGES,
                "the client and the server go on for ever"
            );
        }
        let none = BTreeMap::new();
        for (url, kind) in &self.client.kinds {
            let resources = self.world.0.get(*url).unwrap_or(&none);
            for (name, resource) in resources {
                let name = name.as_str();
                if !covers(&kind.subscribed, name) {
                    continue;
                }
                let version = resource.version.to_string();
                let is_known = kind.has.get(name) == Some(&version)
                    || kind.refused.get(name) == Some(&version);
                assert!(
                    is_known,
                    "{url} {name}: {version}, but {:?}",
                    kind.has.get(name)
                );
            }
            let tells_removals = self.client.variant == Variant::Delta || is_full(url);
            for name in kind.has.keys() {
                assert!(
                    resources.contains_key(name.as_str()) || kind.kept || !tells_removals,
                    "{url} {name}: gone, but the client has it"
                );
            }
        }
    }

    /// Notes what a request allows the server to send.
    fn rule(&mut self, request: &Request) {
        let rules = self
            .rules
            .entry(TypeUrl::from(&*request.type_url))
            .or_default();
        let is_stale = rules
            .in_flight
            .as_ref()
            .is_some_and(|n| *n != request.nonce);
        if !is_stale {
            rules.in_flight = None;
        }
        match &request.ask {
            Ask::Delta {
                subscribe,
                unsubscribe,
                initial_versions,
            } => {
                for name in unsubscribe {
                    if rules.subscribed.remove(name) {
                        rules.asked.insert(name.clone());
                    }
                }
                let subscribed = &rules.subscribed;
                rules.sent.retain(|name, _| covers(subscribed, name));
                rules.subscribed.extend(subscribe.iter().cloned());
                if rules.spoke || initial_versions.is_empty() {
                    rules.asked.extend(subscribe.iter().cloned());
                } else {
                    rules.sent = initial_versions.iter().cloned().collect();
                }
            }
            Ask::State { names, .. } => {
                let names: BTreeSet<String> = names.iter().cloned().collect();
                let new = names.difference(&rules.subscribed);
                rules.asked.extend(new.cloned());
                rules.subscribed = names;
                let subscribed = &rules.subscribed;
                rules.sent.retain(|name, _| covers(subscribed, name));
            }
        }
        rules.spoke = true;
    }

    fn note(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(response) => {
                    self.judge(&response);
                    self.to_client.push_back(response);
                }
                Effect::Subscribed { type_url, name } => {
                    assert!(self.watched.insert((type_url, name)), "watched twice");
                }
                Effect::Unsubscribed { type_url, name } => {
                    assert!(self.watched.remove(&(type_url, name)), "not watched");
                }
                Effect::Acked { .. } | Effect::Nacked { .. } => {}
            }
        }
    }

    /// Holds a response against the rules.
    fn judge(&mut self, response: &Response) {
        let url = &response.type_url;
        let rules = self.rules.entry(url.clone()).or_default();
        let nonce = response.nonce.to_string();
        assert_eq!(rules.in_flight, None, "{url}: two responses in flight");
        rules.in_flight = Some(nonce);
        let is_state = self.client.variant == Variant::State;
        let all = BTreeMap::new();
        let world = self.world.0.get(url).unwrap_or(&all);
        for item in &response.resources {
            let (name, version) = (item.resource.name.as_str(), &item.resource.version);
            assert!(
                covers(&rules.subscribed, name),
                "{url} {name}: nobody asked"
            );
            let current = world.get(name).map(|r| &r.version);
            assert_eq!(current, Some(version), "{url} {name}: not what there is");
            let again = rules.sent.insert(name.into(), version.to_string());
            let is_asked = rules.asked.contains(name)
                || covers(&rules.asked, name)
                || is_state && is_full(url.as_str());
            assert!(
                again != Some(version.to_string()) || is_asked,
                "{url} {name}={version}: sent twice"
            );
        }
        if is_state && is_full(url.as_str()) {
            let wanted = world
                .keys()
                .filter(|n| covers(&rules.subscribed, n.as_str()));
            assert_eq!(response.resources.len(), wanted.count(), "{url}: not all");
        }
        assert!(!is_state || response.removed.is_empty());
        for name in &response.removed {
            assert!(!world.contains_key(name), "{url} {name}: it is there");
            rules.sent.remove(name.as_str());
        }
        // What was asked for is answered with the first response after it.
        rules.asked.clear();
    }
}
