//! Sessions, with a policy server that is a few functions.

mod faults;
mod flow;
mod random;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use meshwall_policy::cases::Choices;
use meshwall_policy::compile::{compile, peer_table};
use meshwall_policy::delivery::{CHUNK_TYPE, ChunkId, Delivery, POLICY_NAME, POLICY_TYPE};
use meshwall_policy::document::{Set, parse};
use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::spec::Config;
use prost::Message;

use super::proto::{Any, Content, DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node, Resource};
use super::session::{Effect, Event, Session};

/// A program and a peer table, and what is sent of them.
#[derive(Clone, PartialEq)]
struct Parts {
    program: Vec<u8>,
    peers: Vec<u8>,
    manifest: Vec<u8>,
    version: String,
    chunks: BTreeMap<ChunkId, Vec<u8>>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parts({})", self.version)
    }
}

impl Parts {
    /// Parts that fit into a manifest.
    fn small() -> Parts {
        Parts::new(10, 1)
    }

    /// Parts that do not, of so many addresses; the number makes the program.
    fn large(number: usize, addresses: u32) -> Parts {
        Parts::new(200_000 + number, addresses)
    }

    /// A program whose denials have so many letters, and a table with so many addresses.
    fn new(letters: usize, addresses: u32) -> Parts {
        let policy = "apiVersion: meshwall.io/v1alpha1
kind: FirewallPolicy
metadata: {name: ledger, namespace: shop}
spec:
  ingress:
  - {name: front, action: Allow, from: [{podSelector: {}}]}";
        let set = Set::from(parse("policies", policy).documents);
        let policies: Vec<_> = set.policies.into_iter().map(|p| p.value).collect();
        let mut choices = Choices::new(letters as u64);
        let letter = |_| char::from(b'a' + choices.below(26) as u8);
        let mut config = Config::default();
        config.denial.body = (0..letters).map(letter).collect();
        let address = |number: u32| {
            let scattered = number.wrapping_mul(2_654_435_761) >> 8;
            IpAddr::V4(Ipv4Addr::from(0x0b00_0000 | scattered))
        };
        let pod = Workload {
            namespace: "shop".to_owned(),
            name: "pod".to_owned(),
            labels: BTreeMap::new(),
            service_account: "pod".to_owned(),
            trust_domain: "cluster.local".to_owned(),
            addresses: (0..addresses).map(address).collect(),
            ports: BTreeMap::new(),
        };
        let inventory = Inventory {
            workloads: vec![pod.clone()],
            ..Inventory::default()
        };
        let compiled = compile(&config, &policies, &inventory, &pod).unwrap();
        Parts::of(
            compiled.program,
            peer_table(&compiled.sets, &inventory).unwrap(),
        )
    }

    fn of(program: Vec<u8>, peers: Vec<u8>) -> Parts {
        let delivery = Delivery::new(&program, &peers).unwrap();
        let chunks = delivery.chunks.iter();
        Parts {
            version: delivery.version().to_string(),
            chunks: chunks.map(|(id, data)| (*id, data.to_vec())).collect(),
            manifest: delivery.manifest,
            program,
            peers,
        }
    }

    /// The response that brings the manifest.
    fn policy(&self, nonce: &str) -> Vec<u8> {
        let resource = resource(POLICY_TYPE, POLICY_NAME, &self.version, &self.manifest);
        response(POLICY_TYPE, nonce, vec![resource], &[])
    }

    /// The response that brings these chunks.
    fn chunks(&self, nonce: &str, ids: &[ChunkId]) -> Vec<u8> {
        let of = |id: &ChunkId| resource(CHUNK_TYPE, &id.to_string(), "1", &self.chunks[id]);
        response(CHUNK_TYPE, nonce, ids.iter().map(of).collect(), &[])
    }
}

fn resource(type_url: &str, name: &str, version: &str, bytes: &[u8]) -> Resource {
    let content = Content {
        bytes: bytes.to_vec(),
    };
    Resource {
        version: version.to_owned(),
        name: name.to_owned(),
        resource: Some(Any {
            type_url: type_url.to_owned(),
            value: content.encode_to_vec(),
        }),
    }
}

fn response(type_url: &str, nonce: &str, resources: Vec<Resource>, removed: &[&str]) -> Vec<u8> {
    DeltaDiscoveryResponse {
        resources,
        type_url: type_url.to_owned(),
        nonce: nonce.to_owned(),
        removed_resources: removed.iter().map(|name| (*name).to_owned()).collect(),
    }
    .encode_to_vec()
}

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A session, and what it has done.
struct Rig {
    session: Session,
    now: Duration,
    /// What is in force.
    enforced: Option<Parts>,
}

/// What a step has led to, without the programs.
#[derive(Debug, Default, PartialEq)]
struct Done {
    sent: Vec<Sent>,
    told: Vec<Event>,
    opens: bool,
    resets: bool,
    enforces: bool,
}

/// A request, in short.
#[derive(Debug, PartialEq)]
enum Sent {
    /// A subscription to the policy, with what is there.
    Subscribe(Vec<(String, String)>),
    /// The answer to a policy: its nonce, and why it is refused.
    Policy(String, Option<String>),
    /// A request for chunks.
    Chunks {
        answers: Option<(String, Option<String>)>,
        subscribe: Vec<ChunkId>,
        unsubscribe: Vec<ChunkId>,
    },
    /// The answer to another type.
    Other(String, Option<String>),
}

