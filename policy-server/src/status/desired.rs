//! What the status of each object should say now.
//!
//! A function of what the index says about definitions and of what proxies have accepted. It knows
//! no time and nothing of what was written before; that is for [`super::ledger`].
//!
//! A proxy counts once, however many streams it has, and enforces something only when all of them
//! have accepted it. Its words are cut and freed of control characters: anybody who runs a proxy can
//! choose them, and everybody who may read the object reads them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use meshwall_mesh_config::crds::status::{Answer, MAX_REFUSALS, Proxies, Refusal};
use meshwall_policy::delivery::POLICY_TYPE;
use meshwall_xds_server::StreamStatus;
use meshwall_xds_server::protocol::TypeUrl;
use meshwall_xds_server::protocol::type_url::EXTENSION_CONFIG;

use crate::driver::Posting;
use crate::index::{ClusterName, DefinitionKey, ObjectKey, Report, Standing, WorkloadKey};
use crate::publish::Set;

/// Bytes of a message of a condition. API servers take 32,768.
const MAX_MESSAGE: usize = 4_096;

/// Bytes of what a proxy says. Programs are not quoted at length.
const MAX_WORDS: usize = 256;

/// How far a proxy has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stage {
    /// It enforces what it should.
    Current,
    /// It was not sent that, or has not answered yet.
    Behind,
    /// It refused that, for this reason.
    Refused(String),
}

/// A connected proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proxy {
    /// The workload beside which it runs.
    pub workload: WorkloadKey,
    /// The definitions that concern it.
    pub definitions: Arc<[DefinitionKey]>,
    /// How far it has come.
    pub stage: Stage,
}

/// A condition, without the times.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The answer.
    pub answer: Answer,
    /// The reason in one word.
    pub reason: &'static str,
    /// The reason for people.
    pub message: String,
}

/// A status, without the times.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Desired {
    /// `metadata.generation` of the object that it is about; 0 if it has none.
    pub generation: i64,
    /// Whether the object is in force.
    pub accepted: Claim,
    /// Whether all proxies enforce it; none as long as it is not accepted.
    pub programmed: Option<Claim>,
    /// The proxies that it concerns.
    pub proxies: Proxies,
    /// The first of those that refused it.
    pub refusals: Vec<Refusal>,
}

/// The proxies that have these streams, in the order of their workloads. A stream whose view is not
/// that of its workload is of a proxy that is not, or no longer, what it says: it counts for none.
#[must_use]
pub fn proxies<'a>(
    streams: &[StreamStatus],
    posting: impl Fn(&WorkloadKey) -> Option<&'a Posting>,
) -> Vec<Proxy> {
    let mut proxies: BTreeMap<WorkloadKey, Proxy> = BTreeMap::new();
    for stream in streams {
        let Some(workload) = crate::identity::workload(&stream.view) else {
            continue;
        };
        let Some(posting) = posting(&workload).filter(|posting| posting.view == stream.view) else {
            continue;
        };
        let stage = match stage(stream, &posting.resources) {
            Stage::Current if !posting.duty.is_published => Stage::Behind,
            stage => stage,
        };
        let proxy = proxies.entry(workload.clone()).or_insert_with(|| Proxy {
            workload,
            definitions: Arc::clone(&posting.duty.definitions),
            stage: Stage::Current,
        });
        proxy.stage = match (std::mem::replace(&mut proxy.stage, Stage::Current), stage) {
            (refused @ Stage::Refused(_), _) | (_, refused @ Stage::Refused(_)) => refused,
            (Stage::Current, Stage::Current) => Stage::Current,
            (Stage::Behind, _) | (_, Stage::Behind) => Stage::Behind,
        };
    }
    proxies.into_values().collect()
}

/// How far a client has come with what is in its view. Chunks do not count: they come with the
/// manifest, and are given back.
fn stage(stream: &StreamStatus, resources: &Set) -> Stage {
    let mut accepted = 0_usize;
    let mut is_behind = false;
    for type_url in [EXTENSION_CONFIG, POLICY_TYPE].map(TypeUrl::from) {
        let Some(delivery) = stream.types.get(&type_url) else {
            continue;
        };
        let is_current = |(name, version): (&_, &_)| {
            let resource = resources.get(&(type_url.clone(), Clone::clone(name)));
            resource.is_some_and(|resource| resource.version == *version)
        };
        if let Some(nack) = &delivery.nack {
            let mut refused = nack.versions.iter().map(|(name, version)| (name, version));
            if refused.any(is_current) {
                return Stage::Refused(plain(&nack.error.message, MAX_WORDS));
            }
        }
        is_behind |= delivery.acked.is_empty() || !delivery.acked.iter().all(is_current);
        accepted += delivery.acked.len();
    }
    if is_behind || accepted == 0 {
        Stage::Behind
    } else {
        Stage::Current
    }
}

