//! Watches: what happens to objects, line by line.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::answer::{Cut, Failure};
use super::fault::{Availability, Fault};
use super::selector::Selector;
use super::store::Kind;
use super::{Shared, State};

/// How long a watch lasts whose client did not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);

/// Lines that wait for a slow client.
const LINES: usize = 16;

/// A watch that was asked for.
#[derive(Debug)]
pub(super) struct Watching {
    pub(super) kind: Kind,
    pub(super) selector: Selector,
    /// Where to begin; none to begin with all objects that there are.
    pub(super) revision: Option<u64>,
    pub(super) bookmarks: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) fault: Option<Fault>,
}

impl Watching {
    /// Starts to watch.
    pub(super) fn start(self, shared: Arc<Shared>) -> mpsc::Receiver<Result<Bytes, Cut>> {
        let (lines, receiver) = mpsc::channel(LINES);
        tokio::spawn(async move {
            // Fails if the client has left.
            let _ = self.run(&shared, &lines).await;
        });
        receiver
    }

    async fn run(
        self,
        shared: &Shared,
        lines: &mpsc::Sender<Result<Bytes, Cut>>,
    ) -> Result<(), mpsc::error::SendError<Result<Bytes, Cut>>> {
        if self.fault == Some(Fault::GoneEvent) {
            let gone = Failure::new(410, "too old resource version: 1 (2)");
            return lines.send(Ok(line("ERROR", &gone.to_json()))).await;
        }
        // Who is silent does not say that it is over, either.
        let timeout = self.timeout.filter(|_| self.fault != Some(Fault::Silence));
        let deadline = Instant::now() + timeout.unwrap_or(DEFAULT_TIMEOUT);
        let mut changed = shared.changed.subscribe();
        let mut progress = Progress::new(&self, &shared.state());
        loop {
            let step = progress.step(&self, &shared.state());
            for sent in step.lines {
                lines.send(Ok(sent)).await?;
            }
            match step.end {
                Some(End::Cut) => return lines.send(Err(Cut)).await,
                Some(End::Over) => return Ok(()),
                None => {}
            }
            tokio::select! {
                // The sender is in `shared`.
                _ = changed.changed() => {}
                () = lines.closed() => return Ok(()),
                () = tokio::time::sleep_until(deadline) => {
                    let last = progress.bookmark(&self);
                    return match last.filter(|_| self.bookmarks) {
                        Some(last) => lines.send(Ok(last)).await,
                        None => Ok(()),
                    };
                }
            }
        }
    }
}

/// How far a watch has come.
struct Progress {
    /// None until the objects that there are were sent.
    revision: Option<u64>,
    bookmarks: u64,
    cuts: u64,
}

/// What a watch sends next.
#[derive(Default)]
struct Step {
    lines: Vec<Bytes>,
    end: Option<End>,
}

enum End {
    /// In order.
    Over,
    /// In the middle of a line.
    Cut,
}

impl Progress {
    fn new(watching: &Watching, state: &State) -> Progress {
        Progress {
            revision: watching.revision,
            bookmarks: state.store.bookmarks(),
            cuts: state.faults.cuts(&watching.kind.plural),
        }
    }

    fn step(&mut self, watching: &Watching, state: &State) -> Step {
        let (store, plural) = (&state.store, watching.kind.plural.as_str());
        let mut step = Step::default();
        if state.faults.availability == Availability::Down || state.faults.cuts(plural) > self.cuts
        {
            step.lines.push(Bytes::from_static(b"{\"type\":\"MODI"));
            step.end = Some(End::Cut);
            return step;
        }
        if watching.fault == Some(Fault::Silence) || state.faults.is_held(plural) {
            return step;
        }
        let times = 1 + usize::from(watching.fault == Some(Fault::Duplicates));
        let revision = match self.revision {
            Some(revision) => revision,
            None => {
                let objects = store.list(&watching.kind, &watching.selector, store.revision());
                for object in objects.unwrap_or_default() {
                    step.lines.push(line("ADDED", &object));
                }
                store.revision()
            }
        };
        match store.changes(revision) {
            Ok(changes) => {
                for change in changes {
                    if let Some((kind, object)) = change.event(plural, &watching.selector) {
                        let sent = line(kind, &object);
                        step.lines.extend(std::iter::repeat_n(sent, times));
                    }
                }
            }
            Err(gone) => {
                step.lines.push(line("ERROR", &gone.to_json()));
                step.end = Some(End::Over);
            }
        }
        self.revision = Some(store.revision());
        if !store.is_served(plural) {
            step.end = Some(End::Over);
        }
        if store.bookmarks() > self.bookmarks {
            self.bookmarks = store.bookmarks();
            let bookmark = self.bookmark(watching);
            step.lines.extend(bookmark.filter(|_| watching.bookmarks));
        }
        step
    }

    /// The line that says how far the watch has come.
    fn bookmark(&self, watching: &Watching) -> Option<Bytes> {
        let revision = self.revision?.to_string();
        let object = json!({
            "kind": watching.kind.name,
            "apiVersion": watching.kind.api_version(),
            "metadata": {"resourceVersion": revision, "creationTimestamp": null},
        });
        Some(line("BOOKMARK", &object))
    }
}

fn line(kind: &str, object: &Value) -> Bytes {
    let mut line = json!({"type": kind, "object": object}).to_string();
    line.push('\n');
    line.into()
}
