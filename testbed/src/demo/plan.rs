//! What is shown: the shop and the questions of its scenario `demo`, moved to this machine.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::spec::{Direction, Timestamp};

use crate::relocate::Relocation;
use crate::scenario::{
    Expected, FileError, Files, Problem, Question, Source, Staged, World, workload_name,
};

/// The scenario, in the folder of the shop.
const SCENARIO: &str = "scenarios/demo.yaml";

/// The shop as it is built in: paths below its folder, and what is there.
const SHOP: [(&str, &str); 7] = [
    (
        "inventory.yaml",
        include_str!("../../examples/shop/inventory.yaml"),
    ),
    ("mesh.yaml", include_str!("../../examples/shop/mesh.yaml")),
    (
        "policies/cluster.yaml",
        include_str!("../../examples/shop/policies/cluster.yaml"),
    ),
    (
        "policies/data.yaml",
        include_str!("../../examples/shop/policies/data.yaml"),
    ),
    (
        "policies/legacy.yaml",
        include_str!("../../examples/shop/policies/legacy.yaml"),
    ),
    (
        "policies/shop.yaml",
        include_str!("../../examples/shop/policies/shop.yaml"),
    ),
    (
        SCENARIO,
        include_str!("../../examples/shop/scenarios/demo.yaml"),
    ),
];

/// What is to be asked, and of whom.
#[derive(Debug)]
pub struct Plan {
    /// The shop.
    pub world: World,
    /// The time of the demo.
    pub now: Timestamp,
    /// The workloads that are asked, each with its questions, in the order of the scenario.
    pub acts: Vec<Act>,
}

/// The questions to the sidecar of one workload.
#[derive(Debug)]
pub struct Act {
    /// The workload.
    pub workload: Workload,
    /// What it is called, as in `payments`.
    pub whom: String,
    /// The questions.
    pub entries: Vec<Entry>,
}

/// One question.
#[derive(Debug)]
pub struct Entry {
    /// Who asks, as in `checkout`.
    pub who: String,
    /// What is asked, as the scenario calls it.
    pub what: String,
    /// The question.
    pub question: Question,
    /// The answer that the scenario expects.
    pub expected: Expected,
}

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The built-in shop cannot be unpacked.
    #[error("cannot write `{}`: {source}", path.display())]
    Unpack {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Documents have errors.
    #[error("the documents of the shop have errors")]
    Documents {
        /// The errors.
        problems: Vec<Problem>,
        /// The texts that they are in.
        sources: Vec<Source>,
    },
    /// The scenario is not there, or is not the only one in its file.
    #[error("`{}` must hold one scenario", path.display())]
    NoScenario {
        /// Where it should be.
        path: PathBuf,
    },
    /// A question is none for the sidecars that are started here.
    #[error("the demo cannot ask `{case}`: {reason}")]
    Question {
        /// Name of the case.
        case: String,
        /// Why not.
        reason: &'static str,
    },
}

/// Writes the shop that is built in into a folder.
///
/// # Errors
///
/// If a file cannot be written.
pub fn unpack(folder: &Path) -> Result<(), PlanError> {
    for (name, text) in SHOP {
        let path = folder.join(name);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, text));
        written.map_err(|source| PlanError::Unpack { path, source })?;
    }
    Ok(())
}

impl Plan {
    /// Reads the shop in a folder. `now` is the time of the demo; the policies move along, so
    /// that what expires is as far away as the scenario says.
    ///
    /// # Errors
    ///
    /// If the shop cannot be read, or cannot be asked by real connections to sidecars.
    pub fn read(folder: &Path, now: Timestamp) -> Result<Plan, PlanError> {
        let path = folder.join(SCENARIO);
        let files = Files::read(std::slice::from_ref(&path))?;
        let mut staged: Vec<Staged> = files
            .scenarios
            .iter()
            .flat_map(|source| Staged::read(source, now))
            .collect();
        let (Some(staged), true) = (staged.pop(), staged.is_empty()) else {
            return Err(PlanError::NoScenario { path });
        };
        let Staged {
            scenario,
            mut world,
            problems,
            sources,
        } = staged;
        let Some(scenario) = scenario else {
            return Err(PlanError::Documents { problems, sources });
        };
        let then = scenario.cases.first().map_or(now, |case| case.question.now);
        let relocation = Relocation {
            address: to_loopback,
            seconds: now.0.saturating_sub(then.0),
        };
        for policy in &mut world.policies {
            relocation.policy(policy);
        }
        relocation.inventory(&mut world.inventory);
        let mut acts: Vec<Act> = Vec::new();
        for case in scenario.cases {
            let mut question = case.question;
            relocation.workload(&mut question.workload);
            question.address = to_loopback(question.address);
            question.now = now;
            check(&question).map_err(|reason| PlanError::Question {
                case: case.name.clone(),
                reason,
            })?;
            let entry = Entry {
                who: who(&world.inventory, &question),
                what: case.name,
                question,
                expected: case.expected,
            };
            let workload = &entry.question.workload;
            match acts.iter_mut().find(|act| act.workload == *workload) {
                Some(act) => act.entries.push(entry),
                None => acts.push(Act {
                    whom: brief(&world.inventory, workload),
                    workload: workload.clone(),
                    entries: vec![entry],
                }),
            }
        }
        Ok(Plan { world, now, acts })
    }

