//! Brings a changed policy to the streams that live.
//!
//! A download, a subscription or a database connection can outlive many policies. When a program
//! replaces another, the streams that the old one permitted are decided again, some at each tick
//! so that the worker is never held up, and those that the new one does not permit are closed.

use std::time::Duration;

use meshwall_filter_host::ContextId;
use meshwall_policy::decision::Verdict;

use crate::installed::{Current, Role};
use crate::{Firewall, Proxy, State, closing, http, network};

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
        let Some(current) = self.policies.current(root) else {
            return;
        };
        let expiring = current.installed.bundle.program.has_expiry();
        let outdated: Vec<ContextId> = self
            .streams
            .iter_mut()
            .filter(|(_, stream)| match stream.state {
                State::Permitted { generation } => {
                    (expiring || generation != current.generation)
                        && self.policies.share(root, stream.root)
                }
                State::Undecided | State::Refused => false,
            })
            .map(|(context, _)| context)
            .take(if expiring {
                usize::MAX
            } else {
                STREAMS_PER_TICK
            })
            .collect();
        let all = outdated.len() < STREAMS_PER_TICK || expiring;
        for context in outdated {
            self.decide_again(proxy, context, &current);
        }
        // What follows concerns the root context again.
        let _ = proxy.set_effective_context(root);
        self.schedule(proxy, root, !all);
    }

    fn decide_again<P: Proxy>(&mut self, proxy: &P, context: ContextId, current: &Current) {
        if proxy.set_effective_context(context).is_err() {
            self.streams.remove(context);
            return;
        }
        let decided = match current.role {
            Role::Http => http::request(proxy, current, &mut self.scratch),
            Role::Network => network::connection(proxy, current, &mut self.scratch),
        };
        match decided {
            Ok(decision) if decision.enforced.verdict == Verdict::Allow => {
                let generation = current.generation;
                self.settle(context, State::Permitted { generation });
            }
            Ok(_) | Err(_) => {
                self.settle(context, State::Refused);
                self.observer.revoked(proxy, current);
                let _ = proxy.close_stream(closing(current.role));
            }
        }
    }

    fn schedule<P: Proxy>(&self, proxy: &P, root: ContextId, outdated: bool) {
        let expiring = self
            .policies
            .current(root)
            .is_some_and(|current| current.installed.bundle.program.has_expiry());
        let period = match (outdated, expiring) {
            (true, _) => SWEEP_PERIOD,
            (false, true) => EXPIRY_PERIOD,
            (false, false) => Duration::ZERO,
        };
        let _ = proxy.set_tick_period(period);
    }
}
