//! The peer table: which workload is behind an address, and which peer sets it belongs to.
//!
//! Rules and addresses change at different rates. A program names peer sets by number; the peer
//! table says, for the numbers of one list of sets, which addresses belong to which. A pod that
//! comes or goes changes this table and leaves the program as it is.
//!
//! ```text
//! PeersHeader  magic, format, length, digest of the sets, SHA-256 of what follows
//! counts       texts, lists, members, peers
//! tables       little-endian, back to back: peers sorted by address
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use sha2::{Digest, Sha256};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::bundle::MAX_PEER_TABLE_BYTES;
use crate::program::layout::{Span, Text};
use crate::program::writer::{index, span_from};
use crate::program::{Program, Version, slice};

const MAGIC: [u8; 8] = *b"MESHPEER";
const FORMAT: u32 = 1;

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct PeersHeader {
    magic: [u8; 8],
    format: U32,
    length: U32,
    digest: [u8; 32],
    sets: [u8; 16],
    text_bytes: U32,
    members: U32,
    peers: U32,
}

/// Bytes of the header that the digest does not cover.
const UNCOVERED: usize = 48;

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct PeerRecord {
    /// IPv4 addresses as IPv4-mapped IPv6 addresses.
    address: [u8; 16],
    /// Principal of the workload.
    principal: Text,
    /// Its sets: indexes in ascending order.
    sets: Span,
}

/// A validated peer table.
pub struct PeerTable {
    bytes: Box<[u8]>,
    members_at: usize,
    peers_at: usize,
}

impl fmt::Debug for PeerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerTable")
            .field("peers", &self.len())
            .finish_non_exhaustive()
    }
}

/// The workload at an address.
#[derive(Clone, Copy, Debug)]
pub struct PeerEntry<'a> {
    /// Its SPIFFE id.
    pub principal: &'a [u8],
    sets: &'a [U32],
}

impl PeerEntry<'_> {
    /// Indexes of the peer sets that the workload belongs to, ascending.
    pub fn sets(&self) -> impl Iterator<Item = u32> {
        self.sets.iter().map(|set| set.get())
    }

    /// Whether the workload belongs to a set.
    pub fn is_in(&self, set: u32) -> bool {
        self.sets
            .binary_search_by_key(&set, |set| set.get())
            .is_ok()
    }
}

/// Why a peer table is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PeersError {
    /// The buffer does not begin like a peer table.
    NotAPeerTable,
    /// The table was written in a format that this reader does not know.
    Format {
        /// Format of the table.
        found: u32,
    },
    /// The table is larger than [`MAX_PEER_TABLE_BYTES`].
    TooLarge {
        /// Size in bytes.
        bytes: usize,
    },
    /// The length is wrong, the hash does not match, or a record points outside.
    Damaged {
        /// What is wrong.
        problem: &'static str,
    },
}

impl fmt::Display for PeersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeersError::NotAPeerTable => f.write_str("not a Meshwall peer table"),
            PeersError::Format { found } => write!(
                f,
                "peer table format {found} is unknown; this filter reads format {FORMAT}: \
                 update the filter before the policy server"
            ),
            PeersError::TooLarge { bytes } => write!(
                f,
                "peer table of {bytes} bytes exceeds the limit of {MAX_PEER_TABLE_BYTES}"
            ),
            PeersError::Damaged { problem } => write!(f, "peer table is damaged: {problem}"),
        }
    }
}

impl std::error::Error for PeersError {}

