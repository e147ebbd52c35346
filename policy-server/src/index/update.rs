//! From what has changed to what is published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meshwall_policy::compile::Target;
use meshwall_policy::inventory::Workload;

use super::key::{ClusterName, WorkloadKey};
use super::policies::{PolicyId, Replaced, Version};
use super::programs::{Inputs, ProgramId};
use super::publish::Enforced;
use super::report::{Duty, Failure, Instead, Report, Size, Standing, Unreadable, Update};
use super::resolve::{self, Conflict, Outcome};
use super::world::PodId;
use super::{DefinitionKey, Index};

/// What was worked out for a workload.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    /// The policies that apply, in the order of evaluation.
    pub(super) selected: Vec<PolicyId>,
    /// The program that it should have.
    pub(super) wanted: Option<ProgramId>,
    /// The program that it has: the one that it should have, or the last good one.
    pub(super) program: Option<ProgramId>,
    /// What it was told to enforce.
    pub(super) published: Option<Enforced>,
    /// The update in which that last changed.
    changed: Option<u64>,
}

/// What there is to do in an update.
#[derive(Debug, Default)]
struct Todo {
    /// Workloads for which policies are to be selected.
    select: BTreeSet<PodId>,
    /// Workloads whose program or table may be another.
    publish: BTreeSet<PodId>,
    /// Policies of which something is to be said.
    report: BTreeSet<DefinitionKey>,
}

impl Index {
    /// Works out what follows from the events since the last update.
    pub fn update(&mut self) -> Update {
        self.updates = self.updates.saturating_add(1);
        let mut update = Update::default();
        let mut todo = Todo::default();
        let changed = self.world.take_changed();
        let ports = self.settle(&changed);
        todo.select.extend(changed);
        self.find_ready(&mut todo);
        if std::mem::take(&mut self.policies.changed) {
            let replaced = self.resolve(&mut todo, &mut update);
            self.affected(&replaced, &mut todo);
        }
        self.with_ports(&ports, &mut todo);
        update.work.selected = todo.select.len();
        for pod in std::mem::take(&mut todo.select) {
            update.work.compiled += usize::from(self.assign(pod, &mut todo));
        }
        self.programs.tidy(&mut self.tables, &mut self.sets);
        let (made, changed) = self.tables.refresh(&self.sets, &self.world);
        update.work.tables = made;
        todo.publish.extend(self.programs.with_tables(&changed));
        for pod in std::mem::take(&mut todo.publish) {
            self.publish(pod, &mut update);
        }
        update.work.published = update.changed.len();
        update.reports = self.report(&todo.report);
        update
    }

    /// Makes pods count for others as what they are now. The names of ports for which the numbers
    /// are others.
    fn settle(&mut self, pods: &BTreeSet<PodId>) -> BTreeSet<String> {
        let mut ports = BTreeSet::new();
        for pod in pods {
            let resettled = self.world.settle(*pod);
            let (held, differing) = self.sets.settle(*pod, &self.world);
            let mut tables = self.sets.decided(&held);
            if !resettled.moved {
                tables.retain(|table| self.sets.concern(&differing, *table));
            }
            if resettled.moved || !differing.is_empty() {
                for rival in &resettled.rivals {
                    tables.extend(self.sets.decided(self.sets.of_pod(*rival)));
                }
            }
            self.tables.invalidate(tables);
            ports.extend(resettled.ports);
        }
        ports
    }

    /// Begins with clusters of which everything is listed by now.
    fn find_ready(&mut self, todo: &mut Todo) {
        if !std::mem::take(&mut self.newly_listed) {
            return;
        }
        let clusters = self.mesh.clusters.keys();
        let ready: BTreeSet<ClusterName> = clusters
            .filter(|cluster| self.is_listed(cluster))
            .cloned()
            .collect();
        let pods = self.world.pods();
        let new = pods.filter(|(_, pod)| {
            ready.contains(&pod.key.cluster) && !self.ready.contains(&pod.key.cluster)
        });
        todo.select.extend(new.map(|(id, _)| id));
        self.ready = ready;
    }

    /// Settles which definitions are in force.
    fn resolve(&mut self, todo: &mut Todo, update: &mut Update) -> Replaced {
        let clusters: Vec<&ClusterName> = self.mesh.clusters.keys().collect();
        let policy_cluster = &self.mesh.policy_cluster;
        let (resolved, outcomes) = resolve::resolve(&mut self.policies, policy_cluster, &clusters);
        let gone = self
            .outcomes
            .keys()
            .filter(|key| !outcomes.contains_key(*key));
        update.forgotten = gone.cloned().collect();
        for key in &update.forgotten {
            self.reports.remove(key);
        }
        todo.report.extend(outcomes.keys().cloned());
        self.outcomes = outcomes;
        self.policies.replace(resolved)
    }

