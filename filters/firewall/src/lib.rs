//! The Meshwall firewall filter: decides on connections and requests inside Envoy.
//!
//! One module, two root ids. As `http` it decides on each request when its headers are there; as
//! `network` on each connection at the first data in either direction, when the peer's identity
//! is known and before a byte has passed. Both ask the engine in `meshwall-policy`; what is here
//! is what the engine must be told, and what is done with its answer.
//!
//! What the filter cannot find out, it refuses: no bundle, a bundle that is damaged, an identity
//! that is not unique, an address that the listener does not vouch for.
//!
//! The configuration of a plugin is a [`meshwall_policy::bundle`], or says which policy server
//! delivers programs over a stream that the filter opens. A change of policy makes a new root
//! context in the same virtual machine, or comes over the stream; what an old program permitted
//! is decided again by the new one, and closed if that does not permit it.

mod claims;
mod connection;
mod delivery;
mod http;
mod installed;
mod network;
mod observe;
mod policies;
mod revoke;
mod silent;
mod streams;

use meshwall_filter_host::ports::{
    Buffers, Clock, Contexts, FilterState, GrpcStreams, HeaderMaps, LocalReplies, Logs, Metrics,
    Properties, Streams, Timer,
};
use meshwall_filter_host::{
    Action, BufferKind, Callback, ContextId, Filter, LocalReply, LogLevel, StreamKind, StreamToken,
};
use meshwall_policy::bundle::{Bundle, BundleError, MAX_BUNDLE_BYTES};
use meshwall_policy::decide::Scratch;

use crate::delivery::{Bootstrap, Deliveries};
use crate::installed::{Installed, Role};
use crate::observe::Observer;
use crate::policies::Policies;
use crate::revoke::sweep_time;
use crate::streams::LiveStreams;

/// The filter of one virtual machine: all its listeners, connections and requests.
#[derive(Debug, Default)]
pub struct Firewall {
    policies: Policies,
    deliveries: Deliveries,
    streams: LiveStreams,
    scratch: Scratch,
    observer: Observer,
}

/// The ports that the firewall uses.
pub trait Proxy:
    Buffers
    + Clock
    + Contexts
    + FilterState
    + GrpcStreams
    + HeaderMaps
    + LocalReplies
    + Logs
    + Metrics
    + Properties
    + Streams
    + Timer
{
}

impl<T> Proxy for T where
    T: Buffers
        + Clock
        + Contexts
        + FilterState
        + GrpcStreams
        + HeaderMaps
        + LocalReplies
        + Logs
        + Metrics
        + Properties
        + Streams
        + Timer
{
}

impl<P: Proxy> Filter<P> for Firewall {
    const PANIC_REPLY: LocalReply<'static> = LocalReply {
        details: b"meshwall_fault",
        ..LocalReply::new(403)
    };

    fn on_configure(&mut self, proxy: &P, root: ContextId, length: usize) -> bool {
        match self.configure(proxy, root, length) {
            Ok(summary) => {
                proxy.log(LogLevel::Info, &summary);
                true
            }
            Err(reason) => {
                proxy.log(
                    LogLevel::Error,
                    &format!("meshwall: configuration refused: {reason}"),
                );
                false
            }
        }
    }

    fn on_context_create(&mut self, proxy: &P, context: ContextId, parent: Option<ContextId>) {
        let Some(root) = parent else { return };
        self.streams.begin(context, root);
        if self.policies.stream_begins(root, || sweep_time(proxy)) {
            self.back_in_force(proxy, root);
            // What follows concerns the stream again.
            let _ = proxy.set_effective_context(context);
        }
        self.expect_words(proxy, context, root);
    }

    fn on_request_headers(&mut self, proxy: &P, context: ContextId, _: u32, _: bool) -> Action {
        self.decide_request(proxy, context)
    }

    fn on_downstream_data(&mut self, proxy: &P, context: ContextId, _: usize, _: bool) -> Action {
        self.decide_connection(proxy, context)
    }

    fn on_upstream_data(&mut self, proxy: &P, context: ContextId, _: usize, _: bool) -> Action {
        self.decide_connection(proxy, context)
    }

    fn on_tick(&mut self, proxy: &P, root: ContextId) {
        self.look_after(proxy, root);
    }

    fn on_grpc_receive(&mut self, proxy: &P, root: ContextId, stream: StreamToken, length: usize) {
        self.delivered(proxy, root, stream, length);
    }

    fn on_grpc_close(&mut self, proxy: &P, root: ContextId, stream: StreamToken, status: u32) {
        self.delivery_ended(proxy, root, stream, status);
    }

    fn on_delete(&mut self, proxy: &P, context: ContextId) {
        if self.streams.end(context) {
            return;
        }
        if let Some(ticker) = self.forget_deliveries(context) {
            let _ = proxy.set_effective_context(ticker);
            self.schedule(proxy, ticker);
        }
        if let Some(leader) = self.policies.remove(context, || sweep_time(proxy)) {
            self.back_in_force(proxy, leader);
        }
    }

    fn on_panic(&mut self, proxy: &P, callback: Callback, _: ContextId) {
        self.observer.panicked(proxy, callback);
    }
}

