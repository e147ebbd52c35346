//! A client that keeps to the protocol: what it asks for, what it has, what it has yet to say.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use meshwall_xds_protocol::type_url::{CLUSTER, EXTENSION_CONFIG, LISTENER, ROUTES};
use meshwall_xds_protocol::{Ask, ErrorDetail, Node, Request, Response};

pub(crate) const TYPES: [&str; 4] = [CLUSTER, LISTENER, ROUTES, EXTENSION_CONFIG];
/// Names of resources, a collection, and last the wildcard.
pub(crate) const NAMES: [&str; 6] = ["a", "b", "xdstp://x/t/c/d", "xdstp://x/t/c/e", GLOB, "*"];
const GLOB: &str = "xdstp://x/t/c/*";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    State,
    Delta,
}

/// Whether a resource belongs to what a subscription names.
pub(crate) fn covers(names: &BTreeSet<String>, name: &str) -> bool {
    names.contains(name)
        || names.contains("*")
        || name.starts_with("xdstp://x/t/c/") && names.contains(GLOB)
}

/// Whether the state of the world of a type is sent as a whole.
pub(crate) fn is_full(kind: &str) -> bool {
    kind == CLUSTER || kind == LISTENER
}

#[derive(Default)]
pub(crate) struct Kind {
    pub(crate) subscribed: BTreeSet<String>,
    pub(crate) has: BTreeMap<String, String>,
    /// The versions that were refused last.
    pub(crate) refused: BTreeMap<String, String>,
    /// Whether a removal may have been refused, so that more is kept than there is.
    pub(crate) kept: bool,
    /// Whether anything was sent on this stream.
    spoke: bool,
    /// The last nonce and version, in state of the world.
    nonce: String,
    version: String,
}

pub(crate) struct Client {
    pub(crate) variant: Variant,
    pub(crate) kinds: BTreeMap<&'static str, Kind>,
    pub(crate) to_server: VecDeque<Request>,
    said_node: bool,
}

impl Client {
    pub(crate) fn new(variant: Variant) -> Self {
        Self {
            variant,
            kinds: TYPES.into_iter().map(|t| (t, Kind::default())).collect(),
            to_server: VecDeque::new(),
            said_node: false,
        }
    }

    pub(crate) fn subscribe(&mut self, kind: usize, name: &str) {
        let url = TYPES[kind];
        let state = self.kind(url);
        let is_new = state.subscribed.insert(name.into());
        if self.variant == Variant::Delta {
            self.say(url, vec![name.into()], Vec::new(), String::new(), None);
        } else if is_new {
            self.say_all(url, None);
        }
    }

    pub(crate) fn unsubscribe(&mut self, kind: usize, name: &str) {
        if self.variant == Variant::State && name == "*" {
            // The document calls it safe to take a client of all at its version. It is unless the
            // client unsubscribes from all, and comes back and wants all again.
            return;
        }
        let url = TYPES[kind];
        let state = self.kind(url);
        let was_there = state.subscribed.remove(name);
        let subscribed = state.subscribed.clone();
        // It forgets what it does not want. Under a wildcard it keeps it, until it is told.
        state.has.retain(|name, _| covers(&subscribed, name));
        if self.variant == Variant::Delta {
            self.say(url, Vec::new(), vec![name.into()], String::new(), None);
        } else if was_there {
            self.say_all(url, None);
        }
    }

    /// Takes a response, and answers it.
    pub(crate) fn receive(&mut self, response: &Response, refuse: bool) {
        let variant = self.variant;
        let url = TYPES.into_iter().find(|t| *t == response.type_url.as_str());
        let url = url.expect("a type that was asked for");
        let state = self.kind(url);
        // To refuse what removes something would keep it; that is a story of its own.
        let refuse = refuse && response.removed.is_empty() && !response.resources.is_empty();
        state.nonce = response.nonce.to_string();
        let sent = response.resources.iter().map(|item| {
            let resource = &item.resource;
            (resource.name.to_string(), resource.version.to_string())
        });
        let sent: BTreeMap<String, String> = sent.collect();
        assert_eq!(sent.len(), response.resources.len(), "a name comes twice");
        if refuse {
            state.kept = true;
            state.refused.extend(sent);
        } else {
            if variant == Variant::State && is_full(url) {
                state.has.clear();
                state.kept = false;
            }
            let subscribed = &state.subscribed;
            let wanted = sent.into_iter().filter(|(n, _)| covers(subscribed, n));
            for (name, version) in wanted {
                state.refused.remove(&name);
                state.has.insert(name, version);
            }
            for name in &response.removed {
                state.has.remove(name.as_str());
            }
            if let Some(version) = &response.version {
                state.version = version.to_string();
            }
        }
        let error = refuse.then(|| ErrorDetail {
            code: 13,
            message: "bad".into(),
        });
        match variant {
            Variant::State => self.say_all(url, error),
            Variant::Delta => {
                let nonce = response.nonce.to_string();
                self.say(url, Vec::new(), Vec::new(), nonce, error);
            }
        }
    }

    /// Opens another stream: says again what it wants, and what it has.
    pub(crate) fn reconnect(&mut self) {
        self.to_server.clear();
        self.said_node = false;
        for url in TYPES {
            let state = self.kind(url);
            state.spoke = false;
            state.nonce.clear();
            let subscribed: Vec<String> = state.subscribed.iter().cloned().collect();
            if subscribed.is_empty() {
                continue;
            }
            match self.variant {
                Variant::State => self.say_all(url, None),
                Variant::Delta => self.say(url, subscribed, Vec::new(), String::new(), None),
            }
        }
    }

    fn say_all(&mut self, url: &'static str, error: Option<ErrorDetail>) {
        let state = self.kind(url);
        let names: Vec<String> = state.subscribed.iter().cloned().collect();
        // To say nothing at first would mean everything.
        if names.is_empty() && !state.spoke {
            return;
        }
        state.spoke = true;
        let (version, nonce) = (state.version.clone(), state.nonce.clone());
        self.push(url, nonce, error, Ask::State { version, names });
    }

    fn say(
        &mut self,
        url: &'static str,
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        nonce: String,
        error: Option<ErrorDetail>,
    ) {
        let state = self.kind(url);
        let mut initial_versions = Vec::new();
        if !state.spoke {
            initial_versions.extend(state.has.clone());
        }
        state.spoke = true;
        let ask = Ask::Delta {
            subscribe,
            unsubscribe,
            initial_versions,
        };
        self.push(url, nonce, error, ask);
    }

    fn push(&mut self, url: &str, nonce: String, error: Option<ErrorDetail>, ask: Ask) {
        let node = (!self.said_node).then(|| Node {
            id: "n".into(),
            ..Node::default()
        });
        self.said_node = true;
        self.to_server.push_back(Request {
            type_url: url.into(),
            node,
            nonce,
            error,
            ask,
        });
    }

    fn kind(&mut self, url: &'static str) -> &mut Kind {
        self.kinds.entry(url).or_default()
    }
}
