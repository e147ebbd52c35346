//! Programs, each compiled once for all workloads to which the same applies.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use meshwall_policy::compile::{CompileError, Target, compile_selected};
use meshwall_policy::spec::{Config, Policy};

use super::key::DefinitionKey;
use super::policies::{ConfigId, PolicyId};
use super::publish::Part;
use super::sets::Sets;
use super::tables::{TableId, Tables};
use super::world::{PodId, World};

/// A program by number. Numbers are used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct ProgramId(u32);

/// Everything that a program depends on.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Inputs {
    pub(super) config: ConfigId,
    /// In the order of evaluation.
    pub(super) policies: Vec<PolicyId>,
    pub(super) target: Target,
}

#[derive(Debug, Default)]
pub(super) struct Programs {
    programs: HashMap<ProgramId, Program>,
    ids: HashMap<Inputs, ProgramId>,
    free: Vec<ProgramId>,
    /// Programs that nobody may use any more.
    idle: BTreeSet<ProgramId>,
}

#[derive(Debug)]
pub(super) struct Program {
    pub(super) inputs: Inputs,
    /// The definitions that it is made of.
    pub(super) definitions: Arc<[DefinitionKey]>,
    pub(super) made: Result<Made, CompileError>,
    /// Those that should have it, and those that still have it because what they should have
    /// could not be made.
    pub(super) pods: BTreeSet<PodId>,
}

#[derive(Debug)]
pub(super) struct Made {
    pub(super) part: Part,
    pub(super) table: TableId,
}

impl Programs {
    pub(super) fn find(&self, inputs: &Inputs) -> Option<ProgramId> {
        self.ids.get(inputs).copied()
    }

    /// Compiles a program that is not there yet.
    pub(super) fn compile(
        &mut self,
        inputs: Inputs,
        definitions: Arc<[DefinitionKey]>,
        config: &Config,
        selected: &[&Policy],
        (tables, sets, world): (&mut Tables, &mut Sets, &World),
    ) -> ProgramId {
        let compiled = compile_selected(config, selected, &inputs.target);
        let made = compiled.map(|compiled| Made {
            part: Part::new(compiled.program),
            table: tables.acquire(compiled.sets, sets, world),
        });
        let id = self
            .free
            .pop()
            .unwrap_or_else(|| ProgramId(u32::try_from(self.programs.len()).unwrap_or(u32::MAX)));
        self.ids.insert(inputs.clone(), id);
        let pods = BTreeSet::new();
        let program = Program {
            inputs,
            definitions,
            made,
            pods,
        };
        self.programs.insert(id, program);
        self.idle.insert(id);
        id
    }

    pub(super) fn get(&self, id: ProgramId) -> Option<&Program> {
        self.programs.get(&id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Program> {
        self.programs.values()
    }

    pub(super) fn join(&mut self, id: ProgramId, pod: PodId) {
        if let Some(program) = self.programs.get_mut(&id) {
            program.pods.insert(pod);
            self.idle.remove(&id);
        }
    }

    pub(super) fn leave(&mut self, id: ProgramId, pod: PodId) {
        if let Some(program) = self.programs.get_mut(&id) {
            program.pods.remove(&pod);
            if program.pods.is_empty() {
                self.idle.insert(id);
            }
        }
    }

    /// Forgets the programs that nobody uses.
    pub(super) fn tidy(&mut self, tables: &mut Tables, sets: &mut Sets) {
        for id in std::mem::take(&mut self.idle) {
            if let Some(program) = self.programs.remove(&id) {
                self.ids.remove(&program.inputs);
                self.free.push(id);
                if let Ok(made) = program.made {
                    tables.release(made.table, sets);
                }
            }
        }
    }

    /// The pods whose program uses one of these tables.
    pub(super) fn with_tables(&self, changed: &BTreeSet<TableId>) -> BTreeSet<PodId> {
        let mut pods = BTreeSet::new();
        if changed.is_empty() {
            return pods;
        }
        for program in self.programs.values() {
            if program
                .made
                .as_ref()
                .is_ok_and(|made| changed.contains(&made.table))
            {
                pods.extend(&program.pods);
            }
        }
        pods
    }

    pub(super) fn len(&self) -> usize {
        self.programs.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let made = self
            .programs
            .values()
            .filter_map(|program| program.made.as_ref().ok());
        made.map(|made| made.part.bytes().len()).sum()
    }
}
