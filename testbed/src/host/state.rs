//! The host's side of one virtual machine: everything that the ABI functions work on.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use wasmtime::{Memory, ResourceLimiter, TypedFunc};

use super::abi_version::AbiVersion;
use super::calls::{GrpcCall, GrpcStream, HttpCall};
use super::clock::Clock;
use super::context::{Context, ContextId, Root, Side, VM_CONTEXT};
use super::error::Trap;
use super::foreign::ForeignFunctions;
use super::fuel::FuelMeter;
use super::log::{Log, LogLevel, LogLine};
use super::metrics::MetricIds;
use super::outcome::LocalReply;
use super::properties::Properties;
use super::shared::SharedState;

/// The state of a virtual machine on the host's side.
pub(crate) struct Host {
    /// Unique among the machines of this process: the address for queue notices.
    pub(crate) machine: u64,
    pub(crate) vm_id: Vec<u8>,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) abi: AbiVersion,
    pub(crate) environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// Properties that every context sees.
    pub(crate) properties: Properties,
    /// The clusters that exist; `None` means that every name is one.
    pub(crate) clusters: Option<Vec<Vec<u8>>>,

    pub(crate) clock: Clock,
    pub(crate) shared: SharedState,
    pub(crate) metrics: MetricIds,
    pub(crate) log: Log,
    pub(crate) foreign: ForeignFunctions,
    pub(crate) random: Random,

    pub(crate) memory: Option<Memory>,
    pub(crate) allocate: Option<TypedFunc<u32, u32>>,
    pub(crate) limiter: MemoryCap,
    pub(crate) fuel: FuelMeter,
    pub(crate) restriction: Restriction,

    pub(crate) contexts: HashMap<ContextId, Context>,
    /// Streams that have ended and that a test still holds. The filter knows nothing of them.
    pub(crate) ended: HashMap<ContextId, Context>,
    next_context: ContextId,
    /// The context whose callback runs.
    pub(crate) current: ContextId,
    /// The context that the filter has chosen to act for instead.
    pub(crate) effective: Option<ContextId>,
    /// The callback's result no longer counts: the filter has answered the stream.
    pub(crate) stop_iteration: bool,
    /// What is to be done when the callback has returned.
    pub(crate) actions: VecDeque<Action>,
    /// Why the machine has failed.
    pub(crate) failure: Option<Trap>,

    pub(crate) http_calls: BTreeMap<u32, HttpCall>,
    pub(crate) grpc_calls: BTreeMap<u32, GrpcCall>,
    pub(crate) grpc_streams: BTreeMap<u32, OpenStream>,
    calls_made: [u32; 3],
}

/// A gRPC stream and which sides are closed.
#[derive(Debug, Clone)]
pub(crate) struct OpenStream {
    pub(crate) stream: GrpcStream,
    pub(crate) closed_by_filter: bool,
    pub(crate) closed_by_server: bool,
}

/// What the host does after a callback has returned, because the filter asked for it in the
/// callback. The order is that of the requests.
#[derive(Debug)]
pub(crate) enum Action {
    Continue(ContextId, Side),
    ContinueReading(ContextId),
    Reply(ContextId, LocalReply),
    Reset(ContextId),
    CloseConnection(ContextId),
    DeleteFinished,
}

/// Which host functions may be called at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Restriction {
    #[default]
    None,
    /// The module is being initialised.
    Starting,
    /// The host is asking the filter for memory.
    Allocating,
}

/// The three kinds of calls, with the numbers that Envoy puts into their tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    Http = 0,
    Grpc = 1,
    GrpcStream = 2,
}

impl CallKind {
    pub(crate) fn of(token: u32) -> Option<Self> {
        match token % 4 {
            0 => Some(Self::Http),
            1 => Some(Self::Grpc),
            2 => Some(Self::GrpcStream),
            _ => None,
        }
    }
}

/// What a new machine is made of.
pub(crate) struct Ingredients {
    pub(crate) machine: u64,
    pub(crate) vm_id: Vec<u8>,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) abi: AbiVersion,
    pub(crate) environment: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) properties: Properties,
    pub(crate) clusters: Option<Vec<Vec<u8>>>,
    pub(crate) clock: Clock,
    pub(crate) shared: SharedState,
    pub(crate) metrics: MetricIds,
    pub(crate) log: Log,
    pub(crate) foreign: ForeignFunctions,
    pub(crate) random_seed: u64,
    pub(crate) max_memory: usize,
}

