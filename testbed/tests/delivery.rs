//! `firewall.wasm` gets its programs over a stream of its own, in the host: in pieces, within the
//! memory that it has, and with the server coming and going.

#![cfg(test)]

#[path = "../../filters/firewall/tests/firewall/messages.rs"]
mod messages;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use meshwall_policy::bundle::{MAX_PEER_TABLE_BYTES, MAX_PROGRAM_BYTES};
use meshwall_policy::cases::Choices;
use meshwall_policy::compile::{compile, peer_table};
use meshwall_policy::delivery::{CHUNK_TYPE, ChunkId, Delivery, POLICY_NAME, POLICY_TYPE};
use meshwall_policy::document::{Set, parse};
use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::spec::Config;
use meshwall_testbed::host::{GrpcEvent, Module, Outcome, PeerCertificate, StreamAttributes, Vm};

use messages::{Request, Resource, Response};

const CLUSTER: &str = "outbound|15443||meshwall.svc";
const BOOTSTRAP: &str =
    r#"{"policyServer": {"cluster": "outbound|15443||meshwall.svc"}, "direction": "ingress"}"#;
const FRONTEND: &str = "spiffe://cluster.local/ns/shop/sa/frontend";
/// What `scripts/build-wasm` lets the module grow to.
const MAX_MEMORY_BYTES: usize = 64 << 20;

/// What permits one path to the frontend, with a denial of so many letters and so many peers.
fn parts(path: &str, letters: usize, peers: usize) -> (Vec<u8>, Vec<u8>) {
    let policy = format!(
        "apiVersion: meshwall.io/v1alpha1
kind: FirewallPolicy
metadata: {{name: ledger, namespace: shop}}
spec:
  ingress:
  - name: read
    action: Allow
    from: [{{serviceAccounts: [frontend]}}]
    operations: [{{paths: [{path}]}}]
  - {{name: peers, action: Allow, from: [{{podSelector: {{}}}}]}}"
    );
    let set = Set::from(parse("policies", &policy).documents);
    assert_eq!(set.errors, []);
    let policies: Vec<_> = set.policies.into_iter().map(|p| p.value).collect();
    let mut config = Config::default();
    let mut choices = Choices::new(path.bytes().map(u64::from).sum());
    let letter = |_| char::from(b'a' + choices.below(26) as u8);
    config.denial.body = (0..letters).map(letter).collect();
    let address = |number: usize| IpAddr::V6(Ipv6Addr::from(0xfd00_u128 << 112 | number as u128));
    let pod = Workload {
        namespace: "shop".to_owned(),
        name: "ledger-0".to_owned(),
        labels: BTreeMap::new(),
        service_account: path.replace('/', ""),
        trust_domain: "cluster.local".to_owned(),
        addresses: (0..peers).map(address).collect(),
        ports: BTreeMap::new(),
    };
    let inventory = Inventory {
        workloads: vec![pod.clone()],
        ..Inventory::default()
    };
    let compiled = compile(&config, &policies, &inventory, &pod).unwrap();
    let peers = peer_table(&compiled.sets, &inventory).unwrap();
    (compiled.program, peers)
}

/// The module with its stream, and the server's side of that.
struct Rig {
    vm: Vm,
    token: u32,
    nonce: u32,
}

impl Rig {
    fn start() -> Rig {
        let named = std::env::var_os("MESHWALL_FIREWALL_WASM").map(PathBuf::from);
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm/firewall.wasm");
        let bytes = std::fs::read(named.unwrap_or(built)).unwrap();
        let module = Module::from_bytes(&bytes).unwrap();
        let vm = Vm::builder(&module)
            .root_id("http")
            .plugin_name("shop.meshwall")
            .plugin_configuration(BOOTSTRAP)
            .property("xds.node.id", "pod-1")
            .clusters(&[CLUSTER])
            .build()
            .unwrap();
        assert!(vm.grpc_streams().is_empty(), "configuring opens nothing");
        let mut rig = Rig {
            vm,
            token: 0,
            nonce: 0,
        };
        rig.advance(1);
        rig.take_stream();
        rig
    }

