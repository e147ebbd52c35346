//! Root contexts: starting, configuring, replacing and ending them; and the ends of the
//! streams below them.

use std::sync::Arc;

use super::callback::Callback;
use super::context::{Context, ContextId, Kind, Root, Stage, VM_CONTEXT};
use super::error::BuildError;
use super::instance::Instance;
use super::pairs::length;
use super::plugin_config::PluginConfig;

impl Instance {
    /// Starts a plugin: a new root context, told of the machine and of its configuration.
    pub(crate) fn start_plugin(
        &mut self,
        plugin: Arc<PluginConfig>,
    ) -> Result<ContextId, BuildError> {
        if self.failed() {
            return Err(BuildError::Failed);
        }
        let id = self.host_mut().insert(Context {
            parent: VM_CONTEXT,
            plugin,
            created: false,
            kind: Kind::Root(Box::default()),
        });
        let result = self.start_root(id).and_then(|()| self.configure_root(id));
        if result.is_err() {
            self.host_mut().remove(id);
        }
        result.map(|()| id)
    }

    fn start_root(&mut self, id: ContextId) -> Result<(), BuildError> {
        if let Some(f) = self.exports.on_context_create.clone() {
            self.show_configuration(id, true);
            self.call(id, Callback::OnContextCreate, &f, (id, VM_CONTEXT));
            self.show_configuration(id, false);
        }
        if let Some(context) = self.host_mut().contexts.get_mut(&id) {
            context.created = true;
        }
        let size = length(self.host().vm_configuration.len());
        let accepted = match self.exports.on_vm_start.clone() {
            Some(f) => self.call(id, Callback::OnVmStart, &f, (id, size)) != Some(0),
            None => true,
        };
        self.settle();
        self.check_alive()?;
        if accepted {
            Ok(())
        } else {
            Err(BuildError::StartRefused)
        }
    }

    fn configure_root(&mut self, id: ContextId) -> Result<(), BuildError> {
        let Some(f) = self.exports.on_configure.clone() else {
            return Ok(());
        };
        let context = self.host().contexts.get(&id);
        let size = length(context.map_or(0, |context| context.plugin.configuration.len()));
        self.show_configuration(id, true);
        let accepted = self.call(id, Callback::OnConfigure, &f, (id, size)) != Some(0);
        self.show_configuration(id, false);
        self.settle();
        self.check_alive()?;
        if accepted {
            Ok(())
        } else {
            Err(BuildError::ConfigurationRefused)
        }
    }

    fn show_configuration(&mut self, id: ContextId, visible: bool) {
        if let Some(root) = self.root_mut(id) {
            root.configuration_visible = visible;
        }
    }

    fn check_alive(&self) -> Result<(), BuildError> {
        self.host()
            .failure
            .clone()
            .map_or(Ok(()), |trap| Err(trap.into()))
    }

    /// A newer configuration has taken over: the context ends with its last stream.
    pub(crate) fn retire(&mut self, id: ContextId) {
        if let Some(root) = self
            .root_mut(id)
            .filter(|root| root.stage == Stage::Current)
        {
            root.stage = Stage::Retired;
            self.end_root_if_unused(id);
        }
    }

    /// Asks all root contexts to end, as when the proxy stops. Those that have work to finish
    /// stay until they call `proxy_done`.
    pub(crate) fn shut_down(&mut self) {
        let host = self.host();
        let mut roots: Vec<ContextId> = host
            .contexts
            .iter()
            .filter(|(_, context)| {
                context
                    .root()
                    .is_some_and(|root| matches!(root.stage, Stage::Current | Stage::Retired))
            })
            .map(|(id, _)| *id)
            .collect();
        roots.sort_unstable();
        for id in roots {
            self.end_root(id);
        }
    }

    fn end_root_if_unused(&mut self, id: ContextId) {
        let unused = |root: &mut Root| root.stage == Stage::Retired && root.streams == 0;
        if self.root_mut(id).is_some_and(unused) {
            self.end_root(id);
        }
    }

    fn end_root(&mut self, id: ContextId) {
        if self.tell_done(id) {
            self.tell_delete(id);
            self.host_mut().remove(id);
        } else if let Some(root) = self.root_mut(id) {
            root.stage = Stage::Finishing;
        }
    }

    /// Deletes the contexts that have called `proxy_done`.
    pub(crate) fn delete_finished(&mut self) {
        let finished = self
            .host()
            .contexts
            .iter()
            .find(|(_, context)| context.root().is_some_and(|root| root.stage == Stage::Done))
            .map(|(id, _)| *id);
        if let Some(id) = finished {
            self.tell_delete(id);
            self.host_mut().remove(id);
        }
    }

    /// Takes a stream away from the filter; its test can still look at it.
    pub(crate) fn end_stream(&mut self, id: ContextId) {
        let host = self.host_mut();
        let Some(context) = host.remove(id) else {
            return;
        };
        let parent = context.parent;
        host.ended.insert(id, context);
        if let Some(root) = self.root_mut(parent) {
            root.streams = root.streams.saturating_sub(1);
            self.end_root_if_unused(parent);
        }
    }

    /// `proxy_on_done`: whether the context may be deleted at once.
    pub(crate) fn tell_done(&mut self, id: ContextId) -> bool {
        let Some(f) = self.exports.on_done.clone().filter(|_| !self.failed()) else {
            return true;
        };
        let done = self.call(id, Callback::OnDone, &f, id);
        self.settle();
        done != Some(0)
    }

    pub(crate) fn tell_log(&mut self, id: ContextId) {
        if let Some(f) = self.exports.on_log.clone().filter(|_| !self.failed()) {
            self.call(id, Callback::OnLog, &f, id);
            self.settle();
        }
    }

    pub(crate) fn tell_delete(&mut self, id: ContextId) {
        let created = self
            .host()
            .contexts
            .get(&id)
            .is_some_and(|context| context.created);
        if let Some(f) = self
            .exports
            .on_delete
            .clone()
            .filter(|_| created && !self.failed())
        {
            self.call(id, Callback::OnDelete, &f, id);
            self.settle();
        }
    }
}