/// What the status of each definition should say.
#[must_use]
pub fn desired<'a>(
    reports: impl Iterator<Item = &'a Report>,
    proxies: &[Proxy],
) -> BTreeMap<DefinitionKey, Desired> {
    let mut own: HashMap<&DefinitionKey, Count> = HashMap::new();
    // Of definitions that only repeat those of the policy cluster, which are in force in their place.
    let mut by_cluster: HashMap<(&ObjectKey, &ClusterName), Count> = HashMap::new();
    for proxy in proxies {
        for definition in proxy.definitions.iter() {
            own.entry(definition).or_default().add(proxy);
            let place = (&definition.object, &proxy.workload.cluster);
            by_cluster.entry(place).or_default().add(proxy);
        }
    }
    let none = Count::default();
    let desired = reports.map(|report| {
        let definition = &report.definition;
        let count = match report.standing {
            Standing::Repeated => by_cluster.get(&(&definition.object, &definition.cluster)),
            _ => own.get(definition),
        };
        (definition.clone(), say(report, count.unwrap_or(&none)))
    });
    desired.collect()
}

/// Proxies that a definition concerns.
#[derive(Clone, Debug, Default)]
struct Count {
    proxies: Proxies,
    refusals: Vec<Refusal>,
}

impl Count {
    fn add(&mut self, proxy: &Proxy) {
        let Proxies {
            selected,
            programmed,
            refused,
        } = &mut self.proxies;
        *selected = selected.saturating_add(1);
        match &proxy.stage {
            Stage::Current => *programmed = programmed.saturating_add(1),
            Stage::Behind => {}
            Stage::Refused(message) => {
                *refused = refused.saturating_add(1);
                if self.refusals.len() < MAX_REFUSALS {
                    self.refusals.push(Refusal {
                        proxy: proxy.workload.to_string(),
                        message: message.clone(),
                    });
                }
            }
        }
    }
}

fn say(report: &Report, count: &Count) -> Desired {
    let generation = report.generation.unwrap_or_default();
    let accepted = accepted(report);
    if accepted.answer != Answer::True {
        // Proxies enforce something else of it, or nothing: none has this generation.
        let proxies = Proxies {
            programmed: 0,
            refused: 0,
            ..count.proxies
        };
        return Desired {
            generation,
            accepted,
            programmed: None,
            proxies,
            refusals: Vec::new(),
        };
    }
    Desired {
        generation,
        accepted,
        programmed: Some(programmed(report, count)),
        proxies: count.proxies,
        refusals: count.refusals.clone(),
    }
}

fn accepted(report: &Report) -> Claim {
    let (answer, reason, message) = match &report.standing {
        Standing::Accepted => (Answer::True, "Accepted", "in force".to_owned()),
        Standing::Repeated => {
            let message = "in force, because the policy cluster says the same";
            (Answer::True, "Accepted", message.to_owned())
        }
        Standing::Refused { refusal, instead } => {
            let message = format!("{refusal}; {instead}");
            (Answer::False, "Invalid", message)
        }
        Standing::Conflicted { conflict, instead } => {
            let message = format!("{conflict}; {instead}");
            (Answer::False, "Conflicted", message)
        }
    };
    Claim {
        answer,
        reason,
        message: cut(&message, MAX_MESSAGE),
    }
}

fn programmed(report: &Report, count: &Count) -> Claim {
    let Proxies {
        selected,
        programmed,
        refused,
    } = count.proxies;
    let counts = format!("{programmed} of {selected} connected proxies enforce this version");
    let (answer, reason, message) = if let Some(failure) = report.failures.first() {
        let message = format!("{counts}; a program cannot be made: {failure}");
        (Answer::False, "ProgramFailed", message)
    } else if let Some(first) = count.refusals.first() {
        let Refusal { proxy, message } = first;
        let message = format!("{counts}; {refused} refused it, such as `{proxy}`: {message}");
        (Answer::False, "Refused", message)
    } else if selected == 0 {
        let message = "no connected proxy is concerned".to_owned();
        (Answer::Unknown, "NoProxies", message)
    } else if programmed < selected {
        (Answer::False, "Pending", counts)
    } else {
        (Answer::True, "Programmed", counts)
    };
    Claim {
        answer,
        reason,
        message: cut(&message, MAX_MESSAGE),
    }
}

/// A text on one line, of so many bytes at most.
fn plain(text: &str, limit: usize) -> String {
    let spaced = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    cut(&spaced.collect::<String>(), limit)
}

/// So much of a text as fits into `limit` bytes, with a sign if that is not all of it.
pub(super) fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.len() + c.len_utf8() + "...".len() > limit {
            break;
        }
        short.push(c);
    }
    short + "..."
}
