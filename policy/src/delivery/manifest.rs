//! Manifests: what a program and a peer table are made of. `docs/delivery.md` has the layout.

use std::fmt;

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{ChunkId, MAX_CHUNK_BYTES, MAX_CHUNKS, MAX_INLINE_BYTES};
use crate::bundle::{MAX_PEER_TABLE_BYTES, MAX_PROGRAM_BYTES};

const MAGIC: [u8; 8] = *b"MESHMNFT";
const FORMAT: u32 = 1;

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    format: U32,
    program: PartRecord,
    peers: PartRecord,
}

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct PartRecord {
    bytes: U32,
    chunks: U32,
}

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct ChunkRecord {
    bytes: U32,
    hash: [u8; 32],
}

/// What a program and a peer table are made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// The program.
    pub program: Part,
    /// The peer table.
    pub peers: Part,
}

/// What one of the two is made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// The part itself.
    Inline(Vec<u8>),
    /// Its chunks, in order; at least one.
    Chunks(Vec<ChunkRef>),
}

/// A chunk of a part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChunkRef {
    /// Its name.
    pub id: ChunkId,
    /// Its length in bytes, at least 1.
    pub bytes: usize,
}

/// Why a manifest is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ManifestError {
    /// The bytes do not begin like a manifest.
    NotAManifest,
    /// The manifest was written in a format that this reader does not know.
    Format {
        /// Format of the manifest.
        found: u32,
    },
    /// Something exceeds its limit.
    TooLarge {
        /// What, with its unit.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much there may be.
        limit: usize,
    },
    /// What the manifest says does not fit together.
    Damaged {
        /// What is wrong.
        problem: &'static str,
    },
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ManifestError::NotAManifest => f.write_str("not a Meshwall manifest"),
            ManifestError::Format { found } => write!(
                f,
                "manifest format {found} is unknown; this filter reads format {FORMAT}: \
                 update the filter before the policy server"
            ),
            ManifestError::TooLarge { what, found, limit } => {
                write!(
                    f,
                    "manifest exceeds a limit: {what}: {found}, more than {limit}"
                )
            }
            ManifestError::Damaged { problem } => write!(f, "manifest is damaged: {problem}"),
        }
    }
}

impl std::error::Error for ManifestError {}

impl Manifest {
    /// Checks a manifest and takes over what it says.
    pub fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let damaged = |problem| ManifestError::Damaged { problem };
        let (header, rest) =
            Header::ref_from_prefix(bytes).map_err(|_| ManifestError::NotAManifest)?;
        if header.magic != MAGIC {
            return Err(ManifestError::NotAManifest);
        }
        if header.format.get() != FORMAT {
            return Err(ManifestError::Format {
                found: header.format.get(),
            });
        }
        let count = |part: &PartRecord| part.chunks.get() as usize;
        let chunks = count(&header.program).saturating_add(count(&header.peers));
        within("chunks", chunks, MAX_CHUNKS)?;
        let (records, rest) = <[ChunkRecord]>::ref_from_prefix_with_elems(rest, chunks)
            .map_err(|_| damaged("its list of chunks is cut short"))?;
        let (of_program, of_peers) = records
            .split_at_checked(count(&header.program))
            .unwrap_or_default();
        let (program, rest) = Part::read(&header.program, of_program, rest)?;
        let (peers, rest) = Part::read(&header.peers, of_peers, rest)?;
        if !rest.is_empty() {
            return Err(damaged("something follows its end"));
        }
        let manifest = Manifest { program, peers };
        manifest.check()?;
        Ok(manifest)
    }

    /// Writes a manifest.
    ///
    /// # Errors
    ///
    /// If it would be refused.
    pub fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let header = Header {
            magic: MAGIC,
            format: U32::new(FORMAT),
            program: self.program.record(),
            peers: self.peers.record(),
        };
        let mut bytes = header.as_bytes().to_vec();
        for part in [&self.program, &self.peers] {
            for ChunkRef { id, bytes: length } in part.chunks() {
                let record = ChunkRecord {
                    bytes: number(*length),
                    hash: id.0,
                };
                bytes.extend_from_slice(record.as_bytes());
            }
        }
        for part in [&self.program, &self.peers] {
            if let Part::Inline(inline) = part {
                bytes.extend_from_slice(inline);
            }
        }
        Ok(bytes)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let Manifest { program, peers } = self;
        within("bytes of the program", program.len(), MAX_PROGRAM_BYTES)?;
        within("bytes of the peer table", peers.len(), MAX_PEER_TABLE_BYTES)?;
        let inline = program.inline().len().saturating_add(peers.inline().len());
        within("bytes inline", inline, MAX_INLINE_BYTES)?;
        let chunks = program.chunks().len().saturating_add(peers.chunks().len());
        within("chunks", chunks, MAX_CHUNKS)?;
        for chunk in program.chunks().iter().chain(peers.chunks()) {
            within("bytes of a chunk", chunk.bytes, MAX_CHUNK_BYTES)?;
            if chunk.bytes == 0 {
                return Err(ManifestError::Damaged {
                    problem: "a chunk is empty",
                });
            }
        }
        Ok(())
    }
}

