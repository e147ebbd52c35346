//! What is written, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use meshwall_mesh_config::crds::status::{Answer, Proxies, Status};
use meshwall_policy_server::index::{Kind, ObjectKey};
use meshwall_policy_server::status::{Claim, Desired, Ledger, Now, Write};

const EVERY: Duration = Duration::from_secs(10);

fn key(name: &str) -> ObjectKey {
    ObjectKey {
        kind: Kind::FirewallPolicy,
        namespace: Some("shop".to_owned()),
        name: name.to_owned(),
    }
}

fn good(generation: i64, programmed: u32, selected: u32) -> Desired {
    let (answer, reason) = if programmed == selected {
        (Answer::True, "Programmed")
    } else {
        (Answer::False, "Pending")
    };
    Desired {
        generation,
        accepted: Claim {
            answer: Answer::True,
            reason: "Accepted",
            message: "in force".to_owned(),
        },
        programmed: Some(Claim {
            answer,
            reason,
            message: format!("{programmed} of {selected}"),
        }),
        proxies: Proxies {
            selected,
            programmed,
            refused: 0,
        },
        refusals: Vec::new(),
    }
}

fn wrong(generation: i64) -> Desired {
    Desired {
        accepted: Claim {
            answer: Answer::False,
            reason: "Invalid",
            message: "spec.ingress[0]: no".to_owned(),
        },
        programmed: None,
        ..good(generation, 0, 0)
    }
}

fn refused(generation: i64, message: &str) -> Desired {
    let claim = Claim {
        answer: Answer::False,
        reason: "Refused",
        message: message.to_owned(),
    };
    Desired {
        programmed: Some(claim),
        ..good(generation, 0, 1)
    }
}

/// A ledger with a clock.
struct Bed {
    ledger: Ledger,
    start: Instant,
    second: u64,
}

impl Bed {
    fn new() -> Bed {
        Bed {
            ledger: Ledger::new(EVERY),
            start: Instant::now(),
            second: 0,
        }
    }

    fn now(&self) -> Now {
        Now {
            instant: self.start + Duration::from_secs(self.second),
            time: Timestamp::from_second(1_800_000_000 + i64::try_from(self.second).unwrap())
                .unwrap(),
        }
    }

    fn due(&self, desired: &[(&str, Desired)]) -> Vec<Write> {
        let desired = desired.iter().cloned();
        let desired: BTreeMap<_, _> = desired.map(|(name, d)| (key(name), d)).collect();
        self.ledger.due(&desired, self.now())
    }

    /// Writes what is due at a second; the one status that was written.
    fn at(&mut self, second: u64, desired: Desired) -> Option<Write> {
        self.second = second;
        let mut due = self.due(&[("web", desired)]);
        let write = due.pop()?;
        assert!(due.is_empty());
        let at = self.now().instant;
        self.ledger.wrote(&write.object, write.status.clone(), at);
        Some(write)
    }
}

fn times(status: &Status) -> Vec<&str> {
    let conditions = status.conditions.iter();
    conditions
        .map(|condition| condition.last_transition_time.as_str())
        .collect()
}

#[test]
fn a_churn_of_proxies_is_one_write_in_a_while() {
    let mut bed = Bed::new();
    assert!(bed.at(0, good(1, 0, 1)).is_some());
    let mut written = Vec::new();
    for second in 1..=30_u32 {
        let write = bed.at(second.into(), good(1, second, 50));
        written.extend(write.map(|write| (second, write.status.proxies.programmed)));
    }
    assert_eq!(written, [(10, 10), (20, 20), (30, 30)]);
}

#[test]
fn nothing_is_written_if_nothing_differs() {
    let mut bed = Bed::new();
    assert!(bed.at(0, good(1, 1, 1)).is_some());
    assert_eq!(bed.at(100, good(1, 1, 1)), None);
}