    /// The workloads to which a change of policies is something.
    fn affected(&self, replaced: &Replaced, todo: &mut Todo) {
        let Replaced {
            added,
            removed,
            configured,
            holds,
        } = replaced;
        if *holds {
            todo.select.extend(self.world.pods().map(|(id, _)| id));
            return;
        }
        for id in added {
            let Some(policy) = self.policies.get(*id) else {
                continue;
            };
            let candidates = self.world.candidates(&policy.policy.subject.namespaces);
            todo.select.extend(candidates.filter(|candidate| {
                self.world.pod(*candidate).is_some_and(|pod| {
                    let labels = pod.workload.as_ref().map(|workload| &workload.labels);
                    labels.is_some_and(|labels| policy.selects(&pod.key, labels, &self.world))
                })
            }));
        }
        if !removed.is_empty() {
            let removed: BTreeSet<&PolicyId> = removed.iter().collect();
            for program in self.programs.all() {
                if program
                    .inputs
                    .policies
                    .iter()
                    .any(|id| removed.contains(id))
                {
                    todo.select.extend(&program.pods);
                }
            }
        }
        if !configured.is_empty() {
            let pods = self.world.pods();
            let pods = pods.filter(|(_, pod)| configured.contains(&pod.key.cluster));
            todo.select.extend(pods.map(|(id, _)| id));
        }
    }

    /// The workloads whose policies mention ports of these names in egress rules.
    fn with_ports(&self, names: &BTreeSet<String>, todo: &mut Todo) {
        if names.is_empty() {
            return;
        }
        for program in self.programs.all() {
            let mentions = program.inputs.policies.iter().any(|id| {
                let policy = self.policies.get(*id);
                policy.is_some_and(|policy| {
                    let mentioned = policy.declared_ports.iter();
                    mentioned.into_iter().any(|name| names.contains(name))
                })
            });
            if mentions {
                todo.select.extend(&program.pods);
            }
        }
    }

    /// Works out which program a workload should have. Whether one was compiled.
    fn assign(&mut self, id: PodId, todo: &mut Todo) -> bool {
        let Some(pod) = self.world.pod(id) else {
            return false;
        };
        todo.publish.insert(id);
        let key = &pod.key;
        let is_ready = self.ready.contains(&key.cluster) && !self.policies.holds(key);
        let workload = pod.workload.as_ref();
        let Some(workload) = workload.filter(|_| is_ready) else {
            let is_gone = pod.workload.is_none();
            self.hand(id, Vec::new(), None, todo);
            if is_gone {
                self.keep(id, None);
            }
            return false;
        };
        let selected = self.policies.select(key, &workload.labels, &self.world);
        let Some((config, _)) = self.policies.config(&key.cluster) else {
            return false;
        };
        let inputs = Inputs {
            config: *config,
            target: self.target(&selected, workload),
            policies: selected.clone(),
        };
        let (program, compiled) = match self.programs.find(&inputs) {
            Some(program) => (program, false),
            None => (self.compile(inputs, &key.cluster.clone()), true),
        };
        self.hand(id, selected, Some(program), todo);
        let is_made = self
            .programs
            .get(program)
            .is_some_and(|program| program.made.is_ok());
        if is_made {
            self.keep(id, Some(program));
        }
        compiled
    }

    fn compile(&mut self, inputs: Inputs, cluster: &ClusterName) -> ProgramId {
        let policies = inputs
            .policies
            .iter()
            .filter_map(|id| self.policies.get(*id));
        let policies: Vec<_> = policies.map(|policy| Arc::clone(&policy.policy)).collect();
        let selected: Vec<_> = policies.iter().map(Arc::as_ref).collect();
        let config = self
            .policies
            .config(cluster)
            .map(|(_, config)| Arc::clone(config));
        let config = config.unwrap_or_default();
        let definitions = self.sources(&inputs);
        let parts = (&mut self.tables, &mut self.sets, &self.world);
        self.programs
            .compile(inputs, definitions, &config, &selected, parts)
    }

    /// The definitions that a program is made of: its policies, and the configuration.
    fn sources(&self, inputs: &Inputs) -> Arc<[DefinitionKey]> {
        let policies = inputs.policies.iter();
        let policies = policies.filter_map(|id| Some(self.policies.get(*id)?.source.clone()));
        let config = self.policies.definitions.iter().find(|(_, definition)| {
            let config = definition.in_force.as_ref().and_then(Version::config);
            config.is_some_and(|(id, _)| id == inputs.config)
        });
        policies.chain(config.map(|(key, _)| key.clone())).collect()
    }