impl PeerTable {
    /// Checks a table and takes it over.
    pub fn load(bytes: Vec<u8>) -> Result<PeerTable, PeersError> {
        let damaged = |problem| PeersError::Damaged { problem };
        let (header, body) =
            PeersHeader::ref_from_prefix(&bytes).map_err(|_| PeersError::NotAPeerTable)?;
        if header.magic != MAGIC {
            return Err(PeersError::NotAPeerTable);
        }
        if header.format.get() != FORMAT {
            return Err(PeersError::Format {
                found: header.format.get(),
            });
        }
        if bytes.len() > MAX_PEER_TABLE_BYTES {
            return Err(PeersError::TooLarge { bytes: bytes.len() });
        }
        if header.length.get() as usize != bytes.len() {
            return Err(damaged("the length is wrong"));
        }
        let covered = bytes.get(UNCOVERED..).unwrap_or_default();
        if Sha256::digest(covered).as_slice() != header.digest {
            return Err(damaged("it does not match its hash"));
        }
        let text_bytes = header.text_bytes.get() as usize;
        let members = header.members.get() as usize;
        let peers = header.peers.get() as usize;
        let members_at = size_of::<PeersHeader>().saturating_add(text_bytes);
        let peers_at = members_at.saturating_add(members.saturating_mul(size_of::<U32>()));
        let end = peers_at.saturating_add(peers.saturating_mul(size_of::<PeerRecord>()));
        if end != bytes.len() {
            return Err(damaged("the tables do not fill it"));
        }
        let text = body.get(..text_bytes).unwrap_or_default();
        let table = PeerTable {
            members_at,
            peers_at,
            bytes: Vec::new().into_boxed_slice(),
        };
        let records = table.records_of(&bytes);
        let members = table.members_of(&bytes);
        if !records.is_sorted_by(|a, b| a.address < b.address) {
            return Err(damaged("addresses are not in order"));
        }
        for record in records {
            let start = record.principal.offset.get() as usize;
            let end = start.saturating_add(record.principal.bytes.get() as usize);
            if text.get(start..end).is_none() {
                return Err(damaged("a principal points outside"));
            }
            let first = record.sets.first.get() as usize;
            let end = first.saturating_add(record.sets.count.get() as usize);
            match members.get(first..end) {
                Some(sets) if sets.is_sorted_by(|a, b| a < b) => {}
                _ => return Err(damaged("a list of sets is not in order")),
            }
        }
        Ok(PeerTable {
            bytes: bytes.into_boxed_slice(),
            ..table
        })
    }

    /// The table of no peers for a program that refers to no peer sets.
    pub fn empty() -> PeerTable {
        let bytes = PeerTableBuilder::new(sets_digest(std::iter::empty())).finish(|_| true);
        PeerTable {
            members_at: bytes.len(),
            peers_at: bytes.len(),
            bytes: bytes.into_boxed_slice(),
        }
    }

    /// The table as it was written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Hash of the content.
    pub fn version(&self) -> Version {
        Version::written(&self.bytes)
    }

    /// Number of addresses.
    pub fn len(&self) -> usize {
        self.records_of(&self.bytes).len()
    }

    /// Whether there is no address.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Digest of the sets that the table answers for.
    pub(crate) fn sets(&self) -> [u8; 16] {
        PeersHeader::ref_from_prefix(&self.bytes)
            .map(|(header, _)| header.sets)
            .unwrap_or_default()
    }

    /// The workload at an address.
    pub fn lookup(&self, address: IpAddr) -> Option<PeerEntry<'_>> {
        let address = mapped(address);
        let records = self.records_of(&self.bytes);
        let found = records
            .binary_search_by(|record| record.address.cmp(&address))
            .ok()?;
        let record = records.get(found)?;
        let text = self.bytes.get(size_of::<PeersHeader>()..self.members_at)?;
        let start = record.principal.offset.get() as usize;
        Some(PeerEntry {
            principal: text.get(start..start + record.principal.bytes.get() as usize)?,
            sets: slice(self.members_of(&self.bytes), record.sets),
        })
    }

    fn members_of<'a>(&self, bytes: &'a [u8]) -> &'a [U32] {
        bytes
            .get(self.members_at..self.peers_at)
            .and_then(|bytes| <[U32]>::ref_from_bytes(bytes).ok())
            .unwrap_or_default()
    }

    fn records_of<'a>(&self, bytes: &'a [u8]) -> &'a [PeerRecord] {
        bytes
            .get(self.peers_at..)
            .and_then(|bytes| <[PeerRecord]>::ref_from_bytes(bytes).ok())
            .unwrap_or_default()
    }
}

impl Program {
    /// Whether a peer table answers for the peer sets of this program.
    pub fn accepts(&self, peers: &PeerTable) -> bool {
        peers.sets() == self.settings().sets
    }
}

/// An address in its 128-bit form; IPv4 as IPv4-mapped IPv6.
pub(crate) fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Whether the 128-bit form is that of an IPv4 address.
pub(crate) fn is_mapped(address: &[u8; 16]) -> bool {
    Ipv6Addr::from(*address).to_ipv4_mapped().is_some()
}

