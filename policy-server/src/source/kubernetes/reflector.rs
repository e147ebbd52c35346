//! What to ask an API server next, so that one kind of one cluster is known as it is there.
//!
//! A list, in pages, and then a watch from the version of the list; when the watch cannot go on, a
//! list again. This is the protocol without its connections: requests out, answers in, and what
//! they mean for the index. Its rules:
//!
//! - A list is told as a whole, once it is complete. It replaces what was known; until then, what
//!   was known holds.
//! - A version that is gone (410) ends in a new list, whether the server says so by the status of an
//!   answer or by an event. Asking again from the same version would be answered the same for ever.
//! - A watch that fails or ends is resumed from the last version that it has told. After
//!   [`RESUMPTIONS`] in a row without an event, the version itself is in doubt, and all is listed.
//! - A list that is older than what was told already, as a lagging replica of the server may send
//!   it, is asked for again, but not more than [`STALE_LISTS`] times: a store that was restored from
//!   a backup is older for good.
//! - Of a watch, what is older than what it told before is passed over.
//! - Waits grow from failure to failure ([`Backoff`]), and begin anew with an event or a watch that
//!   lasts. A list that succeeds is not enough: where every watch fails, lists would be asked for as
//!   fast as can be.
//!
//! Versions are numbers that grow within a kind (Kubernetes documentation, "Resource versions").
//! Where they are none, they are taken as they come.

use std::time::Duration;

use super::backoff::Backoff;

/// Failures of a watch in a row after which all is listed.
pub(super) const RESUMPTIONS: u32 = 3;

/// Lists in a row that may be refused for being older than what was told.
pub(super) const STALE_LISTS: u32 = 5;

/// A watch that lasted so long and told nothing is no failure: nothing has happened.
const LONG: Duration = Duration::from_secs(5);

/// The longest that a server may ask to be left alone.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// Objects of one page of a list.
pub(super) const PAGE: u32 = 500;

/// The next request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Request {
    /// A page of a list: the first, or the one that this token stands for.
    List {
        limit: Option<u32>,
        token: Option<String>,
    },
    /// A watch of what happens after a version.
    Watch { version: String },
}

/// A page of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Page<T> {
    pub(super) objects: Vec<T>,
    pub(super) version: String,
    /// Token of the page that follows.
    pub(super) token: Option<String>,
}

/// An event of a watch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Event<T> {
    Applied { version: String, object: T },
    Deleted { version: String, object: T },
    Bookmark { version: String },
}

/// Why a request has failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// The version, or the token of a page, is not known any more.
    Gone,
    /// The server asks to come back after this time.
    Busy(Option<Duration>),
    /// An answer is larger than it may be.
    TooLarge,
    /// Anything else: no connection, no answer in time, an error.
    Other,
}

/// What an answer means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Told<T> {
    /// Nothing.
    Nothing,
    /// These are all objects.
    All(Vec<T>),
    /// This object is now so.
    Applied(T),
    /// This object is gone.
    Deleted(T),
}

#[derive(Debug)]
pub(super) struct Reflector<T> {
    state: State<T>,
    /// The newest version that was told.
    told: Option<u64>,
    stale: u32,
    /// Lists in a row that ended before they were complete.
    unfinished: u32,
    limit: u32,
    backoff: Backoff,
}

#[derive(Debug)]
enum State<T> {
    /// Some pages are here; the token is that of the next.
    Listing {
        objects: Vec<T>,
        token: Option<String>,
    },
    Watching {
        version: String,
        /// Watches in a row that ended without an event.
        resumed: u32,
    },
}

impl<T> Reflector<T> {
    pub(super) fn new(backoff: Backoff) -> Reflector<T> {
        Reflector {
            state: State::start(),
            told: None,
            stale: 0,
            unfinished: 0,
            limit: PAGE,
            backoff,
        }
    }

