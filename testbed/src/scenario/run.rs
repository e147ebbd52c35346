//! Running scenarios.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use meshwall_policy::spec::Direction;

use super::lower::Case;
use super::module::{ModuleError, Sidecar};
use super::question::Answer;
use super::world::{Firewall, FirewallError, World};
use crate::host::Module;

/// What became of a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// The answer is the one that is expected.
    Passed,
    /// The answer is another.
    Failed(Answer),
    /// The library and the module do not say the same. This is a fault of Meshwall.
    Differs {
        /// What the library says.
        library: Answer,
        /// What the module says.
        module: Answer,
    },
    /// The policies do not compile for the workload.
    NoFirewall(FirewallError),
    /// The module gave no answer. This is a fault of Meshwall.
    NoAnswer(ModuleError),
}

/// Puts the questions of one world, and keeps what they need for the next.
pub struct Runner<'a> {
    world: &'a World,
    module: Option<&'a Module>,
    firewalls: BTreeMap<(String, String), Result<Firewall, FirewallError>>,
    sidecars: BTreeMap<(String, String, Direction, i64), Result<Sidecar, ModuleError>>,
}

impl<'a> Runner<'a> {
    /// A runner that asks the library and, if there is one, the module.
    #[must_use]
    pub fn new(world: &'a World, module: Option<&'a Module>) -> Runner<'a> {
        Runner {
            world,
            module,
            firewalls: BTreeMap::new(),
            sidecars: BTreeMap::new(),
        }
    }

    /// Puts one question, and compares the answer with what is expected; and how long that took.
    pub fn run(&mut self, case: &Case) -> (Finding, Duration) {
        let start = Instant::now();
        let finding = self.finding(case);
        (finding, start.elapsed())
    }

    fn finding(&mut self, case: &Case) -> Finding {
        let question = &case.question;
        let workload = &question.workload;
        let key = (workload.namespace.clone(), workload.name.clone());
        let firewall = self
            .firewalls
            .entry(key)
            .or_insert_with(|| self.world.firewall(workload));
        let firewall = match firewall {
            Ok(firewall) => firewall,
            Err(error) => return Finding::NoFirewall(error.clone()),
        };
        let answer = firewall.ask(question);
        if let Some(module) = self.module {
            let (namespace, name) = (workload.namespace.clone(), workload.name.clone());
            let key = (namespace, name, question.direction, question.now.0);
            let sidecar = self.sidecars.entry(key).or_insert_with(|| {
                Sidecar::start(module, &firewall.bundle(question.direction), question.now)
            });
            let asked = match sidecar {
                Ok(sidecar) => sidecar.ask(question),
                Err(error) => Err(error.clone()),
            };
            match asked {
                Ok(module) if module == answer => {}
                Ok(module) => {
                    return Finding::Differs {
                        library: answer,
                        module,
                    };
                }
                Err(error) => return Finding::NoAnswer(error),
            }
        }
        if case.expected.is_met_by(&answer) {
            Finding::Passed
        } else {
            Finding::Failed(answer)
        }
    }
}
