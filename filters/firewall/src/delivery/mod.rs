//! Programs that a policy server delivers over a stream of the filter's own.
//!
//! For listeners whose configuration is not ours: it then holds a [`Bootstrap`], which says where
//! the server is. `docs/delivery.md` is the contract with the server. What is here ties sessions
//! to the proxy; what a session does is decided in [`session`], without a proxy.
//!
//! All root contexts of a virtual machine that name the same server share a session. The stream
//! belongs to one of them, as Envoy wants it, and is opened from a tick: Envoy also configures
//! virtual machines that it throws away.
//!
//! As its source has it (`source/extensions/common/wasm/context.cc`), Envoy keeps an entry for each
//! stream, and follows it when the root context ends. It must be gone by then, and the call that
//! removes it is the one that resets the stream: so a stream that was closed is reset besides, in
//! the callback that tells of the end, and not later. In the callback of a message the same call
//! would leave Envoy with further messages for an entry that is no more; there the filter only
//! remembers to reset the stream at the next tick.

mod backoff;
mod bootstrap;
mod held;
mod proto;
mod session;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use meshwall_filter_host::property::{Property, XDS_NODE_ID};
use meshwall_filter_host::{BufferKind, ContextId, LogLevel, StreamToken};
use meshwall_policy::bundle::Bundle;
use meshwall_policy::peers::PeerTable;
use meshwall_policy::program::Program;
use meshwall_policy::spec::Direction;
use prost::Message;

pub(crate) use bootstrap::Bootstrap;
use proto::Node;
use session::{Effect, Event, Session};

use crate::installed::{Installed, Role};
use crate::policies::Expecting;
use crate::revoke::sweep_time;
use crate::{Firewall, Proxy, summary};

/// The cluster of a mesh of several, as Istio names it in the proxy's metadata.
const CLUSTER_ID: Property<'static, Vec<u8>> =
    Property::from_encoded(b"xds\0node\0metadata\0CLUSTER_ID");

/// The sessions of a virtual machine; there are as many as policy servers, which is one.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    lines: Vec<Line>,
}

/// A session, and whom it serves.
#[derive(Debug)]
struct Line {
    cluster: String,
    session: Session,
    /// The stream, and the root context that it belongs to.
    stream: Option<(ContextId, StreamToken)>,
    /// Streams of which nothing is heard any more, and that are to be reset at the next tick.
    given_up: Vec<(ContextId, StreamToken)>,
    /// The root contexts that it serves. The last one ticks for it.
    members: Vec<Member>,
    /// When that root context has something else to do, since the Unix epoch.
    tasks_due: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    root: ContextId,
    direction: Direction,
}

impl Deliveries {
    /// When the session for which a root context ticks has something to do, since the Unix epoch.
    pub(crate) fn alarm(&self, root: ContextId) -> Option<Duration> {
        let line = self.ticked_by(root)?;
        if line.given_up.is_empty() {
            return line.session.alarm();
        }
        Some(Duration::ZERO)
    }

    /// When a root context that ticks for a session has something else to do.
    pub(crate) fn tasks_due(&self, root: ContextId) -> Option<Duration> {
        self.ticked_by(root)?.tasks_due
    }

    /// Remembers when that is, since the Unix epoch.
    pub(crate) fn set_tasks_due(&mut self, root: ContextId, due: Option<Duration>) {
        let line = self
            .lines
            .iter_mut()
            .find(|line| line.ticker() == Some(root));
        if let Some(line) = line {
            line.tasks_due = due;
        }
    }

    fn ticked_by(&self, root: ContextId) -> Option<&Line> {
        self.lines.iter().find(|line| line.ticker() == Some(root))
    }

    /// The line whose stream this is.
    fn of_stream(&mut self, root: ContextId, token: StreamToken) -> Option<usize> {
        let stream = Some((root, token));
        self.lines.iter().position(|line| line.stream == stream)
    }
}

impl Line {
    fn ticker(&self) -> Option<ContextId> {
        self.members.last().map(|member| member.root)
    }
}

