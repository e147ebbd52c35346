//! What is within its limit when it is made is within it when it is read, to the byte.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::{IpAddr, Ipv6Addr};

use meshwall_policy::bundle::{
    self, Bundle, BundleError, MAX_BUNDLE_BYTES, MAX_PEER_TABLE_BYTES, MAX_PROGRAM_BYTES,
};
use meshwall_policy::compile::{CompileError, PeerTableError, compile, peer_table};
use meshwall_policy::document::{Set, parse};
use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::spec::{Config, Direction, Policy};

/// Bytes of a peer in a peer table.
const PEER_BYTES: usize = 32;

fn policies() -> Vec<Policy> {
    let text = "apiVersion: meshwall.io/v1alpha1
kind: FirewallPolicy
metadata: {name: ledger, namespace: shop}
spec:
  ingress:
  - {name: front, action: Allow, from: [{podSelector: {matchLabels: {app: front}}}]}";
    let parsed = parse("policies", text);
    assert_eq!(parsed.errors, []);
    let set = Set::from(parsed.documents);
    set.policies.into_iter().map(|p| p.value).collect()
}

fn workload(namespace: &str, app: &str) -> Workload {
    Workload {
        namespace: namespace.to_owned(),
        name: app.to_owned(),
        labels: [("app".to_owned(), app.to_owned())].into(),
        service_account: app.to_owned(),
        trust_domain: "cluster.local".to_owned(),
        addresses: Vec::new(),
        ports: Default::default(),
    }
}

/// The program whose denial has a body of so many bytes.
fn program(body: usize) -> Result<Vec<u8>, CompileError> {
    let mut config = Config::default();
    config.denial.body = "x".repeat(body);
    let ledger = workload("shop", "ledger");
    compile(&config, &policies(), &Inventory::default(), &ledger).map(|made| made.program)
}

/// The table of so many addresses of a workload whose account has so many letters.
fn peers(addresses: usize, account: usize) -> Result<Vec<u8>, PeerTableError> {
    let config = Config::default();
    let ledger = workload("shop", "ledger");
    let compiled = compile(&config, &policies(), &Inventory::default(), &ledger).unwrap();
    let address = |number| IpAddr::V6(Ipv6Addr::from(0xfd00_u128 << 112 | number as u128));
    let front = Workload {
        service_account: "a".repeat(account),
        addresses: (0..addresses).map(address).collect(),
        ..workload("shop", "front")
    };
    let inventory = Inventory {
        workloads: vec![front],
        ..Inventory::default()
    };
    peer_table(&compiled.sets, &inventory)
}

#[test]
fn the_largest_parts_make_the_largest_bundle() {
    let room = MAX_PROGRAM_BYTES - program(0).unwrap().len();
    let largest_program = program(room).unwrap();
    assert_eq!(largest_program.len(), MAX_PROGRAM_BYTES);
    let error = program(room + 1).unwrap_err().to_string();
    assert_eq!(
        error,
        "FirewallPolicy/shop/ledger: ingress rule `front`: the program of the workload has \
         8388609 bytes, more than 8388608; this policy is the largest part of it"
    );

    let room = MAX_PEER_TABLE_BYTES - peers(1, 1).unwrap().len();
    let (addresses, account) = (1 + room / PEER_BYTES, 1 + room % PEER_BYTES);
    let largest_table = peers(addresses, account).unwrap();
    assert_eq!(largest_table.len(), MAX_PEER_TABLE_BYTES);
    let error = peers(addresses, account + 1).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "the peer table of the workload has 4194265 bytes, more than 4194264; the largest of \
             its sets, with {addresses} addresses, is `pods (app=front) in namespaces (name=shop)`"
        )
    );

    let encode = |table: &[u8]| bundle::encode(Direction::Ingress, None, &largest_program, table);
    let bundle = encode(&largest_table);
    assert_eq!(bundle.len(), MAX_BUNDLE_BYTES);
    let loaded = Bundle::load(&bundle).unwrap();
    assert_eq!(loaded.peers.len(), addresses);

    let bundle = encode(&[largest_table, vec![0]].concat());
    let bytes = MAX_BUNDLE_BYTES + 1;
    let error = Bundle::load(&bundle).unwrap_err();
    assert_eq!(error, BundleError::TooLarge { bytes });
    assert_eq!(
        error.to_string(),
        "bundle of 12582913 bytes exceeds the limit of 12582912"
    );
}