    /// What a workload should enforce.
    #[must_use]
    pub fn duty(&self, key: &WorkloadKey) -> Option<Duty> {
        let id = self.world.id(key)?;
        let assignment = self.assignments.get(&id)?;
        let program = assignment.wanted.and_then(|id| self.programs.get(id));
        Some(Duty {
            definitions: program
                .map(|program| Arc::clone(&program.definitions))
                .unwrap_or_default(),
            is_published: self.failure(id, key).is_none(),
        })
    }

    /// The numbers of the ports that policies name.
    fn target(&self, selected: &[PolicyId], workload: &Workload) -> Target {
        let mut target = Target::default();
        for policy in selected.iter().filter_map(|id| self.policies.get(*id)) {
            for name in &policy.own_ports {
                if let Some(number) = workload.ports.get(name) {
                    target.ports.insert(name.clone(), *number);
                }
            }
            for name in &policy.declared_ports {
                let numbers = self.world.numbers(name);
                if !numbers.is_empty() {
                    target.declared.insert(name.clone(), numbers);
                }
            }
        }
        target
    }

    /// Notes what a workload should have.
    fn hand(
        &mut self,
        id: PodId,
        selected: Vec<PolicyId>,
        wanted: Option<ProgramId>,
        todo: &mut Todo,
    ) {
        let assignment = self.assignments.entry(id).or_default();
        let before = std::mem::replace(&mut assignment.selected, selected);
        if before != assignment.selected {
            for policy in before.iter().chain(&assignment.selected) {
                let policy = self.policies.get(*policy);
                todo.report
                    .extend(policy.map(|policy| policy.source.clone()));
            }
        }
        let before = std::mem::replace(&mut assignment.wanted, wanted);
        let keeps = assignment.program;
        if let Some(wanted) = wanted {
            self.programs.join(wanted, id);
        }
        if let Some(before) = before.filter(|before| ![wanted, keeps].contains(&Some(*before))) {
            self.programs.leave(before, id);
        }
    }

    /// Notes what a workload has.
    fn keep(&mut self, id: PodId, program: Option<ProgramId>) {
        let assignment = self.assignments.entry(id).or_default();
        let before = std::mem::replace(&mut assignment.program, program);
        let wanted = assignment.wanted;
        if let Some(before) = before.filter(|before| ![wanted, program].contains(&Some(*before))) {
            self.programs.leave(before, id);
        }
    }

    /// Publishes what a workload has, if it is something else than before.
    fn publish(&mut self, id: PodId, update: &mut Update) {
        let Some(pod) = self.world.pod(id) else {
            return;
        };
        if pod.workload.is_none() {
            let assignment = self.assignments.remove(&id);
            let published = assignment.and_then(|assignment| assignment.published);
            if let Some(published) = &published {
                self.editions.leave(published.version());
            }
            let key = self.world.free(id);
            update.removed.extend(key.filter(|_| published.is_some()));
            return;
        }
        update.touched.push(pod.key.clone());
        let Some(assignment) = self.assignments.get_mut(&id) else {
            return;
        };
        let made = assignment
            .program
            .and_then(|program| self.programs.get(program));
        let Some(Ok(made)) = made.map(|program| &program.made) else {
            return;
        };
        let Some(Ok(peers)) = self.tables.part(made.table) else {
            return;
        };
        let before = assignment.published.as_ref();
        if before.is_some_and(|before| before.program == made.part && before.peers == *peers) {
            return;
        }
        let mut enforced = Enforced {
            program: made.part.clone(),
            peers: peers.clone(),
            edition: 0,
        };
        let before = before.map(Enforced::version);
        enforced.edition =
            self.editions
                .issue(enforced.version(), assignment.changed, self.updates);
        if let Some(before) = before {
            self.editions.leave(before);
        }
        assignment.changed = Some(self.updates);
        assignment.published = Some(enforced.clone());
        update.changed.push((pod.key.clone(), enforced));
    }

