//! The logical stream of one type: what is subscribed, held, due and in flight.
//!
//! Within a gRPC stream each type is a world of its own. A channel sends one response at a time:
//! while the client has not answered it, changes merge in `due`, so a client that is slow costs
//! names and no copies, and skips what is overtaken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::due::{Due, Need};
use crate::held::{Held, Standing};
use crate::message::{Effect, ErrorDetail, Nonce};
use crate::name::ResourceName;
use crate::refusal::{Limits, Refusal};
use crate::resource::{Resource, Version, View};
use crate::subscription::Subscription;
use crate::type_url::TypeUrl;

/// What a message of a client is read with.
pub(crate) struct Context<'a, V> {
    pub(crate) view: &'a V,
    pub(crate) now: Instant,
    pub(crate) limits: &'a Limits,
    /// Whether the client understands times to live.
    pub(crate) ttl: bool,
    pub(crate) effects: Vec<Effect>,
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) type_url: TypeUrl,
    pub(crate) subscription: Subscription,
    pub(crate) held: Held,
    /// Aliases that are subscribed to, with the name of the resource that they last stood for.
    pub(crate) aliases: BTreeMap<ResourceName, ResourceName>,
    pub(crate) due: Due,
    /// The nonce of the last response.
    last: Option<Nonce>,
    in_flight: Option<InFlight>,
}

/// A response that the client has not answered yet.
#[derive(Debug)]
struct InFlight {
    nonce: Nonce,
    versions: Vec<(ResourceName, Version)>,
}

/// What the nonce of a request refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Correlation {
    /// To no response: the client has not been sent any, or speaks of its subscription only.
    None,
    /// To the last response.
    Last,
    /// To an earlier one, or the client cannot have seen the last one when it sent the request.
    Stale,
}

impl Channel {
    pub(crate) fn new(type_url: TypeUrl) -> Self {
        Self {
            type_url,
            subscription: Subscription::default(),
            held: Held::default(),
            aliases: BTreeMap::new(),
            due: Due::default(),
            last: None,
            in_flight: None,
        }
    }

    /// Whether the client has answered all that it was sent.
    pub(crate) fn is_settled(&self) -> bool {
        self.in_flight.is_none()
    }

    /// The resources of the response that the client has not answered yet.
    pub(crate) fn in_flight(&self) -> Vec<ResourceName> {
        let versions = self.in_flight.iter().flat_map(|f| &f.versions);
        versions.map(|(name, _)| name.clone()).collect()
    }

    /// Notes that a response was sent.
    pub(crate) fn sent(&mut self, nonce: Nonce, versions: Vec<(ResourceName, Version)>) {
        self.last = Some(nonce);
        self.in_flight = Some(InFlight { nonce, versions });
    }

    pub(crate) fn correlate(&self, nonce: &str) -> Correlation {
        match self.last {
            None => Correlation::None,
            Some(last) if last.is(nonce) => Correlation::Last,
            Some(_) if nonce.is_empty() && self.is_settled() => Correlation::None,
            Some(_) => Correlation::Stale,
        }
    }

    /// Settles the response in flight, if this is its nonce.
    pub(crate) fn answer<V>(
        &mut self,
        nonce: &str,
        error: Option<ErrorDetail>,
        context: &mut Context<'_, V>,
    ) {
        let Some(InFlight { versions, .. }) = self.in_flight.take_if(|f| f.nonce.is(nonce)) else {
            return;
        };
        let type_url = self.type_url.clone();
        context.effects.push(match error {
            None => {
                self.held.settle(&versions, Standing::Accepted);
                Effect::Acked { type_url, versions }
            }
            Some(mut error) => {
                self.held.settle(&versions, Standing::Rejected);
                let end = error
                    .message
                    .floor_char_boundary(context.limits.reason_bytes);
                error.message.truncate(end);
                Effect::Nacked {
                    type_url,
                    versions,
                    error,
                }
            }
        });
    }

    /// Notes that a resource may have changed.
    pub(crate) fn changed(&mut self, name: &ResourceName, limits: &Limits) {
        if self.is_wanted(name) {
            self.due.add(name.clone(), Need::IfChanged);
            if self.due.len() > limits.names {
                self.due.collapse();
            }
        }
    }

    /// Whether the client is to be told about a resource of this name.
    pub(crate) fn is_wanted(&self, name: &ResourceName) -> bool {
        self.subscription.covers(name) || self.held.contains(name)
    }

    pub(crate) fn subscribe<V>(&mut self, name: ResourceName, context: &mut Context<'_, V>) {
        if self.subscription.insert(name.clone()) {
            self.tell_subscribed(name, context);
        }
    }

    pub(crate) fn tell_subscribed<V>(&self, name: ResourceName, context: &mut Context<'_, V>) {
        let type_url = self.type_url.clone();
        context.effects.push(Effect::Subscribed { type_url, name });
    }

    /// Removes a name; returns the name of the resource that it stood for.
    pub(crate) fn unsubscribe<V>(
        &mut self,
        name: ResourceName,
        context: &mut Context<'_, V>,
    ) -> Option<ResourceName> {
        if !self.subscription.remove(&name) {
            return None;
        }
        if name.is_wildcard() {
            // Otherwise the next acknowledgement, which names nothing, would bring it back.
            self.subscription.names_something();
        }
        let resource = self.aliases.remove(&name).unwrap_or_else(|| name.clone());
        let type_url = self.type_url.clone();
        context
            .effects
            .push(Effect::Unsubscribed { type_url, name });
        Some(resource)
    }

    /// Forgets what the client drops, because nothing subscribes to it any more.
    pub(crate) fn forget_unsubscribed(&mut self) {
        let (subscription, aliases) = (&self.subscription, &self.aliases);
        self.held.retain(|name| {
            subscription.covers(name) || aliases.values().any(|resource| resource == name)
        });
    }

    /// All that is subscribed to and exists, by the names of the resources.
    pub(crate) fn subscribed<V: View>(&self, view: &V) -> BTreeMap<ResourceName, Arc<Resource>> {
        let listed = if self.subscription.names().any(is_set) {
            view.names(&self.type_url)
        } else {
            Vec::new()
        };
        listed
            .iter()
            .filter(|name| self.subscription.covers(name))
            .chain(self.subscription.names().filter(|name| !is_set(name)))
            .filter_map(|name| view.resource(&self.type_url, name))
            .map(|resource| (resource.name.clone(), resource))
            .collect()
    }
}

/// Whether a name stands for any number of resources.
pub(crate) fn is_set(name: &ResourceName) -> bool {
    name.is_wildcard() || name.is_collection()
}

/// Reads the names of a request.
pub(crate) fn read_names(texts: &[String], limits: &Limits) -> Result<Vec<ResourceName>, Refusal> {
    texts.iter().map(|text| read_name(text, limits)).collect()
}

pub(crate) fn read_name(text: &str, limits: &Limits) -> Result<ResourceName, Refusal> {
    limits.check("resource name", text)?;
    ResourceName::new(text).map_err(|error| Refusal::BadName {
        name: text.to_owned(),
        error,
    })
}
