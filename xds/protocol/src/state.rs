//! Requests of the state-of-the-world variant.

use std::collections::BTreeSet;

use crate::channel::{Channel, Context, read_names};
use crate::due::Need;
use crate::held::state_version;
use crate::message::Effect;
use crate::name::ResourceName;
use crate::refusal::Refusal;
use crate::resource::View;

impl Channel {
    /// Replaces the subscription by the names of a request.
    ///
    /// `version` is what the client has from an earlier stream; it counts in the first request.
    pub(crate) fn state<V: View>(
        &mut self,
        version: &str,
        names: &[String],
        is_first: bool,
        context: &mut Context<'_, V>,
    ) -> Result<(), Refusal> {
        let wanted: BTreeSet<ResourceName> =
            read_names(names, context.limits)?.into_iter().collect();
        let mut added: Vec<ResourceName> = Vec::new();
        if wanted.is_empty() {
            if self.subscription.names_nothing() {
                self.tell_subscribed(ResourceName::wildcard(), context);
                added.push(ResourceName::wildcard());
            }
        } else {
            self.subscription.names_something();
        }
        if self.subscription.is_explicit() {
            self.replace_names(wanted, &mut added, context);
        }
        if is_first && !version.is_empty() && self.is_resumed(version, context) {
            return Ok(());
        }
        for name in added {
            // Newly requested is sent again, even if a wildcard or an earlier subscription brought
            // it before.
            if self.type_url.is_full_state() {
                self.due.answer();
            }
            if name.is_wildcard() {
                self.due.add_all(Need::Always);
            } else {
                self.due.add(name, Need::Always);
            }
        }
        Ok(())
    }

    fn replace_names<V: View>(
        &mut self,
        wanted: BTreeSet<ResourceName>,
        added: &mut Vec<ResourceName>,
        context: &mut Context<'_, V>,
    ) {
        let removed: Vec<ResourceName> = self
            .subscription
            .names()
            .filter(|name| !wanted.contains(*name))
            .cloned()
            .collect();
        let any_removed = !removed.is_empty();
        for name in removed {
            self.unsubscribe(name, context);
        }
        if any_removed {
            self.forget_unsubscribed();
        }
        for name in wanted {
            if !self.subscription.contains(&name) {
                self.subscribe(name.clone(), context);
                added.push(name);
            }
        }
    }

    /// Whether the client, which comes from another stream with this version, has all that it asks
    /// for.
    ///
    /// Only a client that asks for everything can be known to: one that asks for names may have
    /// dropped a resource of the version and want it again.
    fn is_resumed<V: View>(&mut self, version: &str, context: &mut Context<'_, V>) -> bool {
        if !self.subscription.is_all() {
            return false;
        }
        let resources = self.subscribed(context.view);
        let current = state_version(
            true,
            resources.values().map(|r| (&r.name, &r.version, true)),
        );
        if resources.is_empty() || current.as_str() != version {
            return false;
        }
        let mut versions = Vec::with_capacity(resources.len());
        for (name, resource) in resources {
            let ttl = resource.ttl.filter(|_| context.ttl);
            versions.push((name.clone(), resource.version.clone()));
            self.held
                .resume(name, resource.version.clone(), ttl, context.now);
        }
        let type_url = self.type_url.clone();
        context.effects.push(Effect::Acked { type_url, versions });
        true
    }
}
