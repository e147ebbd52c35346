//! Properties of the reader of documents, on documents that are right, wrong, and broken at
//! random; and the reference, which is written from its types.

#![cfg(test)]

use std::fs;
use std::path::Path;

use meshwall_policy::document::{self, properties, reference};

/// A generator of numbers that is the same each time (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % bound
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong");
    let wrong = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| fs::read(path).unwrap())
        .filter(|text| text.len() < 4096);
    let right = reference::EXAMPLES
        .iter()
        .map(|(_, text)| text.as_bytes().to_vec());
    let json = reference::EXAMPLES.iter().map(|(_, text)| {
        let parsed = document::parse("example", text);
        let value = match &parsed.documents[0] {
            document::Document::FirewallPolicy(located) => serde_json::to_vec(located.object()),
            document::Document::ClusterFirewallPolicy(located) => {
                serde_json::to_vec(located.object())
            }
            document::Document::MeshwallConfig(located) => serde_json::to_vec(located.object()),
            document::Document::Other(_) => panic!("{text}"),
        };
        value.unwrap()
    });
    let mut seeds: Vec<Vec<u8>> = wrong.chain(right).chain(json).collect();
    seeds.sort();
    seeds
}

/// Pieces that readers of YAML, JSON and policies take notice of.
const PIECES: [&str; 30] = [
    "\n", "  ", "- ", ": ", "{", "}", "[", "]", ",", "\"", "'", "&a ", "*a", "<<: *a", "!!str ",
    "|\n", ">-\n", "? ", "---\n", "# ", "\\u0000", "\t", "*", "{**}", "%2f", "::ffff:", "/33",
    "null", "~", "\u{feff}",
];

fn mutated(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut text = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(text.len() + 1);
        match numbers.below(5) {
            0 if at < text.len() => text[at] = u8::try_from(numbers.below(256)).unwrap(),
            1 => {
                let end = (at + numbers.below(20)).min(text.len());
                text.drain(at..end);
            }
            2 => {
                let other = &seeds[numbers.below(seeds.len())];
                let start = numbers.below(other.len());
                let end = (start + numbers.below(80)).min(other.len());
                text.splice(at..at, other[start..end].iter().copied());
            }
            3 => {
                let line = text[at..].iter().position(|byte| *byte == b'\n');
                let end = line.map_or(text.len(), |line| at + line);
                let copy = text[at..end].to_vec();
                text.splice(at..at, copy);
            }
            _ => {
                let piece = PIECES[numbers.below(PIECES.len())];
                text.splice(at..at, piece.bytes());
            }
        }
    }
    text
}

#[test]
fn broken_documents_are_refused_in_words() {
    let seeds = seeds();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..2_000 {
        let text = mutated(&seeds, &mut numbers);
        properties::never_panics(&text);
        properties::round_trips(&text);
    }
    for seed in &seeds {
        properties::never_panics(seed);
        properties::round_trips(seed);
    }
}

#[test]
fn texts_that_mean_to_exhaust_are_refused_in_time() {
    let n = 50_000;
    let policy = "apiVersion: meshwall.io/v1alpha1\nkind: FirewallPolicy\nmetadata: {name: a, \
                  namespace: b}\nspec:\n";
    let bomb = (1..30).fold("  a0: &a0 [x, x]\n".to_owned(), |text, level| {
        let below = level - 1;
        format!("{text}  a{level}: &a{level} [*a{below}, *a{below}]\n")
    });
    let texts = [
        "[".repeat(n),
        "{a: ".repeat(n),
        "- ".repeat(n),
        "? ".repeat(n),
        format!("{{\"a\":{}", "[".repeat(n)),
        "{\"a\":".repeat(n),
        format!("{policy}{bomb}"),
        format!(
            "{policy}  x: &x {}\n  y: [{}]\n",
            "y".repeat(n),
            "*x, ".repeat(1_000)
        ),
        format!(
            "{policy}  x: &x [{}]\n  y: [{}]\n",
            "1, ".repeat(n / 2),
            "*x, ".repeat(n)
        ),
        format!(
            "{policy}{}",
            (0..n).map(|i| format!("  f{i}: 1\n")).collect::<String>()
        ),
        format!("{policy}  ingress:\n{}", "  - {action: no}\n".repeat(1_000)),
        format!("{policy}  mode: {}\n", "m".repeat(10 * n)),
        format!("{policy}  {}: 1\n", "m".repeat(10 * n)),
        "---\na\n".repeat(n),
        "{}".repeat(n),
    ];
    for text in &texts {
        properties::never_panics(text.as_bytes());
    }
}

#[test]
fn the_reference_is_written_from_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy-reference.md");
    let written = reference::markdown();
    if std::env::var_os("MESHWALL_BLESS").is_some() {
        fs::write(&path, &written).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        checked_in == written,
        "docs/policy-reference.md is behind the types; write it anew with\n\
         MESHWALL_BLESS=1 cargo test -p meshwall-policy --test documents"
    );
}