#[test]
fn what_becomes_of_an_object_does_not_wait() {
    let mut bed = Bed::new();
    assert!(bed.at(0, good(1, 1, 1)).is_some());
    assert!(bed.at(1, wrong(2)).is_some());
    assert!(bed.at(2, good(3, 0, 1)).is_some());
    assert_eq!(bed.at(3, good(3, 1, 1)), None);
    assert!(bed.at(12, good(3, 1, 1)).is_some());
}

#[test]
fn an_answer_that_stays_keeps_its_time() {
    let mut bed = Bed::new();
    let first = bed.at(0, good(1, 0, 1)).unwrap().status;
    let begin = "2027-01-15T08:00:00Z";
    assert_eq!(times(&first), [begin, begin]);
    // Another generation, and the proxy has come.
    let second = bed.at(20, good(2, 1, 1)).unwrap().status;
    assert_eq!(times(&second), [begin, "2027-01-15T08:00:20Z"]);
    assert_eq!(second.observed_generation, 2);
    let third = bed.at(40, wrong(3)).unwrap().status;
    assert_eq!(times(&third), ["2027-01-15T08:00:40Z"]);
}

#[test]
fn what_is_found_counts_as_written() {
    let mut bed = Bed::new();
    let status = bed.at(0, good(1, 1, 1)).unwrap().status;
    let mut other = Bed::new();
    other.second = 50;
    other
        .ledger
        .found([(key("web"), Some(status)), (key("old"), None)]);
    assert_eq!(other.due(&[("web", good(1, 1, 1))]), []);
    // Somebody has removed it.
    other.ledger.found([(key("web"), None)]);
    assert_eq!(other.due(&[("web", good(1, 1, 1))]).len(), 1);
}

#[test]
fn news_comes_first_and_then_what_waits_longest() {
    let mut bed = Bed::new();
    for (second, name) in [(0, "a"), (1, "b")] {
        bed.second = second;
        let write = bed.due(&[(name, good(1, 0, 1))]).pop().unwrap();
        let at = bed.now().instant;
        bed.ledger.wrote(&write.object, write.status, at);
    }
    bed.second = 30;
    let desired = [
        ("b", good(1, 1, 1)),
        ("a", good(1, 1, 1)),
        ("c", good(1, 1, 1)),
    ];
    let order: Vec<String> = bed
        .due(&desired)
        .into_iter()
        .map(|w| w.object.name)
        .collect();
    assert_eq!(order, ["c", "a", "b"]);
}

#[test]
fn what_failed_is_tried_again_later_and_what_is_gone_is_forgotten() {
    let mut bed = Bed::new();
    let desired = [("web", good(1, 1, 1))];
    let at = bed.now().instant;
    bed.ledger.failed(&key("web"), at);
    assert_eq!(bed.due(&desired), []);
    bed.second = 10;
    assert_eq!(bed.due(&desired).len(), 1);
    assert!(bed.at(10, good(1, 1, 1)).is_some());
    bed.ledger.keep(&BTreeSet::new());
    assert_eq!(bed.due(&desired).len(), 1);
}

#[test]
fn a_rejection_is_told_once() {
    let mut bed = Bed::new();
    let mut told = Vec::new();
    let steps = [
        good(1, 1, 1),
        wrong(2),
        wrong(2),
        wrong(3),
        good(4, 0, 1),
        refused(4, "one"),
        refused(4, "two"),
        good(4, 1, 1),
        refused(5, "one"),
    ];
    for (step, desired) in steps.into_iter().enumerate() {
        let second = u64::try_from(step).unwrap() * 10;
        let warnings = bed.at(second, desired).map(|write| write.warnings);
        let reasons = warnings.unwrap_or_default().into_iter().map(|w| w.reason);
        told.extend(reasons.map(|reason| (step, reason)));
    }
    let expected = [
        (1, "Invalid"),
        (3, "Invalid"),
        (5, "Refused"),
        (8, "Refused"),
    ];
    assert_eq!(
        told,
        expected.map(|(step, reason)| (step, reason.to_owned()))
    );
}
