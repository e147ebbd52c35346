//! Cuts parts into chunks at places that depend on what is around them.
//!
//! If chunks were of one size, a byte inserted at the beginning of a part would move all that
//! follows, and every chunk would be another. Here a rolling hash of the last 64 bytes says where
//! to cut, so the cuts move with the content. The reader of a manifest does not care where they
//! are; a change here costs one resend.

use super::MAX_CHUNK_BYTES;

/// Fewest bytes of a chunk that is not the last.
const MIN_CHUNK_BYTES: usize = 16 << 10;

/// A cut is where these bits of the hash are zero: once in 16 KiB.
const MASK: u64 = 0x3fff << 50;

/// A random number for each value of a byte (SplitMix64).
const GEAR: [u64; 256] = {
    let mut gear = [0; 256];
    let mut state = 0_u64;
    let mut at = 0;
    while at < gear.len() {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        #[expect(clippy::indexing_slicing, reason = "the loop ends before the table")]
        {
            gear[at] = mixed ^ (mixed >> 31);
        }
        at += 1;
    }
    gear
};

/// The chunks of a part, in order; none if it is empty.
pub(super) fn cut(mut part: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (chunk, rest) = part.split_at_checked(length(part))?;
        part = rest;
        Some(chunk).filter(|chunk| !chunk.is_empty())
    })
}

/// Length of the first chunk.
fn length(part: &[u8]) -> usize {
    let mut hash = 0_u64;
    for (at, byte) in part.iter().enumerate().take(MAX_CHUNK_BYTES) {
        let gear = GEAR.get(usize::from(*byte)).copied().unwrap_or_default();
        hash = (hash << 1).wrapping_add(gear);
        if at + 1 >= MIN_CHUNK_BYTES && hash & MASK == 0 {
            return at + 1;
        }
    }
    part.len().min(MAX_CHUNK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::{MIN_CHUNK_BYTES, cut};
    use crate::cases::Choices;
    use crate::delivery::MAX_CHUNK_BYTES;

    fn random(bytes: usize) -> Vec<u8> {
        let mut choices = Choices::new(3);
        (0..bytes).map(|_| choices.below(256) as u8).collect()
    }

    #[test]
    fn chunks_are_the_whole_and_within_their_limits() {
        for part in [random(2 << 20), vec![0; 2 << 20], random(100), Vec::new()] {
            let chunks: Vec<_> = cut(&part).collect();
            assert_eq!(chunks.concat(), part);
            for (number, chunk) in chunks.iter().enumerate() {
                assert!(chunk.len() <= MAX_CHUNK_BYTES);
                assert!(chunk.len() >= MIN_CHUNK_BYTES || number + 1 == chunks.len());
            }
        }
    }

    #[test]
    fn what_is_inserted_moves_the_cuts_behind_it() {
        let part = random(4 << 20);
        let chunks: Vec<_> = cut(&part).collect();
        assert!((80..200).contains(&chunks.len()), "{} chunks", chunks.len());
        for at in [0, 1 << 20, 3 << 20] {
            let mut changed = part.clone();
            changed.splice(at..at, *b"inserted");
            let new = cut(&changed).filter(|chunk| !chunks.contains(chunk));
            assert!(new.count() <= 3);
        }
    }
}