    fn advance(&self, milliseconds: u64) {
        self.vm
            .advance(Duration::from_millis(milliseconds))
            .unwrap();
    }

    /// The stream that is open now.
    fn take_stream(&mut self) {
        let streams = self.vm.grpc_streams();
        assert_eq!(streams.len(), 1);
        assert_eq!(streams[0].target.cluster, CLUSTER.as_bytes());
        self.token = streams[0].token;
    }

    fn sent(&self) -> Vec<Request> {
        let sent = self.vm.take_grpc_messages(self.token);
        sent.iter().map(|bytes| Request::read(bytes)).collect()
    }

    fn send(&mut self, type_url: &str, resources: Vec<Resource>) -> Vec<Request> {
        self.nonce += 1;
        let response = Response::new(type_url, &self.nonce.to_string(), resources);
        let event = GrpcEvent::Message(response.bytes());
        self.vm.grpc_event(self.token, event).unwrap();
        self.sent()
    }

    /// Sends a policy and the chunks that are asked for. How many there were, and the last
    /// request.
    fn deliver(&mut self, program: &[u8], peers: &[u8]) -> (usize, Request) {
        let delivery = Delivery::new(program, peers).unwrap();
        let version = delivery.version().to_string();
        let manifest = Resource::new(POLICY_TYPE, POLICY_NAME, &version, &delivery.manifest);
        let mut sent = self.send(POLICY_TYPE, vec![manifest]);
        let mut served = 0;
        loop {
            let chunk = |name: &String| {
                let id = ChunkId::parse(name).unwrap();
                let found = delivery.chunks.iter().find(|(known, _)| *known == id);
                Resource::new(CHUNK_TYPE, name, "1", found.unwrap().1)
            };
            let asked = sent.iter().flat_map(|request| &request.subscribe);
            let chunks: Vec<_> = asked.map(chunk).collect();
            if chunks.is_empty() {
                return (served, sent.pop().unwrap());
            }
            served += chunks.len();
            sent = self.send(CHUNK_TYPE, chunks);
        }
    }

    /// Whether the frontend gets a path.
    fn gets(&self, path: &str) -> bool {
        let attributes = StreamAttributes::new()
            .mtls(PeerCertificate::spiffe(FRONTEND))
            .property(["filter_state", "meshwall.peer_address"], "10.9.9.9:40000");
        let stream = self.vm.http_stream(attributes);
        let head = [
            (":method", "GET"),
            (":path", path),
            (":authority", "ledger"),
        ];
        let outcome = stream.request_headers(&head, true).unwrap();
        stream.finish().unwrap();
        outcome == Outcome::Continue
    }

    fn counted(&self, event: &str) -> Option<u64> {
        let name = format!("meshwall_delivery_total;reason={event}");
        self.vm.metrics().counter(name)
    }
}

#[test]
fn a_program_comes_in_pieces_and_is_enforced() {
    let mut rig = Rig::start();
    let first = rig.sent().pop().unwrap();
    assert_eq!(first.node.unwrap().id, "pod-1");
    assert_eq!(
        (first.type_url.as_str(), first.known.len()),
        (POLICY_TYPE, 0)
    );
    assert!(!rig.gets("/v1"), "there is no program yet");

    let (program, peers) = parts("/v1", 300_000, 3_000);
    let (served, answer) = rig.deliver(&program, &peers);
    assert!(served > 5, "{served} chunks");
    assert_eq!(
        (answer.type_url.as_str(), answer.nonce.as_str()),
        (POLICY_TYPE, "1")
    );
    assert_eq!(answer.error, None);
    assert!(rig.gets("/v1"));
    assert!(!rig.gets("/v2"));

    // One peer more.
    let (same, more) = parts("/v1", 300_000, 3_001);
    assert_eq!(program, same);
    let (served, _) = rig.deliver(&program, &more);
    assert!((1..=3).contains(&served), "{served} chunks");
    assert!(rig.gets("/v1"));
    assert_eq!(rig.counted("accepted"), Some(2));
}

