//! What an engine answers, in words that can be compared.

use std::collections::BTreeMap;
use std::fmt;

use meshwall_policy::cases::Question;
use meshwall_policy::decide::{Scratch, decide};
use meshwall_policy::decision::{CauseName, Decision, Outcome};

use crate::world::Scene;

/// A verdict with its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `allow` or `deny`.
    pub(crate) verdict: String,
    /// The cause; `None` if it is only counted, and compared when all has been asked: why a real
    /// proxy has permitted something.
    pub(crate) cause: Option<String>,
    /// The verdict and cause if every monitored policy were enforced, if that differs.
    pub(crate) would_be: Option<String>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = self.cause.as_deref().unwrap_or("counted");
        write!(f, "{} because of {cause}", self.verdict)?;
        match &self.would_be {
            Some(would_be) => write!(f, "; with every policy enforced: {would_be}"),
            None => Ok(()),
        }
    }
}

impl Answer {
    /// Whether two engines say the same, as far as both say it.
    pub(crate) fn agrees_with(&self, other: &Answer) -> bool {
        let Answer {
            verdict,
            cause,
            would_be,
        } = self;
        let causes_agree = match (cause, &other.cause) {
            (Some(one), Some(two)) => one == two,
            (None, _) | (_, None) => true,
        };
        *verdict == other.verdict && causes_agree && *would_be == other.would_be
    }
}

/// Counters by name: what a filter counts, or should.
pub(crate) type Counters = BTreeMap<String, u64>;

/// The library, which also knows what a filter has to count.
#[derive(Default)]
pub(crate) struct Library {
    scratch: Scratch,
    pub(crate) counters: Counters,
}

impl Library {
    pub(crate) fn ask(&mut self, scene: &Scene, question: &Question) -> Answer {
        let decision = question
            .ask(|attributes| decide(&scene.program, &scene.peers, attributes, &mut self.scratch));
        let Decision {
            enforced,
            combined,
            identity_mismatch,
        } = decision;
        let differs = combined.verdict != enforced.verdict;
        let total = match question.request {
            Some(_) => "meshwall_requests_total",
            None => "meshwall_connections_total",
        };
        self.count(counter(total, scene, question, enforced));
        if differs {
            let would_be = counter("meshwall_would_be_total", scene, question, combined);
            self.count(would_be);
        }
        if identity_mismatch {
            self.count("meshwall_identity_mismatch_total".to_owned());
        }
        Answer {
            verdict: enforced.verdict.to_string(),
            cause: Some(scene.program.cause(enforced.cause).to_string()),
            would_be: differs.then(|| {
                let cause = scene.program.cause(combined.cause);
                format!("{} {cause}", combined.verdict)
            }),
        }
    }

    fn count(&mut self, name: String) {
        *self.counters.entry(name).or_default() += 1;
    }
}

/// The counter that tells of an outcome.
fn counter(total: &str, scene: &Scene, question: &Question, outcome: Outcome) -> String {
    let (direction, verdict) = (question.direction, outcome.verdict);
    let reason = match scene.program.cause(outcome.cause) {
        CauseName::Rule { document, rule } => format!("policy={document};rule={rule}"),
        other => format!("reason={other}"),
    };
    format!("{total};direction={direction};verdict={verdict};{reason}")
}
