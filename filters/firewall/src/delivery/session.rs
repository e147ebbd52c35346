//! A session with a policy server, without the stream: messages and time in, effects out.
//!
//! The session lives as long as the virtual machine needs programs, streams come and go. It keeps
//! to incremental xDS: the node in the first request of a stream only, each response answered
//! once, nothing asked for that is there. A policy is accepted when its program is in force. Until
//! then its response is left open, and chunks are asked for, so many at a time; that is also what
//! keeps a server from sending more than this side wants.
//!
//! Whatever goes wrong, what is held stays held.

use std::sync::Arc;
use std::time::Duration;

use meshwall_policy::delivery::{
    Assembly, CHUNK_TYPE, ChunkError, ChunkId, ChunkRef, MAX_MESSAGE_BYTES, MAX_OUTSTANDING_BYTES,
    Manifest, POLICY_NAME, POLICY_TYPE,
};
use meshwall_policy::peers::PeerTable;
use meshwall_policy::program::Program;
use prost::Message;

use super::backoff::Backoff;
use super::held::{Held, load};
use super::proto::{
    Content, DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node, Resource, Status, VersionEntry,
};

/// How long to wait for chunks before the stream is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a session wants done, in order.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Open a stream; then tell [`Session::opened`], or [`Session::closed`] if that failed.
    Open,
    /// Send a request on the stream.
    Send(Box<DeltaDiscoveryRequest>),
    /// End the stream as soon as may be. Nothing more is to be told of it.
    Reset,
    /// Put a program into force.
    Enforce(Arc<Program>, Arc<PeerTable>),
    /// Let the operator know.
    Tell(Event),
}

/// What an operator wants to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// A stream has brought its first response.
    Connected,
    /// A stream has ended or could not be opened, for this reason.
    Disconnected(String),
    /// The program of this version is in force.
    Accepted(String),
    /// A response was refused, for this reason.
    Refused(String),
    /// The server has no policy for this proxy.
    Removed,
}

/// How things stand with the stream. Times are since the Unix epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Link {
    /// There is none. The next attempt is at this time.
    Down { until: Duration },
    /// It is open, and has brought nothing that makes sense yet.
    Silent,
    /// It works.
    Up,
}

/// A policy that is not in force yet.
#[derive(Debug)]
struct Pending {
    version: String,
    assembly: Assembly,
    /// The response that is to be answered; `None` if it was, or its stream has ended. Then what
    /// is here serves to complete the next manifest.
    nonce: Option<String>,
}

/// A session with one policy server.
#[derive(Debug)]
pub(crate) struct Session {
    node: Node,
    link: Link,
    backoff: Backoff,
    held: Option<Held>,
    pending: Option<Pending>,
    /// Chunks that were asked for on this stream and have not come, with their length in bytes.
    asked: Vec<ChunkRef>,
    /// When chunks that were asked for must have come.
    deadline: Duration,
}

impl Session {
    /// A session that begins at the next occasion.
    pub(crate) fn new(node: Node) -> Session {
        Session {
            node,
            link: Link::Down {
                until: Duration::ZERO,
            },
            backoff: Backoff::default(),
            held: None,
            pending: None,
            asked: Vec::new(),
            deadline: Duration::ZERO,
        }
    }

    /// What is in force.
    pub(crate) fn in_force(&self) -> Option<(Arc<Program>, Arc<PeerTable>)> {
        let held = self.held.as_ref()?;
        Some((Arc::clone(&held.program), Arc::clone(&held.peers)))
    }

    /// When [`wake`](Session::wake) has something to do, since the Unix epoch.
    pub(crate) fn alarm(&self) -> Option<Duration> {
        match self.link {
            Link::Down { until } => Some(until),
            Link::Silent | Link::Up if self.asked.is_empty() => None,
            Link::Silent | Link::Up => Some(self.deadline),
        }
    }

    /// Time passes.
    pub(crate) fn wake(&mut self, now: Duration) -> Vec<Effect> {
        match self.alarm() {
            Some(at) if at <= now => {}
            _ => return Vec::new(),
        }
        match self.link {
            Link::Down { .. } => vec![Effect::Open],
            Link::Silent | Link::Up => {
                let seconds = PATIENCE.as_secs();
                self.give_up(now, format!("no chunk has come for {seconds} s"))
            }
        }
    }