    /// What is said about these definitions, as far as it is something else.
    fn report(&mut self, definitions: &BTreeSet<DefinitionKey>) -> Vec<Report> {
        if definitions.is_empty() {
            return Vec::new();
        }
        let mut selects: BTreeMap<PolicyId, usize> = BTreeMap::new();
        let mut failures: BTreeMap<DefinitionKey, BTreeSet<String>> = BTreeMap::new();
        for program in self.programs.all() {
            let wanted = program.pods.iter().filter(|pod| {
                let assignment = self.assignments.get(pod);
                assignment.is_some_and(|assignment| {
                    assignment
                        .wanted
                        .and_then(|wanted| self.programs.get(wanted))
                        .is_some_and(|wanted| std::ptr::eq(wanted, program))
                })
            });
            let wanted = wanted.count();
            for id in &program.inputs.policies {
                *selects.entry(*id).or_default() += wanted;
            }
            if let Err(error) = &program.made {
                let policies = program.inputs.policies.iter();
                let blamed = policies
                    .filter_map(|id| self.policies.get(*id))
                    .find(|policy| policy.policy.origin == *error.policy);
                if let Some(policy) = blamed {
                    let errors = failures.entry(policy.source.clone()).or_default();
                    errors.insert(error.to_string());
                }
            }
        }
        let mut reports = Vec::new();
        for key in definitions {
            let Some(report) = self.report_of(key, &selects, &mut failures) else {
                continue;
            };
            if self.reports.get(key) != Some(&report) {
                self.reports.insert(key.clone(), report.clone());
                reports.push(report);
            }
        }
        reports
    }

    fn report_of(
        &self,
        key: &DefinitionKey,
        selects: &BTreeMap<PolicyId, usize>,
        failures: &mut BTreeMap<DefinitionKey, BTreeSet<String>>,
    ) -> Option<Report> {
        let definition = self.policies.definitions.get(key)?;
        let outcome = self.outcomes.get(key)?;
        let in_force = definition.in_force.as_ref();
        let instead = match in_force {
            Some(_) => Instead::LastGood,
            None if definition.is_unknown() => Instead::Held,
            None => Instead::Nothing,
        };
        let standing = match (&definition.refusal, outcome) {
            (Some(refusal), _) => Standing::Refused {
                refusal: Arc::clone(refusal),
                instead,
            },
            (None, Outcome::InForce) => Standing::Accepted,
            (None, Outcome::Repeated) => Standing::Repeated,
            (None, Outcome::Conflict(conflict)) => Standing::Conflicted {
                conflict: conflict.clone(),
                instead,
            },
        };
        let id = in_force.and_then(|version| Some(version.policy()?.0));
        Some(Report {
            definition: key.clone(),
            generation: definition.generation,
            standing,
            selects: id
                .and_then(|id| selects.get(&id))
                .copied()
                .unwrap_or_default(),
            failures: failures.remove(key).unwrap_or_default(),
        })
    }

    /// What was last said about each definition.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        self.reports.values()
    }

    /// Objects that cannot be read and therefore count as absent.
    pub fn unreadable(&self) -> impl Iterator<Item = Unreadable> {
        let unreadable = self.unreadable.iter();
        unreadable.map(|((cluster, object), errors)| Unreadable {
            cluster: cluster.clone(),
            object: object.clone(),
            errors: errors.clone(),
        })
    }

    /// What a workload was last told to enforce.
    #[must_use]
    pub fn enforced(&self, key: &WorkloadKey) -> Option<&Enforced> {
        let assignment = self.assignments.get(&self.world.id(key)?)?;
        assignment.published.as_ref()
    }

    /// Workloads that do not enforce what they should, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&WorkloadKey, Failure)> {
        let pods = self.world.pods().filter(|(_, pod)| pod.workload.is_some());
        pods.filter_map(|(id, pod)| Some((&pod.key, self.failure(id, &pod.key)?)))
    }

    pub(super) fn failure(&self, id: PodId, key: &WorkloadKey) -> Option<Failure> {
        if !self.ready.contains(&key.cluster) {
            return Some(Failure::NotListed);
        }
        if self.policies.holds(key) {
            return Some(Failure::Held);
        }
        let wanted = self.assignments.get(&id)?.wanted?;
        match &self.programs.get(wanted)?.made {
            Err(error) => Some(Failure::Program(error.clone())),
            Ok(made) => match self.tables.part(made.table)? {
                Err(error) => Some(Failure::PeerTable(error.clone())),
                Ok(_) => None,
            },
        }
    }

    /// How much the index holds.
    #[must_use]
    pub fn size(&self) -> Size {
        Size {
            workloads: self.assignments.len(),
            definitions: self.policies.definitions.len(),
            programs: self.programs.len(),
            program_bytes: self.programs.bytes(),
            sets: self.sets.len(),
            tables: self.tables.len(),
            table_bytes: self.tables.bytes(),
        }
    }
}

impl Conflict {
    /// The definition that comes first.
    #[must_use]
    pub fn with(&self) -> &DefinitionKey {
        let (Conflict::SameName(other)
        | Conflict::SamePriority(other)
        | Conflict::SecondConfig(other)) = self;
        other
    }
}
