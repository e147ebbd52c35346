//! Decides on connections on which nobody speaks.
//!
//! A connection is decided at its first data. Until then the proxy has connected it to the
//! workload, and a denied peer that says nothing could hold as many connections of the workload
//! as it likes. So a connection on which nobody has spoken for a moment is decided when the
//! certificate of its peer is there. Where peers show none, nothing tells when a handshake is
//! over, and a connection stays undecided until somebody speaks.

use std::time::Duration;

use meshwall_filter_host::ContextId;
use meshwall_filter_host::property::CONNECTION_MTLS;

use crate::streams::State;
use crate::{Firewall, Proxy};

/// How often silent connections are looked at.
pub(crate) const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// After so many times, no certificate is to be expected any more: by then Envoy has ended
/// handshakes that are not over.
const MAX_LOOKS: u32 = 20;

/// Most connections that are looked at in one go.
const CONNECTIONS_PER_LOOK: usize = 500;

impl Firewall {
    /// A connection has begun, in the effective context.
    pub(crate) fn expect_words<P: Proxy>(
        &mut self,
        proxy: &P,
        context: ContextId,
        root: ContextId,
    ) {
        let Some(leader) = self.policies.is_silent(root) else {
            return;
        };
        let _ = proxy.set_effective_context(leader);
        self.schedule(proxy, leader);
        // What follows concerns the connection again.
        let _ = proxy.set_effective_context(context);
    }

    /// Decides on silent connections whose peer is known. Whether some are left.
    pub(crate) fn look<P: Proxy>(&mut self, proxy: &P, root: ContextId) -> bool {
        let policies = &self.policies;
        let silent = self.streams.iter_mut().filter_map(|(context, stream)| {
            let silent = stream.state == State::Undecided
                && stream.looks < MAX_LOOKS
                && policies.share(root, stream.root);
            stream.looks += u32::from(silent);
            silent.then_some(context)
        });
        let silent: Vec<_> = silent.take(CONNECTIONS_PER_LOOK).collect();
        let mut some_left = silent.len() >= CONNECTIONS_PER_LOOK;
        for context in silent {
            if proxy.set_effective_context(context).is_err() {
                self.streams.end(context);
            } else if matches!(proxy.get(CONNECTION_MTLS), Ok(Some(true))) {
                self.decide_connection(proxy, context);
            } else {
                some_left = true;
            }
        }
        // What follows concerns the root context again.
        let _ = proxy.set_effective_context(root);
        some_left
    }
}
