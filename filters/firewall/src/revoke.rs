//! Brings a changed policy to the streams that live.
//!
//! A download, a subscription or a database connection can outlive many policies. When a program
//! replaces another, the streams that the old one permitted are decided again, some at each tick
//! so that the worker is never held up, and those that the new one does not permit are closed.
//! A program in which a policy expires counts as a new one from time to time.
//!
//! In Envoy 1.40 a tick can ask for the properties of a connection and for the claims of a
//! request, but no longer for the head of a request: see [`streams`](crate::streams).

use std::time::Duration;

use meshwall_filter_host::ContextId;
use meshwall_policy::decision::{Decision, Verdict};

use crate::installed::{Current, Role};
use crate::observe::Refusal;
use crate::streams::State;
use crate::{Firewall, Proxy, closing, http, network};

/// How often streams are decided again while some are left.
const SWEEP_PERIOD: Duration = Duration::from_millis(20);

/// How often all streams are decided again because a policy may have expired.
const EXPIRY_PERIOD: Duration = Duration::from_secs(5);

/// Most streams that are decided again at one tick; a decision costs some microseconds.
const STREAMS_PER_TICK: usize = 500;

impl Firewall {
    /// Sees to it that the streams of a new program's predecessor are decided again.
    pub(crate) fn watch<P: Proxy>(&mut self, proxy: &P, root: ContextId) {
        let outdated = self
            .policies
            .current(root)
            .is_some_and(|current| current.generation > 0);
        self.schedule(proxy, root, outdated);
    }

    /// Decides some of the outdated streams again.
    pub(crate) fn revoke<P: Proxy>(&mut self, proxy: &P, root: ContextId) {
        if !self.policies.leads(root) {
            let _ = proxy.set_tick_period(Duration::ZERO);
            return;
        }
        let mut outdated = self.outdated(root);
        if outdated.is_empty() && self.expires(root) {
            self.policies.renew(root);
            outdated = self.outdated(root);
        }
        let Some(current) = self.policies.current(root) else {
            return;
        };
        let left = outdated.len() > STREAMS_PER_TICK;
        for context in outdated.into_iter().take(STREAMS_PER_TICK) {
            self.decide_again(proxy, context, &current);
        }
        // What follows concerns the root context again.
        let _ = proxy.set_effective_context(root);
        self.schedule(proxy, root, left);
    }

    /// Streams that an older program permitted; one more than fit in a tick, if there are.
    fn outdated(&mut self, root: ContextId) -> Vec<ContextId> {
        let Some(current) = self.policies.current(root) else {
            return Vec::new();
        };
        let policies = &self.policies;
        let outdated = self
            .streams
            .iter_mut()
            .filter(|(_, stream)| match stream.state {
                State::Permitted { generation } => {
                    generation != current.generation && policies.share(root, stream.root)
                }
                State::Undecided | State::Refused => false,
            });
        let contexts = outdated.map(|(context, _)| context);
        contexts.take(STREAMS_PER_TICK + 1).collect()
    }

    fn decide_again<P: Proxy>(&mut self, proxy: &P, context: ContextId, current: &Current) {
        if proxy.set_effective_context(context).is_err() {
            self.streams.end(context);
            return;
        }
        let decided = match current.role {
            Role::Http => self.request_again(proxy, context, current),
            Role::Network => network::connection(proxy, current, &mut self.scratch),
        };
        match decided {
            Ok(decision) if decision.enforced.verdict == Verdict::Allow => {
                let generation = current.generation;
                self.streams
                    .settle(context, State::Permitted { generation });
                return;
            }
            Ok(decision) => self.observer.revoked(proxy, current, decision.enforced),
            Err(refusal) => self.observer.failed(proxy, refusal),
        }
        self.streams.settle(context, State::Refused);
        let _ = proxy.close_stream(closing(current.role));
    }

    fn request_again<P: Proxy>(
        &mut self,
        proxy: &P,
        context: ContextId,
        current: &Current,
    ) -> Result<Decision, Refusal> {
        let stream = self.streams.get(context);
        let head = stream
            .and_then(|stream| stream.head.as_ref())
            .ok_or(Refusal::HeadNotKept)?;
        http::request(proxy, current, head, &mut self.scratch)
    }

    fn schedule<P: Proxy>(&self, proxy: &P, root: ContextId, outdated: bool) {
        let period = match (outdated, self.expires(root)) {
            (true, _) => SWEEP_PERIOD,
            (false, true) => EXPIRY_PERIOD,
            (false, false) => Duration::ZERO,
        };
        let _ = proxy.set_tick_period(period);
    }

    /// Whether the time changes what the current program says.
    fn expires(&self, root: ContextId) -> bool {
        self.policies
            .current(root)
            .is_some_and(|current| current.installed.bundle.program.has_expiry())
    }
}