    /// A stream is open.
    pub(crate) fn opened(&mut self) -> Vec<Effect> {
        self.link = Link::Silent;
        let version = self.held.as_ref().map(|held| held.version.clone());
        let known = version.map(|version| VersionEntry {
            key: POLICY_NAME.to_owned(),
            value: version,
        });
        vec![Effect::Send(Box::new(DeltaDiscoveryRequest {
            node: Some(self.node.clone()),
            type_url: POLICY_TYPE.to_owned(),
            resource_names_subscribe: vec![POLICY_NAME.to_owned()],
            initial_resource_versions: known.into_iter().collect(),
            ..DeltaDiscoveryRequest::default()
        }))]
    }

    /// The stream has ended, or could not be opened.
    pub(crate) fn closed(&mut self, now: Duration, reason: String) -> Vec<Effect> {
        let until = now.saturating_add(self.backoff.fail());
        self.down(until);
        vec![Effect::Tell(Event::Disconnected(reason))]
    }

    /// The stream has ended with the root context that it belonged to. Another is opened at once.
    pub(crate) fn orphaned(&mut self) {
        self.down(Duration::ZERO);
    }

    /// A message of so many bytes has come. Whether to read it.
    pub(crate) fn may_read(&self, length: usize) -> bool {
        length <= MAX_MESSAGE_BYTES
    }

    /// A message has come that is not to be read.
    pub(crate) fn too_large(&mut self, now: Duration, length: usize) -> Vec<Effect> {
        let reason = format!("a message of {length} bytes, more than {MAX_MESSAGE_BYTES}");
        self.give_up(now, reason)
    }

    /// A message has come.
    pub(crate) fn received(&mut self, now: Duration, message: &[u8]) -> Vec<Effect> {
        let Ok(response) = DeltaDiscoveryResponse::decode(message) else {
            return self.give_up(now, "a message that is no discovery response".to_owned());
        };
        let mut effects = Vec::new();
        match self.link {
            Link::Down { .. } => return effects,
            Link::Silent => {
                self.link = Link::Up;
                self.backoff.reset();
                effects.push(Effect::Tell(Event::Connected));
            }
            Link::Up => {}
        }
        match response.type_url.as_str() {
            POLICY_TYPE => self.policy(now, response, &mut effects),
            CHUNK_TYPE => self.chunks(now, response, &mut effects),
            other => {
                let reason = format!("type `{other}` was not asked for");
                refuse(other, response.nonce, reason, &mut effects);
            }
        }
        effects
    }

    fn policy(
        &mut self,
        now: Duration,
        response: DeltaDiscoveryResponse,
        effects: &mut Vec<Effect>,
    ) {
        self.refuse_pending("superseded", effects);
        let DeltaDiscoveryResponse {
            resources,
            nonce,
            removed_resources,
            type_url: _,
        } = response;
        if removed_resources.iter().any(|name| name == POLICY_NAME) {
            effects.push(Effect::Tell(Event::Removed));
        }
        let (version, manifest) = match manifest(resources) {
            Ok(Some(resource)) => resource,
            Ok(None) => {
                self.ask(now, None, effects);
                return accept(POLICY_TYPE, nonce, effects);
            }
            Err(reason) => {
                self.ask(now, None, effects);
                return refuse(POLICY_TYPE, nonce, reason, effects);
            }
        };
        let held = self.held.as_ref();
        let mut assembly = Assembly::new(manifest, held.map(|held| &held.manifest));
        for (id, data) in held.iter().flat_map(|held| held.chunks()) {
            assembly.adopt(id, data);
        }
        for (id, data) in self.pending.iter().flat_map(|old| old.assembly.chunks()) {
            assembly.adopt(id, data);
        }
        self.pending = Some(Pending {
            version,
            assembly,
            nonce: Some(nonce),
        });
        self.ask(now, None, effects);
        self.complete(effects);
    }