    /// What to ask now.
    pub(super) fn next(&self) -> Request {
        match &self.state {
            State::Listing { token, .. } => Request::List {
                // Pages of one list are of one version, which a busy store may forget between two
                // of them. Then it is asked for all at once.
                limit: (self.unfinished < 2).then_some(self.limit),
                token: token.clone(),
            },
            State::Watching { version, .. } => Request::Watch {
                version: version.clone(),
            },
        }
    }

    /// Takes a page of a list; how long to wait before the next request comes with what it means.
    pub(super) fn page(&mut self, page: Page<T>) -> (Told<T>, Duration) {
        let State::Listing { objects, token } = &mut self.state else {
            return (Told::Nothing, Duration::ZERO);
        };
        objects.extend(page.objects);
        if page.token.is_some() {
            *token = page.token;
            return (Told::Nothing, Duration::ZERO);
        }
        let version = number(&page.version);
        if version < self.told && version.is_some() && self.stale < STALE_LISTS {
            self.stale += 1;
            self.state = State::start();
            return (Told::Nothing, self.backoff.next());
        }
        let objects = std::mem::take(objects);
        self.told = version;
        self.stale = 0;
        self.unfinished = 0;
        self.state = State::Watching {
            version: page.version,
            resumed: 0,
        };
        (Told::All(objects), Duration::ZERO)
    }

    /// Takes an event of a watch.
    pub(super) fn event(&mut self, event: Event<T>) -> Told<T> {
        let State::Watching { version, resumed } = &mut self.state else {
            return Told::Nothing;
        };
        let (found, told) = match event {
            Event::Applied { version, object } => (version, Told::Applied(object)),
            Event::Deleted { version, object } => (version, Told::Deleted(object)),
            Event::Bookmark { version } => (version, Told::Nothing),
        };
        *resumed = 0;
        self.backoff.reset();
        let newest = number(&found);
        if newest.is_some() && newest < self.told {
            return Told::Nothing;
        }
        self.told = newest.or(self.told);
        // To watch from no version is to begin anywhere.
        if !found.is_empty() {
            *version = found;
        }
        told
    }

    /// Takes the end of a watch, which every watch has; how long to wait before the next request.
    pub(super) fn ended(&mut self, lasted: Duration) -> Duration {
        if lasted >= LONG {
            self.backoff.reset();
            return Duration::ZERO;
        }
        self.resume();
        self.backoff.next()
    }

    /// Takes the failure of a request; how long to wait before the next one.
    pub(super) fn failed(&mut self, failure: Failure) -> Duration {
        let wait = match failure {
            Failure::Busy(Some(wait)) => wait.min(LONGEST_ASKED).max(self.backoff.next()),
            Failure::Busy(None) | Failure::Gone | Failure::TooLarge | Failure::Other => {
                self.backoff.next()
            }
        };
        match &self.state {
            State::Listing { .. } => {
                match failure {
                    Failure::TooLarge => self.limit = (self.limit / 8).max(1),
                    Failure::Gone => self.unfinished += 1,
                    Failure::Busy(_) | Failure::Other => {}
                }
                self.state = State::start();
            }
            State::Watching { .. } if failure == Failure::Gone => self.state = State::start(),
            State::Watching { .. } => {
                self.resume();
            }
        }
        wait
    }

    /// Takes that the kind is not there at all: there is no object of it.
    pub(super) fn absent(&mut self) -> (Told<T>, Duration) {
        self.state = State::start();
        self.told = None;
        (Told::All(Vec::new()), self.backoff.longest())
    }

    /// Goes on with a watch that told nothing, or lists if it was one too many.
    fn resume(&mut self) {
        if let State::Watching { resumed, .. } = &mut self.state {
            *resumed += 1;
            if *resumed > RESUMPTIONS {
                self.state = State::start();
            }
        }
    }
}

impl<T> State<T> {
    fn start() -> State<T> {
        State::Listing {
            objects: Vec::new(),
            token: None,
        }
    }
}

fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}

#[cfg(test)]
mod tests;