impl Part {
    /// Length of the part in bytes.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        match self {
            Part::Inline(bytes) => bytes.len(),
            Part::Chunks(chunks) => chunks
                .iter()
                .fold(0, |sum: usize, chunk| sum.saturating_add(chunk.bytes)),
        }
    }

    /// The chunks; none if it is inline.
    pub fn chunks(&self) -> &[ChunkRef] {
        match self {
            Part::Inline(_) => &[],
            Part::Chunks(chunks) => chunks,
        }
    }

    fn inline(&self) -> &[u8] {
        match self {
            Part::Inline(bytes) => bytes,
            Part::Chunks(_) => &[],
        }
    }

    /// The chunks with their data, for a part of which all is there.
    pub fn pieces<'a>(&'a self, part: &'a [u8]) -> impl Iterator<Item = (ChunkId, &'a [u8])> {
        let mut rest = part;
        self.chunks().iter().map_while(move |chunk| {
            let (data, behind) = rest.split_at_checked(chunk.bytes)?;
            rest = behind;
            Some((chunk.id, data))
        })
    }

    fn record(&self) -> PartRecord {
        PartRecord {
            bytes: number(self.len()),
            chunks: number(self.chunks().len()),
        }
    }

    fn read<'a>(
        record: &PartRecord,
        chunks: &[ChunkRecord],
        rest: &'a [u8],
    ) -> Result<(Part, &'a [u8]), ManifestError> {
        let bytes = record.bytes.get() as usize;
        if chunks.is_empty() {
            let (inline, rest) = rest.split_at_checked(bytes).ok_or(ManifestError::Damaged {
                problem: "a part is cut short",
            })?;
            // Before it is copied.
            within("bytes inline", bytes, MAX_INLINE_BYTES)?;
            return Ok((Part::Inline(inline.to_vec()), rest));
        }
        let part = Part::Chunks(
            chunks
                .iter()
                .map(|chunk| ChunkRef {
                    id: ChunkId(chunk.hash),
                    bytes: chunk.bytes.get() as usize,
                })
                .collect(),
        );
        if part.len() == bytes {
            Ok((part, rest))
        } else {
            Err(ManifestError::Damaged {
                problem: "the chunks of a part do not add up to it",
            })
        }
    }
}

fn within(what: &'static str, found: usize, limit: usize) -> Result<(), ManifestError> {
    if found > limit {
        Err(ManifestError::TooLarge { what, found, limit })
    } else {
        Ok(())
    }
}

/// What is within its limit fits.
fn number(value: usize) -> U32 {
    U32::new(u32::try_from(value).unwrap_or(u32::MAX))
}
