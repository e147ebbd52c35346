//! A rule and where it is written.

use crate::document::FieldPath;
use crate::inventory::{Inventory, Workload};
use crate::spec::{Alternatives, Direction, Mode, Policy, Predicate, Rule};

/// A rule of a policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) policy: &'a Policy,
    pub(super) direction: Direction,
    pub(super) index: usize,
    pub(super) rule: &'a Rule,
}

impl<'a> Place<'a> {
    /// The rules of a policy.
    pub(super) fn of(policy: &'a Policy) -> impl Iterator<Item = Place<'a>> {
        let of = move |direction, rules: &'a [Rule]| {
            rules.iter().enumerate().map(move |(index, rule)| Place {
                policy,
                direction,
                index,
                rule,
            })
        };
        of(Direction::Ingress, &policy.ingress).chain(of(Direction::Egress, &policy.egress))
    }

    /// `spec.ingress[0]`.
    pub(super) fn path(&self) -> FieldPath {
        let rules = match self.direction {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        };
        spec().field(rules).index(self.index)
    }

    /// `spec.ingress[0].from[1]`.
    pub(super) fn peer(&self, index: usize) -> FieldPath {
        let peers = match self.direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        self.path().field(peers).index(index)
    }

    /// `spec.ingress[0].operations[1]`.
    pub(super) fn operation(&self, index: usize) -> FieldPath {
        self.path().field("operations").index(index)
    }

    /// `spec.ingress[0].when[1]`.
    pub(super) fn condition(&self, index: usize) -> FieldPath {
        self.path().field("when").index(index)
    }

    /// What the rule calls itself: `` `no-dev` of ClusterFirewallPolicy/stages ``.
    pub(super) fn name(&self) -> String {
        format!("`{}` of {}", self.rule.name, self.policy.origin)
    }

    /// Whether whenever the other rule counts, this one does.
    pub(super) fn outlives(&self, other: &Place<'_>) -> bool {
        let ends = |policy: &Policy| policy.expires.map_or(i64::MAX, |expires| expires.0);
        let counts = self.policy.mode == Mode::Enforce || other.policy.mode == Mode::Monitor;
        counts && ends(self.policy) >= ends(other.policy)
    }

    /// The workloads that the rule protects.
    pub(super) fn protected(
        &self,
        inventory: &'a Inventory,
    ) -> impl Iterator<Item = &'a Workload> + use<'a> {
        protected(self.policy, inventory)
    }
}

/// `spec`.
pub(super) fn spec() -> FieldPath {
    FieldPath::root().field("spec")
}

/// The workloads that a policy protects.
pub(super) fn protected<'a>(
    policy: &'a Policy,
    inventory: &'a Inventory,
) -> impl Iterator<Item = &'a Workload> + use<'a> {
    let subject = &policy.subject;
    inventory.workloads.iter().filter(move |workload| {
        subject.pods.matches(&workload.labels)
            && inventory.namespace_matches(&subject.namespaces, &workload.namespace)
    })
}

/// The alternatives of a rule that are written down.
pub(super) fn written(alternatives: &Alternatives) -> impl Iterator<Item = (usize, &[Predicate])> {
    let listed = match alternatives {
        Alternatives::Any => &[],
        Alternatives::OneOf(listed) => listed.as_slice(),
    };
    listed
        .iter()
        .enumerate()
        .map(|(index, predicates)| (index, predicates.as_slice()))
}

/// `namespace/name` of a workload.
pub(super) fn workload(workload: &Workload) -> String {
    format!("{}/{}", workload.namespace, workload.name)
}
