//! Describing a virtual machine.

use std::sync::Arc;
use std::time::Duration;

use super::calls::{GrpcAnswer, GrpcCall, HttpAnswer, HttpCall};
use super::clock::Clock;
use super::error::BuildError;
use super::foreign::ForeignFunctions;
use super::instance::Instance;
use super::log::{Log, LogLevel};
use super::metrics::{MetricIds, Metrics};
use super::module::Module;
use super::outcome::FailurePolicy;
use super::plugin_config::PluginConfig;
use super::properties::{Path, Phase, Properties};
use super::shared::SharedState;
use super::state::{Host, Ingredients};
use super::status::Status;
use super::value::Value;
use super::vm::{Responders, Vm};

/// Ends an endless loop within seconds, and is far beyond any honest callback.
const DEFAULT_FUEL: u64 = 10_000_000_000;
/// Envoy's limit for the memory of a machine.
const DEFAULT_MAX_MEMORY: usize = 1024 * 1024 * 1024;

/// Describes a [`Vm`] and its first plugin.
pub struct VmBuilder {
    settings: Settings,
    responders: Responders,
    plugin: PluginConfig,
    log_level: LogLevel,
}

/// What it takes to make an instance, again and again.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) module: Module,
    pub(crate) vm_id: Vec<u8>,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) environment: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) properties: Properties,
    pub(crate) clusters: Option<Vec<Vec<u8>>>,
    pub(crate) clock: Clock,
    pub(crate) shared: SharedState,
    pub(crate) metrics: Metrics,
    pub(crate) log: Log,
    pub(crate) foreign: ForeignFunctions,
    pub(crate) random_seed: u64,
    pub(crate) fuel: u64,
    pub(crate) max_memory: usize,
}

impl Settings {
    pub(crate) fn instantiate(&self) -> Result<Instance, BuildError> {
        let host = Host::new(Ingredients {
            machine: self.shared.new_machine(),
            vm_id: self.vm_id.clone(),
            vm_configuration: self.vm_configuration.clone(),
            abi: self.module.abi_version(),
            environment: self.environment.clone(),
            properties: self.properties.clone(),
            clusters: self.clusters.clone(),
            clock: self.clock.clone(),
            shared: self.shared.clone(),
            metrics: MetricIds::new(self.metrics.clone()),
            log: self.log.clone(),
            foreign: self.foreign.clone(),
            random_seed: self.random_seed,
            max_memory: self.max_memory,
        });
        Instance::new(&self.module, host, self.fuel)
    }
}

impl VmBuilder {
    pub(crate) fn new(module: &Module) -> Self {
        Self {
            settings: Settings {
                module: module.clone(),
                vm_id: Vec::new(),
                vm_configuration: Vec::new(),
                environment: Vec::new(),
                properties: Properties::default(),
                clusters: None,
                clock: Clock::default(),
                shared: SharedState::new(),
                metrics: Metrics::new(),
                log: Log::new(LogLevel::default()),
                foreign: ForeignFunctions::default(),
                random_seed: 0,
                fuel: DEFAULT_FUEL,
                max_memory: DEFAULT_MAX_MEMORY,
            },
            responders: Responders::default(),
            plugin: PluginConfig::new(""),
            log_level: LogLevel::default(),
        }
    }

    /// The configuration of the first plugin, as a whole.
    #[must_use]
    pub fn plugin(mut self, plugin: PluginConfig) -> Self {
        self.plugin = plugin;
        self
    }

    /// The root id of the first plugin: by it one module tells its filters apart.
    #[must_use]
    pub fn root_id(mut self, root_id: impl Into<Vec<u8>>) -> Self {
        self.plugin.root_id = root_id.into();
        self
    }

    /// The name of the first plugin.
    #[must_use]
    pub fn plugin_name(mut self, name: impl Into<Vec<u8>>) -> Self {
        self.plugin = self.plugin.name(name);
        self
    }

    /// The configuration of the first plugin.
    #[must_use]
    pub fn plugin_configuration(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.plugin = self.plugin.configuration(bytes);
        self
    }

