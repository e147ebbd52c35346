//! Writes what is due to one cluster, as long as this replica holds the lease.
//!
//! A cluster has a task of its own, so that one that is slow or dead delays no other. Requests
//! follow each other, and a round has so many writes at most: statuses never crowd out those who
//! need the API server for more. What was written is read again from time to time, because others
//! may have written, or deleted and created again, in between.
//!
//! What this has to be allowed: to get, create and update `leases.coordination.k8s.io` in the
//! namespace of the server (that of its service account, or of the kubeconfig's context); to list
//! our kinds and patch their `status`; and to create `events.events.k8s.io` in all namespaces. What
//! is not allowed is said, and tried again later. Without the lease nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use meshwall_mesh_config::crds::status::Status;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

use super::Timing;
use super::api::{Api, Trouble};
use super::desired::Desired;
use super::election::{Election, Held, Turn};
use super::event;
use super::ledger::{Ledger, Now, Write};
use crate::index::{ClusterName, Kind, ObjectKey};

/// Name of the lease.
pub const LEASE: &str = "meshwall-server-status";

/// What the statuses of the objects of each cluster should say. A cluster that is not there is one of
/// which that is not known yet.
pub(super) type All = BTreeMap<ClusterName, BTreeMap<ObjectKey, Desired>>;

/// Writes of one round.
const WRITES: usize = 20;

/// Pages of a list that are read.
const PAGES: usize = 1_000;

/// Writes to one cluster.
pub(super) struct Writer {
    cluster: ClusterName,
    api: Api,
    timing: Timing,
    desired: watch::Receiver<Arc<All>>,
    ledger: Ledger,
    election: Election,
    /// Until when the lease is held for sure.
    leads: Option<Instant>,
    /// When the lease is to be looked at.
    look: Instant,
    /// When what is there was read.
    read: Option<Instant>,
    /// What went wrong last, and was said.
    trouble: Option<Trouble>,
}

impl Writer {
    pub(super) fn new(
        cluster: ClusterName,
        client: kube::Client,
        me: String,
        timing: Timing,
        desired: watch::Receiver<Arc<All>>,
    ) -> Writer {
        Writer {
            cluster,
            api: Api::new(client, timing.answer),
            ledger: Ledger::new(timing.every),
            election: Election::new(me, timing.lease),
            timing,
            desired,
            leads: None,
            look: Instant::now(),
            read: None,
            trouble: None,
        }
    }

    /// Runs until nobody works out any more what should be written.
    pub(super) async fn run(mut self) {
        let mut ticks = tokio::time::interval(self.timing.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.desired.has_changed().is_ok() {
            ticks.tick().await;
            match self.round().await {
                Ok(()) => {}
                Err(trouble) => tokio::time::sleep(self.failed(trouble)).await,
            }
        }
    }

    async fn round(&mut self) -> Result<(), Trouble> {
        if Instant::now() >= self.look {
            self.lead().await?;
        }
        if !self.leads() {
            return Ok(());
        }
        self.read().await?;
        self.write().await
    }

    fn leads(&self) -> bool {
        self.leads.is_some_and(|until| Instant::now() < until)
    }

    /// Takes or renews the lease, if it is this replica's turn.
    async fn lead(&mut self) -> Result<(), Trouble> {
        let collection = format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
            self.api.namespace()
        );
        let asked = Instant::now();
        let what = "cannot read the lease, without which no status is written";
        let lease: Option<Lease> = self.api.get(what, &collection, LEASE).await?;
        let held = lease.as_ref().map(|lease| Held {
            holder: lease
                .spec
                .as_ref()
                .and_then(|spec| spec.holder_identity.clone())
                .unwrap_or_default(),
            version: lease.metadata.resource_version.clone().unwrap_or_default(),
        });
        let turn = self.election.turn(held.as_ref(), asked);
        let what = "cannot write the lease, without which no status is written";
        let lease = self.lease(lease.unwrap_or_default(), turn);
        let done = match turn {
            Turn::Wait => None,
            Turn::Create => Some(self.api.create(what, &collection, &lease).await),
            Turn::Renew | Turn::Take => {
                let replaced = self.api.replace(what, &collection, LEASE, &lease).await;
                Some(replaced)
            }
        };
        let has_led = self.leads.is_some();
        match done {
            Some(Ok(_)) => {
                // Others wait for as long as it lasts: this one stops before that.
                self.leads = asked.checked_add(self.timing.lease * 2 / 3);
                if !has_led || turn != Turn::Renew {
                    self.read = None;
                    info!(cluster = %self.cluster, "this replica writes the status of objects");
                }
            }
            Some(Err(trouble)) if trouble.status() != Some(409) => return Err(trouble),
            // Somebody else has it, or was faster.
            Some(Err(_)) | None => {
                self.leads = None;
                if has_led {
                    info!(cluster = %self.cluster, "another replica writes the status of objects");
                }
            }
        }
        self.trouble = None;
        self.look = Instant::now() + self.timing.renew;
        Ok(())
    }

