//! Objects of a folder of files: a cluster without Kubernetes.
//!
//! The folder holds policies, and the namespaces and pods that they are about, as `kubectl get -o
//! yaml` prints them. It is looked at every half second, rather than waiting to be told: what tells
//! of changes is silent on network file systems and in some containers, and a folder that is
//! replaced as a whole, as Kubernetes does with a mounted ConfigMap, has to be looked at anyway.
//!
//! What is there counts when it is at rest (`scan.rs`): a file that is being written may be a policy
//! with half of its rules. A file that cannot be read, or not understood, keeps what it said; a
//! folder that is gone does, too. Each change is told as a whole.

mod read;
mod scan;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{info, warn};

use self::scan::{Scanner, Seen};
use super::{Event, Health, State};
use crate::index::{ClusterName, Kind};

/// Time between two looks, unless a caller wants another.
pub const INTERVAL: Duration = Duration::from_millis(500);

/// The task that looks at a folder. It ends when this is dropped.
#[derive(Debug)]
pub struct Looking {
    _task: JoinSet<()>,
}

/// Looks at a folder, and tells `events` of what is in it until its receiver is gone.
#[must_use]
pub fn watch(
    cluster: &ClusterName,
    folder: &Path,
    interval: Duration,
    events: &mpsc::Sender<Event>,
    health: &Health,
) -> Looking {
    let source = Source {
        cluster: cluster.clone(),
        scanner: Scanner::new(folder, interval),
        events: events.clone(),
        health: health.clone(),
        trouble: None,
    };
    source.note(|_| {});
    let mut task = JoinSet::new();
    task.spawn(source.run(interval));
    Looking { _task: task }
}

struct Source {
    cluster: ClusterName,
    scanner: Scanner,
    events: mpsc::Sender<Event>,
    health: Health,
    /// What was said to be wrong.
    trouble: Option<String>,
}

impl Source {
    async fn run(mut self, interval: Duration) {
        loop {
            let mut scanner = self.scanner;
            // Reads files.
            let look = tokio::task::spawn_blocking(move || {
                let seen = scanner.look(SystemTime::now());
                (scanner, seen)
            });
            let Ok((scanner, seen)) = look.await else {
                // The runtime ends.
                return;
            };
            self.scanner = scanner;
            if seen == Seen::Other && self.tell().await.is_err() {
                return;
            }
            self.report(&seen);
            tokio::time::sleep(interval).await;
        }
    }

    /// Tells of everything.
    async fn tell(&mut self) -> Result<(), mpsc::error::SendError<Event>> {
        let mut objects = self.scanner.objects();
        info!(cluster = %self.cluster, objects = objects.len(), "read the files");
        for kind in Kind::ALL {
            let of_kind = objects.extract_if(.., |object| object.key().kind == kind);
            let event = Event::Listed {
                cluster: self.cluster.clone(),
                kind,
                objects: of_kind.collect(),
            };
            self.events.send(event).await?;
        }
        self.note(|health| {
            health.listed = true;
            health.lists += 1;
        });
        Ok(())
    }

    fn report(&mut self, seen: &Seen) {
        let trouble = match seen {
            Seen::Unrest(path) => Some(format!("`{}` is being written", path.display())),
            Seen::Nothing(reason) => Some(reason.clone()),
            Seen::Same | Seen::Other => self.scanner.trouble(),
        };
        self.note(|health| match &trouble {
            Some(trouble) => health.state = State::Failing(trouble.clone()),
            None => {
                health.state = State::Watching;
                health.heard = Some(Instant::now());
            }
        });
        // A file that is being written is seen once or twice.
        if trouble != self.trouble && !matches!(seen, Seen::Unrest(_)) {
            match &trouble {
                Some(trouble) => {
                    warn!(cluster = %self.cluster, reason = %trouble, "what was read before holds");
                }
                None => info!(cluster = %self.cluster, "all files can be read"),
            }
            self.trouble = trouble;
        }
    }

    fn note(&self, note: impl Fn(&mut super::KindHealth)) {
        for kind in Kind::ALL {
            self.health.note(&self.cluster, kind, &note);
        }
    }
}