    fn chunks(
        &mut self,
        now: Duration,
        response: DeltaDiscoveryResponse,
        effects: &mut Vec<Effect>,
    ) {
        let nonce = response.nonce.clone();
        match self.take(response) {
            Ok(()) => self.ask(now, Some(Answer::accepted(nonce)), effects),
            Err(Fault::Policy(reason)) => {
                self.refuse_pending(&reason, effects);
                self.ask(now, Some(Answer::accepted(nonce)), effects);
            }
            Err(Fault::Chunks(reason)) => {
                self.refuse_pending(&reason, effects);
                self.ask(now, Some(Answer::refused(nonce, reason)), effects);
            }
        }
        self.complete(effects);
    }

    /// Takes what chunks a response has. Those that nobody waits for any more are passed over.
    fn take(&mut self, response: DeltaDiscoveryResponse) -> Result<(), Fault> {
        let Some(pending) = &mut self.pending else {
            return Ok(());
        };
        for resource in response.resources {
            let id = ChunkId::parse(&resource.name)
                .ok_or_else(|| Fault::Chunks(format!("`{}` is no chunk", resource.name)))?;
            if !self.asked.iter().any(|chunk| chunk.id == id) {
                continue;
            }
            let data = content(resource, CHUNK_TYPE).map_err(Fault::Chunks)?;
            match pending.assembly.supply(id, &data) {
                Ok(()) => {}
                Err(error @ ChunkError::Hash { .. }) => {
                    return Err(Fault::Chunks(error.to_string()));
                }
                Err(error @ ChunkError::Length { .. }) => {
                    return Err(Fault::Policy(error.to_string()));
                }
            }
        }
        for name in response.removed_resources {
            if self.asked.iter().any(|chunk| chunk.id.to_string() == name) {
                return Err(Fault::Policy(format!("the server does not have `{name}`")));
            }
        }
        Ok(())
    }

    /// Answers a response with chunks, and brings the subscriptions in line with what is missing:
    /// what has come or is not needed any more is unsubscribed, and as much more asked for as may
    /// be outstanding.
    fn ask(&mut self, now: Duration, answer: Option<Answer>, effects: &mut Vec<Effect>) {
        let open = self.pending.as_ref().filter(|open| open.nonce.is_some());
        let missing: Vec<ChunkRef> =
            open.map_or_else(Vec::new, |open| open.assembly.missing().collect());
        let mut unsubscribe = Vec::new();
        self.asked.retain(|chunk| {
            let keep = missing.iter().any(|missing| missing.id == chunk.id);
            if !keep {
                unsubscribe.push(chunk.id.to_string());
            }
            keep
        });
        let mut outstanding: usize = self.asked.iter().map(|chunk| chunk.bytes).sum();
        let mut subscribe = Vec::new();
        for chunk in missing {
            if self.asked.iter().any(|asked| asked.id == chunk.id) {
                continue;
            }
            outstanding = outstanding.saturating_add(chunk.bytes);
            if outstanding > MAX_OUTSTANDING_BYTES {
                break;
            }
            subscribe.push(chunk.id.to_string());
            self.asked.push(chunk);
        }
        let progress = !unsubscribe.is_empty() || !subscribe.is_empty();
        if progress {
            self.deadline = now.saturating_add(PATIENCE);
        }
        if !progress && answer.is_none() {
            return;
        }
        let Answer { nonce, error } = answer.unwrap_or_default();
        if let Some(error) = &error {
            effects.push(Effect::Tell(Event::Refused(error.message.clone())));
        }
        effects.push(Effect::Send(Box::new(DeltaDiscoveryRequest {
            type_url: CHUNK_TYPE.to_owned(),
            resource_names_subscribe: subscribe,
            resource_names_unsubscribe: unsubscribe,
            response_nonce: nonce,
            error_detail: error,
            ..DeltaDiscoveryRequest::default()
        })));
    }

