//! `scripts/bench decide`: the time of a decision, natively and in WebAssembly, for 10 to 10,000
//! rules, beside a linear evaluation of the same program and two general policy engines with the
//! same rules.
//!
//! Times are of batches of decisions, from which the time of a batch of nothing is taken. The
//! variants take turns, so that a busy machine slows all of them; compare ratios.

mod cedar;
mod rego;
mod wasm;

use std::time::Instant;

use meshwall_bench_decider::Bench;

const RULES: [usize; 4] = [10, 100, 1_000, 10_000];

/// Decisions in a batch.
const BATCH: u32 = 20;

/// Something that can decide.
pub trait Engine {
    /// Name in the table.
    fn name(&self) -> &'static str;
    /// Decides so many times; how often it permitted.
    fn run(&mut self, times: u32) -> u32;
    /// Does so many times what `run` does besides deciding.
    fn run_nothing(&mut self, times: u32);
}

struct Native {
    bench: Bench,
    linear: bool,
}

impl Engine for Native {
    fn name(&self) -> &'static str {
        if self.linear {
            "native, every rule"
        } else {
            "native"
        }
    }

    fn run(&mut self, times: u32) -> u32 {
        self.bench.run(times, self.linear)
    }

    fn run_nothing(&mut self, times: u32) {
        std::hint::black_box(self.bench.run_nothing(times));
    }
}

/// Percentiles of the time of one decision, in nanoseconds.
#[derive(Clone, Copy)]
struct Times {
    p50: f64,
    p99: f64,
}

fn batch_nanos(batch: impl FnOnce()) -> f64 {
    let start = Instant::now();
    batch();
    start.elapsed().as_nanos() as f64 / f64::from(BATCH)
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// Measures engines in turns. A slow one gets fewer turns: enough for its median.
fn measure(engines: &mut [Box<dyn Engine>], batches: usize) -> Vec<Times> {
    let mut taken = vec![Vec::new(); engines.len()];
    let mut nothing = vec![Vec::new(); engines.len()];
    let mut spent = vec![0.0; engines.len()];
    for engine in engines.iter_mut() {
        engine.run(BATCH * 10);
    }
    for _ in 0..batches {
        for (at, engine) in engines.iter_mut().enumerate() {
            if spent[at] > 2e9 && taken[at].len() > 20 {
                continue;
            }
            nothing[at].push(batch_nanos(|| engine.run_nothing(BATCH)));
            let time = batch_nanos(|| {
                std::hint::black_box(engine.run(BATCH));
            });
            spent[at] += time * f64::from(BATCH);
            taken[at].push(time);
        }
    }
    taken
        .iter_mut()
        .zip(&mut nothing)
        .map(|(taken, nothing)| {
            taken.sort_by(f64::total_cmp);
            nothing.sort_by(f64::total_cmp);
            let base = percentile(nothing, 50);
            Times {
                p50: percentile(taken, 50) - base,
                p99: percentile(taken, 99) - base,
            }
        })
        .collect()
}

/// The median of an engine at a number of rules.
struct Median {
    engine: &'static str,
    rules: usize,
    nanos: f64,
}

fn main() {
    let wasm = std::env::args()
        .nth(1)
        .expect("usage: meshwall-bench DECIDER.wasm");
    let module = std::fs::read(&wasm).expect("the module can be read");
    println!("Time of one decision in nanoseconds, and how many times that of `native`.\n");
    println!(
        "{:>6}  {:20} {:>11} {:>11} {:>8}",
        "rules", "engine", "p50", "p99", "ratio"
    );
    let mut medians: Vec<Median> = Vec::new();
    for rules in RULES {
        let native = |linear| {
            Box::new(Native {
                bench: Bench::new(rules),
                linear,
            })
        };
        let mut engines: Vec<Box<dyn Engine>> = vec![
            native(false),
            Box::new(wasm::Wasm::new(&module, rules, false)),
            native(true),
            Box::new(wasm::Wasm::new(&module, rules, true)),
            Box::new(cedar::Cedar::new(rules)),
            Box::new(rego::Rego::new(rules)),
        ];
        let permitted: Vec<u32> = engines.iter_mut().map(|engine| engine.run(40)).collect();
        let agree = permitted.windows(2).all(|pair| pair[0] == pair[1]);
        assert!(
            agree,
            "the engines do not agree: {permitted:?} of 40 permitted"
        );
        let times = measure(&mut engines, 20_000);
        let base = times[0].p50;
        for (engine, Times { p50, p99 }) in engines.iter().zip(times) {
            let name = engine.name();
            println!(
                "{rules:>6}  {name:20} {p50:>11.0} {p99:>11.0} {:>8.1}",
                p50 / base
            );
            medians.push(Median {
                engine: name,
                rules,
                nanos: p50,
            });
        }
        println!();
    }
    for engine in ["native", "wasm"] {
        let nanos = |rules: usize| {
            let found = medians
                .iter()
                .find(|known| known.engine == engine && known.rules == rules);
            found.map(|median| median.nanos)
        };
        if let (Some(few), Some(many)) = (nanos(10), nanos(10_000)) {
            println!(
                "{engine}: 10,000 rules take {:.2} times as long as 10",
                many / few
            );
        }
    }
}
