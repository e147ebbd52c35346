//! What the admin port shows, put together from the board, the sources and the streams.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use meshwall_policy::delivery::POLICY_TYPE;
use meshwall_xds_server::protocol::type_url::EXTENSION_CONFIG;
use meshwall_xds_server::{Server, StreamStatus};
use tokio::sync::{mpsc, oneshot};

use crate::admin::{
    Counts, Delivery, Nack, NotApplied, PeerSet, Policy, PolicyState, Proxy, Readiness, Source,
    SourceState, Status, View, Workload,
};
use crate::driver::{Ask, Board, Posting};
use crate::identity::{self, Identities};
use crate::index::{
    Applies, ClusterName, Description, Enforced, PeerSetMembers, Report, Standing, WorkloadKey,
};
use crate::source::{Health, State};
use crate::status;
use crate::telemetry::{KindLabels, Metrics, PolicyLabels, TypeLabels, copy};

/// The types of which something stays with a proxy; chunks are given back.
const TYPES: [&str; 2] = [EXTENSION_CONFIG, POLICY_TYPE];

/// Everything that reports are made of.
pub struct Overview {
    /// What the driver says.
    pub board: Board,
    /// What the sources say.
    pub health: Health,
    /// What proxies have.
    pub xds: Server,
    /// What workloads run as.
    pub identities: Arc<Identities>,
    /// For questions about a workload.
    pub asks: mpsc::Sender<Ask>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl View for Overview {
    fn readiness(&self) -> Readiness {
        let sources: Vec<Source> = self
            .health
            .all()
            .into_iter()
            .map(|((cluster, kind), health)| {
                let (state, reason) = match health.state {
                    State::Listing => (SourceState::Listing, None),
                    State::Watching => (SourceState::Watching, None),
                    State::Absent => (SourceState::Absent, None),
                    State::Failing(reason) => (SourceState::Failing, Some(reason)),
                };
                Source {
                    cluster: cluster.to_string(),
                    kind: kind.to_string(),
                    synced: health.listed,
                    state,
                    reason,
                    silence: health.heard.map(|heard| heard.elapsed().as_secs()),
                }
            })
            .collect();
        let restored = self.board.look(|posted| posted.restored);
        // One cluster that is down must not keep the others from being served.
        let waited_for = |source: &Source| !source.synced && source.state != SourceState::Failing;
        let heard = sources.iter().any(|source| source.synced);
        Readiness {
            ready: restored || heard && !sources.iter().any(waited_for),
            from_disk: restored,
            sources,
        }
    }

    fn status(&self) -> Status {
        let streams = self.xds.streams();
        let (policies, workloads, state_error) = self.board.look(|posted| {
            let proxies = status::proxies(&streams, |workload| posted.workloads.get(workload));
            let desired = status::desired(posted.reports.values(), &proxies);
            let policies = posted.reports.values().map(|report| {
                let counted = desired
                    .get(&report.definition)
                    .map(|desired| &desired.proxies);
                let counts = counted.map_or_else(Counts::default, |counted| Counts {
                    selected: counted.selected as usize,
                    programmed: counted.programmed as usize,
                    refused: counted.refused as usize,
                });
                policy(report, counts)
            });
            let workloads = posted.size.workloads;
            (policies.collect(), workloads, posted.disk.clone())
        });
        Status {
            readiness: self.readiness(),
            policies,
            workloads,
            state_error,
        }
    }

    fn proxies(&self) -> Vec<Proxy> {
        let streams = self.xds.streams();
        self.board.look(|posted| {
            let proxies = streams.iter().map(|stream| {
                let workload = identity::workload(&stream.view);
                let posting = workload.as_ref().and_then(|key| posted.workloads.get(key));
                let posting = posting.filter(|posting| posting.view == stream.view);
                self.proxy(stream, workload.as_ref(), posting)
            });
            proxies.collect()
        })
    }

    async fn workload(&self, cluster: &str, namespace: &str, pod: &str) -> Option<Workload> {
        let key = WorkloadKey {
            cluster: ClusterName::from(cluster),
            namespace: namespace.to_owned(),
            name: pod.to_owned(),
        };
        let (answer, answered) = oneshot::channel();
        let ask = Ask {
            workload: key,
            answer,
        };
        self.asks.send(ask).await.ok()?;
        answered.await.ok()?.map(workload)
    }

    fn metrics(&self) -> Result<String, fmt::Error> {
        self.count_sources();
        self.count_programs();
        self.count_deliveries();
        self.metrics.encode()
    }
}

impl Overview {
    fn proxy(
        &self,
        stream: &StreamStatus,
        workload: Option<&WorkloadKey>,
        posting: Option<&Posting>,
    ) -> Proxy {
        let types = TYPES.into_iter().filter_map(|url| {
            let delivery = stream.types.get(url)?;
            let text = |(name, version): (&dyn fmt::Display, &dyn fmt::Display)| {
                (name.to_string(), version.to_string())
            };
            // What it asks for is known by what it has answered.
            let nacked = delivery.nack.iter().flat_map(|nack| &nack.versions);
            let answered = delivery.acked.keys().chain(nacked.map(|(name, _)| name));
            let meant = answered.filter_map(|name| {
                let place = (url.into(), name.clone());
                let resource = posting?.resources.get(&place)?;
                Some(text((name, &resource.version)))
            });
            let acked = delivery.acked.iter();
            let delivery = Delivery {
                meant: meant.collect(),
                acked: acked.map(|(name, version)| text((name, version))).collect(),
                nack: delivery.nack.as_ref().map(|nack| Nack {
                    at: seconds(nack.at),
                    reason: nack.error.message.clone(),
                }),
                lag_milliseconds: delivery
                    .unanswered
                    .map(|since| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)),
            };
            Some((url.to_owned(), delivery))
        });
        Proxy {
            node: stream.node.to_string(),
            workload: workload.map(ToString::to_string).unwrap_or_default(),
            principal: workload.and_then(|workload| self.identities.proven(workload)),
            address: stream.address.to_string(),
            since: seconds(stream.since),
            types: types.collect(),
        }
    }

