//! Delivery: a program and its peer table in pieces, for filters that open a stream of their own.
//!
//! Envoy does not limit what a stream may bring, and a message of hundreds of megabytes stalls a
//! worker. So a policy server sends a [`Manifest`], small, which says what program and peer table
//! are made of, and the filter asks for the chunks that it does not have, a few at a time. A chunk
//! is named by its hash: it can be checked when it comes, and need not come twice.
//!
//! `docs/delivery.md` has the protocol around this and the layout of manifests.

mod assembly;
mod cut;
mod manifest;
pub mod properties;

use std::fmt;

pub use assembly::{Assembly, ChunkError, Parts};
pub use manifest::{ChunkRef, Manifest, ManifestError, Part};
use sha2::{Digest, Sha256};

use crate::program::Version;

/// Type URL of manifests: a message of which field 1, bytes, is the manifest.
pub const POLICY_TYPE: &str = "type.googleapis.com/meshwall.v1alpha1.Policy";

/// Type URL of chunks: a message of which field 1, bytes, is the data.
pub const CHUNK_TYPE: &str = "type.googleapis.com/meshwall.v1alpha1.Chunk";

/// Name of the one manifest that is meant for whoever asks.
pub const POLICY_NAME: &str = "policy";

/// What the names of chunks begin with; the hash follows.
const CHUNK_PREFIX: &str = "chunk/";

/// Most bytes of a chunk.
pub const MAX_CHUNK_BYTES: usize = 256 << 10;

/// Most chunks of a manifest.
pub const MAX_CHUNKS: usize = 1_024;

/// Most bytes of a program and a peer table that are both in the manifest.
pub const MAX_INLINE_BYTES: usize = 64 << 10;

/// Most bytes of chunks that a filter has asked for and not got.
pub const MAX_OUTSTANDING_BYTES: usize = 1 << 20;

/// Most bytes of a message on the stream: all chunks that a filter asks for at a time, their
/// names, and more than enough for what else there is in a message.
pub const MAX_MESSAGE_BYTES: usize = 2 << 20;

/// The name of a chunk: the SHA-256 of its data.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChunkId(pub [u8; 32]);

impl ChunkId {
    /// The id of a chunk with this data.
    pub fn of(data: &[u8]) -> ChunkId {
        ChunkId(Sha256::digest(data).into())
    }

    /// Reads the name of a resource; `None` if it is not the name of a chunk as [`fmt::Display`]
    /// writes it.
    pub fn parse(name: &str) -> Option<ChunkId> {
        let digits = name.strip_prefix(CHUNK_PREFIX)?.as_bytes();
        let (pairs, []) = digits.as_chunks::<2>() else {
            return None;
        };
        let mut id = [0; 32];
        if pairs.len() != id.len() {
            return None;
        }
        for (byte, [high, low]) in id.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(ChunkId(id))
    }
}

/// The name of the resource: `chunk/` and 64 lower-case hexadecimal digits.
impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CHUNK_PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// What a policy server sends of one program and one peer table.
#[derive(Clone, Debug)]
pub struct Delivery<'a> {
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The chunks that the manifest names, each once.
    pub chunks: Vec<(ChunkId, &'a [u8])>,
}

impl<'a> Delivery<'a> {
    /// Cuts a program and a peer table into pieces, if they are too large for the manifest.
    ///
    /// # Errors
    ///
    /// If they are larger than a filter accepts.
    pub fn new(program: &'a [u8], peers: &'a [u8]) -> Result<Delivery<'a>, ManifestError> {
        if program.len().saturating_add(peers.len()) <= MAX_INLINE_BYTES {
            let manifest = Manifest {
                program: Part::Inline(program.to_vec()),
                peers: Part::Inline(peers.to_vec()),
            };
            return Ok(Delivery {
                manifest: manifest.encode()?,
                chunks: Vec::new(),
            });
        }
        let mut chunks = Vec::new();
        let mut cut = |part: &'a [u8]| {
            let cut = cut::cut(part).map(|data| (ChunkId::of(data), data));
            let pieces: Vec<_> = cut.collect();
            chunks.extend_from_slice(&pieces);
            let reference = |(id, data): (ChunkId, &[u8])| ChunkRef {
                id,
                bytes: data.len(),
            };
            Part::Chunks(pieces.into_iter().map(reference).collect())
        };
        let manifest = Manifest {
            program: cut(program),
            peers: cut(peers),
        };
        chunks.sort_by_key(|(id, _)| *id);
        chunks.dedup_by_key(|(id, _)| *id);
        Ok(Delivery {
            manifest: manifest.encode()?,
            chunks,
        })
    }

    /// The version of the manifest's resource: its SHA-256.
    pub fn version(&self) -> Version {
        Version(Sha256::digest(&self.manifest).into())
    }
}
