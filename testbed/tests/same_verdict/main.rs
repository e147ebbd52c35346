//! The same verdict, from the same cause, whoever is asked: the library, `firewall.wasm` in the
//! test bed, and `firewall.wasm` in a real Envoy.
//!
//! The questions are generated, half of them as an adversary would put them. Each goes to all
//! three; what a real connection cannot express, or what Envoy refuses before the filter is
//! asked, is counted and named. A filter tells why it permits by a counter. The test bed looks
//! at it after each question; those of Envoy, whose rules all have names of their own, have to
//! be in the end what follows from the library's decisions, one by one.
#![cfg(test)]

mod answer;
mod bed;
mod claims;
mod peers;
mod proxy;
mod stakes;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meshwall_policy::spec::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::answer::{Answer, Counters, Library};
use crate::bed::TestBed;
use crate::peers::{Asked, Peers};
use crate::proxy::Proxy;
use crate::stakes::Stakes;
use crate::world::Scene;

/// Scenes that are in one Envoy at a time.
const SCENES: u64 = 40;
/// How many times.
const ROUNDS: u64 = 4;
/// Cases from which a scene is chosen.
const CANDIDATES: u64 = 5;
/// Questions for each scene.
const QUESTIONS: usize = 24;
/// At least so many must have been decided by all three.
const LEAST: usize = 2_000;
/// At least so many answers must depend on each thing that a question can say.
const LEAST_AT_STAKE: usize = 10;
/// Questions that are asked at the same time.
const AT_ONCE: usize = 16;

/// Disagreements that are printed in full.
const SHOWN: usize = 10;

/// What has been found out.
#[derive(Default)]
struct Findings {
    /// Questions that all three have answered, by what they were.
    decided: BTreeMap<String, usize>,
    /// Questions that could not be put to all three, by the reason.
    skipped: BTreeMap<String, usize>,
    disagreements: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn all_engines_answer_alike() {
    let mut findings = Findings::default();
    let mut stakes = Stakes::default();
    for round in 0..ROUNDS {
        let now = world::now();
        let numbers = round * SCENES..(round + 1) * SCENES;
        let scenes = numbers.map(|number| {
            let seeds = number * CANDIDATES..(number + 1) * CANDIDATES;
            Scene::best_of(seeds, number % 2 == 1, now, QUESTIONS, &mut stakes)
        });
        compare(scenes.collect(), now, &mut findings).await;
    }
    findings.report(&stakes);
}

/// Asks all the questions of some scenes.
async fn compare(scenes: Vec<Scene>, now: Timestamp, findings: &mut Findings) {
    let module = module();
    let bed = TestBed::new(&module, now);
    let mut library = Library::default();
    let asked = ask_envoy(Arc::new(scenes), &module).await;
    for (scene, answers) in asked.scenes.iter().zip(asked.answers) {
        let sidecars = bed.sidecars(scene);
        for (number, answer) in answers.into_iter().enumerate() {
            let question = &scene.questions[number];
            match answer {
                Err(reason) => findings.skip(&reason),
                Ok(envoy) => {
                    let expected = library.ask(scene, question);
                    let bed = sidecars.ask(scene, question);
                    findings.compare(scene, number, [expected, bed, envoy]);
                }
            }
        }
    }
    findings.compare_counters(&asked.counters, &library.counters);
}

/// What Envoy has answered, or why it was not asked: for each scene, for each question.
struct Envoy {
    scenes: Arc<Vec<Scene>>,
    answers: Vec<Vec<Result<Answer, String>>>,
    counters: Counters,
}

async fn ask_envoy(scenes: Arc<Vec<Scene>>, module: &Path) -> Envoy {
    let peers = Arc::new(Peers::new(&scenes));
    let proxy = Arc::new(Proxy::start(&scenes, &peers, module).await);
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for at in 0..scenes.len() * QUESTIONS {
        let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
        let (scenes, peers, proxy) = (scenes.clone(), peers.clone(), proxy.clone());
        tasks.spawn(async move {
            let scene = &scenes[at / QUESTIONS];
            let question = &scene.questions[at % QUESTIONS];
            let answer = peers.ask(&proxy, scene, question, number(at)).await;
            drop(permit);
            (at, answer)
        });
    }
    let answers: BTreeMap<usize, Asked> = tasks.join_all().await.into_iter().collect();
    let is_logged = |asked: &&Asked| matches!(asked, Asked::Logged { .. });
    let mut logged = proxy
        .connections(answers.values().filter(is_logged).count())
        .await;
    let mut answers = answers.into_iter().map(|(at, asked)| match asked {
        Asked::Skipped(reason) => Err(reason),
        Asked::Answered(answer) => Ok(answer),
        Asked::Logged { permitted } => {
            let answer = logged.remove(&number(at)).unwrap();
            assert_eq!(permitted, answer.verdict == "allow", "{answer}");
            Ok(answer)
        }
    });
    let answers = scenes
        .iter()
        .map(|_| answers.by_ref().take(QUESTIONS).collect());
    Envoy {
        answers: answers.collect(),
        counters: proxy.counters().await,
        scenes,
    }
}

/// The number of a question among all that one Envoy is asked: a TCP port.
fn number(at: usize) -> u16 {
    u16::try_from(at + 1).unwrap()
}

impl Findings {
    fn skip(&mut self, reason: &str) {
        *self.skipped.entry(reason.to_owned()).or_default() += 1;
    }

