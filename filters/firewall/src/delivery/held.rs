//! What is in force, and how it is made of what has come.

use std::sync::Arc;

use meshwall_policy::bundle::BundleError;
use meshwall_policy::delivery::{ChunkId, Manifest, Parts};
use meshwall_policy::peers::PeerTable;
use meshwall_policy::program::Program;

/// A program and a peer table in force, with where they came from.
#[derive(Debug)]
pub(crate) struct Held {
    /// Version of the resource.
    pub(crate) version: String,
    pub(crate) manifest: Manifest,
    pub(crate) program: Arc<Program>,
    pub(crate) peers: Arc<PeerTable>,
}

impl Held {
    /// The chunks of both.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = (ChunkId, &[u8])> {
        let Manifest { program, peers } = &self.manifest;
        let of_program = program.pieces(self.program.bytes());
        of_program.chain(peers.pieces(self.peers.bytes()))
    }
}

/// Checks what has come. What is the same as before is shared with it and not checked again.
pub(crate) fn load(
    parts: Parts,
    version: String,
    before: Option<&Held>,
) -> Result<Held, BundleError> {
    let Parts {
        manifest,
        program,
        peers,
    } = parts;
    let program = match (program, before) {
        (None, Some(held)) => Arc::clone(&held.program),
        (program, _) => {
            let program = Program::load(program.unwrap_or_default());
            Arc::new(program.map_err(BundleError::Program)?)
        }
    };
    let peers = match (peers, before) {
        (None, Some(held)) => Arc::clone(&held.peers),
        (peers, _) => {
            let peers = PeerTable::load(peers.unwrap_or_default());
            Arc::new(peers.map_err(BundleError::Peers)?)
        }
    };
    if !program.accepts(&peers) {
        return Err(BundleError::PeersOfAnotherProgram);
    }
    Ok(Held {
        version,
        manifest,
        program,
        peers,
    })
}
