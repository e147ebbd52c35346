//! The engine with rules and requests of its own, to be measured natively and in WebAssembly.
//!
//! The module imports nothing: the host calls [`prepare`](exports::prepare) once for a number of
//! rules and then [`run`](exports::run), and takes the time.

pub mod rules;

use meshwall_policy::cases::Question;
use meshwall_policy::compile::compile;
use meshwall_policy::decide::{Scratch, decide, decide_linear};
use meshwall_policy::decision::Verdict;
use meshwall_policy::peers::PeerTable;
use meshwall_policy::program::Program;

/// Requests that take turns.
const QUESTIONS: usize = 1_000;

/// A program, and requests to it.
pub struct Bench {
    /// The program.
    pub program: Program,
    peers: PeerTable,
    questions: Vec<Question>,
    scratch: Scratch,
    next: usize,
}

impl Bench {
    /// A program of so many rules.
    pub fn new(rules: usize) -> Bench {
        let (config, inventory) = rules::world();
        let compiled = compile(
            &config,
            &rules::policies(rules),
            &inventory,
            &rules::workload(),
        )
        .unwrap();
        Bench {
            program: Program::load(compiled.program).unwrap(),
            peers: PeerTable::empty(),
            questions: rules::questions(rules, QUESTIONS),
            scratch: Scratch::default(),
            next: 0,
        }
    }

    /// Decides this many times, by the index or by looking at every rule; how often it permitted.
    pub fn run(&mut self, times: u32, linear: bool) -> u32 {
        let mut allowed = 0;
        for _ in 0..times {
            let question = &self.questions[self.next];
            self.next = (self.next + 1) % self.questions.len();
            let decision = question.ask(|attributes| {
                let decide = if linear { decide_linear } else { decide };
                decide(&self.program, &self.peers, attributes, &mut self.scratch)
            });
            allowed += u32::from(decision.enforced.verdict == Verdict::Allow);
        }
        allowed
    }

    /// What [`run`](Self::run) does besides deciding.
    pub fn run_nothing(&mut self, times: u32) -> u32 {
        let mut ports = 0;
        for _ in 0..times {
            let question = &self.questions[self.next];
            self.next = (self.next + 1) % self.questions.len();
            ports += question.ask(|attributes| u32::from(std::hint::black_box(attributes).port));
        }
        ports
    }
}

/// What the module exports.
#[cfg(target_arch = "wasm32")]
pub mod exports {
    use std::cell::RefCell;

    use super::Bench;

    thread_local! {
        static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
    }

    /// Makes a program of so many rules.
    #[unsafe(no_mangle)]
    pub extern "C" fn prepare(rules: u32) {
        BENCH.set(Some(Bench::new(rules as usize)));
    }

    /// Decides so many times: 0 nothing, 1 by the index, 2 by looking at every rule.
    #[unsafe(no_mangle)]
    pub extern "C" fn run(times: u32, how: u32) -> u32 {
        BENCH.with_borrow_mut(|bench| match (bench, how) {
            (Some(bench), 0) => bench.run_nothing(times),
            (Some(bench), how) => bench.run(times, how == 2),
            (None, _) => 0,
        })
    }
}