    /// Puts the pending policy into force, if nothing is missing.
    fn complete(&mut self, effects: &mut Vec<Effect>) {
        let complete =
            |open: &mut Pending| open.nonce.is_some() && open.assembly.missing().next().is_none();
        let Some(pending) = self.pending.take_if(complete) else {
            return;
        };
        let Pending {
            version,
            assembly,
            nonce,
        } = pending;
        let nonce = nonce.unwrap_or_default();
        let Some(parts) = assembly.finish() else {
            return;
        };
        let unchanged = parts.program.is_none() && parts.peers.is_none();
        match load(parts, version, self.held.as_ref()) {
            Ok(held) => {
                if !unchanged {
                    let (program, peers) = (Arc::clone(&held.program), Arc::clone(&held.peers));
                    effects.push(Effect::Enforce(program, peers));
                    effects.push(Effect::Tell(Event::Accepted(held.version.clone())));
                }
                self.held = Some(held);
                accept(POLICY_TYPE, nonce, effects);
            }
            Err(error) => refuse(POLICY_TYPE, nonce, error.to_string(), effects),
        }
    }

    /// Refuses the policy that is not in force yet. Its chunks may serve the next.
    fn refuse_pending(&mut self, reason: &str, effects: &mut Vec<Effect>) {
        let nonce = self.pending.as_mut().and_then(|open| open.nonce.take());
        if let Some(nonce) = nonce {
            refuse(POLICY_TYPE, nonce, reason.to_owned(), effects);
        }
    }

    fn give_up(&mut self, now: Duration, reason: String) -> Vec<Effect> {
        let mut effects = vec![Effect::Reset];
        effects.extend(self.closed(now, reason));
        effects
    }

    fn down(&mut self, until: Duration) {
        self.link = Link::Down { until };
        self.asked.clear();
        if let Some(pending) = &mut self.pending {
            pending.nonce = None;
        }
    }
}

/// The answer to a response.
#[derive(Default)]
struct Answer {
    nonce: String,
    error: Option<Status>,
}

impl Answer {
    fn accepted(nonce: String) -> Answer {
        Answer { nonce, error: None }
    }

    fn refused(nonce: String, reason: String) -> Answer {
        let error = Some(Status::refused(reason));
        Answer { nonce, error }
    }
}

/// What is wrong when chunks have come.
enum Fault {
    /// The response is right, but the manifest cannot be completed.
    Policy(String),
    /// The response is wrong, and the manifest cannot be completed either.
    Chunks(String),
}

/// The manifest that a response brings, with the version of its resource.
fn manifest(resources: Vec<Resource>) -> Result<Option<(String, Manifest)>, String> {
    let mut found = None;
    for mut resource in resources {
        if resource.name != POLICY_NAME {
            return Err(format!("`{}` was not asked for", resource.name));
        }
        if found.is_some() {
            return Err(format!("`{POLICY_NAME}` is there twice"));
        }
        let version = std::mem::take(&mut resource.version);
        let bytes = content(resource, POLICY_TYPE)?;
        let manifest = Manifest::decode(&bytes).map_err(|error| error.to_string())?;
        found = Some((version, manifest));
    }
    Ok(found)
}

/// The one field of a resource's message.
fn content(resource: Resource, type_url: &str) -> Result<Vec<u8>, String> {
    let Resource { name, resource, .. } = resource;
    let any = resource
        .filter(|any| any.type_url == type_url)
        .ok_or_else(|| format!("`{name}` is not of type `{type_url}`"))?;
    let content = Content::decode(&*any.value);
    content
        .map(|content| content.bytes)
        .map_err(|_| format!("`{name}` cannot be read"))
}

fn accept(type_url: &str, nonce: String, effects: &mut Vec<Effect>) {
    effects.push(Effect::Send(Box::new(DeltaDiscoveryRequest {
        type_url: type_url.to_owned(),
        response_nonce: nonce,
        ..DeltaDiscoveryRequest::default()
    })));
}

fn refuse(type_url: &str, nonce: String, reason: String, effects: &mut Vec<Effect>) {
    effects.push(Effect::Tell(Event::Refused(reason.clone())));
    effects.push(Effect::Send(Box::new(DeltaDiscoveryRequest {
        type_url: type_url.to_owned(),
        response_nonce: nonce,
        error_detail: Some(Status::refused(reason)),
        ..DeltaDiscoveryRequest::default()
    })));
}