    fn count_sources(&self) {
        for ((cluster, kind), health) in self.health.all() {
            let labels = KindLabels {
                cluster: cluster.to_string(),
                kind: kind.as_str(),
            };
            let metrics = &self.metrics;
            let synced = metrics.source_synced.get_or_create(&labels);
            synced.set(health.listed.into());
            if let Some(heard) = health.heard {
                let silence = metrics.source_silence.get_or_create(&labels);
                silence.set(heard.elapsed().as_secs_f64());
            }
            copy(
                &metrics.source_failures.get_or_create(&labels),
                health.failures,
            );
        }
    }

    fn count_programs(&self) {
        let metrics = &self.metrics;
        self.board.look(|posted| {
            copy(&metrics.programs_compiled, posted.work.compiled as u64);
            copy(&metrics.peer_tables_made, posted.work.tables as u64);
            copy(&metrics.workloads_changed, posted.work.published as u64);
            metrics.workloads.set(gauge(posted.size.workloads));
            metrics.programs.set(gauge(posted.size.programs));
            metrics.program_bytes.set(gauge(posted.size.program_bytes));
            metrics.peer_table_bytes.set(gauge(posted.size.table_bytes));
            metrics.state_served.set(posted.restored.into());
            let mut counts = BTreeMap::from(
                ["accepted", "repeated", "refused", "conflicted"].map(|status| (status, 0_i64)),
            );
            for report in posted.reports.values() {
                let status = match report.standing {
                    Standing::Accepted => "accepted",
                    Standing::Repeated => "repeated",
                    Standing::Refused { .. } => "refused",
                    Standing::Conflicted { .. } => "conflicted",
                };
                *counts.entry(status).or_default() += 1;
            }
            for (status, count) in counts {
                let gauge = metrics.policies.get_or_create(&PolicyLabels { status });
                gauge.set(count);
            }
        });
    }

    fn count_deliveries(&self) {
        let metrics = &self.metrics;
        let counters = self.xds.counters();
        copy(&metrics.deliveries, counters.responses);
        copy(&metrics.delivered, counters.response_bytes);
        copy(&metrics.acks, counters.acks);
        copy(&metrics.nacks, counters.nacks);
        copy(&metrics.identities_refused, counters.streams_denied);
        let streams = self.xds.streams();
        for url in TYPES {
            let resource = url.rsplit('/').next().unwrap_or(url).to_owned();
            let open = streams
                .iter()
                .filter(|stream| stream.types.contains_key(url));
            let gauge_of = metrics.streams.get_or_create(&TypeLabels { resource });
            gauge_of.set(gauge(open.count()));
        }
    }
}

fn policy(report: &Report, proxies: Counts) -> Policy {
    let (state, reason) = match &report.standing {
        Standing::Accepted => (PolicyState::Accepted, None),
        Standing::Repeated => (PolicyState::Repeated, None),
        Standing::Refused { refusal, instead } => {
            (PolicyState::Refused, Some(format!("{refusal}; {instead}")))
        }
        Standing::Conflicted { conflict, instead } => (
            PolicyState::Conflicted,
            Some(format!("{conflict}; {instead}")),
        ),
    };
    let failures = report.failures.iter().cloned();
    let reasons: Vec<String> = reason.into_iter().chain(failures).collect();
    Policy {
        cluster: report.definition.cluster.to_string(),
        name: report.definition.object.to_string(),
        state,
        reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
        proxies,
    }
}

fn workload(description: Description) -> Workload {
    let Description {
        workload,
        principal,
        addresses,
        config: _,
        applies,
        not_applied,
        enforced,
        failure,
        sets,
    } = description;
    let applies = applies
        .iter()
        .map(|Applies { definition, .. }| definition.to_string());
    let not_applied = not_applied.iter().map(|(policy, reason)| NotApplied {
        policy: policy.to_string(),
        reason: reason.to_string(),
    });
    let sets = sets
        .into_iter()
        .map(|PeerSetMembers { set, members }| PeerSet {
            set,
            members: members.iter().map(ToString::to_string).collect(),
        });
    let size = |part: fn(&Enforced) -> usize| enforced.as_ref().map(part);
    Workload {
        name: workload.to_string(),
        principal,
        addresses: addresses.iter().map(ToString::to_string).collect(),
        applies: applies.collect(),
        not_applied: not_applied.collect(),
        version: enforced
            .as_ref()
            .map(|enforced| enforced.version().to_string()),
        program_bytes: size(|enforced| enforced.program.bytes().len()),
        peer_table_bytes: size(|enforced| enforced.peers.bytes().len()),
        failure: failure.map(|failure| failure.to_string()),
        sets: sets.collect(),
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