#[test]
fn a_server_that_goes_and_comes_finds_the_last_good_program_in_force() {
    let mut rig = Rig::start();
    rig.sent();
    let (program, peers) = parts("/v1", 10, 1);
    rig.deliver(&program, &peers);
    let close = |rig: &Rig| {
        let message = b"gone".to_vec();
        let event = GrpcEvent::Close {
            status: 14,
            message,
        };
        rig.vm.grpc_event(rig.token, event).unwrap();
        assert!(
            rig.vm.grpc_streams().is_empty(),
            "the proxy keeps nothing of it"
        );
    };
    close(&rig);
    assert!(rig.gets("/v1"));
    for pause in [500, 500, 1_000, 2_000] {
        assert!(rig.vm.grpc_streams().is_empty());
        rig.advance(pause - 2);
        assert!(rig.vm.grpc_streams().is_empty());
        rig.advance(3);
        rig.take_stream();
        let first = rig.sent().pop().unwrap();
        assert!(
            first.known.contains_key(POLICY_NAME),
            "nothing is to be sent again"
        );
        if pause == 500 && rig.counted("disconnected") == Some(1) {
            let (program, peers) = parts("/v2", 10, 1);
            rig.deliver(&program, &peers);
            assert!(rig.gets("/v2") && !rig.gets("/v1"));
        }
        close(&rig);
    }
    assert!(rig.gets("/v2"));
}

#[test]
fn what_is_wrong_is_refused_and_traps_nothing() {
    let mut rig = Rig::start();
    rig.sent();
    let (program, peers) = parts("/v1", 10, 1);
    rig.deliver(&program, &peers);
    let delivery = Delivery::new(&program, &peers).unwrap();
    for at in 0..delivery.manifest.len() {
        let mut damaged = delivery.manifest.clone();
        damaged[at] ^= 1 << (at % 8);
        let resource = Resource::new(POLICY_TYPE, POLICY_NAME, "2", &damaged);
        let sent = rig.send(POLICY_TYPE, vec![resource]);
        // A changed length or hash of a chunk shows only when the chunk is there.
        let answer = sent.iter().find(|request| request.type_url == POLICY_TYPE);
        assert!(answer.is_some_and(|answer| answer.error.is_some()), "{at}");
    }
    let mut choices = Choices::new(1);
    for _ in 0..200 {
        if rig.vm.grpc_streams().is_empty() {
            rig.advance(30_000);
            rig.take_stream();
        }
        let length = choices.below(200);
        let garbage: Vec<u8> = (0..length).map(|_| choices.below(256) as u8).collect();
        rig.vm
            .grpc_event(rig.token, GrpcEvent::Message(garbage))
            .unwrap();
    }
    assert_eq!(rig.vm.failure(), None);
    assert!(rig.gets("/v1"));
}

#[test]
fn the_largest_program_can_be_replaced_by_the_next_in_the_memory_there_is() {
    let fits = |path: &str, letters: usize, peers: usize| {
        let (program, table) = parts(path, letters, peers);
        (program.len(), table.len())
    };
    let (program, table) = fits("/v1", 0, 0);
    let letters = MAX_PROGRAM_BYTES - program;
    let peers = (MAX_PEER_TABLE_BYTES - table) / 32 - 2;
    let mut rig = Rig::start();
    rig.sent();
    for path in ["/v1", "/w1", "/v1"] {
        let (program, table) = parts(path, letters, peers);
        assert_eq!(program.len(), MAX_PROGRAM_BYTES);
        let (served, answer) = rig.deliver(&program, &table);
        assert!(served > 48, "{served} chunks");
        assert_eq!(answer.error, None);
        assert!(rig.gets(path));
        let memory = rig.vm.memory_bytes();
        assert!(memory <= MAX_MEMORY_BYTES, "{memory}");
        println!("{path}: {served} chunks, {} MiB", memory >> 20);
    }
}
