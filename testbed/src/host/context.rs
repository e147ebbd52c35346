//! What the host remembers of each context: root contexts, HTTP streams, TCP connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attributes::Connection;
use super::calls::HttpResponse;
use super::filter_state::{Declaration, FilterState};
use super::headers::Headers;
use super::outcome::{LocalReply, Message};
use super::plugin_config::PluginConfig;
use super::properties::{Phase, Properties};

/// The number of a context, unique in its virtual machine. 0 is the machine itself.
pub(crate) type ContextId = u32;

/// The machine's own context: initialisation and allocation run in it.
pub(crate) const VM_CONTEXT: ContextId = 0;

/// A context.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) parent: ContextId,
    pub(crate) plugin: Arc<PluginConfig>,
    /// Whether the filter knows of it.
    pub(crate) created: bool,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Root(Box<Root>),
    Http(Box<Http>),
    Tcp(Box<Tcp>),
}

impl Context {
    pub(crate) fn root(&self) -> Option<&Root> {
        match &self.kind {
            Kind::Root(root) => Some(root),
            Kind::Http(_) | Kind::Tcp(_) => None,
        }
    }

    pub(crate) fn root_mut(&mut self) -> Option<&mut Root> {
        match &mut self.kind {
            Kind::Root(root) => Some(root),
            Kind::Http(_) | Kind::Tcp(_) => None,
        }
    }

    pub(crate) fn http(&self) -> Option<&Http> {
        match &self.kind {
            Kind::Http(http) => Some(http),
            Kind::Root(_) | Kind::Tcp(_) => None,
        }
    }

    pub(crate) fn http_mut(&mut self) -> Option<&mut Http> {
        match &mut self.kind {
            Kind::Http(http) => Some(http),
            Kind::Root(_) | Kind::Tcp(_) => None,
        }
    }

    pub(crate) fn tcp(&self) -> Option<&Tcp> {
        match &self.kind {
            Kind::Tcp(tcp) => Some(tcp),
            Kind::Root(_) | Kind::Http(_) => None,
        }
    }

    pub(crate) fn tcp_mut(&mut self) -> Option<&mut Tcp> {
        match &mut self.kind {
            Kind::Tcp(tcp) => Some(tcp),
            Kind::Root(_) | Kind::Http(_) => None,
        }
    }
}

/// A root context: one configuration of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Root {
    /// The plugin configuration is readable only while the context is created and
    /// configured.
    pub(crate) configuration_visible: bool,
    /// What `proxy_get_status` says: a code and a message.
    pub(crate) status: (u32, Vec<u8>),
    pub(crate) http_response: Option<HttpResponse>,
    pub(crate) grpc_initial_metadata: Option<Headers>,
    pub(crate) grpc_trailing_metadata: Option<Headers>,
    pub(crate) grpc_message: Option<Vec<u8>>,
    /// The argument of `proxy_on_foreign_function`.
    pub(crate) call_data: Vec<u8>,
    pub(crate) tick: Option<Tick>,
    pub(crate) declared: BTreeMap<Vec<u8>, Declaration>,
    /// How many streams it has.
    pub(crate) streams: usize,
    pub(crate) stage: Stage,
}

/// A running timer; both in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick {
    pub(crate) period: u64,
    /// Since the Unix epoch.
    pub(crate) due: u64,
}

/// The life of a root context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Stage {
    /// New streams go to it.
    #[default]
    Current,
    /// Replaced: it ends when its last stream does.
    Retired,
    /// Asked to end; it said it will call `proxy_done`.
    Finishing,
    /// It called `proxy_done`; it is deleted after the callback.
    Done,
}

