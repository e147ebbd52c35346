//! Responses: what is due, compared with what the client has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::channel::{Channel, is_set};
use crate::due::{Need, Taken};
use crate::held::Standing;
use crate::message::Item;
use crate::name::ResourceName;
use crate::resource::{Resource, Version, View};

/// What a response is made with.
pub(crate) struct Terms<'a, V> {
    pub(crate) view: &'a V,
    pub(crate) now: Instant,
    /// Whether a response holds the state of the world.
    pub(crate) is_state: bool,
    /// Whether the client understands times to live.
    pub(crate) ttl: bool,
    /// Whether other resources may still point to those that are to be removed.
    pub(crate) defer_removals: bool,
    pub(crate) response_bytes: usize,
}

/// A response without its nonce.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) items: Vec<Item>,
    pub(crate) removed: BTreeSet<ResourceName>,
    /// Versions of the resources that are sent in full.
    pub(crate) versions: Vec<(ResourceName, Version)>,
    names: BTreeSet<ResourceName>,
    bytes: usize,
}

impl Channel {
    /// Whether there may be something to send.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.is_update_due() || self.held.next_heartbeat().is_some_and(|at| at <= now)
    }

    /// Whether there may be a change to send.
    pub(crate) fn is_update_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Turns all that is due into a response, if the client need be told anything.
    pub(crate) fn respond<V: View>(&mut self, terms: &Terms<'_, V>) -> Option<Draft> {
        let taken = self.due.take(!terms.defer_removals);
        let beats = self.held.beat(terms.now);
        if terms.is_state && self.type_url.is_full_state() {
            return self.full_state(taken, !beats.is_empty(), terms);
        }
        let answer = taken.answer;
        let mut draft = Draft::default();
        for (name, need) in self.candidates(taken, terms.view, &mut draft) {
            if draft.bytes >= terms.response_bytes {
                self.due.add(name, need);
            } else {
                self.add(name, need, terms, &mut draft);
            }
        }
        for (name, version, ttl) in beats {
            draft.beat(self.resource(&name, terms.view), &version, ttl);
        }
        if terms.is_state {
            // It has no way to say that something is gone.
            draft.removed.clear();
        }
        (answer || !draft.items.is_empty() || !draft.removed.is_empty()).then_some(draft)
    }

    /// All of clusters or listeners, if any of it changed: what is missing counts as removed.
    /// A heartbeat resends everything, too. A response of heartbeats alone would not be all.
    fn full_state<V: View>(
        &mut self,
        taken: Taken,
        beats: bool,
        terms: &Terms<'_, V>,
    ) -> Option<Draft> {
        let mut draft = Draft::default();
        let mut send = taken.answer || beats;
        for (name, need) in self.candidates(taken, terms.view, &mut draft) {
            send = send
                || self.is_wanted(&name)
                    && (need == Need::Always
                        || match self.resource(&name, terms.view) {
                            Some(r) => !self.held.is_current(&r, r.ttl.filter(|_| terms.ttl)),
                            None => self.held.contains(&name) || self.aliases.contains_key(&name),
                        });
        }
        if !send {
            return None;
        }
        draft.removed.clear();
        let resources = self.subscribed(terms.view);
        self.held.retain(|name| resources.contains_key(name));
        self.aliases.clear();
        for name in self.subscription.names() {
            if let Some(resource) = self.resource(name, terms.view)
                && resource.name != *name
            {
                self.aliases.insert(name.clone(), resource.name.clone());
            }
        }
        for resource in resources.into_values() {
            self.send(resource, terms, &mut draft);
        }
        Some(draft)
    }

    /// The names to look at: those that are due, and the members of the sets that are.
    fn candidates<V: View>(
        &self,
        taken: Taken,
        view: &V,
        draft: &mut Draft,
    ) -> BTreeMap<ResourceName, Need> {
        let mut names = BTreeMap::new();
        let mut sets = Vec::new();
        for (name, need) in taken.names {
            if name.is_collection() {
                sets.push((name, need));
            } else {
                more(&mut names, name, need);
            }
        }
        if taken.all.is_none() && sets.is_empty() {
            return names;
        }
        let listed = view.names(&self.type_url);
        if let Some(need) = taken.all {
            for name in &listed {
                if self.subscription.covers(name) {
                    more(&mut names, name.clone(), need);
                }
            }
            for name in self.subscription.names().filter(|name| !is_set(name)) {
                more(&mut names, name.clone(), need);
            }
            for name in self.held.names() {
                more(&mut names, name.clone(), Need::IfChanged);
            }
        }
        for (set, need) in sets {
            let is_member = |name: &&ResourceName| name.collection().is_some_and(|c| c == set);
            let mut is_empty = true;
            for name in listed.iter().filter(is_member) {
                is_empty = false;
                more(&mut names, name.clone(), need);
            }
            for name in self.held.names().filter(is_member) {
                is_empty = false;
                more(&mut names, name.clone(), Need::IfChanged);
            }
            if is_empty && need == Need::Always && self.subscription.contains(&set) {
                draft.removed.insert(set);
            }
        }
        names
    }

    /// Adds to a response what there is to say about one name.
    fn add<V: View>(
        &mut self,
        name: ResourceName,
        need: Need,
        terms: &Terms<'_, V>,
        draft: &mut Draft,
    ) {
        // It may have been unsubscribed since it became due.
        if !self.is_wanted(&name) {
            return;
        }
        if let Some(resource) = self.resource(&name, terms.view) {
            if resource.name != name
                && let Some(other) = self.aliases.insert(name, resource.name.clone())
                && other != resource.name
                && self.is_orphan(&other, terms.view)
            {
                self.remove(other, draft);
            }
            let ttl = resource.ttl.filter(|_| terms.ttl);
            if need == Need::Always || !self.held.is_current(&resource, ttl) {
                self.send(resource, terms, draft);
            }
            return;
        }
        let resource = self.aliases.get(&name).unwrap_or(&name).clone();
        if self.is_orphan(&resource, terms.view) {
            if terms.defer_removals {
                self.due.defer(name);
            } else {
                self.aliases.remove(&name);
                self.remove(resource, draft);
            }
        } else if need == Need::Always {
            draft.removed.insert(name);
        }
    }

    fn send<V>(&mut self, resource: Arc<Resource>, terms: &Terms<'_, V>, draft: &mut Draft) {
        if !draft.names.insert(resource.name.clone()) {
            return;
        }
        let ttl = resource.ttl.filter(|_| terms.ttl);
        self.held.insert(&resource, ttl, Standing::Sent, terms.now);
        draft.bytes = draft.bytes.saturating_add(resource.body.len());
        draft
            .versions
            .push((resource.name.clone(), resource.version.clone()));
        draft.items.push(Item {
            resource,
            ttl,
            heartbeat: false,
        });
    }

    fn remove(&mut self, resource: ResourceName, draft: &mut Draft) {
        self.held.remove(&resource);
        draft.removed.insert(resource);
    }

    /// Whether the client has a resource that is gone, or to which nothing that it asked for leads.
    fn is_orphan<V: View>(&self, name: &ResourceName, view: &V) -> bool {
        self.held.contains(name)
            && !self
                .resource(name, view)
                .is_some_and(|r| r.name == *name && self.subscription.covers_resource(&r))
    }

    fn resource<V: View>(&self, name: &ResourceName, view: &V) -> Option<Arc<Resource>> {
        view.resource(&self.type_url, name)
    }
}

impl Draft {
    /// Adds a heartbeat, unless the resource itself is sent, or has changed and will be.
    fn beat(&mut self, resource: Option<Arc<Resource>>, version: &Version, ttl: Duration) {
        if let Some(resource) = resource
            && resource.version == *version
            && self.names.insert(resource.name.clone())
        {
            self.items.push(Item {
                resource,
                ttl: Some(ttl),
                heartbeat: true,
            });
        }
    }
}

fn more(names: &mut BTreeMap<ResourceName, Need>, name: ResourceName, need: Need) {
    let noted = names.entry(name).or_insert(need);
    *noted = need.max(*noted);
}
