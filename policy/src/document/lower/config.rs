//! The configuration of the mesh.

use super::super::reason::Form;
use super::super::types::{DefaultAction, MeshwallConfigSpec};
use super::{At, Error, Findings, Reason, identity};
use crate::spec;

/// Lowers a configuration; what it leaves out has its default.
pub(super) fn config(
    at: &At<'_>,
    document: &MeshwallConfigSpec,
    findings: &mut Findings,
) -> spec::Config {
    let MeshwallConfigSpec {
        trust_domain,
        trust_domain_aliases,
        default_action,
        trusted_proxies,
        denial,
    } = document;
    let mut config = spec::Config::default();
    if let Some(trust_domain) = trust_domain {
        let checked = identity::trust_domain(trust_domain);
        findings.take(&at.field("trustDomain"), trust_domain, checked);
        config.trust_domain.clone_from(trust_domain);
    }
    let list = at.field("trustDomainAliases");
    for (index, alias) in trust_domain_aliases.iter().flatten().enumerate() {
        let at = list.index(index);
        findings.take(&at, alias, identity::trust_domain(alias));
        if *alias == config.trust_domain || config.trust_domain_aliases.contains(alias) {
            findings.push(
                Error::new(&at, Reason::Repeated)
                    .value(alias)
                    .hint("remove it"),
            );
        }
        config.trust_domain_aliases.push(alias.clone());
    }
    if let Some(default_action) = default_action {
        config.default_ingress = action(default_action.ingress, config.default_ingress);
        config.default_egress = action(default_action.egress, config.default_egress);
    }
    config.trusted_proxies = trusted_proxies.unwrap_or(config.trusted_proxies);
    if let Some(denial) = denial {
        config.denial.status = denial.status.unwrap_or(config.denial.status);
        if let Some(body) = &denial.body {
            let is_shown = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
            if !body.chars().all(is_shown) {
                let why = "it has control characters other than tab and line break";
                let at = at.field("denial");
                let reason = Reason::malformed(Form::Body, why);
                findings.push(Error::new(&at.field("body"), reason).value(body));
            }
            config.denial.body.clone_from(body);
        }
    }
    config
}

fn action(action: Option<DefaultAction>, default: spec::DefaultAction) -> spec::DefaultAction {
    match action {
        Some(DefaultAction::Allow) => spec::DefaultAction::Allow,
        Some(DefaultAction::Deny) => spec::DefaultAction::Deny,
        None => default,
    }
}
