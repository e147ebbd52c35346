//! A TCP connection on its way through a network filter in front of a proxy.
//!
//! What arrives from one side is shown to the filter together with what it has held back, and
//! passed on when it continues. Both ends that a filter can close are the downstream
//! connection; the end of the upstream is seen only with its last data. That is Envoy's view.

use super::callback::Callback;
use super::context::{ContextId, Pipe, Tcp};
use super::instance::Instance;
use super::outcome::{CloseType, TcpOutcome};
use super::pairs::length;
use super::properties::Phase;

/// The two directions of a connection, named after where the data comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Downstream,
    Upstream,
}

impl Tcp {
    pub(crate) fn pipe(&self, from: Origin) -> &Pipe {
        match from {
            Origin::Downstream => &self.downstream,
            Origin::Upstream => &self.upstream,
        }
    }

    fn pipe_mut(&mut self, from: Origin) -> &mut Pipe {
        match from {
            Origin::Downstream => &mut self.downstream,
            Origin::Upstream => &mut self.upstream,
        }
    }
}

impl Pipe {
    fn pass(&mut self) {
        self.passed.append(&mut self.buffer);
        self.end_passed = self.end_seen;
        self.paused = false;
    }
}

impl Instance {
    pub(crate) fn on_connection_arrived(&mut self, id: ContextId) {
        self.create_stream_context(id);
        if self.tcp_mut(id).is_none_or(|tcp| tcp.bypassed) {
            return;
        }
        let function = self.exports.on_new_connection.clone();
        let passes = match function {
            _ if self.failed() => false,
            None => true,
            Some(f) => self.call(id, Callback::OnNewConnection, &f, id) == Some(0),
        };
        if let Some(tcp) = self.tcp_mut(id) {
            tcp.downstream.paused = !passes;
        }
        self.settle_tcp(id);
    }

    /// Data arrives from one side, with or without the end of that side.
    pub(crate) fn on_bytes_arrived(&mut self, id: ContextId, from: Origin, data: &[u8], end: bool) {
        let Some(tcp) = self.tcp_mut(id) else { return };
        tcp.phase = tcp.phase.max(Phase::Data);
        let bypassed = tcp.bypassed;
        let pipe = tcp.pipe_mut(from);
        pipe.buffer.extend_from_slice(data);
        pipe.end_seen |= end;
        if bypassed {
            pipe.pass();
            return;
        }
        pipe.visible = true;
        let size = length(pipe.buffer.len());
        let (callback, function) = match from {
            Origin::Downstream => (
                Callback::OnDownstreamData,
                self.exports.on_downstream_data.clone(),
            ),
            Origin::Upstream => (
                Callback::OnUpstreamData,
                self.exports.on_upstream_data.clone(),
            ),
        };
        let passes = match function {
            _ if self.failed() => false,
            None => true,
            Some(f) => self.call(id, callback, &f, (id, size, u32::from(end))) == Some(0),
        };
        self.settle_tcp(id);
        let Some(tcp) = self.tcp_mut(id) else { return };
        let pipe = tcp.pipe_mut(from);
        if passes {
            pipe.visible = false;
            pipe.pass();
        } else {
            pipe.paused = true;
        }
        if end && from == Origin::Upstream {
            self.on_upstream_closed(id, CloseType::Unknown);
        }
    }

    /// The downstream connection is gone, and with it the stream.
    pub(crate) fn on_downstream_closed(&mut self, id: ContextId, close_type: CloseType) {
        let Some(tcp) = self.tcp_mut(id) else { return };
        if std::mem::replace(&mut tcp.downstream_closed, true) {
            return;
        }
        if !tcp.bypassed
            && !self.failed()
            && let Some(f) = self.exports.on_downstream_connection_close.clone()
        {
            let callback = Callback::OnDownstreamConnectionClose;
            self.call(id, callback, &f, (id, close_type as u32));
            self.settle();
        }
        self.end_tcp(id);
    }

    pub(crate) fn on_upstream_closed(&mut self, id: ContextId, close_type: CloseType) {
        if self.tcp_mut(id).is_none_or(|tcp| tcp.bypassed) || self.failed() {
            return;
        }
        if let Some(f) = self.exports.on_upstream_connection_close.clone() {
            let callback = Callback::OnUpstreamConnectionClose;
            self.call(id, callback, &f, (id, close_type as u32));
            self.settle();
        }
    }

    /// The filter passes on what it has held back from the client.
    pub(crate) fn continue_reading(&mut self, id: ContextId) {
        if let Some(tcp) = self.tcp_mut(id).filter(|tcp| !tcp.closed) {
            tcp.downstream.pass();
        }
    }

    /// The proxy closes the connection.
    pub(crate) fn close_connection(&mut self, id: ContextId) {
        if let Some(tcp) = self.tcp_mut(id).filter(|tcp| !tcp.closed) {
            tcp.closed = true;
            self.on_downstream_closed(id, CloseType::Local);
        }
    }

    /// In TCP the farewell comes before the log.
    fn end_tcp(&mut self, id: ContextId) {
        if let Some(tcp) = self.tcp_mut(id).filter(|tcp| !tcp.bypassed) {
            tcp.phase = Phase::Log;
            self.tell_done(id);
            self.tell_log(id);
            self.tell_delete(id);
        }
        self.end_stream(id);
    }

    /// Does what the filter asked for; if the machine has failed, closes the connection.
    fn settle_tcp(&mut self, id: ContextId) {
        if self.failed() {
            self.close_connection(id);
        }
        self.settle();
    }

    pub(crate) fn tcp_outcome(&self, id: ContextId, from: Origin) -> TcpOutcome {
        match self.tcp(id) {
            Some(tcp) if tcp.closed => TcpOutcome::Closed,
            Some(tcp) if tcp.pipe(from).paused => TcpOutcome::Pause,
            _ => TcpOutcome::Continue,
        }
    }
}
