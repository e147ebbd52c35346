//! A TCP connection as a test holds it.

use std::sync::{Arc, Mutex};

use super::attributes::StreamAttributes;
use super::context::{ContextId, Kind, Pipe, Tcp};
use super::error::StreamError;
use super::instance::Instance;
use super::outcome::{CloseType, TcpOutcome};
use super::plugin::Place;
use super::properties::{Path, Phase};
use super::tcp_events::Origin;
use super::value::Value;
use super::vm::{lock, watch};

/// A TCP connection with a network filter on it.
///
/// A test lets the connection come ([`new_connection`](Self::new_connection)), data arrive
/// from either side, and either side close. What arrives after the filter has closed the
/// connection is dropped.
///
/// When it is dropped, a connection that was not closed closes.
pub struct TcpStream {
    instance: Arc<Mutex<Instance>>,
    id: ContextId,
}

impl TcpStream {
    pub(crate) fn open(place: Place, mut attributes: StreamAttributes) -> Self {
        attributes.settle(Phase::Data);
        let StreamAttributes {
            properties,
            connection,
            ..
        } = attributes;
        let id = place.insert(Kind::Tcp(Box::new(Tcp {
            properties,
            connection,
            phase: Phase::NewConnection,
            downstream: Pipe::default(),
            upstream: Pipe::default(),
            arrived: false,
            closed: false,
            downstream_closed: false,
            bypassed: place.bypassed,
        })));
        Self {
            instance: place.instance,
            id,
        }
    }

    /// The stream's context id.
    pub fn context_id(&self) -> u32 {
        self.id
    }

    /// The connection is accepted.
    ///
    /// # Errors
    /// If the filter traps, or the connection was accepted before.
    pub fn new_connection(&self) -> Result<TcpOutcome, StreamError> {
        self.deliver(
            "new_connection",
            Origin::Downstream,
            false,
            |instance, id| {
                instance.on_connection_arrived(id);
            },
        )
    }

    /// Data arrives from the client. `end_of_stream` says that the client will send no more.
    ///
    /// # Errors
    /// If the filter traps, the connection was not accepted, or this side has ended.
    pub fn downstream_data(
        &self,
        data: impl AsRef<[u8]>,
        end_of_stream: bool,
    ) -> Result<TcpOutcome, StreamError> {
        self.deliver(
            "downstream_data",
            Origin::Downstream,
            true,
            |instance, id| {
                instance.on_bytes_arrived(id, Origin::Downstream, data.as_ref(), end_of_stream);
            },
        )
    }

    /// Data arrives from the upstream. `end_of_stream` says that it will send no more.
    ///
    /// # Errors
    /// If the filter traps, the connection was not accepted, or this side has ended.
    pub fn upstream_data(
        &self,
        data: impl AsRef<[u8]>,
        end_of_stream: bool,
    ) -> Result<TcpOutcome, StreamError> {
        self.deliver("upstream_data", Origin::Upstream, true, |instance, id| {
            instance.on_bytes_arrived(id, Origin::Upstream, data.as_ref(), end_of_stream);
        })
    }

    /// The downstream connection closes, which ends the stream: the close callback, then
    /// `proxy_on_done`, `proxy_on_log`, `proxy_on_delete`. What it was can still be asked.
    ///
    /// # Errors
    /// If the filter traps.
    pub fn downstream_close(&self, close_type: CloseType) -> Result<(), StreamError> {
        watch(&mut lock(&self.instance), |instance| {
            instance.on_downstream_closed(self.id, close_type);
        })?;
        Ok(())
    }

    /// The upstream connection closes. Envoy shows a filter only the end of the upstream's
    /// data, which [`upstream_data`](Self::upstream_data) reports by itself.
    ///
    /// # Errors
    /// If the filter traps.
    pub fn upstream_close(&self, close_type: CloseType) -> Result<(), StreamError> {
        watch(&mut lock(&self.instance), |instance| {
            instance.on_upstream_closed(self.id, close_type);
        })?;
        Ok(())
    }

    /// What has become of what the client sent.
    pub fn downstream_outcome(&self) -> TcpOutcome {
        lock(&self.instance).tcp_outcome(self.id, Origin::Downstream)
    }

    /// What has become of what the upstream sent.
    pub fn upstream_outcome(&self) -> TcpOutcome {
        lock(&self.instance).tcp_outcome(self.id, Origin::Upstream)
    }

    /// The bytes that the upstream has got.
    pub fn sent_upstream(&self) -> Vec<u8> {
        self.with(|tcp| tcp.downstream.passed.clone())
            .unwrap_or_default()
    }

    /// The bytes that the client has got.
    pub fn sent_downstream(&self) -> Vec<u8> {
        self.with(|tcp| tcp.upstream.passed.clone())
            .unwrap_or_default()
    }

    /// A filter state object of the connection: `wasm.KEY` for what a filter has set as the
    /// property `KEY`.
    pub fn filter_state(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        self.with(|tcp| tcp.connection.filter_state(key)).flatten()
    }

    /// Changes a property from now on.
    pub fn set_property(&self, path: impl Into<Path>, value: impl Into<Value>) {
        if let Some(tcp) = lock(&self.instance).tcp_mut(self.id) {
            tcp.properties.set(path.into(), tcp.phase, value.into());
        }
    }

    fn with<T>(&self, look: impl FnOnce(&Tcp) -> T) -> Option<T> {
        lock(&self.instance).tcp(self.id).map(look)
    }

    fn deliver(
        &self,
        event: &'static str,
        from: Origin,
        needs_connection: bool,
        work: impl FnOnce(&mut Instance, ContextId),
    ) -> Result<TcpOutcome, StreamError> {
        let mut instance = lock(&self.instance);
        if instance.tcp_outcome(self.id, from) == TcpOutcome::Closed {
            return Ok(TcpOutcome::Closed);
        }
        let out_of_order = |reason| StreamError::OutOfOrder { event, reason };
        let tcp = instance
            .tcp_mut(self.id)
            .ok_or(out_of_order("the connection has closed"))?;
        match (needs_connection, tcp.arrived) {
            (false, true) => return Err(out_of_order("the connection was accepted before")),
            (true, false) => return Err(out_of_order("the connection was not accepted")),
            _ => tcp.arrived = true,
        }
        if tcp.pipe(from).end_seen {
            return Err(out_of_order("this side has ended"));
        }
        watch(&mut instance, |instance| work(instance, self.id))?;
        Ok(instance.tcp_outcome(self.id, from))
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        let mut instance = lock(&self.instance);
        instance.on_downstream_closed(self.id, CloseType::Remote);
        instance.host_mut().ended.remove(&self.id);
    }
}

impl std::fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpStream")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
