//! What a stream has to be told, until it asks.
//!
//! A publisher notes which names changed and wakes the stream. It never waits for it: a stream
//! whose client does not read costs a bounded set of names, and beyond that one mark which says
//! that anything may have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Mutex;
use std::task::Waker;

use meshwall_xds_protocol::{ResourceName, TypeUrl};

use crate::sync::lock;

/// Names that are noted one by one.
const MAX_NAMES: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    news: News,
    waker: Option<Waker>,
}

/// What happened since a stream asked last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Names that may have changed.
    pub(crate) names: BTreeMap<TypeUrl, BTreeSet<ResourceName>>,
    /// Any resource may have changed.
    pub(crate) all: bool,
    /// The server is shutting down, and the stream has to end.
    pub(crate) closing: bool,
    count: usize,
}

impl Mailbox {
    /// Notes that resources may have changed. Returns whom to wake.
    pub(crate) fn changed<'a>(
        &self,
        type_url: &TypeUrl,
        names: impl IntoIterator<Item = &'a ResourceName>,
    ) -> Option<Waker> {
        let mut inner = lock(&self.0);
        let news = &mut inner.news;
        if news.all {
            return None;
        }
        let noted = news.names.entry(type_url.clone()).or_default();
        for name in names {
            news.count += usize::from(noted.insert(name.clone()));
        }
        if news.count > MAX_NAMES {
            news.names.clear();
            news.all = true;
        }
        inner.waker.take()
    }

    /// Notes that any resource may have changed.
    pub(crate) fn all_changed(&self) {
        let waker = {
            let mut inner = lock(&self.0);
            inner.news.all = true;
            inner.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Asks the stream to end.
    pub(crate) fn close(&self) {
        let waker = {
            let mut inner = lock(&self.0);
            inner.news.closing = true;
            inner.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Takes what there is, or leaves word whom to wake when there is something.
    pub(crate) fn take(&self, waker: &Waker) -> Option<News> {
        let mut inner = lock(&self.0);
        if inner.news == News::default() {
            match &mut inner.waker {
                Some(old) => old.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
            return None;
        }
        Some(mem::take(&mut inner.news))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(i: usize) -> ResourceName {
        ResourceName::new(&i.to_string()).unwrap()
    }

    #[test]
    fn changes_of_one_name_merge() {
        let mailbox = Mailbox::default();
        let kind = TypeUrl::from("t");
        mailbox.changed(&kind, [&name(1), &name(2)]);
        mailbox.changed(&kind, [&name(1)]);
        let news = mailbox.take(Waker::noop()).unwrap();
        assert_eq!(news.names[&kind].len(), 2);
        assert_eq!(mailbox.take(Waker::noop()), None);
    }

    #[test]
    fn many_names_become_one_mark() {
        let mailbox = Mailbox::default();
        let kind = TypeUrl::from("t");
        for i in 0..10 * MAX_NAMES {
            mailbox.changed(&kind, [&name(i)]);
        }
        let news = mailbox.take(Waker::noop()).unwrap();
        assert!(news.all);
        assert!(news.names.is_empty());
    }
}
