//! Whether one rule matches everything that another does.
//!
//! The answer is sound and not complete: `true` is certain, `false` means that it could not be
//! shown. Text patterns, networks, ports and selectors are compared by what they can match; a rule
//! covers another if each alternative of the other is within one of its own. What the workloads of
//! today happen to be does not count, because there are others tomorrow.
//!
//! On a connection without HTTP a rule is another one: a Deny loses its HTTP predicates and so
//! widens, any other rule loses the alternatives that have some. One rule covers another only if it
//! does in both cases.

pub(super) mod network;
mod selector;
mod text;

use std::borrow::Cow;

use self::selector::{scope_within, selector_within, sets_within};
use self::text::string_within;
use super::place::Place;
use crate::spec::{
    Action, Alternatives, Config, Field, Patterns, PortRange, Predicate, Rule, StringPattern,
    Subject,
};

/// Alternatives of one rule beyond which it is not compared: the effort grows with their square.
const MAX_ALTERNATIVES: usize = 100;

/// Whether `wide` protects all that `narrow` does, and matches all that it does there.
pub(super) fn covers(wide: &Place<'_>, narrow: &Place<'_>, config: &Config) -> bool {
    wide.direction == narrow.direction
        && subject_within(&narrow.policy.subject, &wide.policy.subject)
        && rule_within(narrow.rule, wide.rule, config)
}

fn subject_within(narrow: &Subject, wide: &Subject) -> bool {
    scope_within(&narrow.namespaces, &wide.namespaces) && selector_within(&narrow.pods, &wide.pods)
}

fn rule_within(narrow: &Rule, wide: &Rule, config: &Config) -> bool {
    let comparison = Comparison {
        config,
        narrow_action: narrow.action,
        wide_action: wide.action,
    };
    [true, false].into_iter().all(|is_http| {
        let Some(narrow) = Seen::new(narrow, is_http) else {
            return true;
        };
        Seen::new(wide, is_http).is_some_and(|wide| comparison.within(&narrow, &wide))
    })
}

type Conjunction<'a> = Vec<Cow<'a, Predicate>>;

/// A rule as it is on a connection of one kind.
struct Seen<'a> {
    /// Of no restriction: one alternative without predicates.
    peers: Vec<Conjunction<'a>>,
    operations: Vec<Conjunction<'a>>,
    conditions: Conjunction<'a>,
}

impl<'a> Seen<'a> {
    /// `None` if the rule matches nothing there.
    fn new(rule: &'a Rule, is_http: bool) -> Option<Seen<'a>> {
        let seen = |predicates: &'a [Predicate]| -> Option<Conjunction<'a>> {
            let readable = |predicate: &&Predicate| is_http || !predicate.field.is_http();
            if rule.action != Action::Deny && !predicates.iter().all(|p| readable(&p)) {
                return None;
            }
            let kept = predicates.iter().filter(readable);
            Some(kept.map(Cow::Borrowed).collect())
        };
        let alternatives = |alternatives: &'a Alternatives| match alternatives {
            Alternatives::Any => vec![Vec::new()],
            Alternatives::OneOf(listed) => listed.iter().filter_map(|one| seen(one)).collect(),
        };
        let result = Seen {
            peers: alternatives(&rule.peers),
            operations: alternatives(&rule.operations),
            conditions: seen(&rule.conditions)?,
        };
        (!result.peers.is_empty() && !result.operations.is_empty()).then_some(result)
    }
}

/// What predicates mean depends on the rules that they are in.
struct Comparison<'a> {
    config: &'a Config,
    narrow_action: Action,
    wide_action: Action,
}

