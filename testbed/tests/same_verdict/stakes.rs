//! What an answer depends on.
//!
//! Engines that agree on questions to which the server name, say, makes no difference may
//! still read it differently. So cases, and questions in them, are chosen by what is at stake
//! in them, that each thing which a question can say decides some answers.

use std::collections::{BTreeMap, BTreeSet};

use meshwall_policy::cases::{OwnedRequest, Question};
use meshwall_policy::decide::{Scratch, decide};
use meshwall_policy::peers::PeerTable;
use meshwall_policy::program::Program;

/// A thing that a question says, and how to say something else.
type Stake = (&'static str, fn(&mut Question));

const STAKES: [Stake; 12] = [
    ("principal", |question| question.principal = None),
    ("address", |question| {
        question.address = [192, 0, 2, 1].into();
    }),
    ("forwarded address", |question| {
        question.remote_address = None;
    }),
    ("port", |question| question.port = 1),
    ("server name", |question| question.sni = None),
    ("method", |question| {
        in_request(question, |request| request.method = "TRACE".to_owned());
    }),
    ("host", |question| {
        in_request(question, |request| request.authority = "nowhere".to_owned());
    }),
    ("path", |question| {
        in_request(question, |request| {
            let query = request.path.split_once('?').map(|(_, query)| query);
            request.path = format!("/nowhere?{}", query.unwrap_or_default());
        });
    }),
    ("query", |question| {
        in_request(question, |request| {
            let path = request.path.split('?').next().unwrap_or_default();
            request.path = path.to_owned();
        });
    }),
    ("headers", |question| {
        in_request(question, |request| {
            request.headers.retain(|(name, _)| name == "content-type");
        });
    }),
    ("content type", |question| {
        in_request(question, |request| {
            request.headers.retain(|(name, _)| name != "content-type");
        });
    }),
    ("claims", |question| {
        in_request(question, |request| request.claims.clear());
    }),
];

fn in_request(question: &mut Question, edit: impl FnOnce(&mut OwnedRequest)) {
    if let Some(request) = &mut question.request {
        edit(request);
    }
}

/// A question, and what its answer depends on.
pub(crate) type Weighed = (Vec<String>, Question);

/// How many answers depend on what.
#[derive(Default)]
pub(crate) struct Stakes {
    scratch: Scratch,
    pub(crate) counts: BTreeMap<String, usize>,
}

impl Stakes {
    /// Finds out what is at stake in these questions.
    pub(crate) fn weigh(
        &mut self,
        program: &Program,
        peers: &PeerTable,
        questions: Vec<Question>,
    ) -> Vec<Weighed> {
        let questions = questions.into_iter();
        questions
            .map(|question| (self.of(program, peers, &question), question))
            .collect()
    }

    /// The worth of asking some questions: more for what few have depended on so far.
    pub(crate) fn worth(&self, questions: &[Weighed]) -> f64 {
        let stakes: BTreeSet<&String> = questions.iter().flat_map(|(stakes, _)| stakes).collect();
        let worth = |stake: &&String| 1.0 / (1.0 + self.count(stake) as f64);
        stakes.iter().map(worth).sum()
    }

    /// Chooses so many of the questions: a third as they come, the others by what is at stake
    /// in them and was not in many so far.
    pub(crate) fn choose(&mut self, mut questions: Vec<Weighed>, count: usize) -> Vec<Question> {
        let mut chosen = Vec::with_capacity(count);
        while chosen.len() < count && !questions.is_empty() {
            let rarity = |at: &usize| {
                let (stakes, _) = &questions[*at];
                let counts = stakes.iter().map(|stake| self.count(stake));
                counts.min().unwrap_or(usize::MAX)
            };
            let next = match chosen.len() < count / 3 {
                true => 0,
                false => (0..questions.len()).min_by_key(rarity).unwrap_or_default(),
            };
            let (stakes, question) = questions.remove(next);
            for stake in stakes {
                *self.counts.entry(stake).or_default() += 1;
            }
            chosen.push(question);
        }
        chosen
    }

    /// What the fewest answers depend on, and how many do.
    pub(crate) fn least(&self) -> Option<(&'static str, usize)> {
        let named = STAKES.map(|(name, _)| {
            let all = self.counts.iter();
            let of_it = all.filter(|(stake, _)| stake.ends_with(&format!(": {name}")));
            (name, of_it.map(|(_, count)| count).sum())
        });
        named.into_iter().min_by_key(|(_, count)| *count)
    }

    fn count(&self, stake: &str) -> usize {
        self.counts.get(stake).copied().unwrap_or_default()
    }

    /// What the answer to a question depends on.
    fn of(&mut self, program: &Program, peers: &PeerTable, question: &Question) -> Vec<String> {
        let mut decide = |question: &Question| {
            question.ask(|attributes| decide(program, peers, attributes, &mut self.scratch))
        };
        let answer = decide(question);
        let mut stakes = Vec::new();
        for (name, say_otherwise) in STAKES {
            let mut other = question.clone();
            say_otherwise(&mut other);
            if decide(&other) != answer {
                let protocol = if question.request.is_some() {
                    "HTTP"
                } else {
                    "TCP"
                };
                stakes.push(format!("{protocol} {}: {name}", question.direction));
            }
        }
        stakes
    }
}