impl Firewall {
    /// A filter that has no policy yet and refuses everything.
    pub fn new() -> Firewall {
        Firewall::default()
    }

    /// Loads a bundle and makes it current. The last good one stays if anything is wrong.
    fn configure<P: Proxy>(
        &mut self,
        proxy: &P,
        root: ContextId,
        length: usize,
    ) -> Result<String, String> {
        use meshwall_filter_host::property::{PLUGIN_NAME, PLUGIN_ROOT_ID};
        if length > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLarge { bytes: length }.to_string());
        }
        let property = |property| proxy.get(property).ok().flatten().unwrap_or_default();
        let role = match property(PLUGIN_ROOT_ID).as_slice() {
            b"http" => Role::Http,
            b"network" => Role::Network,
            other => {
                let other = String::from_utf8_lossy(other);
                return Err(format!("root id `{other}` is neither `http` nor `network`"));
            }
        };
        let bytes = proxy
            .buffer(BufferKind::PluginConfiguration, 0, length)
            .map_err(|status| format!("the proxy does not hand it over: {status}"))?;
        let plugin = property(PLUGIN_NAME);
        if Bootstrap::is_meant(&bytes) {
            let bootstrap = Bootstrap::read(&bytes)?;
            return self.await_programs(proxy, root, role, plugin, bootstrap);
        }
        let bundle = Bundle::load(&bytes).map_err(|error| error.to_string())?;
        drop(bytes);
        let summary = summary(&bundle);
        let installed = Installed::new(bundle);
        let sweep_at = sweep_time(proxy);
        self.leave_deliveries(proxy, root);
        self.policies
            .install(root, role, plugin, installed, sweep_at);
        self.schedule(proxy, root);
        Ok(summary)
    }

    /// Sees to it that live streams are decided again by a program that was in force before.
    #[cold]
    fn back_in_force<P: Proxy>(&mut self, proxy: &P, root: ContextId) {
        let _ = proxy.set_effective_context(root);
        self.schedule(proxy, root);
        match self.policies.current(root) {
            Some(current) => {
                let Bundle {
                    direction, program, ..
                } = &current.installed.bundle;
                let (version, workload) = (program.version(), program.workload());
                let line = format!(
                    "meshwall: {direction} program {version} for {workload} in force again"
                );
                proxy.log(LogLevel::Info, &line);
            }
            None => proxy.log(
                LogLevel::Error,
                "meshwall: an earlier program was brought back that is not kept; everything is \
                 refused until there is a new one",
            ),
        }
    }
}

/// What there is to say of a bundle that is put into force.
fn summary(bundle: &Bundle) -> String {
    let Bundle {
        direction,
        port: _,
        program,
        peers,
    } = bundle;
    format!(
        "meshwall: {direction} program {} for {} in force: {} rules, {} peers",
        program.version(),
        program.workload(),
        program.rules(),
        peers.len()
    )
}

/// Which half of a stream to close so that all of it ends.
fn closing(role: Role) -> StreamKind {
    match role {
        Role::Http => StreamKind::Request,
        Role::Network => StreamKind::Downstream,
    }
}

meshwall_filter_host::export! {
    filter: Firewall = Firewall::new();
    callbacks: [
        configure, context_create, request_headers, downstream_data, upstream_data, tick, delete,
        grpc_receive, grpc_close,
    ];
}
