//! What holds for every program and every decision, as functions that panic if it does not.
//! Property tests and fuzz targets call them.

use sha2::{Digest, Sha256};

use crate::attributes::{Attributes, Claim, Peer, Request};
use crate::bundle::Bundle;
use crate::cases::Case;
use crate::decide::{Scratch, decide, decide_linear};
use crate::explain::explain;
use crate::peers::PeerTable;
use crate::program::Program;
use crate::reference::World;

/// Where the digest of a program or peer table is, and what it covers.
const DIGEST: std::ops::Range<usize> = 16..48;

/// Whatever the bytes, loading them as a bundle, program or peer table gives a program or a
/// reason; and a program decides, also when its digest was forged.
pub fn loading_never_panics(data: &[u8]) {
    if let Err(error) = Bundle::load(data) {
        assert!(!error.to_string().is_empty());
    }
    let mut forged = data.to_vec();
    forge(&mut forged);
    for bytes in [data.to_vec(), forged] {
        if let Ok(peers) = PeerTable::load(bytes.clone())
            && let Some(entry) = peers.lookup([10, 0, 0, 1].into())
        {
            entry.sets().for_each(drop);
        }
        if let Ok(program) = Program::load(bytes) {
            let case = Case::generate(data.len() as u64, 2);
            for question in &case.questions {
                question.ask(|attributes| decide_all(&program, &PeerTable::empty(), attributes));
            }
        }
    }
}

/// A valid program with some bytes changed, and its digest forged, never panics. The first bytes
/// of the data choose the program, the others say what to change.
pub fn changed_programs_never_panic(data: &[u8]) {
    let Some((seed, changes)) = data.split_first_chunk::<2>() else {
        return;
    };
    let case = Case::generate(u64::from(u16::from_le_bytes(*seed)), 4);
    let Ok((program, peers)) = case.load() else {
        return;
    };
    let mut program = program.bytes().to_vec();
    for change in changes.chunks_exact(4) {
        if let [low, middle, high, value] = *change {
            let at = u32::from_le_bytes([low, middle, high, 0]) as usize;
            let length = program.len().max(1);
            if let Some(byte) = program.get_mut(at % length) {
                *byte = value;
            }
        }
    }
    forge(&mut program);
    if let Ok(program) = Program::load(program) {
        for question in &case.questions {
            question.ask(|attributes| decide_all(&program, &peers, attributes));
        }
    }
}

/// The index, the linear evaluation and the plainly written semantics agree, also on a request
/// whose parts come from the data.
pub fn evaluations_agree(data: &[u8]) {
    let Some((seed, rest)) = data.split_first_chunk::<4>() else {
        return;
    };
    let case = Case::generate(u64::from(u32::from_le_bytes(*seed)), 2);
    let Case {
        config,
        policies,
        inventory,
        workload,
        questions,
    } = &case;
    let Ok((program, peers)) = case.load() else {
        return;
    };
    let world = World {
        config,
        policies,
        inventory,
        workload,
    };
    let check = |attributes: &Attributes<'_>| {
        let mut scratch = Scratch::default();
        let decision = decide(&program, &peers, attributes, &mut scratch);
        let linear = decide_linear(&program, &peers, attributes, &mut scratch);
        assert_eq!(
            decision, linear,
            "indexed and linear differ for {attributes:?}"
        );
        let verdicts = (decision.enforced.verdict, decision.combined.verdict);
        assert_eq!(
            verdicts,
            world.decide(attributes),
            "semantics differ for {attributes:?}"
        );
    };
    for question in questions {
        question.ask(check);
        let mut parts = rest.split(|byte| *byte == 0xff);
        let mut part = || parts.next().unwrap_or_default();
        let (path, authority, value, claim) = (part(), part(), part(), part());
        question.ask(|asked| {
            let headers = [(&b"x-env"[..], value), (&b"x-env"[..], claim)];
            let claims = [Claim {
                path: "groups",
                value: claim,
            }];
            check(&Attributes {
                peer: Peer {
                    principal: Some(value),
                    ..asked.peer
                },
                sni: Some(authority),
                request: Some(Request {
                    method: b"GET",
                    authority,
                    path,
                    headers: &headers,
                    claims: &claims,
                }),
                ..*asked
            });
        });
    }
}

fn decide_all(program: &Program, peers: &PeerTable, attributes: &Attributes<'_>) {
    let mut scratch = Scratch::default();
    decide(program, peers, attributes, &mut scratch);
    decide_linear(program, peers, attributes, &mut scratch);
    explain(program, peers, attributes, &mut scratch);
}

/// Writes the digest that fits the content, as a forger would.
fn forge(bytes: &mut [u8]) {
    let Some(covered) = bytes.get(DIGEST.end..) else {
        return;
    };
    let digest = Sha256::digest(covered);
    if let Some(place) = bytes.get_mut(DIGEST) {
        place.copy_from_slice(&digest);
    }
}

#[cfg(test)]
mod tests {
    use super::{changed_programs_never_panic, evaluations_agree, loading_never_panics};
    use crate::cases::Choices;

    #[test]
    fn properties_hold_for_random_bytes() {
        let mut choices = Choices::new(7);
        for _ in 0..400 {
            let length = choices.below(64);
            let data: Vec<u8> = (0..length).map(|_| choices.below(256) as u8).collect();
            loading_never_panics(&data);
            changed_programs_never_panic(&data);
            evaluations_agree(&data);
        }
    }
}
