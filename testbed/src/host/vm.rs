//! A virtual machine as a test holds it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::attributes::StreamAttributes;
use super::builder::{Settings, VmBuilder};
use super::callback::Callback;
use super::calls::{GrpcAnswer, GrpcCall, GrpcEvent, GrpcStream, HttpAnswer, HttpCall};
use super::clock::{Clock, nanos};
use super::error::{BuildError, CallError, Trap};
use super::fuel::FuelUse;
use super::http_stream::HttpStream;
use super::instance::Instance;
use super::log::LogLine;
use super::metrics::Metrics;
use super::module::Module;
use super::plugin::Plugin;
use super::plugin_config::PluginConfig;
use super::shared::SharedState;
use super::tcp_stream::TcpStream;

/// How many events one [`Vm::poll`] delivers at most: a filter and its responder may feed
/// each other for ever.
const MAX_EVENTS: usize = 10_000;

/// A virtual machine with one or more plugins in it: what a worker thread of Envoy has for
/// plugins of equal code, `vm_id` and machine configuration.
///
/// Clones are the same machine. It can be used from any thread, by one at a time; the
/// streams on it are independent values.
#[derive(Clone)]
pub struct Vm {
    pub(crate) shared: Arc<Shared>,
    plugin: Plugin,
}

/// What all handles of a machine share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// The instance that new plugins and streams use. After a failure it is replaced when a
    /// plugin is loaded again.
    current: Mutex<Arc<Mutex<Instance>>>,
    responders: Mutex<Responders>,
}

/// Functions of the test that answer calls.
#[derive(Default)]
pub(crate) struct Responders {
    pub(crate) http: Option<HttpResponder>,
    pub(crate) grpc: Option<GrpcResponder>,
}

pub(crate) type HttpResponder = Box<dyn FnMut(&HttpCall) -> Option<HttpAnswer> + Send>;
pub(crate) type GrpcResponder = Box<dyn FnMut(&GrpcCall) -> Option<GrpcAnswer> + Send>;

impl Vm {
    /// Describes a machine that runs this module.
    pub fn builder(module: &Module) -> VmBuilder {
        VmBuilder::new(module)
    }

    pub(crate) fn start(
        settings: Settings,
        responders: Responders,
        plugin: PluginConfig,
    ) -> Result<Self, BuildError> {
        let instance = Arc::new(Mutex::new(settings.instantiate()?));
        let shared = Arc::new(Shared {
            settings,
            current: Mutex::new(instance),
            responders: Mutex::new(responders),
        });
        let plugin = Plugin::start(&shared, plugin)?;
        Ok(Self { shared, plugin })
    }

    /// The plugin with which the machine was built.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Adds another plugin: another filter that shares this machine.
    ///
    /// # Errors
    /// If the filter refuses its configuration. It is tried on a throw-away instance first, so
    /// that this machine takes no harm.
    pub fn add_plugin(&self, config: PluginConfig) -> Result<Plugin, BuildError> {
        self.shared.try_out(&config)?;
        Plugin::start(&self.shared, config)
    }

    /// A new HTTP stream of the first plugin.
    pub fn http_stream(&self, attributes: StreamAttributes) -> HttpStream {
        self.plugin.http_stream(attributes)
    }

    /// A new TCP connection of the first plugin.
    pub fn tcp_stream(&self, attributes: StreamAttributes) -> TcpStream {
        self.plugin.tcp_stream(attributes)
    }

    /// Gives the first plugin another configuration, as a push by ECDS does.
    ///
    /// # Errors
    /// As [`Plugin::reconfigure`].
    pub fn reconfigure(&self, configuration: impl Into<Vec<u8>>) -> Result<(), BuildError> {
        self.plugin.reconfigure(configuration)
    }

