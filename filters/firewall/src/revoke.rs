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

use crate::installed::Role;
use crate::observe::Refusal;
use crate::policies::{Current, Task};
use crate::silent::LOOK_PERIOD;
use crate::streams::State;
use crate::{Firewall, Proxy, closing, http, network};

/// How long a request may still take that was permitted before the policy changed: a change is
/// no reason to drop what is over in a moment.
const GRACE: Duration = Duration::from_millis(400);

/// How often streams are decided again while some are left.
const SWEEP_PERIOD: Duration = Duration::from_millis(20);

/// The shortest tick.
const AT_ONCE: Duration = Duration::from_millis(1);

/// By when a new program has taken over everywhere; Envoy needs some milliseconds.
const SETTLE_PERIOD: Duration = Duration::from_secs(1);

/// How often all streams are decided again because a policy may have expired.
const EXPIRY_PERIOD: Duration = Duration::from_secs(5);

/// Most streams that are decided again at one tick; a decision costs some microseconds.
const STREAMS_PER_TICK: usize = 500;

/// When the streams that live at a change of policy are decided again, since the Unix epoch.
pub(crate) fn sweep_time<P: Proxy>(proxy: &P) -> Duration {
    proxy.now().unwrap_or_default() + GRACE
}

impl Firewall {
    /// Sets the tick of the effective context, a root context, for what there is to do next.
    pub(crate) fn schedule<P: Proxy>(&mut self, proxy: &P, root: ContextId) {
        let period = match self.policies.task(root) {
            Task::Begin(time) => {
                let now = proxy.now().unwrap_or(time);
                time.saturating_sub(now).clamp(AT_ONCE, GRACE)
            }
            Task::Sweep => SWEEP_PERIOD,
            Task::Settle => SETTLE_PERIOD,
            Task::Look => LOOK_PERIOD,
            Task::Renew => EXPIRY_PERIOD,
            Task::Rest => Duration::ZERO,
        };
        if self.deliveries.alarm(root).is_none() {
            let _ = proxy.set_tick_period(period);
            return;
        }
        let now = proxy.now().unwrap_or_default();
        let due = Some(now.saturating_add(period)).filter(|_| !period.is_zero());
        self.deliveries.set_tasks_due(root, due);
        self.tick_for_either(proxy, root, now);
    }

    /// Sets the tick of a root context that has its tasks and ticks for a delivery besides.
    fn tick_for_either<P: Proxy>(&self, proxy: &P, root: ContextId, now: Duration) {
        let due = [self.deliveries.alarm(root), self.deliveries.tasks_due(root)];
        let next = due.into_iter().flatten().min();
        let period = next.map_or(Duration::ZERO, |next| next.saturating_sub(now).max(AT_ONCE));
        let _ = proxy.set_tick_period(period);
    }

    /// Does what the tick is for.
    pub(crate) fn look_after<P: Proxy>(&mut self, proxy: &P, root: ContextId) {
        if let Some(alarm) = self.deliveries.alarm(root) {
            let now = proxy.now().unwrap_or_default();
            if alarm <= now {
                self.wake_delivery(proxy, root, now);
            }
            let due = self.deliveries.tasks_due(root);
            if due.is_none_or(|due| due > now) {
                self.tick_for_either(proxy, root, now);
                return;
            }
        }
        match self.policies.task(root) {
            Task::Begin(_) | Task::Sweep => self.sweep(proxy, root),
            Task::Settle => self.policies.settled(root),
            Task::Look => {
                let some_left = self.look(proxy, root);
                if self.policies.looked(root, some_left) {
                    self.policies.renew(root, sweep_time(proxy));
                }
            }
            Task::Renew => self.policies.renew(root, sweep_time(proxy)),
            Task::Rest => {}
        }
        self.schedule(proxy, root);
    }

    /// Decides some of the outdated streams again.
    fn sweep<P: Proxy>(&mut self, proxy: &P, root: ContextId) {
        let Some(current) = self.policies.current(root) else {
            return self.policies.swept(root, false);
        };
        let outdated = self.outdated(root, current.generation);
        let some_left = outdated.len() >= STREAMS_PER_TICK;
        self.policies.swept(root, some_left);
        for context in outdated {
            self.decide_again(proxy, context, &current);
        }
        // What follows concerns the root context again.
        let _ = proxy.set_effective_context(root);
    }

    /// Streams that another program permitted, as many as are decided at one tick.
    fn outdated(&mut self, root: ContextId, now: u32) -> Vec<ContextId> {
        let policies = &self.policies;
        let outdated = self
            .streams
            .iter_mut()
            .filter(|(_, stream)| match stream.state {
                State::Permitted { generation } => {
                    generation != now && policies.share(root, stream.root)
                }
                State::Undecided | State::Refused => false,
            });
        let contexts = outdated.map(|(context, _)| context);
        contexts.take(STREAMS_PER_TICK).collect()
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
}
