//! What a client has asked to be sent of one type.
//!
//! The protocol document, "How the client specifies what resources to return": a client that has
//! never named a resource of a type means all of them. Once it has, an empty list means none.

use std::collections::BTreeSet;

use crate::name::ResourceName;
use crate::resource::Resource;

#[derive(Debug, Default)]
pub(crate) struct Subscription {
    /// Names as they were subscribed to: of resources, aliases and glob collections, and `*`.
    names: BTreeSet<ResourceName>,
    /// Bytes of the names.
    bytes: usize,
    /// Whether an empty list no longer means the wildcard.
    explicit: bool,
}

impl Subscription {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &ResourceName> {
        self.names.iter()
    }

    pub(crate) fn contains(&self, name: &ResourceName) -> bool {
        self.names.contains(name)
    }

    pub(crate) fn has_wildcard(&self) -> bool {
        self.names.contains("*")
    }

    /// Whether it is to all resources, and to none by its name.
    pub(crate) fn is_all(&self) -> bool {
        self.has_wildcard() && self.names.len() == 1
    }

    /// Whether a resource of this name was asked for, by the name or by a collection.
    pub(crate) fn covers(&self, name: &ResourceName) -> bool {
        self.names.contains(name)
            || self.has_wildcard()
            || name.collection().is_some_and(|c| self.names.contains(&c))
    }

    /// Whether the resource was asked for under any of its names.
    pub(crate) fn covers_resource(&self, resource: &Resource) -> bool {
        self.covers(&resource.name) || resource.aliases.iter().any(|a| self.names.contains(a))
    }

    /// Takes note that a request names nothing. Returns whether that subscribes to all.
    pub(crate) fn names_nothing(&mut self) -> bool {
        !self.explicit && self.insert(ResourceName::wildcard())
    }

    /// Takes note that a request names something, so that to name nothing loses its old meaning.
    pub(crate) fn names_something(&mut self) {
        self.explicit = true;
    }

    /// Whether the client has named something.
    pub(crate) fn is_explicit(&self) -> bool {
        self.explicit
    }

    /// Adds a name; returns whether it is new.
    pub(crate) fn insert(&mut self, name: ResourceName) -> bool {
        let bytes = name.as_str().len();
        let new = self.names.insert(name);
        if new {
            self.bytes += bytes;
        }
        new
    }

    /// Removes a name; returns whether it was there.
    pub(crate) fn remove(&mut self, name: &ResourceName) -> bool {
        let there = self.names.remove(name);
        if there {
            self.bytes -= name.as_str().len();
        }
        there
    }
}
