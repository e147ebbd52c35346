//! One stream: a session between the body of a request and that of its response.
//!
//! A stream is the body of its response, and so runs when the connection can take more of it, and
//! when it is woken. It has no task and no queue of its own. A client that does not read gets no
//! further response, and its stream keeps what the mailbox notes; a client that does not answer
//! has one response of each type in flight.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use meshwall_xds_protocol::{Effect, Request, ResourceName, Session, TypeUrl};
use tokio::time::Sleep;
use tonic::Status;

use crate::inbound::Inbound;
use crate::mailbox::News;
use crate::proto;
use crate::service::{OnConnection, Shared, status_of};
use crate::status::{Place, Registered, count};
use crate::store::ViewKey;

/// Things that a stream does at a time before it lets others run.
const TURNS: usize = 32;

pub(crate) struct Stream {
    shared: Arc<Shared>,
    registered: Arc<Registered>,
    /// What the stream takes up, and gives back when it ends.
    _held: (Place, OnConnection),
    view: ViewKey,
    session: Session,
    inbound: Inbound,
    /// What the store tells this stream about.
    subscribed: BTreeSet<(TypeUrl, ResourceName)>,
    /// Pieces of responses that are still to be sent.
    outbox: VecDeque<Bytes>,
    /// Runs out when the session has to be asked.
    timer: Option<Pin<Box<Sleep>>>,
    end: End,
}

/// How far the end of a stream is.
enum End {
    /// It goes on.
    Open,
    /// The status is to be sent.
    Due(Status),
    /// It was sent.
    Sent,
}

impl Stream {
    pub(crate) fn new(
        shared: Arc<Shared>,
        registered: Arc<Registered>,
        held: (Place, OnConnection),
        view: ViewKey,
        session: Session,
        inbound: Inbound,
    ) -> Self {
        Self {
            shared,
            registered,
            _held: held,
            view,
            session,
            inbound,
            subscribed: BTreeSet::new(),
            outbox: VecDeque::new(),
            timer: None,
            end: End::Open,
        }
    }

    /// Takes a message of the client.
    pub(crate) fn request(&mut self, request: Request) {
        let session = &mut self.session;
        let now = Instant::now();
        let (effects, seen) = self
            .shared
            .store
            .look(&self.view, |view| session.request(request, view, now));
        match effects {
            Ok(effects) => self.act(effects, seen),
            Err(refusal) => {
                tracing::warn!(view = %self.view, %refusal, "a stream was broken off");
                count(&self.shared.registry.counters.streams_broken, 1);
                self.end = End::Due(status_of(&refusal));
            }
        }
    }

    fn news(&mut self, news: News) {
        if news.closing {
            self.end = End::Due(Status::unavailable("the server is shutting down"));
            return;
        }
        let session = &mut self.session;
        let now = Instant::now();
        let (effects, seen) = self.shared.store.look(&self.view, |view| {
            if news.all {
                return session.all_changed(view, now);
            }
            let mut effects = Vec::new();
            for (type_url, names) in &news.names {
                effects.extend(session.changed(type_url, names, view, now));
            }
            effects
        });
        self.act(effects, seen);
    }

    fn timeout(&mut self) {
        let session = &mut self.session;
        let now = Instant::now();
        let (effects, seen) = self
            .shared
            .store
            .look(&self.view, |view| session.timeout(view, now));
        self.act(effects, seen);
    }

    /// Does what the session wants, which it decided on what the store had at a generation.
    fn act(&mut self, effects: Vec<Effect>, seen: u64) {
        let mut added = BTreeSet::new();
        let mut removed = BTreeSet::new();
        for effect in effects {
            match &effect {
                Effect::Send(response) => {
                    let pieces = proto::response(response);
                    let counters = &self.shared.registry.counters;
                    count(&counters.responses, 1);
                    let bytes: usize = pieces.iter().map(Bytes::len).sum();
                    count(&counters.response_bytes, bytes as u64);
                    self.outbox.extend(pieces);
                }
                Effect::Subscribed { type_url, name } => {
                    let key = (type_url.clone(), name.clone());
                    if !removed.remove(&key) {
                        added.insert(key);
                    }
                }
                Effect::Unsubscribed { type_url, name } => {
                    let key = (type_url.clone(), name.clone());
                    if !added.remove(&key) {
                        removed.insert(key);
                    }
                }
                Effect::Acked { .. } | Effect::Nacked { .. } => {}
            }
            self.shared.registry.note(&self.registered, effect);
        }
        let (store, mailbox) = (&self.shared.store, &self.registered.mailbox);
        if !removed.is_empty() {
            store.unsubscribe(&self.view, &removed, mailbox);
            self.subscribed.retain(|key| !removed.contains(key));
        }
        if !added.is_empty() {
            let now = store.subscribe(&self.view, &added, mailbox);
            self.subscribed.extend(added);
            if now != seen {
                // Something was published after the session looked, and before it was subscribed.
                mailbox.all_changed();
            }
        }
        self.set_timer();
    }

    fn set_timer(&mut self) {
        let deadline = self.session.deadline().map(tokio::time::Instant::from_std);
        match (&mut self.timer, deadline) {
            (Some(timer), Some(deadline)) if timer.deadline() == deadline => {}
            (Some(timer), Some(deadline)) => timer.as_mut().reset(deadline),
            (timer, deadline) => {
                *timer = deadline.map(|at| Box::pin(tokio::time::sleep_until(at)));
            }
        }
    }

    /// Does one thing of all that there may be to do; returns whether there was any.
    fn step(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(news) = self.registered.mailbox.take(cx.waker()) {
            self.news(news);
            return true;
        }
        match self.inbound.poll_next(cx) {
            Poll::Ready(Some(Ok(request))) => {
                self.request(request);
                return true;
            }
            Poll::Ready(Some(Err(status))) => {
                if status.code() != tonic::Code::Cancelled {
                    tracing::warn!(view = %self.view, reason = status.message(), "a stream was broken off");
                    count(&self.shared.registry.counters.streams_broken, 1);
                }
                self.end = End::Due(status);
                return true;
            }
            Poll::Ready(None) => {
                self.end = End::Due(Status::ok(""));
                return true;
            }
            Poll::Pending => {}
        }
        if let Some(timer) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            self.timer = None;
            self.timeout();
            return true;
        }
        false
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        for _ in 0..TURNS {
            if let Some(piece) = this.outbox.pop_front() {
                if this.outbox.is_empty() {
                    this.outbox = VecDeque::new();
                }
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            match std::mem::replace(&mut this.end, End::Sent) {
                End::Open => this.end = End::Open,
                End::Due(status) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers(&status)))));
                }
                End::Sent => return Poll::Ready(None),
            }
            if !this.step(cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let Self {
            shared,
            registered,
            view,
            subscribed,
            ..
        } = self;
        shared
            .store
            .unsubscribe(view, &*subscribed, &registered.mailbox);
        shared.registry.close(registered);
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // A message that no header can hold; the code says enough.
        trailers.clear();
        let code = http::HeaderValue::from(status.code() as i32);
        trailers.insert("grpc-status", code);
    }
    trailers
}
