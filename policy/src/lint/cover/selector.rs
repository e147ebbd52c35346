//! Selectors and peer sets within each other.

use super::text::string_within;
use crate::spec::{Field, LabelOperator, LabelRequirement, LabelSelector, NamespaceScope, PeerSet};

/// The label that Kubernetes gives each namespace: its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Whether every namespace of `narrow` is one of `wide`.
pub(super) fn scope_within(narrow: &NamespaceScope, wide: &NamespaceScope) -> bool {
    match (narrow, wide) {
        (_, NamespaceScope::All) => true,
        (NamespaceScope::Named(narrow), NamespaceScope::Named(wide)) => narrow == wide,
        (NamespaceScope::Named(name), NamespaceScope::Selected(wide)) => {
            let named = LabelRequirement {
                key: NAME_LABEL.to_owned(),
                operator: LabelOperator::In(vec![name.clone()]),
            };
            wide.requirements.iter().all(|wide| implies(&named, wide))
        }
        (NamespaceScope::Selected(narrow), NamespaceScope::Selected(wide)) => {
            selector_within(narrow, wide)
        }
        (NamespaceScope::All | NamespaceScope::Selected(_), _) => false,
    }
}

/// Whether everything that `narrow` selects is selected by `wide`.
pub(super) fn selector_within(narrow: &LabelSelector, wide: &LabelSelector) -> bool {
    wide.requirements.iter().all(|wide| {
        let mut narrow = narrow.requirements.iter();
        narrow.any(|narrow| implies(narrow, wide))
    })
}

fn implies(narrow: &LabelRequirement, wide: &LabelRequirement) -> bool {
    use LabelOperator::{DoesNotExist, Exists, In, NotIn};
    let all = |these: &[String], those: &[String]| these.iter().all(|one| those.contains(one));
    narrow.key == wide.key
        && match (&narrow.operator, &wide.operator) {
            (In(_) | Exists, Exists) | (DoesNotExist, DoesNotExist | NotIn(_)) => true,
            (In(narrow), In(wide)) => all(narrow, wide),
            (In(narrow), NotIn(wide)) => !narrow.iter().any(|one| wide.contains(one)),
            (NotIn(narrow), NotIn(wide)) => all(wide, narrow),
            (In(_) | NotIn(_) | Exists, DoesNotExist)
            | (NotIn(_) | Exists | DoesNotExist, In(_))
            | (NotIn(_) | DoesNotExist, Exists)
            | (Exists, NotIn(_)) => false,
        }
}

/// Whether each of these sets is within one of those.
pub(super) fn sets_within(narrow: &[PeerSet], wide: &[PeerSet]) -> bool {
    narrow
        .iter()
        .all(|narrow| wide.iter().any(|wide| set_within(narrow, wide)))
}

fn set_within(narrow: &PeerSet, wide: &PeerSet) -> bool {
    match (narrow, wide) {
        (
            PeerSet::Labels { namespaces, pods },
            PeerSet::Labels {
                namespaces: wide_namespaces,
                pods: wide_pods,
            },
        ) => scope_within(namespaces, wide_namespaces) && selector_within(pods, wide_pods),
        (
            PeerSet::Identity { field, pattern },
            PeerSet::Identity {
                field: wide_field,
                pattern: wide_pattern,
            },
        ) => {
            // Aliases of the trust domain stand for each other in both of these.
            let has_aliases = matches!(field, Field::Principal | Field::TrustDomain);
            field == wide_field
                && (pattern == wide_pattern || !has_aliases && string_within(pattern, wide_pattern))
        }
        (narrow, wide) => narrow == wide,
    }
}