/// The two directions of an HTTP stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// An HTTP stream.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) properties: Properties,
    pub(crate) connection: Connection,
    pub(crate) filter_state: FilterState,
    pub(crate) buffer_limit: usize,
    /// Nanoseconds since the Unix epoch.
    pub(crate) started: u64,
    pub(crate) phase: Phase,
    pub(crate) request: Flow,
    pub(crate) response: Flow,
    /// Whether the frame that the filter was last shown ended its message.
    pub(crate) last_frame_ended: bool,
    /// A request callback is running: a reply waits until it has returned.
    pub(crate) decoding: bool,
    /// What the proxy answers itself.
    pub(crate) reply: Option<LocalReply>,
    /// The response made from it, as long as it waits.
    pub(crate) prepared: Option<Message>,
    /// The response has been replaced by the proxy's own: what follows is dropped.
    pub(crate) replaced: bool,
    /// The machine has failed and the stream has been answered for it.
    pub(crate) failed: bool,
    /// The filter takes no part: it had failed before, and its policy is to fail open.
    pub(crate) bypassed: bool,
    /// What kind of client waits; known from the request headers as they arrived.
    pub(crate) client: Client,
    /// `%RESPONSE_CODE_DETAILS%`, once there are any.
    pub(crate) details: Option<Vec<u8>>,
    pub(crate) reset: bool,
    /// The access log is being written: other headers are visible.
    pub(crate) logging: bool,
    pub(crate) route_cache_cleared: u64,
}

/// What decides how the proxy answers a client itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Client {
    pub(crate) is_grpc: bool,
    pub(crate) is_head: bool,
}

impl Http {
    /// Whether nothing more of a direction passes the filter.
    pub(crate) fn is_over(&self, side: Side) -> bool {
        self.reset
            || match side {
                Side::Request => self.reply.is_some(),
                Side::Response => self.replaced,
            }
    }

    pub(crate) fn flow(&self, side: Side) -> &Flow {
        match side {
            Side::Request => &self.request,
            Side::Response => &self.response,
        }
    }

    pub(crate) fn flow_mut(&mut self, side: Side) -> &mut Flow {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }
}

/// One direction of an HTTP stream on its way through the filter.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) headers: Option<Headers>,
    /// Whether the filter may touch the headers: until it has let them go.
    pub(crate) headers_visible: bool,
    pub(crate) trailers: Option<Headers>,
    pub(crate) trailers_visible: bool,
    /// The part of the body that waits in the proxy.
    pub(crate) buffered: Option<Vec<u8>>,
    /// The part of the body that is passing the filter.
    pub(crate) in_flight: Vec<u8>,
    /// Whether the filter may touch what is in flight.
    pub(crate) in_flight_visible: bool,
    /// The filter asked for the body to be collected: it is shown what waits.
    pub(crate) collecting: bool,
    pub(crate) iteration: Iteration,
    pub(crate) headers_passed: bool,
    /// The peer has ended its message.
    pub(crate) end_seen: bool,
    pub(crate) passed: Message,
}

/// Whether frames pass the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Iteration {
    #[default]
    Passing,
    /// Stopped, but the filter is still shown what follows.
    Stopped,
    /// Stopped, and nothing more is shown; the body waits up to the limit.
    StoppedAllBuffer,
    /// Stopped, and nothing more is shown; the peer is told to wait.
    StoppedAllWatermark,
}

impl Iteration {
    pub(crate) fn stopped_all(self) -> bool {
        matches!(self, Self::StoppedAllBuffer | Self::StoppedAllWatermark)
    }
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct Tcp {
    pub(crate) properties: Properties,
    pub(crate) connection: Connection,
    pub(crate) phase: Phase,
    pub(crate) downstream: Pipe,
    pub(crate) upstream: Pipe,
    /// The connection was accepted.
    pub(crate) arrived: bool,
    /// The proxy has closed the downstream connection.
    pub(crate) closed: bool,
    pub(crate) downstream_closed: bool,
    /// The filter takes no part: it had failed before, and its policy is to fail open.
    pub(crate) bypassed: bool,
}

/// One direction of a TCP connection.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    /// What the filter is shown, and what waits while it pauses.
    pub(crate) buffer: Vec<u8>,
    pub(crate) visible: bool,
    pub(crate) paused: bool,
    pub(crate) end_seen: bool,
    /// What has been passed on.
    pub(crate) passed: Vec<u8>,
    pub(crate) end_passed: bool,
}
