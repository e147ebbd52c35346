//! A plugin: one filter in a listener, whatever happens to the machine below it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::attributes::StreamAttributes;
use super::clock::nanos;
use super::context::{Context, ContextId, Kind};
use super::error::{BuildError, Trap};
use super::http_stream::HttpStream;
use super::instance::Instance;
use super::outcome::FailurePolicy;
use super::plugin_config::PluginConfig;
use super::tcp_stream::TcpStream;
use super::vm::{Shared, lock, watch};

/// A plugin in a virtual machine. New streams go to its latest configuration; clones are the
/// same plugin.
#[derive(Clone)]
pub struct Plugin {
    shared: Arc<Shared>,
    slot: Arc<Mutex<Slot>>,
}

/// Where the plugin lives at present.
struct Slot {
    config: Arc<PluginConfig>,
    instance: Arc<Mutex<Instance>>,
    root: ContextId,
    /// When it was last loaded, or tried to; nanoseconds since the Unix epoch.
    loaded: u64,
}

/// Where a new stream goes.
pub(crate) struct Place {
    pub(crate) instance: Arc<Mutex<Instance>>,
    root: ContextId,
    config: Arc<PluginConfig>,
    /// The filter takes no part.
    pub(crate) bypassed: bool,
}

impl Plugin {
    pub(crate) fn start(shared: &Arc<Shared>, config: PluginConfig) -> Result<Self, BuildError> {
        let config = Arc::new(config);
        let instance = shared.live_instance()?;
        let root = lock(&instance).start_plugin(Arc::clone(&config))?;
        let loaded = shared.settings.clock.now_nanos();
        let slot = Arc::new(Mutex::new(Slot {
            config,
            instance,
            root,
            loaded,
        }));
        Ok(Self {
            shared: Arc::clone(shared),
            slot,
        })
    }

    /// A new HTTP stream.
    pub fn http_stream(&self, attributes: StreamAttributes) -> HttpStream {
        HttpStream::open(self.place(), attributes, &self.shared.settings.clock)
    }

    /// A new TCP connection.
    pub fn tcp_stream(&self, attributes: StreamAttributes) -> TcpStream {
        TcpStream::open(self.place(), attributes)
    }

    /// Gives the plugin another configuration, as a push by ECDS does: a new root context in
    /// the same machine for new streams; the old one lives on with the streams that it has. The
    /// same bytes as before change nothing.
    ///
    /// # Errors
    /// If the filter refuses the configuration or traps over it. That is found out on a
    /// throw-away instance, and the last good configuration stays.
    pub fn reconfigure(&self, configuration: impl Into<Vec<u8>>) -> Result<(), BuildError> {
        let configuration = configuration.into();
        let mut slot = self.slot();
        if slot.config.configuration == configuration {
            return Ok(());
        }
        let config = PluginConfig::clone(&slot.config).configuration(configuration);
        self.shared.try_out(&config)?;
        let config = Arc::new(config);
        let instance = self.shared.live_instance()?;
        let root = lock(&instance).start_plugin(Arc::clone(&config))?;
        let loaded = self.shared.settings.clock.now_nanos();
        let old = std::mem::replace(
            &mut *slot,
            Slot {
                config,
                instance,
                root,
                loaded,
            },
        );
        lock(&old.instance).retire(old.root);
        Ok(())
    }

    /// Calls `proxy_on_foreign_function` on the plugin's root context.
    ///
    /// # Errors
    /// If the filter traps.
    pub fn call_foreign(&self, function: u32, data: impl Into<Vec<u8>>) -> Result<(), Trap> {
        let slot = self.slot();
        let root = slot.root;
        watch(&mut lock(&slot.instance), |instance| {
            instance.tell_foreign(root, function, data.into());
        })
    }

    /// The id of the root context to which new streams go.
    pub fn root_context_id(&self) -> u32 {
        self.slot().root
    }

    /// Where a new stream goes: a failed machine is replaced first, if the policy and the
    /// backoff allow it.
    fn place(&self) -> Place {
        let mut slot = self.slot();
        let mut bypassed = false;
        if lock(&slot.instance).failed() {
            match slot.config.failure_policy {
                FailurePolicy::Closed => {}
                FailurePolicy::Open => bypassed = true,
                FailurePolicy::Reload => self.reload(&mut slot),
            }
        }
        Place {
            instance: Arc::clone(&slot.instance),
            root: slot.root,
            config: Arc::clone(&slot.config),
            bypassed,
        }
    }

    fn reload(&self, slot: &mut Slot) {
        let now = self.shared.settings.clock.now_nanos();
        if now.saturating_sub(slot.loaded) < nanos(slot.config.reload_backoff) {
            return;
        }
        slot.loaded = now;
        let loaded = self.shared.live_instance().and_then(|instance| {
            let root = lock(&instance).start_plugin(Arc::clone(&slot.config))?;
            Ok((instance, root))
        });
        // A machine that does not start leaves the failed one in place until the next try.
        if let Ok((instance, root)) = loaded {
            (slot.instance, slot.root) = (instance, root);
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Adds a stream to the root context.
    pub(crate) fn insert(&self, kind: Kind) -> ContextId {
        let mut instance = lock(&self.instance);
        if let Some(root) = instance.root_mut(self.root) {
            root.streams += 1;
        }
        instance.host_mut().insert(Context {
            parent: self.root,
            plugin: Arc::clone(&self.config),
            created: false,
            kind,
        })
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slot = self.slot();
        f.debug_struct("Plugin")
            .field("config", &slot.config)
            .field("root", &slot.root)
            .finish_non_exhaustive()
    }
}
