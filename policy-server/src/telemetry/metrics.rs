//! The metrics of the server, defined in one place and registered once.
//!
//! What happens here is counted here. What other parts count, such as the xDS server, is copied in
//! when somebody asks ([`copy`]). docs/metrics.md is written from what is registered.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// A number with a fraction that goes up and down.
type Decimal = Gauge<f64, AtomicU64>;

/// A kind of objects of a cluster.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct KindLabels {
    /// Name of the cluster.
    pub cluster: String,
    /// Kind of the objects.
    pub kind: &'static str,
}

/// A type of xDS resources.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct TypeLabels {
    /// The type URL without what is in front of the last slash. Clients cannot invent any: only
    /// types that the server knows are counted.
    pub resource: String,
}

/// What has become of policies.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct PolicyLabels {
    /// `accepted`, `repeated`, `refused` or `conflicted`.
    pub status: &'static str,
}

/// What the webhook has answered.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ReviewLabels {
    /// `allowed`, `refused`, or `malformed` for what is no review.
    pub verdict: &'static str,
}

/// Handles to all metrics. Share it; every handle counts for all.
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "each is described once, where it is registered"
)]
pub struct Metrics {
    registry: Registry,
    pub events: Family<KindLabels, Counter>,
    pub events_waiting: Gauge,
    pub source_synced: Family<KindLabels, Gauge>,
    pub source_silence: Family<KindLabels, Decimal>,
    pub source_failures: Family<KindLabels, Counter>,
    pub updates: Histogram,
    pub programs_compiled: Counter,
    pub peer_tables_made: Counter,
    pub workloads_changed: Counter,
    pub workloads: Gauge,
    pub programs: Gauge,
    pub program_bytes: Gauge,
    pub peer_table_bytes: Gauge,
    pub policies: Family<PolicyLabels, Gauge>,
    pub streams: Family<TypeLabels, Gauge>,
    pub deliveries: Counter,
    pub delivered: Counter,
    pub acks: Counter,
    pub nacks: Counter,
    pub identities_refused: Counter,
    pub state_commits: Counter,
    pub state_errors: Counter,
    pub state_bytes: Gauge,
    pub state_served: Gauge,
    pub reviews: Family<ReviewLabels, Counter>,
}

/// Sets a counter to what another part has counted.
pub fn copy(counter: &Counter, total: u64) {
    counter.inner().store(total, Ordering::Relaxed);
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::default(),
            events: Family::default(),
            events_waiting: Gauge::default(),
            source_synced: Family::default(),
            source_silence: Family::default(),
            source_failures: Family::default(),
            // From 1 ms to 16 s.
            updates: Histogram::new((0..15).map(|power| 0.001 * f64::from(1_u32 << power))),
            programs_compiled: Counter::default(),
            peer_tables_made: Counter::default(),
            workloads_changed: Counter::default(),
            workloads: Gauge::default(),
            programs: Gauge::default(),
            program_bytes: Gauge::default(),
            peer_table_bytes: Gauge::default(),
            policies: Family::default(),
            streams: Family::default(),
            deliveries: Counter::default(),
            delivered: Counter::default(),
            acks: Counter::default(),
            nacks: Counter::default(),
            identities_refused: Counter::default(),
            state_commits: Counter::default(),
            state_errors: Counter::default(),
            state_bytes: Gauge::default(),
            state_served: Gauge::default(),
            reviews: Family::default(),
        };
        let mut registry = Registry::with_prefix("meshwall");
        metrics.register_sources(&mut registry);
        metrics.register_programs(&mut registry);
        metrics.register_delivery(&mut registry);
        metrics.register_state(&mut registry);
        metrics.registry = registry;
        metrics
    }

    /// All metrics as OpenMetrics text.
    ///
    /// # Errors
    ///
    /// Never, as long as text can be written to memory.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }

    fn register_sources(&self, registry: &mut Registry) {
        registry.register(
            "events",
            "Objects that clusters told, by cluster and kind",
            self.events.clone(),
        );
        registry.register(
            "events_waiting",
            "Events that wait to be looked at",
            self.events_waiting.clone(),
        );
        registry.register(
            "source_synced",
            "Whether all objects of a kind of a cluster are known: 1 or 0",
            self.source_synced.clone(),
        );
        registry.register_with_unit(
            "source_silence",
            "Time since a cluster was last heard of, by kind",
            Unit::Seconds,
            self.source_silence.clone(),
        );
        registry.register(
            "source_failures",
            "Requests to API servers that failed, by cluster and kind",
            self.source_failures.clone(),
        );
    }

    fn register_programs(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "update",
            "From the first event of an update until what follows is published",
            Unit::Seconds,
            self.updates.clone(),
        );
        registry.register(
            "programs_compiled",
            "Programs that were compiled",
            self.programs_compiled.clone(),
        );
        registry.register(
            "peer_tables_made",
            "Peer tables that were made",
            self.peer_tables_made.clone(),
        );
        registry.register(
            "workloads_changed",
            "Workloads that got something else to enforce",
            self.workloads_changed.clone(),
        );
        registry.register(
            "workloads",
            "Workloads that are known",
            self.workloads.clone(),
        );
        registry.register(
            "programs",
            "Different programs in force",
            self.programs.clone(),
        );
        registry.register_with_unit(
            "programs_size",
            "Size of all programs",
            Unit::Bytes,
            self.program_bytes.clone(),
        );
        registry.register_with_unit(
            "peer_tables_size",
            "Size of all peer tables",
            Unit::Bytes,
            self.peer_table_bytes.clone(),
        );
        registry.register(
            "policies",
            "Policies and configurations, by what has become of them",
            self.policies.clone(),
        );
    }

    fn register_delivery(&self, registry: &mut Registry) {
        registry.register(
            "streams",
            "Open xDS streams, by the type of their resources",
            self.streams.clone(),
        );
        registry.register(
            "deliveries",
            "Responses that were sent",
            self.deliveries.clone(),
        );
        registry.register_with_unit(
            "delivered",
            "Size of the responses that were sent",
            Unit::Bytes,
            self.delivered.clone(),
        );
        registry.register("acks", "Responses that proxies accepted", self.acks.clone());
        registry.register(
            "nacks",
            "Responses that proxies refused",
            self.nacks.clone(),
        );
        registry.register(
            "identities_refused",
            "Streams whose certificate is not that of the node they claim to be",
            self.identities_refused.clone(),
        );
    }

    fn register_state(&self, registry: &mut Registry) {
        registry.register(
            "state_commits",
            "Batches that were written to the state on disk",
            self.state_commits.clone(),
        );
        registry.register(
            "state_errors",
            "Batches that could not be written",
            self.state_errors.clone(),
        );
        registry.register_with_unit(
            "state_size",
            "Size of the state on disk",
            Unit::Bytes,
            self.state_bytes.clone(),
        );
        registry.register(
            "state_served",
            "Whether what is served is known from disk only: 1 or 0",
            self.state_served.clone(),
        );
        registry.register(
            "admission_reviews",
            "Admission reviews, by verdict",
            self.reviews.clone(),
        );
    }
}
