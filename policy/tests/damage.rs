//! Programs and peer tables that were cut, flipped or forged are refused, or decide without
//! panicking.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use meshwall_policy::cases::Case;
use meshwall_policy::compile::{Compiled, compile, peer_table};
use meshwall_policy::decide::{Scratch, decide, decide_linear};
use meshwall_policy::decision::{Cause, Verdict};
use meshwall_policy::explain::explain;
use meshwall_policy::peers::{PeerTable, PeersError};
use meshwall_policy::program::{LoadError, Program};
use sha2::{Digest, Sha256};

const DIGEST_AT: usize = 16;
const BODY_AT: usize = 48;

fn compiled(seed: u64) -> (Case, Compiled) {
    let case = Case::generate(seed, 20);
    let compiled = compile(
        &case.config,
        &case.policies,
        &case.inventory,
        &case.workload,
    )
    .unwrap();
    (case, compiled)
}

/// Writes the hash that fits the content, as a forger would.
fn forge(bytes: &mut [u8]) {
    let digest = Sha256::digest(&bytes[BODY_AT..]);
    bytes[DIGEST_AT..BODY_AT].copy_from_slice(&digest);
}

#[test]
fn every_truncation_is_refused() {
    let (_, compiled) = compiled(1);
    for length in 0..compiled.program.len() {
        assert!(
            Program::load(compiled.program[..length].to_vec()).is_err(),
            "{length} bytes"
        );
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let (case, compiled) = compiled(2);
    let peers = peer_table(&compiled.sets, &case.inventory).unwrap();
    for bytes in [compiled.program, peers] {
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let refused =
                Program::load(flipped.clone()).is_err() && PeerTable::load(flipped).is_err();
            assert!(refused, "bit {bit}");
        }
    }
}

#[test]
fn forged_programs_never_panic() {
    let mut loaded = 0;
    let mut scratch = Scratch::default();
    for seed in 0..12 {
        let (case, compiled) = compiled(seed);
        let (_, peers) = case.load().unwrap();
        for at in BODY_AT..compiled.program.len() {
            let mut forged = compiled.program.clone();
            forged[at] ^= 1 << (at % 8);
            forge(&mut forged);
            let Ok(program) = Program::load(forged) else {
                continue;
            };
            loaded += 1;
            for question in case.questions.iter().take(4) {
                question.ask(|attributes| {
                    decide(&program, &peers, attributes, &mut scratch);
                    decide_linear(&program, &peers, attributes, &mut scratch);
                    explain(&program, &peers, attributes, &mut scratch);
                });
            }
        }
    }
    assert!(
        loaded > 1_000,
        "only {loaded} forged programs passed: the test has lost its teeth"
    );
}

#[test]
fn forged_peer_tables_never_panic() {
    for seed in 0..20 {
        let (case, compiled) = compiled(seed);
        let bytes = peer_table(&compiled.sets, &case.inventory).unwrap();
        for at in BODY_AT..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1 << (at % 8);
            forge(&mut forged);
            let Ok(peers) = PeerTable::load(forged) else {
                continue;
            };
            for workload in &case.inventory.workloads {
                for address in &workload.addresses {
                    if let Some(entry) = peers.lookup(*address) {
                        entry.sets().for_each(drop);
                    }
                }
            }
        }
    }
}

#[test]
fn refusals_name_the_reason() {
    let (_, compiled) = compiled(3);
    let error = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = compiled.program.clone();
        change(&mut bytes);
        Program::load(bytes).unwrap_err().to_string()
    };
    assert_eq!(error(&Vec::clear), "not a Meshwall program");
    assert_eq!(error(&|bytes| bytes[0] = b'X'), "not a Meshwall program");
    assert_eq!(
        error(&|bytes| bytes[8] = 9),
        "program format 9 is unknown; this filter reads format 1: \
         update the filter before the policy server"
    );
    let length = compiled.program.len();
    assert_eq!(
        error(&|bytes| bytes.truncate(length - 1)),
        format!("program of {length} bytes arrived as {} bytes", length - 1)
    );
    assert_eq!(
        error(&|bytes| bytes[length - 1] ^= 1),
        "program does not match its hash; it is damaged"
    );
    let too_large = LoadError::TooLarge { bytes: 9_000_000 }.to_string();
    assert_eq!(
        too_large,
        "program of 9000000 bytes exceeds the limit of 8388608"
    );
    let peers = PeerTable::load(b"MESHWALL".to_vec()).unwrap_err();
    assert_eq!(peers, PeersError::NotAPeerTable);
}

#[test]
fn a_peer_table_for_other_sets_denies() {
    let with_sets = (0..)
        .map(compiled)
        .find(|(_, compiled)| !compiled.sets.is_empty());
    let (case, compiled) = with_sets.unwrap();
    let program = Program::load(compiled.program).unwrap();
    let mut scratch = Scratch::default();
    case.questions[0].ask(|attributes| {
        let decision = decide(&program, &PeerTable::empty(), attributes, &mut scratch);
        assert_eq!(decision.enforced.verdict, Verdict::Deny);
        assert_eq!(decision.enforced.cause, Cause::Fault);
    });
}
