//! All resources, by view, and who is subscribed to them.
//!
//! A publication looks up the subscribers of the names that it changes, and of no others, so its
//! cost follows what changes and who wants it, and not how many resources and streams there are.
//!
//! A batch is applied under one lock: a stream sees all of it or nothing.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, RwLock};
use std::task::Waker;

use meshwall_xds_protocol::{Resource, ResourceName, TypeUrl, View};

use crate::mailbox::Mailbox;
use crate::sync::{read, write};

/// Names a view: the resources that are meant for one client, or for several that are alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewKey(Arc<str>);

/// A change of one resource in one view.
#[derive(Clone, Debug)]
pub enum Change {
    /// The view has this resource, in place of any other of the name.
    Set {
        /// The view.
        view: ViewKey,
        /// Type URL of the resource.
        type_url: TypeUrl,
        /// The resource. Views that have the same one should share it.
        resource: Arc<Resource>,
    },
    /// The view has no resource of the name.
    Remove {
        /// The view.
        view: ViewKey,
        /// Type URL of the resource.
        type_url: TypeUrl,
        /// Name of the resource.
        name: ResourceName,
    },
}

#[derive(Default)]
pub(crate) struct Store(RwLock<State>);

#[derive(Default)]
struct State {
    views: HashMap<ViewKey, Contents>,
    /// Counts publications.
    generation: u64,
}

/// What one view holds, and who looks at it.
#[derive(Default)]
struct Contents(BTreeMap<TypeUrl, Kind>);

#[derive(Default)]
struct Kind {
    resources: BTreeMap<ResourceName, Arc<Resource>>,
    /// Aliases, with the names that they stand for.
    aliases: BTreeMap<ResourceName, ResourceName>,
    /// By what is subscribed to: names, aliases, collections and `*`.
    subscribers: BTreeMap<ResourceName, Vec<Arc<Mailbox>>>,
}

/// A view as it is at one moment.
pub(crate) struct Snapshot<'a>(Option<&'a Contents>);

impl Store {
    /// Applies changes; returns how many resources are different now.
    pub(crate) fn publish(&self, changes: impl IntoIterator<Item = Change>) -> usize {
        let mut wakers = Vec::new();
        let mut changed = 0;
        {
            let mut state = write(&self.0);
            state.generation += 1;
            for change in changes {
                changed += usize::from(state.apply(change, &mut wakers));
            }
        }
        wakers.into_iter().for_each(Waker::wake);
        changed
    }

    /// Looks at a view. Returns the generation of what was seen as well.
    pub(crate) fn look<R>(&self, view: &ViewKey, at: impl FnOnce(&Snapshot<'_>) -> R) -> (R, u64) {
        let state = read(&self.0);
        let seen = at(&Snapshot(state.views.get(view)));
        (seen, state.generation)
    }

    /// Subscribes a stream to names of a view from now on. Returns the generation of now.
    pub(crate) fn subscribe<'a>(
        &self,
        view: &ViewKey,
        names: impl IntoIterator<Item = &'a (TypeUrl, ResourceName)>,
        mailbox: &Arc<Mailbox>,
    ) -> u64 {
        let mut state = write(&self.0);
        let contents = state.views.entry(view.clone()).or_default();
        for (type_url, name) in names {
            let kind = contents.0.entry(type_url.clone()).or_default();
            let subscribers = kind.subscribers.entry(name.clone()).or_default();
            subscribers.push(mailbox.clone());
        }
        state.generation
    }

    /// Ends subscriptions of a stream.
    pub(crate) fn unsubscribe<'a>(
        &self,
        view: &ViewKey,
        names: impl IntoIterator<Item = &'a (TypeUrl, ResourceName)>,
        mailbox: &Arc<Mailbox>,
    ) {
        let mut state = write(&self.0);
        let Some(contents) = state.views.get_mut(view) else {
            return;
        };
        for (type_url, name) in names {
            if let Some(kind) = contents.0.get_mut(type_url)
                && let Some(subscribers) = kind.subscribers.get_mut(name)
            {
                subscribers.retain(|other| !Arc::ptr_eq(other, mailbox));
                if subscribers.is_empty() {
                    kind.subscribers.remove(name);
                }
                contents.tidy(type_url);
            }
        }
        state.tidy(view);
    }
}

