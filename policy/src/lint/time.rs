//! Policies that have expired, or soon will.

use super::{Findings, Lint, Mesh};
use crate::document::FieldPath;
use crate::spec::Policy;

/// Seconds before the end at which it is worth a note.
const SOON: i64 = 7 * 24 * 60 * 60;

pub(super) fn check(mesh: &Mesh<'_>, policy: &Policy, findings: &mut Findings) {
    let Some(expires) = policy.expires else {
        return;
    };
    let path = FieldPath::root().field("spec").field("expires");
    let left = expires.0.saturating_sub(mesh.now.0);
    if left <= 0 {
        let message = "the policy has expired and counts as absent".to_owned();
        findings.push(Lint::Expired, policy, path, message);
        findings.help("remove the policy, or move the date if it is still needed");
    } else if left <= SOON {
        let message = match left / (24 * 60 * 60) {
            0 => "the policy expires within a day".to_owned(),
            1 => "the policy expires in 1 day".to_owned(),
            days => format!("the policy expires in {days} days"),
        };
        findings.push(Lint::ExpiresSoon, policy, path, message);
    }
}