    /// Delivers what is due: queue notices, ticks, deadlines of calls, and what the
    /// responders answer. The number of events; 10,000 at most.
    ///
    /// # Errors
    /// If the filter traps in one of them.
    pub fn poll(&self) -> Result<usize, Trap> {
        for count in 0..MAX_EVENTS {
            let due = self
                .shared
                .with(|instance| watch(instance, Instance::deliver_due))?;
            if !due && !self.shared.respond()? {
                return Ok(count);
            }
        }
        Ok(MAX_EVENTS)
    }

    /// Moves the clock forward, stopping at each tick and deadline on the way.
    ///
    /// # Errors
    /// If the filter traps on the way; the clock then stands where it trapped.
    pub fn advance(&self, by: Duration) -> Result<(), Trap> {
        let clock = &self.shared.settings.clock;
        let target = clock.now_nanos().saturating_add(nanos(by));
        loop {
            self.poll()?;
            match self
                .shared
                .with(|instance| instance.next_due())
                .filter(|due| *due <= target)
            {
                Some(due) if due > clock.now_nanos() => clock.advance_to(due),
                _ => break,
            }
        }
        clock.advance_to(target);
        self.poll().map(|_| ())
    }

    /// The HTTP calls that wait for an answer, oldest first.
    pub fn http_calls(&self) -> Vec<HttpCall> {
        self.shared
            .with(|instance| instance.host().http_calls.values().cloned().collect())
    }

    /// Answers an HTTP call.
    ///
    /// # Errors
    /// If no such call waits, or the filter traps.
    pub fn answer_http(&self, token: u32, answer: HttpAnswer) -> Result<(), CallError> {
        self.shared
            .answer(token, |instance| instance.answer_http(token, answer))
    }

    /// The unary gRPC calls that wait for an answer, oldest first.
    pub fn grpc_calls(&self) -> Vec<GrpcCall> {
        self.shared
            .with(|instance| instance.host().grpc_calls.values().cloned().collect())
    }

    /// Answers a unary gRPC call.
    ///
    /// # Errors
    /// If no such call waits, or the filter traps.
    pub fn answer_grpc(&self, token: u32, answer: GrpcAnswer) -> Result<(), CallError> {
        self.shared
            .answer(token, |instance| instance.answer_grpc(token, answer))
    }

    /// The open gRPC streams, oldest first, with the messages that were not taken yet.
    pub fn grpc_streams(&self) -> Vec<GrpcStream> {
        self.shared.with(|instance| {
            instance
                .host()
                .grpc_streams
                .values()
                .map(|open| open.stream.clone())
                .collect()
        })
    }

    /// The messages that the filter has sent on a stream since they were last taken.
    pub fn take_grpc_messages(&self, token: u32) -> Vec<Vec<u8>> {
        self.shared.with(|instance| {
            let open = instance.host_mut().grpc_streams.get_mut(&token);
            open.map(|open| std::mem::take(&mut open.stream.sent))
                .unwrap_or_default()
        })
    }

    /// Lets something happen on a gRPC stream.
    ///
    /// # Errors
    /// If the stream is not open, or the filter traps.
    pub fn grpc_event(&self, token: u32, event: GrpcEvent) -> Result<(), CallError> {
        self.shared
            .answer(token, |instance| instance.grpc_event(token, event))
    }

    /// The clock that the machine reads.
    pub fn clock(&self) -> &Clock {
        &self.shared.settings.clock
    }

    /// The store that the machine shares with others.
    pub fn shared_state(&self) -> &SharedState {
        &self.shared.settings.shared
    }