impl State {
    /// Applies a change; returns whether there was any.
    fn apply(&mut self, change: Change, wakers: &mut Vec<Waker>) -> bool {
        match change {
            Change::Set {
                view,
                type_url,
                resource,
            } => {
                let contents = self.views.entry(view).or_default();
                let kind = contents.0.entry(type_url.clone()).or_default();
                kind.set(&type_url, resource, wakers)
            }
            Change::Remove {
                view,
                type_url,
                name,
            } => {
                let Some(contents) = self.views.get_mut(&view) else {
                    return false;
                };
                let Some(kind) = contents.0.get_mut(&type_url) else {
                    return false;
                };
                let removed = kind.remove(&type_url, &name, wakers);
                contents.tidy(&type_url);
                self.tidy(&view);
                removed
            }
        }
    }

    /// Forgets a view that is neither filled nor looked at.
    fn tidy(&mut self, view: &ViewKey) {
        if self.views.get(view).is_some_and(|c| c.0.is_empty()) {
            self.views.remove(view);
        }
    }
}

impl Contents {
    fn tidy(&mut self, type_url: &TypeUrl) {
        let is_empty = |k: &Kind| k.resources.is_empty() && k.subscribers.is_empty();
        if self.0.get(type_url).is_some_and(is_empty) {
            self.0.remove(type_url);
        }
    }
}

impl Kind {
    fn set(&mut self, type_url: &TypeUrl, new: Arc<Resource>, wakers: &mut Vec<Waker>) -> bool {
        let name = new.name.clone();
        let old = self.resources.get(&name).cloned();
        if old.as_ref().is_some_and(|old| is_same(old, &new)) {
            return false;
        }
        if let Some(old) = &old {
            self.forget_aliases(old);
        }
        for alias in &new.aliases {
            self.aliases.insert(alias.clone(), name.clone());
        }
        self.resources.insert(name, new.clone());
        self.tell(type_url, &new, wakers);
        if let Some(old) = old {
            self.tell(type_url, &old, wakers);
        }
        true
    }

    fn remove(&mut self, type_url: &TypeUrl, name: &ResourceName, wakers: &mut Vec<Waker>) -> bool {
        let Some(old) = self.resources.remove(name) else {
            return false;
        };
        self.forget_aliases(&old);
        self.tell(type_url, &old, wakers);
        true
    }

    fn forget_aliases(&mut self, old: &Resource) {
        for alias in &old.aliases {
            if self.aliases.get(alias) == Some(&old.name) {
                self.aliases.remove(alias);
            }
        }
    }

    /// Tells all who are subscribed to any of a resource's names.
    fn tell(&self, type_url: &TypeUrl, resource: &Resource, wakers: &mut Vec<Waker>) {
        let names = || std::iter::once(&resource.name).chain(&resource.aliases);
        let collection = resource.name.collection();
        let subscribers = names()
            .chain(&collection)
            .filter_map(|name| self.subscribers.get(name))
            .chain(self.subscribers.get("*"))
            .flatten();
        for mailbox in subscribers {
            wakers.extend(mailbox.changed(type_url, names()));
        }
    }
}

/// Whether a client need not be told of the difference.
fn is_same(old: &Resource, new: &Resource) -> bool {
    old.version == new.version && old.ttl == new.ttl && old.aliases == new.aliases
}

impl View for Snapshot<'_> {
    fn resource(&self, type_url: &TypeUrl, name: &ResourceName) -> Option<Arc<Resource>> {
        let kind = self.0?.0.get(type_url)?;
        let found = kind
            .resources
            .get(name)
            .or_else(|| kind.resources.get(kind.aliases.get(name)?));
        found.cloned()
    }

    fn names(&self, type_url: &TypeUrl) -> Vec<ResourceName> {
        let kind = self.0.and_then(|contents| contents.0.get(type_url));
        kind.map(|kind| kind.resources.keys().cloned().collect())
            .unwrap_or_default()
    }
}