/// First half of the SHA-256 of the canonical words of the sets, in order.
pub(crate) fn sets_digest<'a>(sets: impl Iterator<Item = &'a str>) -> [u8; 16] {
    let mut hash = Sha256::new();
    for set in sets {
        hash.update(set.as_bytes());
        hash.update([0]);
    }
    let mut half = [0; 16];
    half.iter_mut()
        .zip(hash.finalize())
        .for_each(|(half, full)| *half = full);
    half
}

/// Collects peers and writes a table.
#[derive(Debug)]
pub(crate) struct PeerTableBuilder {
    sets: [u8; 16],
    peers: BTreeMap<[u8; 16], (String, BTreeSet<u32>)>,
}

impl PeerTableBuilder {
    pub(crate) fn new(sets: [u8; 16]) -> PeerTableBuilder {
        PeerTableBuilder {
            sets,
            peers: BTreeMap::new(),
        }
    }

    /// Adds the workload at an address. Where two claim one address, neither is believed: the
    /// entry stays without sets, so that no right rests on a doubt.
    pub(crate) fn insert(&mut self, address: IpAddr, principal: &str, sets: &BTreeSet<u32>) {
        self.peers
            .entry(mapped(address))
            .and_modify(|(known, known_sets)| {
                if known != principal {
                    known.clear();
                    known_sets.clear();
                } else {
                    known_sets.retain(|set| sets.contains(set));
                }
            })
            .or_insert_with(|| (principal.to_owned(), sets.clone()));
    }

    /// Writes the table of those whose sets matter. The others have served to find doubts.
    pub(crate) fn finish(mut self, matter: impl Fn(&BTreeSet<u32>) -> bool) -> Vec<u8> {
        self.peers.retain(|_, (_, sets)| matter(sets));
        let lists: Vec<Vec<u32>> = self
            .peers
            .values()
            .map(|(_, sets)| sets.iter().copied().collect())
            .collect();
        let peers = self.peers.iter().zip(&lists);
        write(
            self.sets,
            peers.map(|((address, (principal, _)), sets)| Row {
                address: *address,
                principal,
                sets,
            }),
        )
    }
}

/// A row of a peer table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// In the 128-bit form.
    pub(crate) address: [u8; 16],
    pub(crate) principal: &'a str,
    /// Ascending, and not empty.
    pub(crate) sets: &'a [u32],
}

/// Writes a table of rows that are in the order of their addresses, each of which is there once.
/// `sets` is their digest.
pub(crate) fn write<'a>(sets: [u8; 16], rows: impl Iterator<Item = Row<'a>>) -> Vec<u8> {
    let mut text = Vec::new();
    let mut texts = HashMap::<&str, Text>::new();
    let mut members = Vec::<U32>::new();
    let mut lists = HashMap::<&[u32], Span>::new();
    let mut records = Vec::new();
    for Row {
        address,
        principal,
        sets,
    } in rows
    {
        let principal = *texts.entry(principal).or_insert_with(|| {
            let stored = Text {
                offset: index(text.len()),
                bytes: index(principal.len()),
            };
            text.extend_from_slice(principal.as_bytes());
            stored
        });
        let sets = *lists.entry(sets).or_insert_with(|| {
            let first = members.len();
            members.extend(sets.iter().map(|set| U32::new(*set)));
            span_from(&members, first)
        });
        records.push(PeerRecord {
            address,
            principal,
            sets,
        });
    }
    let mut header = PeersHeader {
        magic: MAGIC,
        format: U32::new(FORMAT),
        length: U32::ZERO,
        digest: [0; 32],
        sets,
        text_bytes: index(text.len()),
        members: index(members.len()),
        peers: index(records.len()),
    };
    let body = [text.as_slice(), members.as_bytes(), records.as_bytes()].concat();
    header.length = index(size_of::<PeersHeader>() + body.len());
    let covered = header.as_bytes().get(UNCOVERED..).unwrap_or_default();
    header.digest = Sha256::new()
        .chain_update(covered)
        .chain_update(&body)
        .finalize()
        .into();
    [header.as_bytes(), &body].concat()
}