fn accepts(nonce: &str) -> Sent {
    Sent::Policy(nonce.to_owned(), None)
}

fn refuses(nonce: &str, reason: &str) -> Sent {
    Sent::Policy(nonce.to_owned(), Some(reason.to_owned()))
}

impl Sent {
    fn new(request: DeltaDiscoveryRequest) -> Sent {
        let DeltaDiscoveryRequest {
            node,
            type_url,
            resource_names_subscribe,
            resource_names_unsubscribe,
            initial_resource_versions,
            response_nonce,
            error_detail,
        } = request;
        let ids = |names: Vec<String>| -> Vec<ChunkId> {
            let ids = names.iter().map(|name| ChunkId::parse(name).unwrap());
            ids.collect()
        };
        let error = error_detail.map(|status| {
            assert_eq!(status.code, 3);
            status.message
        });
        if type_url == POLICY_TYPE && response_nonce.is_empty() {
            assert_eq!(node, Some(node_of_tests()));
            assert_eq!(resource_names_subscribe, [POLICY_NAME]);
            assert_eq!((resource_names_unsubscribe.len(), error), (0, None));
            let known = initial_resource_versions.into_iter();
            return Sent::Subscribe(known.map(|known| (known.key, known.value)).collect());
        }
        assert_eq!(node, None, "the node is in the first request only");
        assert!(initial_resource_versions.is_empty());
        match type_url.as_str() {
            CHUNK_TYPE => Sent::Chunks {
                answers: (!response_nonce.is_empty()).then_some((response_nonce, error)),
                subscribe: ids(resource_names_subscribe),
                unsubscribe: ids(resource_names_unsubscribe),
            },
            other => {
                assert!(resource_names_subscribe.is_empty());
                assert!(resource_names_unsubscribe.is_empty());
                match other {
                    POLICY_TYPE => Sent::Policy(response_nonce, error),
                    _ => Sent::Other(response_nonce, error),
                }
            }
        }
    }
}

fn node_of_tests() -> Node {
    Node::new("pod.shop".to_owned(), Some("east".to_owned()))
}

impl Rig {
    fn new() -> Rig {
        Rig {
            session: Session::new(node_of_tests()),
            now: at(0),
            enforced: None,
        }
    }

    /// One with an open stream that has subscribed.
    fn open() -> Rig {
        let mut rig = Rig::new();
        assert!(rig.wake().opens);
        let done = rig.opened();
        assert_eq!(done.sent, [Sent::Subscribe(Vec::new())]);
        rig
    }

    /// One that has these parts in force.
    fn with(parts: &Parts) -> Rig {
        let mut rig = Rig::open();
        let done = rig.receive(&parts.policy("first"));
        rig.serve(done, parts);
        assert_eq!(rig.enforced.as_ref(), Some(parts));
        rig
    }

    fn wake(&mut self) -> Done {
        let effects = self.session.wake(self.now);
        self.done(effects)
    }

    fn opened(&mut self) -> Done {
        let effects = self.session.opened();
        self.done(effects)
    }

    fn close(&mut self, reason: &str) -> Done {
        let effects = self.session.closed(self.now, reason.to_owned());
        self.done(effects)
    }

    /// The stream ends, time passes, another is opened.
    fn reconnect(&mut self) -> Done {
        self.close("gone");
        self.now = self.session.alarm().unwrap();
        assert!(self.wake().opens);
        self.opened()
    }

    fn receive(&mut self, message: &[u8]) -> Done {
        let effects = self.session.received(self.now, message);
        self.done(effects)
    }

    /// Sends all chunks that are asked for, in one response each time. How many there were.
    fn serve(&mut self, mut done: Done, parts: &Parts) -> usize {
        let mut served = 0;
        loop {
            let asked = done.asked();
            if asked.is_empty() {
                return served;
            }
            served += asked.len();
            let nonce = format!("chunks-{served}");
            done = self.receive(&parts.chunks(&nonce, &asked));
        }
    }

    fn done(&mut self, effects: Vec<Effect>) -> Done {
        let mut done = Done::default();
        for effect in effects {
            match effect {
                Effect::Open => done.opens = true,
                Effect::Reset => done.resets = true,
                Effect::Send(request) => done.sent.push(Sent::new(*request)),
                Effect::Tell(event) => done.told.push(event),
                Effect::Enforce(program, peers) => {
                    assert!(program.accepts(&peers));
                    done.enforces = true;
                    let (program, peers) = (program.bytes().to_vec(), peers.bytes().to_vec());
                    self.enforced = Some(Parts::of(program, peers));
                }
            }
        }
        done
    }
}

impl Done {
    /// The chunks that are subscribed to.
    fn asked(&self) -> Vec<ChunkId> {
        let subscribed = self.sent.iter().filter_map(|sent| match sent {
            Sent::Chunks { subscribe, .. } => Some(subscribe.as_slice()),
            _ => None,
        });
        subscribed.flatten().copied().collect()
    }

    /// The chunks that are unsubscribed from.
    fn dropped(&self) -> Vec<ChunkId> {
        let dropped = self.sent.iter().filter_map(|sent| match sent {
            Sent::Chunks { unsubscribe, .. } => Some(unsubscribe.as_slice()),
            _ => None,
        });
        dropped.flatten().copied().collect()
    }
}