impl Host {
    pub(crate) fn new(ingredients: Ingredients) -> Self {
        let Ingredients {
            machine,
            vm_id,
            vm_configuration,
            abi,
            environment,
            properties,
            clusters,
            clock,
            shared,
            metrics,
            log,
            foreign,
            random_seed,
            max_memory,
        } = ingredients;
        Self {
            machine,
            vm_id,
            vm_configuration,
            abi,
            environment,
            properties,
            clusters,
            clock,
            shared,
            metrics,
            log,
            foreign,
            random: Random(random_seed),
            memory: None,
            allocate: None,
            limiter: MemoryCap { bytes: max_memory },
            fuel: FuelMeter::default(),
            restriction: Restriction::default(),
            contexts: HashMap::new(),
            ended: HashMap::new(),
            next_context: VM_CONTEXT + 1,
            current: VM_CONTEXT,
            effective: None,
            stop_iteration: false,
            actions: VecDeque::new(),
            failure: None,
            http_calls: BTreeMap::new(),
            grpc_calls: BTreeMap::new(),
            grpc_streams: BTreeMap::new(),
            calls_made: [0; 3],
        }
    }

    /// The context for which the filter acts.
    pub(crate) fn acting(&self) -> ContextId {
        match self.effective {
            Some(id) if self.contexts.contains_key(&id) => id,
            _ => self.current,
        }
    }

    pub(crate) fn acting_context(&self) -> Option<&Context> {
        self.contexts.get(&self.acting())
    }

    pub(crate) fn acting_context_mut(&mut self) -> Option<&mut Context> {
        let id = self.acting();
        self.contexts.get_mut(&id)
    }

    /// The root context above a context, or itself.
    pub(crate) fn root_of(&self, id: ContextId) -> ContextId {
        match self.contexts.get(&id) {
            Some(context) if context.parent != VM_CONTEXT => context.parent,
            _ => id,
        }
    }

    /// The root context for which the filter acts.
    pub(crate) fn acting_root(&self) -> Option<&Root> {
        self.contexts.get(&self.root_of(self.acting()))?.root()
    }

    pub(crate) fn acting_root_mut(&mut self) -> Option<&mut Root> {
        let id = self.root_of(self.acting());
        self.contexts.get_mut(&id)?.root_mut()
    }

    /// Adds a context.
    pub(crate) fn insert(&mut self, context: Context) -> ContextId {
        while self.next_context == VM_CONTEXT
            || self.contexts.contains_key(&self.next_context)
            || self.ended.contains_key(&self.next_context)
        {
            self.next_context = self.next_context.wrapping_add(1);
        }
        let id = self.next_context;
        self.next_context = id.wrapping_add(1);
        self.contexts.insert(id, context);
        id
    }

    /// A new token for a call.
    pub(crate) fn next_token(&mut self, kind: CallKind) -> u32 {
        let made = match kind {
            CallKind::Http => &mut self.calls_made[0],
            CallKind::Grpc => &mut self.calls_made[1],
            CallKind::GrpcStream => &mut self.calls_made[2],
        };
        *made = made.wrapping_add(1);
        made.wrapping_mul(4).wrapping_add(kind as u32)
    }

    pub(crate) fn has_cluster(&self, name: &[u8]) -> bool {
        self.clusters
            .as_ref()
            .is_none_or(|clusters| clusters.iter().any(|c| c == name))
    }

    pub(crate) fn write_log(&self, level: LogLevel, message: Vec<u8>) {
        self.log.write(LogLine {
            level,
            context_id: self.acting(),
            message,
        });
    }

    /// Removes a context and cancels its calls.
    pub(crate) fn remove(&mut self, id: ContextId) -> Option<Context> {
        let context = self.contexts.remove(&id)?;
        self.http_calls.retain(|_, call| call.context_id != id);
        self.grpc_calls.retain(|_, call| call.context_id != id);
        self.grpc_streams
            .retain(|_, open| open.stream.context_id != id);
        Some(context)
    }
}

/// A cap on the linear memory. Growth beyond it fails inside the filter, as it does in V8.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryCap {
    pub(crate) bytes: usize,
}

impl ResourceLimiter for MemoryCap {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= self.bytes)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

/// V8's limit for tables.
const MAX_TABLE_ELEMENTS: usize = 10_000_000;

/// Random numbers that are the same in every run with the same seed (SplitMix64): a test
/// host has to be repeatable, and nothing that it runs may keep secrets with them.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.next().to_le_bytes();
            for (byte, random) in chunk.iter_mut().zip(next) {
                *byte = random;
            }
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The plugin of a context, for those that need to keep it.
pub(crate) fn plugin_of(host: &Host, id: ContextId) -> Option<Arc<super::PluginConfig>> {
    host.contexts
        .get(&id)
        .map(|context| Arc::clone(&context.plugin))
}
