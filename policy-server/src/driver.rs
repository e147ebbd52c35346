//! What happens to events: into the index, to disk, and out to proxies.
//!
//! One task has the index. It takes what sources tell, and waits a little for what belongs
//! together; then it writes what was told to disk, works out what follows, and publishes that. A
//! disk that cannot be written is reported and does not stop what is enforced.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use meshwall_xds_server::{Change, Server, ViewKey};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;
use tracing::{debug, error, info, warn};

use crate::identity::Identities;
use crate::index::{
    DefinitionKey, Description, Duty, Enforced, Index, Report, Size, Standing, Update, Work,
    WorkloadKey,
};
use crate::memory::Memory;
use crate::publish::{Publisher, Set};
use crate::source::Event;
use crate::telemetry::{KindLabels, Metrics};

/// Most events that one update takes together, so that a flood does not put off what came first.
const MAX_TOGETHER: usize = 20_000;

/// A question about a workload.
#[derive(Debug)]
pub struct Ask {
    /// The workload.
    pub workload: WorkloadKey,
    /// Gets the answer; `None` if there is no such workload.
    pub answer: oneshot::Sender<Option<Description>>,
}

/// What is known of the state of things, for whoever reports on it. Copies are of the same.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<RwLock<Posted>>);

/// What a workload was told to enforce, and for whom.
#[derive(Clone, Debug)]
pub struct Posting {
    /// The policies that want it.
    pub duty: Duty,
    /// The view of its proxy.
    pub view: ViewKey,
    /// What is in that view.
    pub resources: Arc<Set>,
}

/// What stands on the board.
#[derive(Clone, Debug, Default)]
pub struct Posted {
    /// What is said about each policy and configuration.
    pub reports: BTreeMap<DefinitionKey, Report>,
    /// What was published for each workload.
    pub workloads: BTreeMap<WorkloadKey, Posting>,
    /// How much the index holds.
    pub size: Size,
    /// Updates of the index.
    pub updates: u64,
    /// What all updates together have done.
    pub work: Work,
    /// How long the last update took, from its first event until it was published.
    pub last: Duration,
    /// Why the state on disk could not be written; none if it could.
    pub disk: Option<String>,
    /// Whether all that is known comes from the state on disk.
    pub restored: bool,
}

/// The task that has the index.
pub struct Driver {
    index: Index,
    memory: Option<Memory>,
    identities: Arc<Identities>,
    publisher: Publisher,
    xds: Server,
    board: Board,
    metrics: Arc<Metrics>,
    window: Duration,
}

