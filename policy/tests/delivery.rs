//! Manifests at their limits, and what a change costs.

#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use meshwall_policy::bundle::{MAX_PEER_TABLE_BYTES, MAX_PROGRAM_BYTES};
use meshwall_policy::compile::{PeerSets, peer_table};
use meshwall_policy::delivery::{
    ChunkId, ChunkRef, Delivery, MAX_CHUNK_BYTES, MAX_CHUNKS, MAX_INLINE_BYTES, Manifest,
    ManifestError, Part,
};
use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::spec::{LabelSelector, NamespaceScope, PeerSet};

fn chunks(count: usize, bytes: usize) -> Part {
    let id = ChunkId::of(b"data");
    Part::Chunks(vec![ChunkRef { id, bytes }; count])
}

fn inline(bytes: usize) -> Part {
    Part::Inline(vec![7; bytes])
}

fn too_large(what: &'static str, limit: usize) -> Option<ManifestError> {
    let found = limit + 1;
    Some(ManifestError::TooLarge { what, found, limit })
}

#[test]
fn limits_hold_to_the_byte_when_written_and_when_read() {
    let full = MAX_PROGRAM_BYTES / MAX_CHUNK_BYTES;
    let mut over = match chunks(full, MAX_CHUNK_BYTES) {
        Part::Chunks(chunks) => chunks,
        Part::Inline(_) => panic!("chunks"),
    };
    over.push(ChunkRef {
        bytes: 1,
        ..over[0]
    });
    let table = MAX_PEER_TABLE_BYTES / 1_000;
    assert_eq!(table * 1_000, MAX_PEER_TABLE_BYTES - 264);
    for (program, peers, error) in [
        (chunks(full, MAX_CHUNK_BYTES), inline(0), None),
        (
            Part::Chunks(over),
            inline(0),
            too_large("bytes of the program", MAX_PROGRAM_BYTES),
        ),
        (inline(MAX_INLINE_BYTES), inline(0), None),
        (
            inline(MAX_INLINE_BYTES),
            inline(1),
            too_large("bytes inline", MAX_INLINE_BYTES),
        ),
        (chunks(1, MAX_CHUNK_BYTES), inline(0), None),
        (
            chunks(1, MAX_CHUNK_BYTES + 1),
            inline(0),
            too_large("bytes of a chunk", MAX_CHUNK_BYTES),
        ),
        (chunks(MAX_CHUNKS, 1), inline(0), None),
        (
            chunks(MAX_CHUNKS, 1),
            chunks(1, 1),
            too_large("chunks", MAX_CHUNKS),
        ),
        (
            chunks(1, 0),
            inline(0),
            Some(ManifestError::Damaged {
                problem: "a chunk is empty",
            }),
        ),
    ] {
        let manifest = Manifest { program, peers };
        match error {
            None => {
                let bytes = manifest.encode().unwrap();
                assert_eq!(Manifest::decode(&bytes), Ok(manifest));
            }
            Some(error) => assert_eq!(manifest.encode(), Err(error)),
        }
    }
}

/// A manifest of a program with one chunk, and no peers.
fn manifest() -> Vec<u8> {
    let manifest = Manifest {
        program: chunks(1, 300),
        peers: inline(0),
    };
    manifest.encode().unwrap()
}

#[test]
fn a_manifest_that_lies_is_refused_with_the_reason() {
    const FORMAT: usize = 8;
    const PROGRAM_BYTES: usize = 12;
    const PROGRAM_CHUNKS: usize = 16;
    const PEERS_BYTES: usize = 20;
    type Change = fn(&mut Vec<u8>);
    let lies: [(Change, &str); 8] = [
        (|bytes| bytes[0] = b'X', "not a Meshwall manifest"),
        (Vec::clear, "not a Meshwall manifest"),
        (
            |bytes| bytes[FORMAT] = 2,
            "manifest format 2 is unknown; this filter reads format 1: update the filter before \
             the policy server",
        ),
        (
            |bytes| bytes[PROGRAM_BYTES] ^= 1,
            "manifest is damaged: the chunks of a part do not add up to it",
        ),
        (
            |bytes| bytes[PROGRAM_CHUNKS] = 2,
            "manifest is damaged: its list of chunks is cut short",
        ),
        (
            |bytes| bytes[PROGRAM_CHUNKS + 3] = 1,
            "manifest exceeds a limit: chunks: 16777217, more than 1024",
        ),
        (
            |bytes| bytes[PEERS_BYTES] = 1,
            "manifest is damaged: a part is cut short",
        ),
        (
            |bytes| bytes.push(0),
            "manifest is damaged: something follows its end",
        ),
    ];
    for (lie, reason) in lies {
        let mut bytes = manifest();
        lie(&mut bytes);
        let error = Manifest::decode(&bytes).unwrap_err();
        assert_eq!(error.to_string(), reason);
    }
}

#[test]
fn names_are_read_as_they_are_written_and_in_no_other_way() {
    let id = ChunkId::of(b"data");
    let name = "chunk/3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7";
    assert_eq!(id.to_string(), name);
    assert_eq!(ChunkId::parse(name), Some(id));
    for other in [
        &name.to_uppercase(),
        &name[6..],
        &name[..69],
        &format!("{name}0"),
        &format!("{name}00"),
        "chunk/",
        "policy",
        "",
    ] {
        assert_eq!(ChunkId::parse(other), None, "{other}");
    }
}

/// Pods of one cluster: 200 accounts, addresses in no order.
fn inventory(pods: u32) -> Inventory {
    let pod = |number: u32| {
        let account = number % 200;
        let address = Ipv4Addr::from(0x0a00_0000 | number.wrapping_mul(2_654_435_761) >> 8);
        Workload {
            namespace: format!("team-{}", account % 20),
            name: format!("pod-{number}"),
            labels: BTreeMap::new(),
            service_account: format!("account-{account}"),
            trust_domain: "cluster.local".to_owned(),
            addresses: vec![IpAddr::V4(address)],
            ports: BTreeMap::new(),
        }
    };
    Inventory {
        workloads: (0..pods).map(pod).collect(),
        ..Inventory::default()
    }
}

#[test]
fn a_pod_that_comes_changes_few_chunks_of_the_peers_and_none_of_the_program() {
    let program = vec![1; 100_000];
    let sets = PeerSets::from(vec![PeerSet::Labels {
        namespaces: NamespaceScope::All,
        pods: LabelSelector::default(),
    }]);
    let table = |pods| peer_table(&sets, &inventory(pods)).unwrap();
    let (before, after) = (table(10_000), table(10_001));
    let before = Delivery::new(&program, &before).unwrap();
    let after = Delivery::new(&program, &after).unwrap();
    let manifest = |delivery: &Delivery<'_>| Manifest::decode(&delivery.manifest).unwrap();
    assert_eq!(manifest(&before).program, manifest(&after).program);
    let known: BTreeSet<_> = before.chunks.iter().map(|(id, _)| *id).collect();
    let new: Vec<_> = after
        .chunks
        .iter()
        .filter(|(id, _)| !known.contains(id))
        .collect();
    let bytes: usize = new.iter().map(|(_, data)| data.len()).sum();
    let all: usize = after.chunks.iter().map(|(_, data)| data.len()).sum();
    assert!(
        new.len() <= 3 && bytes * 3 < all,
        "{} of {} chunks, {bytes} of {all} bytes",
        new.len(),
        after.chunks.len()
    );
}
