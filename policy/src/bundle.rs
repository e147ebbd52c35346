//! Bundles: what a filter is configured with. A program, the peer table that answers for it, and
//! where the filter stands.
//!
//! ```text
//! magic      8 bytes, `MESHBNDL`
//! format     u32, 1
//! direction  u8, 0 ingress, 1 egress
//! reserved   u8, 0
//! port       u16, TCP port of the listener, or 0: ask the proxy
//! program    u32, length in bytes
//! peers      u32, length in bytes
//! edition    16 bytes that mean nothing to a filter
//! program, peers
//! ```
//!
//! Integers are little-endian. Program and peer table carry their own hashes.
//!
//! Envoy uses an old root context again, without a word, if its configuration comes back byte for
//! byte while one of its streams lives. Whoever publishes the same content to a proxy again writes
//! another edition (docs/adr/0010-an-edition-for-each-return.md).
//!
//! The limits of all three are here, so that what is within them when it is made is within them
//! when it is read.

use std::fmt;
use std::sync::Arc;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::peers::{PeerTable, PeersError};
use crate::program::{LoadError, Program};
use crate::spec::Direction;

const MAGIC: [u8; 8] = *b"MESHBNDL";
const FORMAT: u32 = 1;

/// Most bytes of a bundle. A filter's virtual machine has 64 MiB, in which the bundle in force, an
/// earlier one, the next one and the configuration that brings it must have room beside
/// everything else.
pub const MAX_BUNDLE_BYTES: usize = 12 << 20;

/// Most bytes of a program.
pub const MAX_PROGRAM_BYTES: usize = 8 << 20;

/// Most bytes of a peer table: a bundle that has one such and the largest program is full.
pub const MAX_PEER_TABLE_BYTES: usize =
    MAX_BUNDLE_BYTES - MAX_PROGRAM_BYTES - size_of::<BundleHeader>();

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct BundleHeader {
    magic: [u8; 8],
    format: U32,
    direction: u8,
    reserved: u8,
    port: U16,
    program: U32,
    peers: U32,
    edition: [u8; 16],
}

/// Tells bundles of equal content apart.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Edition(pub [u8; 16]);

/// A bundle that has been loaded.
#[derive(Debug)]
pub struct Bundle {
    /// Which rules of the program apply.
    pub direction: Direction,
    /// TCP port of the listener; `None` if the proxy must be asked.
    pub port: Option<u16>,
    /// The program.
    pub program: Arc<Program>,
    /// The peers, for the sets of the program.
    pub peers: Arc<PeerTable>,
}

/// Why a bundle is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BundleError {
    /// The bytes do not begin like a bundle.
    NotABundle,
    /// The bundle was written in a format that this reader does not know.
    Format {
        /// Format of the bundle.
        found: u32,
    },
    /// The bundle is larger than [`MAX_BUNDLE_BYTES`].
    TooLarge {
        /// Size in bytes.
        bytes: usize,
    },
    /// The parts do not fill the bundle, or its header says nonsense.
    Damaged,
    /// The program is refused.
    Program(LoadError),
    /// The peer table is refused.
    Peers(PeersError),
    /// The peer table answers for the sets of another program.
    PeersOfAnotherProgram,
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BundleError::NotABundle => f.write_str("not a Meshwall bundle"),
            BundleError::Format { found } => write!(
                f,
                "bundle format {found} is unknown; this filter reads format {FORMAT}: \
                 update the filter before the policy server"
            ),
            BundleError::TooLarge { bytes } => write!(
                f,
                "bundle of {bytes} bytes exceeds the limit of {MAX_BUNDLE_BYTES}"
            ),
            BundleError::Damaged => f.write_str("bundle is damaged: its parts do not fill it"),
            BundleError::Program(error) => fmt::Display::fmt(error, f),
            BundleError::Peers(error) => fmt::Display::fmt(error, f),
            BundleError::PeersOfAnotherProgram => {
                f.write_str("peer table answers for the peer sets of another program")
            }
        }
    }
}

impl std::error::Error for BundleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BundleError::Program(error) => Some(error),
            BundleError::Peers(error) => Some(error),
            BundleError::NotABundle
            | BundleError::Format { .. }
            | BundleError::TooLarge { .. }
            | BundleError::Damaged
            | BundleError::PeersOfAnotherProgram => None,
        }
    }
}

/// Writes a bundle. `port` is the listener's TCP port, if it has but one. Of parts within their
/// limits it makes a bundle within its own.
pub fn encode(direction: Direction, port: Option<u16>, program: &[u8], peers: &[u8]) -> Vec<u8> {
    encode_edition(direction, port, Edition::default(), program, peers)
}

/// Writes a bundle of this edition, for those who publish one after the other; see [`encode`].
pub fn encode_edition(
    direction: Direction,
    port: Option<u16>,
    edition: Edition,
    program: &[u8],
    peers: &[u8],
) -> Vec<u8> {
    let length = |bytes: &[u8]| U32::new(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    let header = BundleHeader {
        magic: MAGIC,
        format: U32::new(FORMAT),
        direction: match direction {
            Direction::Ingress => 0,
            Direction::Egress => 1,
        },
        reserved: 0,
        port: U16::new(port.unwrap_or(0)),
        program: length(program),
        peers: length(peers),
        edition: edition.0,
    };
    [header.as_bytes(), program, peers].concat()
}

impl Bundle {
    /// Checks a bundle and takes over what is in it.
    pub fn load(bytes: &[u8]) -> Result<Bundle, BundleError> {
        let (header, rest) =
            BundleHeader::ref_from_prefix(bytes).map_err(|_| BundleError::NotABundle)?;
        if header.magic != MAGIC {
            return Err(BundleError::NotABundle);
        }
        if header.format.get() != FORMAT {
            return Err(BundleError::Format {
                found: header.format.get(),
            });
        }
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLarge { bytes: bytes.len() });
        }
        let direction = match (header.direction, header.reserved) {
            (0, 0) => Direction::Ingress,
            (1, 0) => Direction::Egress,
            _ => return Err(BundleError::Damaged),
        };
        let (program, peers) = rest
            .split_at_checked(header.program.get() as usize)
            .ok_or(BundleError::Damaged)?;
        if peers.len() != header.peers.get() as usize {
            return Err(BundleError::Damaged);
        }
        let program = Program::load(program.to_vec()).map_err(BundleError::Program)?;
        let peers = PeerTable::load(peers.to_vec()).map_err(BundleError::Peers)?;
        let port = Some(header.port.get()).filter(|port| *port != 0);
        Bundle::new(direction, port, Arc::new(program), Arc::new(peers))
    }

    /// A bundle of parts that have been loaded, which it may share with others.
    ///
    /// # Errors
    ///
    /// If the peers are not for the sets of the program.
    pub fn new(
        direction: Direction,
        port: Option<u16>,
        program: Arc<Program>,
        peers: Arc<PeerTable>,
    ) -> Result<Bundle, BundleError> {
        if !program.accepts(&peers) {
            return Err(BundleError::PeersOfAnotherProgram);
        }
        Ok(Bundle {
            direction,
            port,
            program,
            peers,
        })
    }
}
