//! One stream of one client.

use std::time::Instant;

use crate::channel::{Channel, Context, Correlation};
use crate::delta::Change;
use crate::message::{Ask, Effect, Node, Nonce, Request, Response};
use crate::name::ResourceName;
use crate::refusal::{Limits, Refusal};
use crate::resource::View;
use crate::respond::Terms;
use crate::type_url::TypeUrl;

/// Clients that have this feature understand times to live.
const TTL: &str = "xds.config.supports-resource-ttl";
/// Clients that have this feature understand wrapped resources in state of the world, without which
/// a resource has no time to live there.
const WRAPPED: &str = "xds.config.supports-resource-in-sotw";

/// What a service offers on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Resources of all types, in an order in which nothing points to what is not there yet (ADS).
    Aggregated,
    /// Resources of one type.
    One(TypeUrl),
}

/// The variant of the protocol that a stream speaks, as its first request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    State,
    Delta,
}

/// The state of one stream.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Instant;
/// use meshwall_xds_protocol::{Ask, Effect, Limits, Node, Request, ResourceName, Scope, Session};
/// use meshwall_xds_protocol::{Resource, TypeUrl, View};
///
/// struct Nothing;
/// impl View for Nothing {
///     fn resource(&self, _: &TypeUrl, _: &ResourceName) -> Option<Arc<Resource>> { None }
///     fn names(&self, _: &TypeUrl) -> Vec<ResourceName> { Vec::new() }
/// }
///
/// let first = Request {
///     type_url: "example.Thing".into(),
///     node: Some(Node { id: "sidecar-1".into(), ..Node::default() }),
///     nonce: String::new(),
///     error: None,
///     ask: Ask::Delta {
///         subscribe: vec!["a".into()],
///         unsubscribe: vec![],
///         initial_versions: vec![],
///     },
/// };
/// let (mut session, node) = Session::open(Scope::Aggregated, Limits::default(), &first)?;
/// // Here the owner decides whether `node` may have what it asks for.
/// let effects = session.request(first, &Nothing, Instant::now())?;
/// let Some(Effect::Send(response)) = effects.last() else { panic!() };
/// assert_eq!(response.removed, [ResourceName::new("a").unwrap()]);
/// # Ok::<(), meshwall_xds_protocol::Refusal>(())
/// ```
#[derive(Debug)]
pub struct Session {
    scope: Scope,
    variant: Variant,
    limits: Limits,
    ttl: bool,
    /// By the order in which types are sent.
    channels: Vec<Channel>,
    nonces: u64,
}

impl Session {
    /// Begins a session with the first message of a stream, and returns who the client says it is.
    /// The message itself is then given to [`Session::request`], like all others.
    ///
    /// # Errors
    ///
    /// If the message has no node id, or one that is too long.
    pub fn open(scope: Scope, limits: Limits, first: &Request) -> Result<(Self, Node), Refusal> {
        let node = first
            .node
            .clone()
            .filter(|node| !node.id.is_empty())
            .ok_or(Refusal::NoNode)?;
        limits.check("node id", &node.id)?;
        limits.check("node cluster", &node.cluster)?;
        let variant = variant(&first.ask);
        let ttl = node.supports(TTL) && (variant == Variant::Delta || node.supports(WRAPPED));
        let session = Self {
            scope,
            variant,
            limits,
            ttl,
            channels: Vec::new(),
            nonces: 0,
        };
        Ok((session, node))
    }

    /// Takes a message of the client.
    ///
    /// # Errors
    ///
    /// If the stream must be closed. The session is of no use afterwards.
    pub fn request<V: View>(
        &mut self,
        request: Request,
        view: &V,
        now: Instant,
    ) -> Result<Vec<Effect>, Refusal> {
        if variant(&request.ask) != self.variant {
            return Err(Refusal::MixedVariants);
        }
        let mut context = Context {
            view,
            now,
            limits: &self.limits,
            ttl: self.ttl,
            effects: Vec::new(),
        };
        let (is_first, channel) = channel(
            &mut self.channels,
            &self.scope,
            &self.limits,
            &request.type_url,
        )?;
        let correlation = channel.correlate(&request.nonce);
        channel.answer(&request.nonce, request.error, &mut context);
        match request.ask {
            // What crossed with a response says what the client wants, and is answered together
            // with its next request. Anything else with an old nonce is out of order.
            Ask::State { .. } if correlation == Correlation::Stale && channel.is_settled() => {}
            Ask::State { version, names } => {
                channel.state(&version, &names, is_first, &mut context)?;
            }
            Ask::Delta {
                subscribe,
                unsubscribe,
                initial_versions,
            } => channel.delta(
                Change {
                    subscribe,
                    unsubscribe,
                    initial_versions,
                },
                is_first,
                &mut context,
            )?,
        }
        let mut effects = context.effects;
        self.check()?;
        self.flush(view, now, &mut effects);
        Ok(effects)
    }

