//! Puts a program and a peer table together from what a manifest names.

use std::collections::BTreeSet;
use std::fmt;

use super::{ChunkId, ChunkRef, Manifest, Part};

/// A program and a peer table of which some is there.
#[derive(Debug)]
pub struct Assembly {
    manifest: Manifest,
    /// `None` for what is the same as before.
    program: Option<Building>,
    peers: Option<Building>,
}

/// A part of which some is there.
#[derive(Debug)]
struct Building {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    id: ChunkId,
    start: usize,
    len: usize,
    is_there: bool,
}

/// All that a manifest names.
#[derive(Debug)]
pub struct Parts {
    /// The manifest.
    pub manifest: Manifest,
    /// The program; `None` if it is the same as before.
    pub program: Option<Vec<u8>>,
    /// The peer table; `None` if it is the same as before.
    pub peers: Option<Vec<u8>>,
}

/// Why a chunk is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChunkError {
    /// The data is not what the name says.
    Hash {
        /// Name of the chunk.
        id: ChunkId,
    },
    /// The data is what the name says, and not as long as the manifest says.
    Length {
        /// Name of the chunk.
        id: ChunkId,
        /// Length in the manifest, in bytes.
        expected: usize,
        /// Length of the data, in bytes.
        found: usize,
    },
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChunkError::Hash { id } => write!(f, "`{id}` does not match its name"),
            ChunkError::Length {
                id,
                expected,
                found,
            } => write!(
                f,
                "`{id}` has {found} bytes where the manifest says {expected}"
            ),
        }
    }
}

impl std::error::Error for ChunkError {}

impl Assembly {
    /// Begins with nothing but what is inline, and what is the same as in the manifest before.
    pub fn new(manifest: Manifest, before: Option<&Manifest>) -> Assembly {
        let Manifest { program, peers } = &manifest;
        let same = |part: fn(&Manifest) -> &Part| {
            before.is_some_and(|before| part(before) == part(&manifest))
        };
        Assembly {
            program: (!same(|manifest| &manifest.program)).then(|| Building::new(program)),
            peers: (!same(|manifest| &manifest.peers)).then(|| Building::new(peers)),
            manifest,
        }
    }

    /// The chunks that are missing, each once, those of the program first.
    pub fn missing(&self) -> impl Iterator<Item = ChunkRef> {
        let mut seen = BTreeSet::new();
        let missing = self.pieces().filter(|piece| !piece.is_there);
        missing
            .filter(move |piece| seen.insert(piece.id))
            .map(|piece| ChunkRef {
                id: piece.id,
                bytes: piece.len,
            })
    }

    /// The chunks that are there.
    pub fn chunks(&self) -> impl Iterator<Item = (ChunkId, &[u8])> {
        self.buildings().flat_map(|Building { bytes, pieces }| {
            let there = pieces.iter().filter(|piece| piece.is_there);
            there.filter_map(|Piece { id, start, len, .. }| {
                Some((*id, bytes.get(*start..start.checked_add(*len)?)?))
            })
        })
    }

    /// Takes a chunk that has just come.
    ///
    /// # Errors
    ///
    /// If it is not what its name says, or not as long as the manifest says.
    pub fn supply(&mut self, id: ChunkId, data: &[u8]) -> Result<(), ChunkError> {
        if ChunkId::of(data) != id {
            return Err(ChunkError::Hash { id });
        }
        let lies = self
            .pieces()
            .find(|piece| piece.id == id && piece.len != data.len());
        if let Some(piece) = lies {
            return Err(ChunkError::Length {
                id,
                expected: piece.len,
                found: data.len(),
            });
        }
        self.adopt(id, data);
        Ok(())
    }

    /// Takes a chunk that was checked before, if it is missing.
    pub fn adopt(&mut self, id: ChunkId, data: &[u8]) {
        for building in [&mut self.program, &mut self.peers].into_iter().flatten() {
            let Building { bytes, pieces } = building;
            for piece in pieces.iter_mut().filter(|piece| piece.id == id) {
                let place = bytes.get_mut(piece.start..piece.start.saturating_add(piece.len));
                if let Some(place) = place.filter(|place| place.len() == data.len()) {
                    place.copy_from_slice(data);
                    piece.is_there = true;
                }
            }
        }
    }

    /// The parts; `None` if something is missing.
    pub fn finish(self) -> Option<Parts> {
        if self.pieces().any(|piece| !piece.is_there) {
            return None;
        }
        Some(Parts {
            manifest: self.manifest,
            program: self.program.map(|building| building.bytes),
            peers: self.peers.map(|building| building.bytes),
        })
    }

    fn buildings(&self) -> impl Iterator<Item = &Building> {
        [&self.program, &self.peers].into_iter().flatten()
    }

    fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.buildings().flat_map(|building| &building.pieces)
    }
}

impl Building {
    fn new(part: &Part) -> Building {
        let mut start = 0_usize;
        let pieces = part.chunks().iter().map(|chunk| {
            let piece = Piece {
                id: chunk.id,
                start,
                len: chunk.bytes,
                is_there: false,
            };
            start = start.saturating_add(chunk.bytes);
            piece
        });
        Building {
            pieces: pieces.collect(),
            bytes: match part {
                Part::Inline(bytes) => bytes.clone(),
                Part::Chunks(_) => vec![0; part.len()],
            },
        }
    }
}
