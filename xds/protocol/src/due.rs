//! What a client has to be told of one type, once it has answered the response before.
//!
//! Changes merge here: a name is noted once, however often it changes, and what is sent is what the
//! view has when the response is made.

use std::collections::BTreeMap;
use std::mem;

use crate::name::ResourceName;

/// Whether to send a resource that the client already has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// It may have changed: send it if it did.
    IfChanged,
    /// The client asked for it: answer, whatever it is thought to have.
    Always,
}

#[derive(Debug, Default)]
pub(crate) struct Due {
    names: BTreeMap<ResourceName, Need>,
    /// Everything that is subscribed to.
    all: Option<Need>,
    /// Answer, even if there is nothing to send.
    answer: bool,
    /// Removals that wait until nothing points to the resources any more. Not counted as due.
    deferred: Vec<ResourceName>,
}

/// What was due, taken out to be turned into a response.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) names: BTreeMap<ResourceName, Need>,
    pub(crate) all: Option<Need>,
    pub(crate) answer: bool,
}

impl Due {
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.all.is_none() && !self.answer
    }

    pub(crate) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// How many names are noted one by one.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn add(&mut self, name: ResourceName, need: Need) {
        let noted = self.names.entry(name).or_insert(need);
        *noted = need.max(*noted);
    }

    pub(crate) fn add_all(&mut self, need: Need) {
        self.all = self.all.max(Some(need));
    }

    pub(crate) fn answer(&mut self) {
        self.answer = true;
    }

    pub(crate) fn defer(&mut self, name: ResourceName) {
        self.deferred.push(name);
    }

    /// Looks at everything in place of many names that may have changed.
    pub(crate) fn collapse(&mut self) {
        self.names.retain(|_, need| *need == Need::Always);
        self.add_all(Need::IfChanged);
    }

    /// Takes out all that is due, with the removals that need not wait any longer.
    pub(crate) fn take(&mut self, with_deferred: bool) -> Taken {
        let mut names = mem::take(&mut self.names);
        if with_deferred {
            for name in self.deferred.drain(..) {
                names.entry(name).or_insert(Need::IfChanged);
            }
        }
        Taken {
            names,
            all: self.all.take(),
            answer: mem::take(&mut self.answer),
        }
    }
}
