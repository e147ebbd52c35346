//! What a server that keeps track of a changing world gives the compiler makes the same programs
//! and peer tables as the whole world does.

#![cfg(test)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use meshwall_policy::bundle::{Bundle, Edition, encode, encode_edition};
use meshwall_policy::cases::Case;
use meshwall_policy::compile::{
    Member, Target, compile, compile_selected, peer_table, peer_table_of, select,
};
use meshwall_policy::document::{Document, parse};
use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::peers::PeerTable;
use meshwall_policy::spec::{Config, Direction};

#[test]
fn programs_of_selected_policies_are_the_same() {
    for seed in 0..200 {
        let Case {
            config,
            policies,
            inventory,
            workload,
            questions: _,
        } = Case::generate(seed, 0);
        let whole = compile(&config, &policies, &inventory, &workload).unwrap();
        let selected = select(&policies, &inventory, &workload);
        let mut target = Target::of(&selected, &inventory.workloads, &workload);
        target.name = format!("{}/{}", workload.namespace, workload.name);
        let made = compile_selected(&config, &selected, &target).unwrap();
        assert_eq!((made.program, made.sets), (whole.program, whole.sets));
    }
}

#[test]
fn tables_of_known_members_are_the_same() {
    let mut rows = 0;
    for seed in 0..200 {
        let case = Case::generate(seed, 0);
        let inventory = &case.inventory;
        let sets = compile(&case.config, &case.policies, inventory, &case.workload)
            .unwrap()
            .sets;
        let mut claims = BTreeMap::<_, Vec<_>>::new();
        for workload in &inventory.workloads {
            let holds = (0..)
                .zip(sets.iter())
                .filter(|(_, set)| set.contains(workload, inventory));
            let members: Vec<u32> = holds.map(|(position, _)| position).collect();
            for address in &workload.addresses {
                let claim = (workload.principal(), members.clone());
                claims.entry(*address).or_default().push(claim);
            }
        }
        if claims.values().any(|claims| claims.len() > 1) {
            continue;
        }
        let mut members: Vec<Member<'_>> = claims
            .iter()
            .flat_map(|(address, claims)| {
                claims.iter().map(|(principal, sets)| Member {
                    address: *address,
                    principal,
                    sets,
                })
            })
            .collect();
        members.reverse();
        rows += members.len();
        let made = peer_table_of(&sets, &mut members).unwrap();
        assert_eq!(made, peer_table(&sets, inventory).unwrap(), "seed {seed}");
    }
    assert!(rows > 500, "{rows} rows");
}

/// Of all pods that have a port of that name, those that the rule is about.
#[test]
fn a_named_port_does_not_bring_everyone_into_the_table() {
    let policy = |to: &str| {
        let text = format!(
            "apiVersion: meshwall.io/v1alpha1
kind: FirewallPolicy
metadata: {{name: web, namespace: shop}}
spec:
  egress:
  - name: to
    action: Allow
    {to}
    operations: [{{ports: [http]}}]"
        );
        match parse("policy", &text).documents.pop().unwrap() {
            Document::FirewallPolicy(located) => located.lower().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let pod = |number: u8| Workload {
        namespace: "shop".to_owned(),
        name: format!("pod-{number}"),
        labels: BTreeMap::new(),
        service_account: format!("account-{}", number % 5),
        trust_domain: "cluster.local".to_owned(),
        addresses: vec![IpAddr::from([10, 0, 0, number])],
        ports: BTreeMap::from([("http".to_owned(), 8080 + u16::from(number % 2))]),
    };
    let inventory = Inventory {
        namespaces: BTreeMap::new(),
        workloads: (0..100).map(pod).collect(),
    };
    let rows = |to: &str| {
        let compiled = compile(&Config::default(), &[policy(to)], &inventory, &pod(0)).unwrap();
        let table = peer_table(&compiled.sets, &inventory).unwrap();
        PeerTable::load(table).unwrap().len()
    };
    assert_eq!(rows("to: [{serviceAccounts: [account-1]}]"), 20);
    assert_eq!(rows("to: [{ipBlocks: [{cidr: 10.0.0.0/8}]}]"), 100);
    assert_eq!(rows(""), 100);
}

#[test]
fn editions_differ_in_bytes_and_not_in_content() {
    let (program, peers) = Case::generate(1, 0).load().unwrap();
    let (program, peers) = (program.bytes(), peers.bytes());
    let plain = encode(Direction::Egress, Some(80), program, peers);
    let edition = Edition([7; 16]);
    let other = encode_edition(Direction::Egress, Some(80), edition, program, peers);
    assert_ne!(plain, other);
    for bytes in [plain, other] {
        let bundle = Bundle::load(&bytes).unwrap();
        assert_eq!(bundle.program.bytes(), program);
        assert_eq!(bundle.peers.bytes(), peers);
        assert_eq!(
            (bundle.direction, bundle.port),
            (Direction::Egress, Some(80))
        );
    }
}