impl ViewKey {
    /// The key as it was made.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ViewKey {
    fn from(key: &str) -> Self {
        Self(key.into())
    }
}

impl fmt::Display for ViewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "t";

    fn name(text: &str) -> ResourceName {
        ResourceName::new(text).unwrap()
    }

    fn set(view: &str, text: &str, version: &str, aliases: &[&str]) -> Change {
        Change::Set {
            view: view.into(),
            type_url: TYPE.into(),
            resource: Arc::new(Resource {
                name: name(text),
                version: version.into(),
                body: bytes::Bytes::new(),
                ttl: None,
                aliases: aliases.iter().map(|a| name(a)).collect(),
            }),
        }
    }

    fn remove(view: &str, text: &str) -> Change {
        Change::Remove {
            view: view.into(),
            type_url: TYPE.into(),
            name: name(text),
        }
    }

    fn watch(store: &Store, view: &str, text: &str) -> Arc<Mailbox> {
        let mailbox = Arc::default();
        store.subscribe(&view.into(), &[(TYPE.into(), name(text))], &mailbox);
        mailbox
    }

    fn told(mailbox: &Mailbox) -> Vec<String> {
        let news = mailbox.take(Waker::noop());
        let names = news.into_iter().flat_map(|n| n.names.into_values());
        names.flatten().map(|n| n.to_string()).collect()
    }

    #[test]
    fn only_subscribers_of_the_name_in_the_view_are_told() {
        let store = Store::default();
        let a = watch(&store, "v", "a");
        let b = watch(&store, "v", "b");
        let all = watch(&store, "v", "*");
        let other = watch(&store, "w", "a");
        assert_eq!(store.publish([set("v", "a", "1", &[])]), 1);
        assert_eq!(told(&a), ["a"]);
        assert_eq!(told(&all), ["a"]);
        assert!(told(&b).is_empty());
        assert!(told(&other).is_empty());
    }

    #[test]
    fn what_is_the_same_is_no_change() {
        let store = Store::default();
        store.publish([set("v", "a", "1", &["x"])]);
        let a = watch(&store, "v", "a");
        assert_eq!(
            store.publish([set("v", "a", "1", &["x"]), remove("v", "b")]),
            0
        );
        assert!(told(&a).is_empty());
        assert_eq!(store.publish([set("v", "a", "1", &[])]), 1);
        assert_eq!(told(&a), ["a", "x"]);
    }

    #[test]
    fn subscribers_of_aliases_and_collections_are_told() {
        let store = Store::default();
        let alias = watch(&store, "v", "x");
        let member = "xdstp://a/t/c/m";
        let glob = watch(&store, "v", "xdstp://a/t/c/*");
        store.publish([set("v", "a", "1", &["x"]), set("v", member, "1", &[])]);
        assert_eq!(told(&alias), ["a", "x"]);
        assert_eq!(told(&glob), [member]);
        store.publish([set("v", "a", "2", &[])]);
        assert_eq!(told(&alias), ["a", "x"]);
        store.publish([set("v", "a", "3", &[])]);
        assert!(told(&alias).is_empty());
    }

    #[test]
    fn an_alias_stands_for_the_last_that_has_it() {
        let store = Store::default();
        store.publish([set("v", "a", "1", &["x"]), set("v", "b", "1", &["x"])]);
        store.publish([remove("v", "a")]);
        let found = store.look(&"v".into(), |view| view.resource(&TYPE.into(), &name("x")));
        assert_eq!(found.0.unwrap().name, name("b"));
    }

    #[test]
    fn nothing_is_kept_of_a_view_that_is_empty_and_not_looked_at() {
        let store = Store::default();
        let mailbox = watch(&store, "v", "a");
        store.publish([set("v", "a", "1", &[])]);
        store.publish([remove("v", "a")]);
        store.unsubscribe(&"v".into(), &[(TYPE.into(), name("a"))], &mailbox);
        assert!(read(&store.0).views.is_empty());
    }
}