    /// The lease as it is to be written.
    fn lease(&self, before: Lease, turn: Turn) -> Lease {
        let now = Some(MicroTime(Timestamp::now()));
        let spec = before.spec.unwrap_or_default();
        let (acquire_time, transitions) = match turn {
            Turn::Renew => (spec.acquire_time, spec.lease_transitions),
            _ => (
                now.clone(),
                spec.lease_transitions.map(|n| n.saturating_add(1)),
            ),
        };
        Lease {
            metadata: ObjectMeta {
                name: Some(LEASE.to_owned()),
                ..before.metadata
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.election.me().to_owned()),
                lease_duration_seconds: i32::try_from(self.timing.lease.as_secs().max(1)).ok(),
                acquire_time,
                renew_time: now,
                lease_transitions: Some(transitions.unwrap_or_default()),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Reads what status the objects have, if that was long ago.
    async fn read(&mut self) -> Result<(), Trouble> {
        let refresh = self.timing.refresh;
        if self.read.is_some_and(|read| read.elapsed() < refresh) {
            return Ok(());
        }
        let mut found = Vec::new();
        for kind in Kind::POLICIES {
            let mut from = None;
            for _ in 0..PAGES {
                let (items, next) = match self.api.list(kind, from).await {
                    // The kind is not defined here.
                    Err(trouble) if trouble.status() == Some(404) => break,
                    page => page?,
                };
                found.extend(items.into_iter().filter_map(|item| status_of(kind, item)));
                from = next;
                if from.is_none() {
                    break;
                }
            }
        }
        self.ledger.found(found);
        self.read = Some(Instant::now());
        Ok(())
    }

    async fn write(&mut self) -> Result<(), Trouble> {
        let all = Arc::clone(&self.desired.borrow());
        let Some(desired) = all.get(&self.cluster) else {
            return Ok(());
        };
        self.ledger.keep(&desired.keys().collect::<BTreeSet<_>>());
        let now = Now {
            instant: Instant::now(),
            time: Timestamp::now(),
        };
        for write in self.ledger.due(desired, now).into_iter().take(WRITES) {
            if !self.leads() {
                break;
            }
            self.put(write).await?;
        }
        Ok(())
    }

    async fn put(&mut self, write: Write) -> Result<(), Trouble> {
        let Write {
            object,
            status,
            warnings,
        } = write;
        match self.api.patch_status(&object, &patch(&status)).await {
            Ok(written) => {
                debug!(cluster = %self.cluster, %object, "wrote a status");
                for warning in &warnings {
                    self.tell(&object, &written, warning).await;
                }
                self.ledger.wrote(&object, status, Instant::now());
                Ok(())
            }
            Err(trouble) => {
                self.ledger.failed(&object, Instant::now());
                match trouble.status() {
                    // It is gone.
                    Some(404) => Ok(()),
                    _ => Err(trouble),
                }
            }
        }
    }

    /// Tells of a warning, if that is allowed. The status says the same.
    async fn tell(&mut self, object: &ObjectKey, written: &Value, warning: &super::Warning) {
        let event = event::event(object, written, warning, self.election.me());
        let namespace = event::namespace(object);
        let collection = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        let told = self
            .api
            .create("cannot tell of an event", &collection, &event);
        match told.await {
            Ok(_) => {}
            // It was told before.
            Err(trouble) if trouble.status() == Some(409) => {}
            Err(trouble) => warn!(cluster = %self.cluster, %object, %trouble, "not told"),
        }
    }

    /// Says what went wrong, unless that was just said; how long to wait.
    fn failed(&mut self, trouble: Trouble) -> Duration {
        let wait = match trouble.status() {
            Some(403 | 404) => self.timing.forbidden,
            _ => self.timing.renew,
        };
        if self.trouble.as_ref() != Some(&trouble) {
            let cluster = &self.cluster;
            warn!(%cluster, %trouble, "the status of objects is not up to date");
        }
        self.trouble = Some(trouble);
        wait
    }
}

/// The name of an object, and its status if that can be read.
fn status_of(kind: Kind, mut item: Value) -> Option<(ObjectKey, Option<Status>)> {
    let text = |pointer: &str| item.pointer(pointer)?.as_str().map(str::to_owned);
    let object = ObjectKey {
        kind,
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name")?,
    };
    let status = item.get_mut("status").map(Value::take);
    Some((object, status.and_then(|s| serde_json::from_value(s).ok())))
}

/// The status as a merge patch, which replaces lists and leaves what is not mentioned.
fn patch(status: &Status) -> Value {
    json!({"status": {
        "observedGeneration": status.observed_generation,
        "conditions": status.conditions,
        "proxies": status.proxies,
        "refusals": (!status.refusals.is_empty()).then_some(&status.refusals),
    }})
}
