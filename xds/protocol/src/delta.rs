//! Requests of the incremental variant.

use crate::channel::{Channel, Context, is_set, read_name, read_names};
use crate::due::Need;
use crate::message::Effect;
use crate::name::ResourceName;
use crate::refusal::Refusal;
use crate::resource::View;

/// The part of a `DeltaDiscoveryRequest` that is about the subscription.
pub(crate) struct Change {
    pub(crate) subscribe: Vec<String>,
    pub(crate) unsubscribe: Vec<String>,
    pub(crate) initial_versions: Vec<(String, String)>,
}

impl Channel {
    /// Changes the subscription. It does so whatever the nonce: a stale one does not matter here.
    ///
    /// A name that is both removed and added is subscribed afterwards: the client wants it now.
    pub(crate) fn delta<V: View>(
        &mut self,
        change: Change,
        is_first: bool,
        context: &mut Context<'_, V>,
    ) -> Result<(), Refusal> {
        let Change {
            subscribe,
            unsubscribe,
            initial_versions,
        } = change;
        let unsubscribe = read_names(&unsubscribe, context.limits)?;
        let subscribe = read_names(&subscribe, context.limits)?;
        if !subscribe.is_empty() {
            self.subscription.names_something();
        }
        if !unsubscribe.is_empty() {
            self.remove_names(unsubscribe.clone(), context);
        }
        for name in &subscribe {
            self.subscribe(name.clone(), context);
        }
        let legacy_wildcard =
            subscribe.is_empty() && unsubscribe.is_empty() && self.subscription.names_nothing();
        if legacy_wildcard {
            self.tell_subscribed(ResourceName::wildcard(), context);
        }
        // Only the first message of a type carries them.
        let resumes = is_first && !initial_versions.is_empty();
        if resumes {
            self.resume(&initial_versions, context)?;
        }
        if legacy_wildcard {
            self.ask(ResourceName::wildcard(), resumes, context);
        }
        for name in subscribe {
            self.ask(name, resumes, context);
        }
        Ok(())
    }

    fn remove_names<V: View>(&mut self, names: Vec<ResourceName>, context: &mut Context<'_, V>) {
        for name in names {
            // Names and aliases mean the resource, whichever of them was subscribed to.
            let mut aka = vec![name];
            if let [name] = &*aka
                && !self.subscription.contains(name)
                && let Some(resource) = context.view.resource(&self.type_url, name)
            {
                aka = resource.aliases.clone();
                aka.push(resource.name.clone());
            }
            for name in aka {
                if let Some(resource) = self.unsubscribe(name, context)
                    && self.subscription.covers(&resource)
                {
                    // The client cannot know whether a wildcard includes it, and so whether to
                    // keep it.
                    self.due.add(resource, Need::Always);
                }
            }
        }
        self.forget_unsubscribed();
    }

    /// Takes note of what the client has from an earlier stream, as far as it still wants it.
    fn resume<V: View>(
        &mut self,
        initial_versions: &[(String, String)],
        context: &mut Context<'_, V>,
    ) -> Result<(), Refusal> {
        let mut current = Vec::new();
        let mut unknown = 0;
        for (name, version) in initial_versions {
            let name = read_name(name, context.limits)?;
            context.limits.check("version", version)?;
            let resource = context.view.resource(&self.type_url, &name);
            if !self.subscription.covers(&name)
                && !resource
                    .as_ref()
                    .is_some_and(|r| self.subscription.covers_resource(r))
            {
                continue;
            }
            let mut ttl = None;
            let version = match resource {
                Some(r) if r.version.as_str() == version => {
                    ttl = r.ttl.filter(|_| context.ttl);
                    current.push((name.clone(), r.version.clone()));
                    r.version.clone()
                }
                Some(_) => version.as_str().into(),
                None => {
                    unknown += 1;
                    version.as_str().into()
                }
            };
            if unknown > context.limits.names {
                return Err(Refusal::TooMany {
                    what: "initial versions of unknown resources",
                    limit: context.limits.names,
                });
            }
            self.held.resume(name, version, ttl, context.now);
        }
        if !current.is_empty() {
            context.effects.push(Effect::Acked {
                type_url: self.type_url.clone(),
                versions: current,
            });
        }
        Ok(())
    }

    /// Notes that the client asked for a name. It is answered even if the client is thought to
    /// have the resource, unless it has just said so itself.
    fn ask<V: View>(&mut self, name: ResourceName, resumes: bool, context: &Context<'_, V>) {
        let need = if resumes && (is_set(&name) || self.is_held(&name, context.view)) {
            Need::IfChanged
        } else {
            Need::Always
        };
        if is_set(&name) {
            // What was unsubscribed before it arrived is kept by a client that now wants the set.
            for sent in self.in_flight() {
                if self.subscription.covers(&sent) && !self.held.contains(&sent) {
                    self.due.add(sent, Need::Always);
                }
            }
        }
        if name.is_wildcard() {
            self.due.add_all(need);
            if need == Need::Always {
                // A client that starts waits for the answer, even if there is nothing.
                self.due.answer();
            }
        } else {
            self.due.add(name, need);
        }
    }

    fn is_held<V: View>(&self, name: &ResourceName, view: &V) -> bool {
        self.held.contains(name)
            || view
                .resource(&self.type_url, name)
                .is_some_and(|resource| self.held.contains(&resource.name))
    }
}
