//! How a plugin is configured: what Envoy's `PluginConfig` says.

use std::time::Duration;

use super::outcome::FailurePolicy;

/// The configuration of a plugin: one filter in a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginConfig {
    pub(crate) name: Vec<u8>,
    pub(crate) root_id: Vec<u8>,
    pub(crate) configuration: Vec<u8>,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) reload_backoff: Duration,
    pub(crate) headers_stop_iteration: bool,
}

impl PluginConfig {
    /// A plugin with this root id (`plugin_root_id`), no name, an empty configuration, and
    /// Envoy's defaults: fail closed, one second of backoff.
    pub fn new(root_id: impl Into<Vec<u8>>) -> Self {
        Self {
            name: Vec::new(),
            root_id: root_id.into(),
            configuration: Vec::new(),
            failure_policy: FailurePolicy::default(),
            reload_backoff: Duration::from_secs(1),
            headers_stop_iteration: false,
        }
    }

    /// The name, readable as `plugin_name`.
    #[must_use]
    pub fn name(mut self, name: impl Into<Vec<u8>>) -> Self {
        self.name = name.into();
        self
    }

    /// The plugin configuration, as the filter reads it when it is configured.
    #[must_use]
    pub fn configuration(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.configuration = bytes.into();
        self
    }

    /// What happens to traffic after the filter has failed.
    #[must_use]
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.failure_policy = policy;
        self
    }

    /// For [`FailurePolicy::Reload`]: the least time between two loads of the plugin. Envoy
    /// adds up to half of it at random; this host does not.
    #[must_use]
    pub fn reload_backoff(mut self, backoff: Duration) -> Self {
        self.reload_backoff = backoff;
        self
    }

    /// Envoy's `allow_on_headers_stop_iteration`: whether a pause in the headers still lets
    /// the filter see the body. Off unless set: a pause stops everything.
    #[must_use]
    pub fn allow_on_headers_stop_iteration(mut self, allow: bool) -> Self {
        self.headers_stop_iteration = allow;
        self
    }
}
