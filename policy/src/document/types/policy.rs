//! The two kinds of policies, and their rules.

use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::schema;
use super::{Condition, EgressPeer, IngressPeer, LabelSelector, Operation, Resource};

/// The rules of a namespace for its own pods.
///
/// All policies that select a pod count together: if a `Deny` rule of any of them matches, the
/// answer is no; else, if any of them has `Allow` rules for the direction, one must match; else
/// the policies say nothing. Policies of tier `Admin` are asked before, those of tier `Baseline`
/// after.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FirewallPolicySpec {
    /// Pods of the policy's namespace that the policy protects; without it, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Services and gateways that the policy protects, instead of pods. Reserved: not supported
    /// yet, and refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_refs: Option<Vec<TargetRef>>,
    /// Whether the policy decides. Default `Enforce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Moment from which the policy counts as absent, as in `2026-12-31T00:00:00Z` (RFC 3339,
    /// whole seconds). Without it, the policy does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Rules for connections to the pods. Without it, the policy says nothing about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Vec<IngressRule<PolicyAction>>>,
    /// Rules for connections from the pods. Without it, the policy says nothing about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Vec<EgressRule<PolicyAction>>>,
}

impl Resource for FirewallPolicySpec {
    const KIND: &'static str = "FirewallPolicy";
    const NAMESPACED: bool = true;

    fn schema() -> &'static Value {
        static SCHEMA: OnceLock<Value> = OnceLock::new();
        SCHEMA.get_or_init(schema::of::<Self>)
    }
}

/// The rules of the cluster's owners.
///
/// Rules are asked in order: policies by their priority, rules as they are listed. The first that
/// matches decides, and `Pass` leaves the tier undecided. What tier `Admin` decides is final; what
/// it leaves open goes to the policies of the namespaces, and what these leave open to tier
/// `Baseline`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClusterFirewallPolicySpec {
    /// When the policy is asked.
    pub tier: Tier,
    /// Order within the tier: the lowest number is asked first. No two policies of a tier have
    /// the same.
    #[schemars(range(min = 0, max = 1000))]
    pub priority: u16,
    /// Pods that the policy protects.
    pub subject: Subject,
    /// Whether the policy decides. Default `Enforce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Moment from which the policy counts as absent, as in `2026-12-31T00:00:00Z` (RFC 3339,
    /// whole seconds). Without it, the policy does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Rules for connections to the pods. Without it, the policy says nothing about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Vec<IngressRule<ClusterAction>>>,
    /// Rules for connections from the pods. Without it, the policy says nothing about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Vec<EgressRule<ClusterAction>>>,
}

impl Resource for ClusterFirewallPolicySpec {
    const KIND: &'static str = "ClusterFirewallPolicy";
    const NAMESPACED: bool = false;

    fn schema() -> &'static Value {
        static SCHEMA: OnceLock<Value> = OnceLock::new();
        SCHEMA.get_or_init(schema::of::<Self>)
    }
}

/// When a policy of the cluster is asked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Tier {
    /// Before the policies of the namespaces, which cannot overrule it.
    Admin,
    /// After them, for what they leave open.
    Baseline,
}

/// Pods that a policy of the cluster protects.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Subject {
    /// Namespaces, by their labels; `{}` is all of them.
    pub namespace_selector: LabelSelector,
    /// Pods in these namespaces, by their labels; without it, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
}

/// A service or gateway.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TargetRef {
    /// API group; empty for the core group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind.
    pub kind: String,
    /// Name, in the namespace of the policy.
    pub name: String,
}

/// Whether a policy decides.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Mode {
    /// It does.
    Enforce,
    /// It is only evaluated beside those that do: counters and logs tell what it would have
    /// decided.
    Monitor,
}

/// What a rule of a namespace does to what it matches.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PolicyAction {
    /// Permits it, unless a `Deny` rule matches too.
    Allow,
    /// Refuses it.
    Deny,
}

/// What a rule of the cluster does to what it matches.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ClusterAction {
    /// Permits it.
    Allow,
    /// Refuses it.
    Deny,
    /// Leaves it to the tiers that follow.
    Pass,
}

/// The actions that the rules of a kind have.
pub trait RuleAction:
    Copy + Serialize + DeserializeOwned + JsonSchema + Into<crate::spec::Action>
{
}

impl RuleAction for PolicyAction {}
impl RuleAction for ClusterAction {}

impl From<PolicyAction> for crate::spec::Action {
    fn from(action: PolicyAction) -> Self {
        match action {
            PolicyAction::Allow => crate::spec::Action::Allow,
            PolicyAction::Deny => crate::spec::Action::Deny,
        }
    }
}

impl From<ClusterAction> for crate::spec::Action {
    fn from(action: ClusterAction) -> Self {
        match action {
            ClusterAction::Allow => crate::spec::Action::Allow,
            ClusterAction::Deny => crate::spec::Action::Deny,
            ClusterAction::Pass => crate::spec::Action::Pass,
        }
    }
}

/// A rule for connections to the protected pods. It matches if `from`, `operations` and `when` all
/// do; what is left out matches anything.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "IngressRule_{A}")]
#[serde(bound = "A: RuleAction", deny_unknown_fields, rename_all = "camelCase")]
pub struct IngressRule<A> {
    /// Name by which verdicts and counters call the rule: lower-case letters, digits and `-`, at
    /// most 63. Unique among the rules of the direction. Default `ingress[0]` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the rule does to what it matches.
    pub action: A,
    /// Who connects: one of these. Without it, anyone, those without an identity included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<IngressPeer>>,
    /// What is asked: one of these. Without it, anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<Operation>>,
    /// What must hold besides: all of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Vec<Condition>>,
}

/// A rule for connections from the protected pods. It matches if `to`, `operations` and `when` all
/// do; what is left out matches anything.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "EgressRule_{A}")]
#[serde(bound = "A: RuleAction", deny_unknown_fields, rename_all = "camelCase")]
pub struct EgressRule<A> {
    /// Name by which verdicts and counters call the rule: lower-case letters, digits and `-`, at
    /// most 63. Unique among the rules of the direction. Default `egress[0]` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the rule does to what it matches.
    pub action: A,
    /// To whom the pods connect: one of these. Without it, to anyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Vec<EgressPeer>>,
    /// What is asked: one of these. Without it, anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<Operation>>,
    /// What must hold besides: all of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Vec<Condition>>,
}