impl Board {
    /// What stands there now.
    #[must_use]
    pub fn read(&self) -> Posted {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes a look, without a copy of all of it. The driver waits meanwhile.
    pub fn look<T>(&self, look: impl FnOnce(&Posted) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn post(&self, change: impl FnOnce(&mut Posted)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Driver {
    /// A driver for an index that knows nothing. `window` is how long events are waited for that
    /// belong together.
    #[must_use]
    pub fn new(
        index: Index,
        memory: Option<Memory>,
        identities: Arc<Identities>,
        publisher: Publisher,
        xds: Server,
        metrics: Arc<Metrics>,
        window: Duration,
    ) -> Driver {
        Driver {
            index,
            memory,
            identities,
            publisher,
            xds,
            board: Board::default(),
            metrics,
            window,
        }
    }

    /// Where the driver writes how things are.
    #[must_use]
    pub fn board(&self) -> Board {
        self.board.clone()
    }

    /// Publishes what was remembered, before anything is heard.
    pub fn restore(&mut self, remembered: Vec<Event>) {
        let since = Instant::now();
        if remembered.is_empty() {
            return;
        }
        for event in remembered {
            event.tell(&mut self.index);
        }
        self.update(since);
        self.board.post(|posted| posted.restored = true);
        info!(
            workloads = self.index.size().workloads,
            definitions = self.index.size().definitions,
            "what was in force before is served from disk"
        );
    }

    /// Runs until nobody tells anything any more.
    pub async fn run(mut self, mut events: mpsc::Receiver<Event>, mut asks: mpsc::Receiver<Ask>) {
        loop {
            tokio::select! {
                biased;
                ask = asks.recv() => match ask {
                    Some(ask) => self.answer(ask),
                    None => return,
                },
                event = events.recv() => match event {
                    Some(event) => self.take(event, &mut events).await,
                    None => return,
                },
            }
        }
    }

    fn answer(&self, ask: Ask) {
        // Who asked may be gone.
        let _ = ask.answer.send(self.index.describe(&ask.workload));
    }

    /// Takes an event and what comes soon after it.
    async fn take(&mut self, first: Event, events: &mut mpsc::Receiver<Event>) {
        let since = Instant::now();
        let end = tokio::time::Instant::now() + self.window;
        let mut changed = self.tell(first);
        for _ in 1..MAX_TOGETHER {
            match timeout_at(end, events.recv()).await {
                Ok(Some(event)) => changed |= self.tell(event),
                Ok(None) | Err(_) => break,
            }
        }
        self.remember();
        if changed {
            self.update(since);
            self.board.post(|posted| posted.restored = false);
        }
    }

    fn tell(&mut self, event: Event) -> bool {
        let (cluster, kind, objects) = match &event {
            Event::Listed {
                cluster,
                kind,
                objects,
            } => (cluster, *kind, objects.len()),
            Event::Applied { cluster, object } => (cluster, object.key().kind, 1),
            Event::Deleted { cluster, key } => (cluster, key.kind, 1),
        };
        let labels = KindLabels {
            cluster: cluster.to_string(),
            kind: kind.as_str(),
        };
        let told = self.metrics.events.get_or_create(&labels);
        told.inc_by(objects as u64);
        drop(told);
        if let Some(memory) = &mut self.memory {
            memory.note(&event);
        }
        event.tell(&mut self.index)
    }

    fn remember(&mut self) {
        let Some(memory) = &mut self.memory else {
            return;
        };
        // The disk is waited for here: what is published must not be forgotten by a crash.
        let committed = memory.commit();
        let metrics = &self.metrics;
        match &committed {
            Ok(true) => drop(metrics.state_commits.inc()),
            Ok(false) => {}
            Err(_) => drop(metrics.state_errors.inc()),
        }
        let bytes = i64::try_from(memory.bytes()).unwrap_or(i64::MAX);
        metrics.state_bytes.set(bytes);
        let trouble = committed.err().map(|error| error.to_string());
        if let Some(error) = &trouble {
            error!(%error, "the state cannot be written; a restart would serve an older one");
        }
        self.board.post(|posted| posted.disk = trouble);
    }

    fn update(&mut self, since: Instant) {
        let update = self.index.update();
        let changes = self.changes(&update);
        let resources = self.xds.publish(changes);
        let postings = self.postings(&update);
        for report in &update.reports {
            tell_of(report);
        }
        let Work {
            selected,
            compiled,
            tables,
            published,
        } = update.work;
        let last = since.elapsed();
        self.metrics.updates.observe(last.as_secs_f64());
        debug!(
            selected,
            compiled,
            tables,
            published,
            resources,
            ?last,
            "updated"
        );
        let size = self.index.size();
        self.board.post(|posted| {
            posted.size = size;
            posted.updates += 1;
            posted.last = last;
            posted.work.selected += selected;
            posted.work.compiled += compiled;
            posted.work.tables += tables;
            posted.work.published += published;
            for (workload, posting) in postings {
                match posting {
                    Some(posting) => posted.workloads.insert(workload, posting),
                    None => posted.workloads.remove(&workload),
                };
            }
            for definition in &update.forgotten {
                posted.reports.remove(definition);
            }
            for report in update.reports {
                posted.reports.insert(report.definition.clone(), report);
            }
        });
    }

    fn changes(&mut self, update: &Update) -> Vec<Change> {
        let mut changes = Vec::new();
        for workload in &update.removed {
            self.identities.remove(workload);
            changes.extend(self.publisher.forget(workload));
        }
        for (workload, enforced) in &update.changed {
            changes.extend(self.enforce(workload, enforced));
        }
        self.publisher.tidy();
        changes
    }

    /// What is published from now on for the workloads of an update; none for those that are gone.
    fn postings(&self, update: &Update) -> Vec<(WorkloadKey, Option<Posting>)> {
        let touched = update.removed.iter().chain(&update.touched);
        let postings = touched.map(|workload| {
            let published = self.publisher.published(workload);
            let posting = published.and_then(|(view, resources)| {
                Some(Posting {
                    duty: self.index.duty(workload)?,
                    view: view.clone(),
                    resources: Arc::clone(resources),
                })
            });
            (workload.clone(), posting)
        });
        postings.collect()
    }

    fn enforce(&mut self, workload: &WorkloadKey, enforced: &Enforced) -> Vec<Change> {
        let Some(principal) = self.index.principal(workload) else {
            return Vec::new();
        };
        let view = self.identities.set(workload, principal);
        match self.publisher.enforce(workload, &view, enforced) {
            Ok(changes) => changes,
            Err(error) => {
                error!(%workload, %error, "a program is not published; the last good one stays");
                Vec::new()
            }
        }
    }
}

/// Says what has become of a policy.
fn tell_of(report: &Report) {
    let definition = &report.definition;
    match &report.standing {
        Standing::Accepted => {
            info!(%definition, selects = report.selects, "a policy is in force");
        }
        Standing::Repeated => debug!(%definition, "the policy cluster says the same"),
        Standing::Refused { refusal, instead } => {
            warn!(%definition, %refusal, %instead, "a policy is refused");
        }
        Standing::Conflicted { conflict, instead } => {
            warn!(%definition, %conflict, %instead, "a policy contradicts another one");
        }
    }
    for failure in &report.failures {
        error!(%definition, failure, "a program cannot be made; the last good one stays");
    }
}