/// Nothing here is done often; `cold` keeps it small.
impl Firewall {
    /// Lets a root context have its programs from a policy server.
    #[cold]
    pub(crate) fn await_programs<P: Proxy>(
        &mut self,
        proxy: &P,
        root: ContextId,
        role: Role,
        plugin: Vec<u8>,
        bootstrap: Bootstrap,
    ) -> Result<String, String> {
        let Bootstrap {
            cluster,
            direction,
            until_first,
        } = bootstrap;
        let text = |property| {
            let value = proxy.get(property).ok().flatten();
            value.and_then(|value: Vec<u8>| String::from_utf8(value).ok())
        };
        let id = text(XDS_NODE_ID)
            .ok_or("bootstrap: the proxy has no node id, by which a policy server knows it")?;
        let node = Node::new(id, text(CLUSTER_ID));
        self.leave_deliveries(proxy, root);
        let has_program = self.policies.expect(
            root,
            Expecting {
                role,
                plugin,
                direction,
                cluster: cluster.clone(),
                until_first,
            },
        );
        let summary = format!("meshwall: {direction} programs come from `{cluster}`");
        let lines = &mut self.deliveries.lines;
        let at = lines.iter().position(|line| line.cluster == cluster);
        let at = at.unwrap_or_else(|| {
            lines.push(Line {
                cluster,
                session: Session::new(node),
                stream: None,
                given_up: Vec::new(),
                members: Vec::new(),
                tasks_due: None,
            });
            lines.len().saturating_sub(1)
        });
        let Some(line) = lines.get_mut(at) else {
            return Ok(summary);
        };
        let member = Member { root, direction };
        line.members.push(member);
        if let Some((program, peers)) = line.session.in_force().filter(|_| !has_program) {
            self.enforce(proxy, member, program, peers);
        }
        self.schedule(proxy, root);
        Ok(summary)
    }

    /// A message has come on a stream.
    #[cold]
    pub(crate) fn delivered<P: Proxy>(
        &mut self,
        proxy: &P,
        root: ContextId,
        token: StreamToken,
        length: usize,
    ) {
        let Some(at) = self.deliveries.of_stream(root, token) else {
            return;
        };
        let now = proxy.now().unwrap_or_default();
        let Some(line) = self.deliveries.lines.get_mut(at) else {
            return;
        };
        let effects = if line.session.may_read(length) {
            let message = proxy.buffer(BufferKind::GrpcMessage, 0, length);
            line.session.received(now, &message.unwrap_or_default())
        } else {
            line.session.too_large(now, length)
        };
        self.perform(proxy, at, now, effects);
        self.resume(proxy, at, root);
    }

    /// A stream has ended.
    #[cold]
    pub(crate) fn delivery_ended<P: Proxy>(
        &mut self,
        proxy: &P,
        root: ContextId,
        token: StreamToken,
        status: u32,
    ) {
        let message = proxy.grpc_close_message().unwrap_or_default();
        let _ = proxy.cancel_grpc_stream(token);
        for line in &mut self.deliveries.lines {
            line.given_up.retain(|stream| *stream != (root, token));
        }
        let Some(at) = self.deliveries.of_stream(root, token) else {
            return;
        };
        let now = proxy.now().unwrap_or_default();
        let message = String::from_utf8_lossy(&message);
        let reason = format!("gRPC status {status}: {message}");
        let Some(line) = self.deliveries.lines.get_mut(at) else {
            return;
        };
        line.stream = None;
        let effects = line.session.closed(now, reason);
        self.perform(proxy, at, now, effects);
        self.resume(proxy, at, root);
    }

    /// Does what is due in the session for which a root context ticks.
    #[cold]
    pub(crate) fn wake_delivery<P: Proxy>(&mut self, proxy: &P, root: ContextId, now: Duration) {
        let mut lines = self.deliveries.lines.iter_mut().enumerate();
        let line = lines.find(|(_, line)| line.ticker() == Some(root));
        let Some((at, line)) = line else { return };
        let effects = line.session.wake(now);
        self.perform(proxy, at, now, effects);
        let line = self.deliveries.lines.get_mut(at);
        let given_up = line.map(|line| std::mem::take(&mut line.given_up));
        for (owner, token) in given_up.into_iter().flatten() {
            let _ = proxy.set_effective_context(owner);
            let _ = proxy.cancel_grpc_stream(token);
        }
        let _ = proxy.set_effective_context(root);
    }

    /// A root context has ended, and its stream with it. The one that is to open the next.
    #[cold]
    pub(crate) fn forget_deliveries(&mut self, root: ContextId) -> Option<ContextId> {
        let lines = &mut self.deliveries.lines;
        let line = lines.iter_mut().find(|line| {
            let serves = |member: &Member| member.root == root;
            line.members.iter().any(serves)
        })?;
        let ticked = line.ticker() == Some(root);
        line.members.retain(|member| member.root != root);
        line.given_up.retain(|(owner, _)| *owner != root);
        let orphaned = line.stream.is_some_and(|(owner, _)| owner == root);
        if orphaned {
            line.stream = None;
            line.session.orphaned();
        }
        let ticker = line.ticker();
        lines.retain(|line| !line.members.is_empty());
        ticker.filter(|_| orphaned || ticked)
    }