    /// What happens to the traffic of the first plugin after the filter has failed.
    #[must_use]
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.plugin = self.plugin.failure_policy(policy);
        self
    }

    /// For [`FailurePolicy::Reload`]: the least time between two loads, 1 s unless set.
    #[must_use]
    pub fn reload_backoff(mut self, backoff: Duration) -> Self {
        self.plugin = self.plugin.reload_backoff(backoff);
        self
    }

    /// The machine's id: shared data and queues are kept apart by it.
    #[must_use]
    pub fn vm_id(mut self, id: impl Into<Vec<u8>>) -> Self {
        self.settings.vm_id = id.into();
        self
    }

    /// The machine's configuration.
    #[must_use]
    pub fn vm_configuration(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.settings.vm_configuration = bytes.into();
        self
    }

    /// An environment variable, for modules that use WASI.
    #[must_use]
    pub fn environment(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.settings.environment.push((name.into(), value.into()));
        self
    }

    /// A property that all contexts see, such as `xds.node.id`.
    #[must_use]
    pub fn property(mut self, path: impl Into<Path>, value: impl Into<Value>) -> Self {
        self.settings
            .properties
            .set(path.into(), Phase::default(), value.into());
        self
    }

    /// The clusters that exist. Calls to others are refused. Unless set, every name is one.
    #[must_use]
    pub fn clusters<N: AsRef<[u8]>>(mut self, names: &[N]) -> Self {
        self.settings.clusters = Some(names.iter().map(|name| name.as_ref().to_vec()).collect());
        self
    }

    /// The clock; a new one that stands in November 2023 unless set.
    #[must_use]
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.settings.clock = clock.clone();
        self
    }

    /// The store for shared data and queues; a new one unless set.
    #[must_use]
    pub fn shared_state(mut self, shared: &SharedState) -> Self {
        self.settings.shared = shared.clone();
        self
    }

    /// The registry for metrics; a new one unless set.
    #[must_use]
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        self.settings.metrics = metrics.clone();
        self
    }

    /// The level from which on log lines are kept; all of them unless set.
    #[must_use]
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log_level = level;
        self
    }

    /// The seed of the random numbers that a module gets through WASI; 0 unless set.
    #[must_use]
    pub fn random_seed(mut self, seed: u64) -> Self {
        self.settings.random_seed = seed;
        self
    }

    /// The fuel for each callback; one that needs more traps. About one unit an instruction;
    /// 10 billion unless set. Without effect if the module is not metered.
    #[must_use]
    pub fn fuel(mut self, units: u64) -> Self {
        self.settings.fuel = units;
        self
    }

    /// The memory that the filter may have, in bytes; 1 GiB unless set. Growth beyond it fails
    /// inside the filter.
    #[must_use]
    pub fn max_memory(mut self, bytes: usize) -> Self {
        self.settings.max_memory = bytes;
        self
    }

    /// A foreign function. It must not use the machine that calls it.
    #[must_use]
    pub fn foreign_function(
        mut self,
        name: impl Into<Vec<u8>>,
        function: impl Fn(&[u8]) -> Result<Vec<u8>, Status> + Send + Sync + 'static,
    ) -> Self {
        self.settings
            .foreign
            .register(name.into(), Arc::new(function));
        self
    }

    /// A function that answers HTTP calls when the machine is polled; `None` leaves a call
    /// waiting.
    #[must_use]
    pub fn http_responder(
        mut self,
        responder: impl FnMut(&HttpCall) -> Option<HttpAnswer> + Send + 'static,
    ) -> Self {
        self.responders.http = Some(Box::new(responder));
        self
    }

    /// A function that answers unary gRPC calls when the machine is polled.
    #[must_use]
    pub fn grpc_responder(
        mut self,
        responder: impl FnMut(&GrpcCall) -> Option<GrpcAnswer> + Send + 'static,
    ) -> Self {
        self.responders.grpc = Some(Box::new(responder));
        self
    }

    /// Starts the machine and its first plugin.
    ///
    /// # Errors
    /// If the module cannot be instantiated, traps, or refuses to start or its configuration.
    pub fn build(self) -> Result<Vm, BuildError> {
        let Self {
            mut settings,
            responders,
            plugin,
            log_level,
        } = self;
        settings.log = Log::new(log_level);
        Vm::start(settings, responders, plugin)
    }
}
