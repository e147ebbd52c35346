//! Decisions: a verdict and its cause, and the verdict that would hold if every monitored policy
//! were enforced.

use std::fmt;

use crate::path;
use crate::program::Program;
use crate::spec::{ObjectRef, Tier};
use crate::text::{host, query};

/// Permit or refuse.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// The connection or request goes on.
    Allow,
    /// It does not.
    Deny,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
        })
    }
}

/// What was decided, twice.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Decision {
    /// What holds.
    pub enforced: Outcome,
    /// What would hold if every monitored policy were enforced.
    pub combined: Outcome,
    /// The certificate's account is not the one that runs at the peer's address, so that label
    /// selectors matched nothing. To be counted.
    pub identity_mismatch: bool,
}

/// A verdict with its cause.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub cause: Cause,
}

/// Why a verdict is what it is. [`Program::cause`] has the words for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cause {
    /// The rule of this index in the program decided.
    Rule(u32),
    /// The tier of this code permits by rules, and none of them matched.
    NoRuleMatched(u8),
    /// No policy says anything about the direction.
    Default,
    /// The path has no normal form.
    Path(path::Fault),
    /// The authority has no normal form, and a rule looks at the host.
    Host(host::Fault),
    /// The query has no normal form, and a rule looks at it.
    Query(query::Fault),
    /// The program cannot be evaluated; refused for safety.
    Fault,
}

/// A cause in words that name documents and rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CauseName<'a> {
    /// A rule decided.
    Rule {
        /// The document that the rule comes from.
        document: ObjectRef,
        /// Name of the rule.
        rule: &'a str,
    },
    /// Allow rules exist and none matched.
    NoRuleMatched {
        /// The tier that they are in.
        tier: Tier,
    },
    /// No policy says anything.
    Default,
    /// The request was refused before any rule was looked at.
    Refused {
        /// Short name for counters, such as `path_encoded_slash`.
        code: String,
    },
    /// The program cannot be evaluated.
    Fault,
}

impl Program {
    /// The words for a cause.
    pub fn cause(&self, cause: Cause) -> CauseName<'_> {
        CauseName::new(self, cause)
    }
}

impl<'a> CauseName<'a> {
    fn new(program: &'a Program, cause: Cause) -> CauseName<'a> {
        match cause {
            Cause::Rule(index) => program
                .rule(index)
                .and_then(|rule| {
                    Some(CauseName::Rule {
                        document: program.document(rule)?,
                        rule: program.text(rule.name),
                    })
                })
                .unwrap_or(CauseName::Fault),
            Cause::NoRuleMatched(code) => match tier_of(code) {
                Some(tier) => CauseName::NoRuleMatched { tier },
                None => CauseName::Fault,
            },
            Cause::Default => CauseName::Default,
            Cause::Path(fault) => CauseName::Refused {
                code: format!("path_{}", fault.name()),
            },
            Cause::Host(fault) => CauseName::Refused {
                code: format!("host_{}", fault.name()),
            },
            Cause::Query(fault) => CauseName::Refused {
                code: format!("query_{}", fault.name()),
            },
            Cause::Fault => CauseName::Fault,
        }
    }
}

/// One word without white space, fit for response code details, metric labels and access logs:
/// `FirewallPolicy/shop/payments/checkout-charges`, `no_rule_matched/Namespace`, `default`,
/// `refused/path_encoded_slash`, `fault`.
impl fmt::Display for CauseName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CauseName::Rule { document, rule } => write!(f, "{document}/{rule}"),
            CauseName::NoRuleMatched { tier } => write!(f, "no_rule_matched/{tier}"),
            CauseName::Default => f.write_str("default"),
            CauseName::Refused { code } => write!(f, "refused/{code}"),
            CauseName::Fault => f.write_str("fault"),
        }
    }
}

/// Code of a tier in programs.
pub(crate) fn tier_code(tier: Tier) -> u8 {
    match tier {
        Tier::Admin => 0,
        Tier::Namespace => 1,
        Tier::Baseline => 2,
    }
}

pub(crate) fn tier_of(code: u8) -> Option<Tier> {
    [Tier::Admin, Tier::Namespace, Tier::Baseline]
        .into_iter()
        .find(|tier| tier_code(*tier) == code)
}