    fn compare(&mut self, scene: &Scene, number: usize, answers: [Answer; 3]) {
        let [library, bed, envoy] = &answers;
        let question = &scene.questions[number];
        let protocol = match question.request {
            Some(_) => "HTTP",
            None => "TCP",
        };
        let kind = format!("{protocol} {}, {}", question.direction, library.verdict);
        *self.decided.entry(kind).or_default() += 1;
        if !library.agrees_with(bed) || !library.agrees_with(envoy) {
            self.disagreements.push(format!(
                "{}, question {number}: {question:#?}\n\
                 library:  {library}\ntest bed: {bed}\nEnvoy:    {envoy}\n",
                scene.name
            ));
        }
    }

    /// What Envoy has counted against what it has to count, by the name of the counter.
    fn compare_counters(&mut self, counted: &Counters, expected: &Counters) {
        let names: BTreeSet<&String> = counted.keys().chain(expected.keys()).collect();
        for name in names {
            let [counted, expected] = [counted, expected].map(|counters| counters.get(name));
            if counted != expected {
                self.disagreements.push(format!(
                    "{name}: {} counted by Envoy, {} expected",
                    counted.unwrap_or(&0),
                    expected.unwrap_or(&0),
                ));
            }
        }
    }

    fn report(&self, stakes: &Stakes) {
        let decided: usize = self.decided.values().sum();
        let skipped: usize = self.skipped.values().sum();
        println!("{decided} questions were decided by all three engines:");
        for (kind, count) in &self.decided {
            println!("{count:>7} {kind}");
        }
        println!("and so many answers depended on what was asked:");
        for (stake, count) in &stakes.counts {
            println!("{count:>7} {stake}");
        }
        println!("{skipped} could not be put to all three:");
        for (reason, count) in &self.skipped {
            println!("{count:>7} {reason}");
        }
        for disagreement in self.disagreements.iter().take(SHOWN) {
            println!("{disagreement}");
        }
        assert_eq!(self.disagreements.len(), 0, "answers differ");
        let (stake, count) = stakes.least().unwrap_or_default();
        assert!(
            count >= LEAST_AT_STAKE,
            "{stake} matters to {count} answers only"
        );
        assert!(decided >= LEAST, "only {decided} were decided by all three");
    }
}

/// The filter as it is shipped: where `MESHWALL_FIREWALL_WASM` says, else where
/// scripts/build-wasm puts it.
fn module() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm/firewall.wasm");
    let path = env::var_os("MESHWALL_FIREWALL_WASM").map_or(built, PathBuf::from);
    assert!(
        path.is_file(),
        "no module at {}; run scripts/build-wasm",
        path.display()
    );
    path
}
