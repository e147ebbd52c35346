//! The connections and requests that are under way, and what was decided about them.
//!
//! Envoy shows the head of a request in one callback and never again. A request that a later
//! policy may have to judge, such as a download or a subscription, therefore keeps its head for
//! as long as it lives. How much memory that takes is up to the peers, so there is a budget: a
//! request that does not fit into it keeps nothing, and a change of policy ends it.

use meshwall_filter_host::{ContextId, ContextMap, HeaderMap};

/// Most that is kept of all live requests of one virtual machine, in bytes.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// Most that is kept of one request, in bytes; few heads are longer, and no peer should fill the
/// budget with a handful of them.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// What is known about a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// Nothing has been decided.
    Undecided,
    /// The program of this generation permitted it.
    Permitted {
        /// Generation of the program.
        generation: u32,
    },
    /// It was refused; whatever still arrives is held back.
    Refused,
}

/// A connection or request.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) root: ContextId,
    pub(crate) state: State,
    /// Of an undecided connection, how often it was looked at.
    pub(crate) looks: u32,
    /// Of a permitted request, its head, if there was room for it.
    pub(crate) head: Option<HeaderMap>,
}

/// All that are under way.
#[derive(Debug, Default)]
pub(crate) struct LiveStreams {
    live: ContextMap<Stream>,
    kept_bytes: usize,
}

impl LiveStreams {
    pub(crate) fn begin(&mut self, context: ContextId, root: ContextId) {
        self.end(context);
        let stream = Stream {
            root,
            state: State::Undecided,
            looks: 0,
            head: None,
        };
        self.live.insert(context, stream);
    }

    pub(crate) fn get(&self, context: ContextId) -> Option<&Stream> {
        self.live.get(context)
    }

    /// Remembers what was decided about a stream.
    pub(crate) fn settle(&mut self, context: ContextId, state: State) {
        let Some(stream) = self.live.get_mut(context) else {
            return;
        };
        stream.state = state;
        if state == State::Refused {
            self.kept_bytes -= kept(stream.head.take().as_ref());
        }
    }

    /// Keeps the head of a request, within the budget.
    pub(crate) fn keep(&mut self, context: ContextId, head: HeaderMap) {
        let bytes = head.size();
        if bytes > MAX_HEAD_BYTES || bytes > MAX_KEPT_BYTES - self.kept_bytes {
            return;
        }
        if let Some(stream) = self.live.get_mut(context) {
            self.kept_bytes += bytes;
            self.kept_bytes -= kept(stream.head.replace(head).as_ref());
        }
    }

    /// Forgets a stream; whether there was one.
    pub(crate) fn end(&mut self, context: ContextId) -> bool {
        let ended = self.live.remove(context);
        let head = ended.as_ref().and_then(|stream| stream.head.as_ref());
        self.kept_bytes -= kept(head);
        ended.is_some()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (ContextId, &mut Stream)> {
        self.live.iter_mut()
    }
}

fn kept(head: Option<&HeaderMap>) -> usize {
    head.map_or(0, HeaderMap::size)
}

#[cfg(test)]
mod tests {
    use super::{LiveStreams, MAX_HEAD_BYTES, MAX_KEPT_BYTES, State};
    use meshwall_filter_host::{ContextId, HeaderMap, pairs};

    const ROOT: ContextId = ContextId(1);

    /// A head of so many bytes in all.
    fn head(bytes: usize) -> HeaderMap {
        let value = vec![b'v'; bytes - 14];
        HeaderMap::parse(pairs::encode(&[("", value)]).unwrap()).unwrap()
    }

    fn has_head(streams: &LiveStreams, context: u32) -> bool {
        streams.get(ContextId(context)).unwrap().head.is_some()
    }

    #[test]
    fn heads_are_kept_within_the_budget_and_given_back() {
        let mut streams = LiveStreams::default();
        let fit = u32::try_from(MAX_KEPT_BYTES / MAX_HEAD_BYTES).unwrap();
        for round in 0..3 {
            for context in 0..fit {
                streams.begin(ContextId(context), ROOT);
                streams.keep(ContextId(context), head(MAX_HEAD_BYTES));
                assert!(has_head(&streams, context), "{round}: {context}");
            }
            streams.begin(ContextId(fit), ROOT);
            streams.keep(ContextId(fit), head(100));
            assert!(!has_head(&streams, fit), "{round}: beyond the budget");

            // What was refused, what has ended and what begins anew gives back what it kept.
            streams.settle(ContextId(0), State::Refused);
            assert_eq!(streams.kept_bytes, MAX_KEPT_BYTES - MAX_HEAD_BYTES);
            streams.begin(ContextId(1), ROOT);
            assert_eq!(streams.kept_bytes, MAX_KEPT_BYTES - 2 * MAX_HEAD_BYTES);
            for context in 0..=fit {
                assert!(streams.end(ContextId(context)));
            }
            assert_eq!(streams.kept_bytes, 0);
        }
    }

    #[test]
    fn one_head_cannot_take_all() {
        let mut streams = LiveStreams::default();
        streams.begin(ContextId(2), ROOT);
        streams.keep(ContextId(2), head(MAX_HEAD_BYTES + 1));
        assert!(!has_head(&streams, 2));
        streams.keep(ContextId(2), head(MAX_HEAD_BYTES));
        streams.keep(ContextId(2), head(100));
        assert_eq!(streams.kept_bytes, 100);
    }

    #[test]
    fn a_stream_that_is_gone_keeps_nothing() {
        let mut streams = LiveStreams::default();
        streams.keep(ContextId(2), head(100));
        streams.settle(ContextId(2), State::Refused);
        assert!(!streams.end(ContextId(2)));
        assert_eq!(streams.kept_bytes, 0);
    }
}