    /// A root context that lives on is to have its programs from elsewhere.
    #[cold]
    pub(crate) fn leave_deliveries<P: Proxy>(&mut self, proxy: &P, root: ContextId) {
        let lines = self.deliveries.lines.iter();
        let streams = lines.flat_map(|line| line.stream.iter().chain(&line.given_up));
        for (_, token) in streams.filter(|(owner, _)| *owner == root) {
            let _ = proxy.cancel_grpc_stream(*token);
        }
        if let Some(ticker) = self.forget_deliveries(root) {
            let _ = proxy.set_effective_context(ticker);
            self.schedule(proxy, ticker);
            let _ = proxy.set_effective_context(root);
        }
    }

    #[cold]
    fn perform<P: Proxy>(&mut self, proxy: &P, at: usize, now: Duration, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let Some(line) = self.deliveries.lines.get_mut(at) else {
                return;
            };
            match effect {
                Effect::Open => {
                    let Some(root) = line.ticker() else { return };
                    let _ = proxy.set_effective_context(root);
                    let cluster = &line.cluster;
                    let opened =
                        proxy.open_grpc_stream(cluster, proto::SERVICE, proto::METHOD, &[]);
                    effects.extend(match opened {
                        Ok(token) => {
                            line.stream = Some((root, token));
                            line.session.opened()
                        }
                        Err(status) => line.session.closed(now, status.to_string()),
                    });
                }
                Effect::Send(request) => {
                    let Some((owner, token)) = line.stream else {
                        continue;
                    };
                    let _ = proxy.set_effective_context(owner);
                    let message = request.encode_to_vec();
                    if let Err(status) = proxy.send_grpc_message(token, &message, false) {
                        line.given_up.extend(line.stream.take());
                        effects.extend(line.session.closed(now, status.to_string()));
                    }
                }
                Effect::Reset => line.given_up.extend(line.stream.take()),
                Effect::Enforce(program, peers) => {
                    for member in line.members.clone() {
                        if self.policies.leads(member.root) {
                            let (program, peers) = (Arc::clone(&program), Arc::clone(&peers));
                            self.enforce(proxy, member, program, peers);
                        }
                    }
                }
                Effect::Tell(event) => {
                    let cluster = line.cluster.clone();
                    self.tell(proxy, &cluster, &event);
                }
            }
        }
    }

    /// Puts a program into force for the use of a root context.
    #[cold]
    fn enforce<P: Proxy>(
        &mut self,
        proxy: &P,
        member: Member,
        program: Arc<Program>,
        peers: Arc<PeerTable>,
    ) {
        let Member { root, direction } = member;
        // The session has checked that one is for the other.
        let Ok(bundle) = Bundle::new(direction, None, program, peers) else {
            return;
        };
        proxy.log(LogLevel::Info, &summary(&bundle));
        let installed = Installed::new(bundle);
        self.policies.deliver(root, installed, sweep_time(proxy));
        let _ = proxy.set_effective_context(root);
        self.schedule(proxy, root);
    }

    #[cold]
    fn tell<P: Proxy>(&self, proxy: &P, cluster: &str, event: &Event) {
        let (name, level, line) = match event {
            Event::Connected => (
                "connected",
                LogLevel::Info,
                format!("meshwall: connected to policy server `{cluster}`"),
            ),
            Event::Disconnected(reason) => (
                "disconnected",
                LogLevel::Warn,
                format!("meshwall: no stream to policy server `{cluster}`: {reason}"),
            ),
            Event::Accepted(version) => (
                "accepted",
                LogLevel::Info,
                format!("meshwall: policy `{version}` accepted"),
            ),
            Event::Refused(reason) => (
                "refused",
                LogLevel::Error,
                format!("meshwall: policy refused, the last good one stays: {reason}"),
            ),
            Event::Removed => (
                "removed",
                LogLevel::Warn,
                format!("meshwall: policy server `{cluster}` has no policy for this proxy"),
            ),
        };
        proxy.log(level, &line);
        self.observer.delivery(proxy, name);
    }

    /// Lets the root context that ticks for a session do so when it should.
    fn resume<P: Proxy>(&mut self, proxy: &P, at: usize, root: ContextId) {
        let line = self.deliveries.lines.get(at);
        if let Some(ticker) = line.and_then(Line::ticker) {
            let _ = proxy.set_effective_context(ticker);
            self.schedule(proxy, ticker);
        }
        // What follows concerns the context of the callback again.
        let _ = proxy.set_effective_context(root);
    }
}
