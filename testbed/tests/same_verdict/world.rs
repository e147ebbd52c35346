//! Generated cases, moved to where a real proxy can be asked about them.
//!
//! The generator's pods are at 10.0.x.y; a peer on this machine can only speak from loopback.
//! So addresses and networks of a whole case, 10.0.x.y and fd00::, become 127.77.x.y and ::1,
//! before anything is compiled: all engines are asked the same. Likewise the time, which a real
//! proxy does not let itself be told, and the names, by which the counters of a proxy with many
//! programs are told apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{SystemTime, UNIX_EPOCH};

use meshwall_policy::bundle;
use meshwall_policy::cases::{Case, Question};
use meshwall_policy::compile::{compile, peer_table};
use meshwall_policy::inventory::Workload;
use meshwall_policy::peers::PeerTable;
use meshwall_policy::program::Program;
use meshwall_policy::spec::{Config, Direction, Timestamp};
use meshwall_testbed::relocate::Relocation;

use crate::stakes::{Stakes, Weighed};

/// Questions to choose from.
const POOL: usize = 60;

/// A case with what its workload's filters run.
pub(crate) struct Scene {
    /// What it is called in names and messages.
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) workload: Workload,
    pub(crate) questions: Vec<Question>,
    pub(crate) program: Program,
    pub(crate) peers: PeerTable,
    compiled: Vec<u8>,
    table: Vec<u8>,
}

impl Scene {
    /// The one of these seeds whose questions are most worth asking at this time, with so many
    /// of them.
    pub(crate) fn best_of(
        seeds: impl Iterator<Item = u64>,
        hostile: bool,
        now: Timestamp,
        questions: usize,
        stakes: &mut Stakes,
    ) -> Scene {
        let candidates = seeds.map(|seed| {
            let mut scene = Scene::new(seed, hostile, now);
            let questions = std::mem::take(&mut scene.questions);
            let weighed = stakes.weigh(&scene.program, &scene.peers, questions);
            (scene, weighed)
        });
        let candidates: Vec<_> = candidates.collect();
        let worth = |(_, weighed): &(Scene, Vec<Weighed>)| stakes.worth(weighed);
        let best = candidates
            .into_iter()
            .max_by(|one, two| worth(one).total_cmp(&worth(two)));
        let (mut scene, weighed) = best.unwrap();
        scene.questions = stakes.choose(weighed, questions);
        scene
    }

    fn new(seed: u64, hostile: bool, now: Timestamp) -> Scene {
        let (name, case) = if hostile {
            (format!("hostile-{seed}"), Case::hostile(seed, POOL))
        } else {
            (format!("seed-{seed}"), Case::generate(seed, POOL))
        };
        let Case {
            config,
            policies,
            inventory,
            workload,
            questions,
        } = moved(case, &name, now);
        let compiled = compile(&config, &policies, &inventory, &workload).unwrap();
        let table = peer_table(&compiled.sets, &inventory).unwrap();
        Scene {
            name,
            config,
            workload,
            questions,
            program: Program::load(compiled.program.clone()).unwrap(),
            peers: PeerTable::load(table.clone()).unwrap(),
            compiled: compiled.program,
            table,
        }
    }

    /// What a filter in this direction is configured with. It asks the proxy for the port.
    pub(crate) fn bundle(&self, direction: Direction) -> Vec<u8> {
        bundle::encode(direction, None, &self.compiled, &self.table)
    }
}

/// The time in whole seconds.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(since_epoch.as_secs().try_into().unwrap())
}

fn moved(mut case: Case, name: &str, now: Timestamp) -> Case {
    // Half of the worlds are behind a proxy whose forwarding headers are believed.
    let believed = name.ends_with(['1', '3', '5', '7', '9']);
    case.config.trusted_proxies = believed.into();
    let then = case.questions.first().map_or(now, |question| question.now);
    let relocation = Relocation {
        address: moved_address,
        seconds: now.0 - then.0,
    };
    for policy in &mut case.policies {
        policy.origin.name = format!("{}-{name}", policy.origin.name);
        relocation.policy(policy);
    }
    let workloads = case.inventory.workloads.iter_mut();
    for workload in workloads.chain([&mut case.workload]) {
        workload.name = format!("{}-{name}", workload.name);
        relocation.workload(workload);
    }
    let addresses: Vec<IpAddr> = case.questions.iter().map(|asked| asked.address).collect();
    let others = addresses.iter().cycle().skip(1);
    for (number, (question, other)) in case.questions.iter_mut().zip(others).enumerate() {
        question.now = now;
        // Only HTTP has a header to tell another address in, and only trusted proxies tell it.
        let is_told = believed
            && question.direction == Direction::Ingress
            && question.request.is_some()
            && number % 2 == 0;
        question.remote_address = is_told.then(|| moved_address(*other));
        move_question(question);
    }
    case
}

fn move_question(question: &mut Question) {
    question.address = moved_address(question.address);
    if question.direction == Direction::Egress {
        // What a workload says to its own proxy is plain text.
        question.sni = None;
    }
    let headers = question
        .request
        .as_mut()
        .map(|request| &mut request.headers);
    for (_, value) in headers.into_iter().flatten() {
        // White space around a value is not part of it (RFC 9110, section 5.5).
        *value = value.trim().to_owned();
    }
}

fn moved_address(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => moved_v4(address).into(),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => moved_v4(address).to_ipv6_mapped().into(),
            None if address == Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0) => {
                Ipv6Addr::LOCALHOST.into()
            }
            None => address.into(),
        },
    }
}

fn moved_v4(address: Ipv4Addr) -> Ipv4Addr {
    match address.octets() {
        [10, 0, third, fourth] => Ipv4Addr::new(127, 77, third, fourth),
        _ => address,
    }
}