    /// The registry into which the machine counts.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.settings.metrics
    }

    /// What has been logged: the newest 10,000 lines, oldest first.
    pub fn log(&self) -> Vec<LogLine> {
        self.shared.settings.log.lines()
    }

    /// What has been logged since it was last taken.
    pub fn take_log(&self) -> Vec<LogLine> {
        self.shared.settings.log.take()
    }

    /// What a callback has cost in the current instance.
    pub fn fuel(&self, callback: Callback) -> FuelUse {
        self.shared
            .with(|instance| instance.host().fuel.of(callback))
    }

    /// The size of the filter's memory in bytes. It never shrinks.
    pub fn memory_bytes(&self) -> usize {
        self.shared.with(|instance| instance.memory_bytes())
    }

    /// Why the machine has failed, if it has and was not replaced.
    pub fn failure(&self) -> Option<Trap> {
        self.shared.with(|instance| instance.host().failure.clone())
    }

    /// Asks all root contexts to end, as a proxy does when it stops.
    ///
    /// # Errors
    /// If the filter traps.
    pub fn shut_down(&self) -> Result<(), Trap> {
        self.shared.with(|instance| {
            watch(instance, |instance| {
                instance.shut_down();
            })
        })
    }

    /// How many contexts live, root contexts among them.
    pub fn context_count(&self) -> usize {
        self.shared.with(|instance| instance.host().contexts.len())
    }
}

impl Shared {
    /// Works on the current instance.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Instance) -> T) -> T {
        let instance = Arc::clone(&self.current());
        work(&mut lock(&instance))
    }

    /// The instance for what is loaded now: a new one if the last has failed.
    pub(crate) fn live_instance(&self) -> Result<Arc<Mutex<Instance>>, BuildError> {
        let mut current = self.current();
        let (failed, machine) = {
            let instance = lock(&current);
            (instance.failed(), instance.host().machine)
        };
        if failed {
            *current = Arc::new(Mutex::new(self.settings.instantiate()?));
            self.settings.shared.forget(machine);
        }
        Ok(Arc::clone(&current))
    }

    /// Configures a plugin in an instance that is thrown away, as Envoy does before it lets a
    /// configuration near the workers.
    pub(crate) fn try_out(&self, config: &PluginConfig) -> Result<(), BuildError> {
        let mut canary = self.settings.instantiate()?;
        let result = canary.start_plugin(Arc::new(config.clone())).map(|_| ());
        self.settings.shared.forget(canary.host().machine);
        result
    }

    fn answer(
        &self,
        token: u32,
        deliver: impl FnOnce(&mut Instance) -> bool,
    ) -> Result<(), CallError> {
        let known = self.with(|instance| watch(instance, deliver))?;
        if known {
            Ok(())
        } else {
            Err(CallError::UnknownToken(token))
        }
    }

    /// Has the responders look at the calls that wait, without holding the machine. Whether
    /// one of them had an answer.
    fn respond(&self) -> Result<bool, Trap> {
        let mut responders = self
            .responders
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Responders { http, grpc } = &mut *responders;
        if let Some(responder) = http {
            let calls: Vec<HttpCall> =
                self.with(|instance| instance.host().http_calls.values().cloned().collect());
            for call in calls {
                if let Some(answer) = responder(&call) {
                    return self.with(|instance| {
                        watch(instance, |instance| {
                            instance.answer_http(call.token, answer)
                        })
                    });
                }
            }
        }
        if let Some(responder) = grpc {
            let calls: Vec<GrpcCall> =
                self.with(|instance| instance.host().grpc_calls.values().cloned().collect());
            for call in calls {
                if let Some(answer) = responder(&call) {
                    return self.with(|instance| {
                        watch(instance, |instance| {
                            instance.answer_grpc(call.token, answer)
                        })
                    });
                }
            }
        }
        Ok(false)
    }

    fn current(&self) -> MutexGuard<'_, Arc<Mutex<Instance>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A panic in a test must not hide behind a poisoned lock.
pub(crate) fn lock(instance: &Mutex<Instance>) -> MutexGuard<'_, Instance> {
    instance.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs work in which the filter may trap; an error if the machine fails in it.
pub(crate) fn watch<T>(
    instance: &mut Instance,
    work: impl FnOnce(&mut Instance) -> T,
) -> Result<T, Trap> {
    let failed_before = instance.failed();
    let result = work(instance);
    match &instance.host().failure {
        Some(trap) if !failed_before => Err(trap.clone()),
        _ => Ok(result),
    }
}

impl std::fmt::Debug for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vm")
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}
