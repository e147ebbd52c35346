//! What holds for every delivery, as functions that panic if it does not. Property tests and fuzz
//! targets call them.

use super::{Assembly, ChunkId, Delivery, MAX_CHUNKS, MAX_INLINE_BYTES, Manifest};
use crate::cases::Choices;

/// What a filter has.
struct Held {
    manifest: Manifest,
    program: Vec<u8>,
    peers: Vec<u8>,
}

/// Whatever the bytes, they are a manifest within its limits or there is a reason why not; and a
/// manifest is written as it was read.
pub fn manifests_never_panic(data: &[u8]) {
    match Manifest::decode(data) {
        Ok(manifest) => {
            let Manifest { program, peers } = &manifest;
            assert!(program.chunks().len() + peers.chunks().len() <= MAX_CHUNKS);
            assert_eq!(manifest.encode().as_deref(), Ok(data));
            let mut assembly = Assembly::new(manifest, None);
            let first = assembly.missing().next();
            if let Some(first) = first {
                assert!(assembly.supply(first.id, data).is_err());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What is cut into pieces is whole again in the end, in whatever order the pieces come; damaged
/// ones are refused; and after a change only what is new is missing. The data says how large the
/// parts are, what changes and in which order chunks come.
pub fn what_is_delivered_arrives(data: &[u8]) {
    let seed = data.iter().fold(0_u64, |seed, byte| {
        seed.wrapping_mul(257).wrapping_add(u64::from(*byte))
    });
    let mut choices = Choices::new(seed);
    let mut part = |most: usize| -> Vec<u8> {
        let (length, values) = (choices.below(most), 1 + choices.below(256));
        (0..length).map(|_| choices.below(values) as u8).collect()
    };
    let most = if seed.is_multiple_of(2) {
        MAX_INLINE_BYTES
    } else {
        5 * MAX_INLINE_BYTES
    };
    let (program, mut peers) = (part(most), part(most));
    let mut before: Option<Held> = None;
    for _ in 0..3 {
        let Ok(delivery) = Delivery::new(&program, &peers) else {
            return;
        };
        assert_eq!(
            Delivery::new(&program, &peers).map(|same| same.manifest),
            Ok(delivery.manifest.clone())
        );
        let decoded = Manifest::decode(&delivery.manifest);
        assert_eq!(decoded.as_ref().err(), None);
        let Ok(manifest) = decoded else { return };
        let mut assembly = Assembly::new(manifest, before.as_ref().map(|held| &held.manifest));
        if let Some(held) = &before {
            let of_program = held.manifest.program.pieces(&held.program);
            for (id, data) in of_program.chain(held.manifest.peers.pieces(&held.peers)) {
                assembly.adopt(id, data);
            }
        }
        arrive(&mut assembly, &delivery, &mut choices);
        let parts = assembly.finish();
        assert!(parts.is_some(), "something is missing");
        let Some(parts) = parts else { return };
        let (old_program, old_peers) = before
            .map(|held| (held.program, held.peers))
            .unwrap_or_default();
        assert_eq!(parts.program.unwrap_or(old_program), program);
        assert_eq!(parts.peers.unwrap_or(old_peers), peers);
        before = Some(Held {
            manifest: parts.manifest,
            program: program.clone(),
            peers: peers.clone(),
        });
        let at = choices.below(peers.len() + 1);
        peers.splice(at..at, *b"a new peer");
    }
}

/// Supplies what is missing in any order, damaged at first.
fn arrive(assembly: &mut Assembly, delivery: &Delivery<'_>, choices: &mut Choices) {
    let data_of = |id: ChunkId| {
        let chunk = delivery.chunks.iter().find(|(known, _)| *known == id);
        chunk.map(|(_, data)| *data).unwrap_or_default()
    };
    let mut missing: Vec<_> = assembly.missing().map(|chunk| chunk.id).collect();
    while !missing.is_empty() {
        let id = missing.swap_remove(choices.below(missing.len()));
        let data = data_of(id);
        assert_eq!(ChunkId::parse(&id.to_string()), Some(id));
        let mut damaged = data.to_vec();
        if let Some(byte) = damaged.first_mut() {
            *byte ^= 1;
        }
        assert!(assembly.supply(id, &damaged).is_err());
        assert_eq!(assembly.supply(id, data), Ok(()));
        assert!(assembly.chunks().any(|(there, _)| there == id));
        assert!(!assembly.missing().any(|chunk| chunk.id == id));
    }
}

#[cfg(test)]
mod tests {
    use super::{manifests_never_panic, what_is_delivered_arrives};
    use crate::cases::Choices;
    use crate::delivery::Delivery;

    #[test]
    fn deliveries_arrive() {
        for seed in 0..24_u8 {
            what_is_delivered_arrives(&[seed, 0]);
        }
    }

    #[test]
    fn damaged_manifests_are_refused_or_read() {
        let mut choices = Choices::new(5);
        let program: Vec<u8> = (0..200_000).map(|_| choices.below(256) as u8).collect();
        for (program, peers) in [(&program[..], &b"peers"[..]), (b"program", b"peers")] {
            let delivery = Delivery::new(program, peers).unwrap();
            for at in 0..delivery.manifest.len() {
                for bit in 0..8 {
                    let mut changed = delivery.manifest.clone();
                    changed[at] ^= 1 << bit;
                    manifests_never_panic(&changed);
                }
                manifests_never_panic(&delivery.manifest[..at]);
            }
        }
    }
}