    /// Says that resources of these names, and aliases, may have changed, come or gone.
    pub fn changed<'a, V: View>(
        &mut self,
        type_url: &TypeUrl,
        names: impl IntoIterator<Item = &'a ResourceName>,
        view: &V,
        now: Instant,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(channel) = self.channels.iter_mut().find(|c| c.type_url == *type_url) {
            for name in names {
                channel.changed(name, &self.limits);
            }
            self.flush(view, now, &mut effects);
        }
        effects
    }

    /// Says that any resource of any type may have changed.
    pub fn all_changed<V: View>(&mut self, view: &V, now: Instant) -> Vec<Effect> {
        for channel in &mut self.channels {
            channel.due.collapse();
        }
        let mut effects = Vec::new();
        self.flush(view, now, &mut effects);
        effects
    }

    /// Says that the [deadline](Session::deadline) may have passed.
    pub fn timeout<V: View>(&mut self, view: &V, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.flush(view, now, &mut effects);
        effects
    }

    /// When to call [`Session::timeout`], unless something else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.channels
            .iter()
            .filter(|channel| channel.is_settled() && !self.is_blocked(channel))
            .filter_map(|channel| channel.held.next_heartbeat())
            .min()
    }

    /// Sends what is due, in order, until the client has to answer.
    fn flush<V: View>(&mut self, view: &V, now: Instant, effects: &mut Vec<Effect>) {
        // Each round but the last sends a response, of which a type has one at a time, or finds that
        // there was nothing to send, for which another type may have waited.
        let mut progress = true;
        while progress {
            progress = false;
            for index in 0..self.channels.len() {
                let was_due = self.is_due(index, now);
                if let Some(response) = self.respond(index, view, now) {
                    effects.push(Effect::Send(response));
                    progress = true;
                }
                progress |= was_due && !self.is_due(index, now);
            }
        }
    }

    fn is_due(&self, index: usize, now: Instant) -> bool {
        self.channels.get(index).is_some_and(|c| c.is_due(now))
    }

    fn respond<V: View>(&mut self, index: usize, view: &V, now: Instant) -> Option<Response> {
        let channel = self.channels.get(index)?;
        let is_state = self.variant == Variant::State;
        let defer_removals =
            !is_state && channel.type_url.is_pointed_to() && self.is_pointed_from(now);
        if !channel.is_settled()
            || !(channel.is_due(now) || channel.due.has_deferred() && !defer_removals)
            || self.is_blocked(channel)
        {
            return None;
        }
        let terms = Terms {
            view,
            now,
            is_state,
            ttl: self.ttl,
            defer_removals,
            response_bytes: self.limits.response_bytes,
        };
        let channel = self.channels.get_mut(index)?;
        let draft = channel.respond(&terms)?;
        self.nonces += 1;
        let nonce = Nonce(self.nonces);
        channel.sent(nonce, draft.versions);
        Some(Response {
            type_url: channel.type_url.clone(),
            nonce,
            version: is_state.then(|| channel.held.version(channel.subscription.is_all())),
            resources: draft.items,
            removed: draft.removed.into_iter().collect(),
        })
    }

    /// Whether changes of a type on which this one depends have yet to be sent.
    fn is_blocked(&self, channel: &Channel) -> bool {
        let Some(rank) = channel.type_url.rank() else {
            return false;
        };
        self.channels
            .iter()
            .any(|other| other.type_url.rank().is_some_and(|r| r < rank) && other.is_update_due())
    }

    /// Whether a change of listeners or routes has yet to be sent, after which clusters and
    /// endpoints may no longer be in use.
    fn is_pointed_from(&self, now: Instant) -> bool {
        self.channels.iter().any(|other| {
            other.type_url.rank().is_some() && !other.type_url.is_pointed_to() && other.is_due(now)
        })
    }

    /// Refuses a client whose state grew too large.
    fn check(&mut self) -> Result<(), Refusal> {
        let Limits {
            names, name_bytes, ..
        } = self.limits;
        let too_many = |what, limit| Err(Refusal::TooMany { what, limit });
        if self.sum(|c| c.subscription.len()) > names {
            return too_many("subscribed names", names);
        }
        if self.sum(|c| c.subscription.bytes()) > name_bytes {
            return too_many("bytes of subscribed names", name_bytes);
        }
        if self.sum(|c| c.due.len()) > names {
            for channel in &mut self.channels {
                channel.due.collapse();
            }
            // What is left are answers that the client waits for while it answers none of ours.
            if self.sum(|c| c.due.len()) > names {
                return too_many("names to answer", names);
            }
        }
        Ok(())
    }

    fn sum(&self, size: impl Fn(&Channel) -> usize) -> usize {
        self.channels.iter().map(size).sum()
    }
}

fn variant(ask: &Ask) -> Variant {
    match ask {
        Ask::State { .. } => Variant::State,
        Ask::Delta { .. } => Variant::Delta,
    }
}

/// Finds the channel of a request's type, or opens it; says whether it did.
fn channel<'a>(
    channels: &'a mut Vec<Channel>,
    scope: &Scope,
    limits: &Limits,
    type_url: &str,
) -> Result<(bool, &'a mut Channel), Refusal> {
    limits.check("type URL", type_url)?;
    let type_url = match scope {
        Scope::Aggregated if type_url.is_empty() => return Err(Refusal::NoType),
        Scope::Aggregated => TypeUrl::from(type_url),
        Scope::One(only) if type_url.is_empty() || type_url == only.as_str() => only.clone(),
        Scope::One(_) => return Err(Refusal::WrongType(type_url.to_owned())),
    };
    let found = channels.iter().position(|c| c.type_url == type_url);
    let index = match found {
        Some(index) => index,
        None if channels.len() >= limits.types => {
            return Err(Refusal::TooMany {
                what: "types",
                limit: limits.types,
            });
        }
        None => {
            let place = |url: &TypeUrl| url.rank().unwrap_or(usize::MAX);
            let index = channels.partition_point(|c| place(&c.type_url) <= place(&type_url));
            channels.insert(index, Channel::new(type_url));
            index
        }
    };
    // The index is that of a channel which was just found or put there.
    let channel = channels.get_mut(index).ok_or(Refusal::NoType)?;
    Ok((found.is_none(), channel))
}