    /// All questions.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.acts.iter().flat_map(|act| &act.entries)
    }
}

/// The pods of the shop are in 10.0.0.0/8; here they are in 127.0.0.0/8.
fn to_loopback(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => match address.octets() {
            [10, b, c, d] => Ipv4Addr::new(127, b, c, d).into(),
            _ => address.into(),
        },
        IpAddr::V6(_) => address,
    }
}

/// Whether a question can be put by a connection from here to a sidecar that wants certificates.
fn check(question: &Question) -> Result<(), &'static str> {
    if question.direction == Direction::Egress {
        return Err("it is about egress, and the sidecars of the demo take what comes in");
    }
    if question.principal.is_none() {
        return Err("who asks has no certificate, and gets no further than TLS");
    }
    if !question.address.is_loopback() {
        return Err("whoever asks must have an address in 10.0.0.0/8");
    }
    let workload = &question.workload;
    if !workload.addresses.iter().any(IpAddr::is_loopback) {
        return Err("the workload must have an address in 10.0.0.0/8");
    }
    if !workload.ports.values().any(|port| *port == question.port) {
        return Err("the workload has no named port of this number");
    }
    Ok(())
}

/// Who asks: the workload at the address, or else whose certificate it is.
fn who(inventory: &Inventory, question: &Question) -> String {
    let mut workloads = inventory.workloads.iter();
    match workloads.find(|workload| workload.addresses.contains(&question.address)) {
        Some(workload) => brief(inventory, workload),
        None => {
            let principal = question.principal.as_deref().unwrap_or_default();
            let domain = principal.strip_prefix("spiffe://").unwrap_or(principal);
            let name = domain.split(['.', '/']).next();
            name.unwrap_or_default().to_owned()
        }
    }
}

/// The name of a workload, with its namespace only if another namespace has one of that name
/// and it comes later.
fn brief(inventory: &Inventory, workload: &Workload) -> String {
    let full = workload_name(workload);
    let Some((_, name)) = full.split_once('/') else {
        return full;
    };
    let first = inventory.workloads.iter().map(workload_name).find(|other| {
        let other = other.split_once('/');
        other.is_some_and(|(_, other)| other == name)
    });
    if first.as_ref() == Some(&full) {
        name.to_owned()
    } else {
        full
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_built_in_is_what_is_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop");
        let entries = |name: &str| fs::read_dir(folder.join(name)).unwrap();
        let policies = entries("policies").map(|entry| {
            let name = entry.unwrap().file_name();
            format!("policies/{}", name.to_str().unwrap())
        });
        let world = ["inventory.yaml", "mesh.yaml", SCENARIO].map(str::to_owned);
        let expected: BTreeSet<String> = policies.chain(world).collect();
        let built_in = SHOP.map(|(name, _)| name.to_owned());
        assert_eq!(BTreeSet::from(built_in), expected);
    }

    #[test]
    fn the_shop_can_be_asked_as_it_is_built_in() {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path()).unwrap();
        let plan = Plan::read(folder.path(), Timestamp(2_000_000_000)).unwrap();
        let asked = plan.acts.iter().map(|act| act.whom.as_str());
        assert_eq!(
            asked.collect::<Vec<_>>(),
            ["checkout", "payments", "ledger"]
        );
        let mut who = plan.entries().map(|entry| entry.who.as_str());
        assert!(who.any(|who| who == "dev/frontend"));
        // Policies that expire are as far away as the scenario says.
        let expires = plan
            .world
            .policies
            .iter()
            .filter_map(|policy| policy.expires);
        assert!(expires.min().unwrap() > plan.now);
    }

    #[test]
    fn what_the_sidecars_cannot_be_asked_is_an_error() {
        for (from, to, reason) in [
            (
                "from: {workload: edge/gateway}",
                "from: {address: 10.1.0.2}",
                "who asks has no certificate, and gets no further than TLS",
            ),
            (
                "address: 10.200.0.50",
                "address: 203.0.113.50",
                "whoever asks must have an address in 10.0.0.0/8",
            ),
            (
                "to: shop/checkout\n    port: http",
                "to: shop/checkout\n    port: 81",
                "the workload has no named port of this number",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            unpack(folder.path()).unwrap();
            let path = folder.path().join(SCENARIO);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{from}");
            fs::write(&path, text.replace(from, to)).unwrap();
            let error = Plan::read(folder.path(), Timestamp(0))
                .unwrap_err()
                .to_string();
            assert!(error.ends_with(&format!(": {reason}")), "{error}");
        }
    }
}