impl Comparison<'_> {
    fn within(&self, narrow: &Seen<'_>, wide: &Seen<'_>) -> bool {
        self.one_of(&narrow.peers, &wide.peers)
            && self.one_of(&narrow.operations, &wide.operations)
            && self.all(&narrow.conditions, &wide.conditions)
    }

    fn one_of(&self, narrow: &[Conjunction<'_>], wide: &[Conjunction<'_>]) -> bool {
        narrow.len() <= MAX_ALTERNATIVES
            && wide.len() <= MAX_ALTERNATIVES
            && narrow.iter().all(|narrow| {
                let narrow = self.with_consequences(narrow);
                wide.iter().any(|wide| self.all(&narrow, wide))
            })
    }

    fn all(&self, narrow: &[Cow<'_, Predicate>], wide: &[Cow<'_, Predicate>]) -> bool {
        wide.iter()
            .all(|wide| narrow.iter().any(|narrow| self.implies(narrow, wide)))
    }

    /// The predicates and what follows from them: who has a service account has its namespace.
    fn with_consequences<'a>(&self, predicates: &Conjunction<'a>) -> Conjunction<'a> {
        let mut result = predicates.clone();
        for predicate in predicates {
            let (Field::ServiceAccount, Patterns::Strings(accounts), false) =
                (&predicate.field, &predicate.patterns, predicate.negated)
            else {
                continue;
            };
            let namespaces = accounts.iter().map(|account| match account {
                StringPattern::Exact(text) | StringPattern::Prefix(text) => {
                    let (namespace, _) = text.split_once('/')?;
                    Some(StringPattern::Exact(namespace.to_owned()))
                }
                _ => None,
            });
            if let Some(namespaces) = namespaces.collect() {
                result.push(Cow::Owned(Predicate {
                    field: Field::Namespace,
                    patterns: Patterns::Strings(namespaces),
                    negated: false,
                }));
            }
        }
        result
    }

    fn implies(&self, narrow: &Predicate, wide: &Predicate) -> bool {
        if narrow.field != wide.field || narrow.negated != wide.negated {
            return false;
        }
        if narrow.negated {
            // Documents negate presence only.
            return narrow.patterns == wide.patterns && self.narrow_action == self.wide_action
                || matches!(
                    (&narrow.patterns, &wide.patterns),
                    (Patterns::Present, Patterns::Present)
                );
        }
        // What permits must hold for each value of a repeated header, what denies for one.
        let repeats = matches!(narrow.field, Field::Header(_) | Field::Query(_));
        let for_one = |action| action == Action::Deny;
        let weaker = for_one(self.narrow_action) && !for_one(self.wide_action);
        match (&narrow.patterns, &wide.patterns) {
            (Patterns::Present | Patterns::Strings(_), Patterns::Present) => true,
            (Patterns::Strings(narrow), Patterns::Strings(wide_strings)) => {
                !(repeats && weaker)
                    && narrow.iter().all(|narrow| {
                        wide_strings.iter().any(|wide_string| {
                            string_within(narrow, wide_string)
                                && !self.is_alias_in_doubt(&wide.field, wide_string)
                        })
                    })
            }
            (Patterns::MeshTrustDomains, Patterns::MeshTrustDomains) => true,
            (Patterns::Strings(narrow), Patterns::MeshTrustDomains) => {
                narrow.iter().all(|narrow| match narrow {
                    StringPattern::Exact(name) => self.config.is_own(name),
                    _ => false,
                })
            }
            (Patterns::Networks(narrow), Patterns::Networks(wide)) => narrow
                .iter()
                .all(|narrow| wide.iter().any(|wide| network::within(narrow, wide))),
            (Patterns::Ports(narrow), Patterns::Ports(wide)) => narrow
                .iter()
                .all(|narrow| wide.iter().any(|wide| port_within(narrow, wide))),
            (Patterns::Sets(narrow), Patterns::Sets(wide)) => sets_within(narrow, wide),
            _ => false,
        }
    }

    /// Whether aliases of the trust domain may stand for what the end of a name does not cover.
    fn is_alias_in_doubt(&self, field: &Field, wide: &StringPattern) -> bool {
        let has_path = |id: &str| id.contains('/');
        let in_doubt = match (field, wide) {
            (Field::Principal, StringPattern::Prefix(text)) => {
                !text.strip_prefix("spiffe://").is_some_and(has_path)
            }
            (Field::Principal, StringPattern::Suffix(text)) => !text.starts_with('/'),
            (Field::TrustDomain, StringPattern::Prefix(_) | StringPattern::Suffix(_)) => true,
            _ => false,
        };
        in_doubt && !self.config.trust_domain_aliases.is_empty()
    }
}

impl Config {
    /// Whether this is the trust domain of the mesh or an alias of it.
    pub(super) fn is_own(&self, trust_domain: &str) -> bool {
        let mut aliases = self.trust_domain_aliases.iter();
        self.trust_domain == trust_domain || aliases.any(|alias| alias == trust_domain)
    }
}

fn port_within(narrow: &PortRange, wide: &PortRange) -> bool {
    match (narrow, wide) {
        (PortRange::Numbers(narrow), PortRange::Numbers(wide)) => {
            wide.start() <= narrow.start() && narrow.end() <= wide.end()
        }
        (PortRange::Named(narrow), PortRange::Named(wide)) => narrow == wide,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
