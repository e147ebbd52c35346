//! The status of our objects: what the server made of each, and how far proxies have come.
//!
//! ```text
//! reports, published versions --+
//!                               +--> desired: what each status should say
//! streams: accepted, refused ---+       |
//!                                       v
//!                    ledger: what was written, and what is to be written now
//!                                       |
//!                    writer: one for each cluster, while it has the lease there
//! ```
//!
//! The conditions are those of the Gateway API's policy attachment (GEP-713):
//!
//! | condition | | reason | |
//! |---|---|---|---|
//! | `Accepted` | True | `Accepted` | it is in force |
//! | | False | `Invalid` | it is wrong; the message says what, and what holds instead |
//! | | False | `Conflicted` | it contradicts another one, which is named |
//! | `Programmed` | True | `Programmed` | all connected proxies that it concerns enforce it |
//! | | False | `Pending` | some do not yet |
//! | | False | `Refused` | some refused it; the first is named, with its reason |
//! | | False | `ProgramFailed` | for some workloads no program can be made of it |
//! | | Unknown | `NoProxies` | it concerns no proxy that is connected |
//!
//! `Programmed` is there only as long as the object is accepted.
//!
//! Proxies are those that are connected to the replica that writes: replicas share nothing, so where
//! there are several, the counts are of a part of the proxies.

mod api;
mod desired;
mod election;
mod event;
mod ledger;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use meshwall_xds_server::Server;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

pub use self::desired::{Claim, Desired, Proxy, Stage, desired, proxies};
pub use self::election::{Election, Held, Turn};
pub use self::ledger::{ACCEPTED, Ledger, Now, PROGRAMMED, Warning, Write};
pub use self::writer::LEASE;

use self::writer::{All, Writer};
use crate::driver::Board;
use crate::index::{ClusterName, Kind};
use crate::source::Health;

/// How long what takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// Between two looks at what there is to write.
    pub tick: Duration,
    /// Least time between two writes to an object of which only the proxies differ.
    pub every: Duration,
    /// For how long a lease is given.
    pub lease: Duration,
    /// Between two looks at the lease, and after a failure.
    pub renew: Duration,
    /// After the API server has said that something is not allowed, or not there.
    pub forbidden: Duration,
    /// For an answer. With two thirds of `lease` it must be less than all of it.
    pub answer: Duration,
    /// After which what was written is read again.
    pub refresh: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            tick: Duration::from_secs(1),
            every: Duration::from_secs(10),
            lease: Duration::from_secs(15),
            renew: Duration::from_secs(5),
            forbidden: Duration::from_secs(60),
            answer: Duration::from_secs(4),
            refresh: Duration::from_secs(600),
        }
    }
}

/// The tasks that write. They end when this is dropped.
#[derive(Debug)]
pub struct Writing {
    _tasks: JoinSet<()>,
}

/// Where it is looked up what there is to say.
#[derive(Clone)]
pub struct Known {
    /// What is said of definitions, and what was published.
    pub board: Board,
    /// What proxies have accepted.
    pub xds: Server,
    /// What has been listed.
    pub health: Health,
    /// The cluster whose policies hold in all.
    pub policy_cluster: ClusterName,
}

/// Writes the statuses of the objects of these clusters, each by its own client. `me` is a name that
/// no other replica has.
#[must_use]
pub fn start(
    clusters: impl IntoIterator<Item = (ClusterName, kube::Client)>,
    me: &str,
    known: Known,
    timing: Timing,
) -> Writing {
    let mut tasks = JoinSet::new();
    let (sender, desired) = watch::channel(Arc::default());
    let mut names = Vec::new();
    for (cluster, client) in clusters {
        names.push(cluster.clone());
        let writer = Writer::new(cluster, client, me.to_owned(), timing, desired.clone());
        tasks.spawn(writer.run());
    }
    if !names.is_empty() {
        tasks.spawn(look(names, known, timing.tick, sender));
    }
    Writing { _tasks: tasks }
}

/// Works out again and again what statuses should say, if something may have changed.
async fn look(
    clusters: Vec<ClusterName>,
    known: Known,
    tick: Duration,
    sender: watch::Sender<Arc<All>>,
) {
    let mut events = known.xds.events();
    let mut ticks = tokio::time::interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    while !sender.is_closed() {
        ticks.tick().await;
        let ready: Vec<&ClusterName> = clusters
            .iter()
            .filter(|cluster| known.is_listed(cluster))
            .collect();
        let now = (known.board.look(|posted| posted.updates), ready.len());
        if !has_any(&mut events) && seen == Some(now) {
            continue;
        }
        seen = Some(now);
        sender.send_replace(Arc::new(known.all(&ready)));
    }
}

impl Known {
    /// Whether a cluster has told of all its definitions, and the policy cluster of its own. Before,
    /// what follows from them may be wrong. A kind that has no health is not watched.
    fn is_listed(&self, cluster: &ClusterName) -> bool {
        [cluster, &self.policy_cluster].into_iter().all(|cluster| {
            Kind::POLICIES.into_iter().all(|kind| {
                let health = self.health.of(cluster, kind);
                health.is_none_or(|health| health.listed)
            })
        })
    }

    fn all(&self, clusters: &[&ClusterName]) -> All {
        let streams = self.xds.streams();
        let desired = self.board.look(|posted| {
            let proxies = proxies(&streams, |workload| posted.workloads.get(workload));
            let reports = posted.reports.values();
            let reports = reports.filter(|report| clusters.contains(&&report.definition.cluster));
            desired(reports, &proxies)
        });
        let empty = clusters
            .iter()
            .map(|cluster| ((*cluster).clone(), Default::default()));
        let mut all: All = empty.collect();
        for (definition, desired) in desired {
            let own = all.entry(definition.cluster).or_default();
            own.insert(definition.object, desired);
        }
        all
    }
}

/// Whether anything has happened on streams since it was last asked.
fn has_any(events: &mut broadcast::Receiver<meshwall_xds_server::Event>) -> bool {
    // In this order, so that nothing happens in between.
    let later = events.resubscribe();
    !std::mem::replace(events, later).is_empty()
}
