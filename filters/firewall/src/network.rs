//! Decides on TCP connections.
//!
//! Not when they arrive: the handshake is not over then, and the peer has no identity. The first
//! data in either direction is the moment, and it is held back if the answer is no, so nothing
//! reaches the workload and nothing of the workload reaches the peer. If nobody speaks, see
//! [`silent`](crate::silent).

use meshwall_filter_host::{Action, ContextId, StreamKind};
use meshwall_policy::decide::{self, Scratch};
use meshwall_policy::decision::{Decision, Verdict};

use crate::connection::Connection;
use crate::http::now;
use crate::installed::Installed;
use crate::observe::Refusal;
use crate::policies::Current;
use crate::streams::State;
use crate::{Firewall, Proxy};

impl Firewall {
    pub(crate) fn decide_connection<P: Proxy>(&mut self, proxy: &P, context: ContextId) -> Action {
        let stream = self.streams.get(context);
        match stream.map(|stream| stream.state) {
            Some(State::Permitted { .. }) => return Action::Continue,
            Some(State::Refused) => return Action::Pause,
            Some(State::Undecided) | None => {}
        }
        let root = stream.map(|stream| stream.root);
        let Some(current) = root.and_then(|root| self.policies.current(root)) else {
            if let Some(generation) = root.and_then(|root| self.policies.permits_until_first(root))
            {
                self.observer.permitted_until_first(proxy);
                self.streams
                    .settle(context, State::Permitted { generation });
                return Action::Continue;
            }
            self.observer.failed(proxy, Refusal::NoPolicy);
            return self.close(proxy, context);
        };
        match connection(proxy, &current, &mut self.scratch) {
            Ok(decision) => {
                self.observer.decided(proxy, &current, &decision);
                if decision.enforced.verdict == Verdict::Allow {
                    let generation = current.generation;
                    self.streams
                        .settle(context, State::Permitted { generation });
                    return Action::Continue;
                }
            }
            Err(refusal) => self.observer.failed(proxy, refusal),
        }
        self.close(proxy, context)
    }

    fn close<P: Proxy>(&mut self, proxy: &P, context: ContextId) -> Action {
        self.streams.settle(context, State::Refused);
        let _ = proxy.close_stream(StreamKind::Downstream);
        Action::Pause
    }
}

/// Decides on the connection of the effective context.
pub(crate) fn connection<P: Proxy>(
    proxy: &P,
    current: &Current,
    scratch: &mut Scratch,
) -> Result<Decision, Refusal> {
    let Current {
        role, installed, ..
    } = current;
    let Installed { bundle, .. } = &**installed;
    let connection = Connection::read(proxy, *role, installed).map_err(Refusal::Missing)?;
    let now = now(proxy, installed)?;
    let attributes = connection.attributes(bundle.direction, now, None);
    Ok(decide::decide(
        &bundle.program,
        &bundle.peers,
        &attributes,
        scratch,
    ))
}
