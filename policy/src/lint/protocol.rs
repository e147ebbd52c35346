//! Rules that ask for HTTP where there is none to see.

use super::{Findings, Lint, Mesh, protected, rule_path, rules};
use crate::inventory::Workload;
use crate::spec::{
    Action, Alternatives, Direction, Field, Patterns, Policy, PortRange, Predicate, Rule,
};

/// Prefixes of port names for which the mesh does not parse HTTP, up to the first dash; the
/// convention is Istio's ("Explicit protocol selection").
const NOT_HTTP: [&str; 6] = ["tcp", "tls", "mysql", "mongo", "redis", "udp"];

/// Port on which workloads that call out speak TLS themselves.
const HTTPS: u16 = 443;

pub(super) fn check(mesh: &Mesh<'_>, policy: &Policy, findings: &mut Findings) {
    let protected = protected(mesh, policy).unwrap_or_default();
    for (direction, index, rule) in rules(policy) {
        let Alternatives::OneOf(operations) = &rule.operations else {
            continue;
        };
        for (at, operation) in operations.iter().enumerate() {
            let Some(asks) = operation.iter().find(|predicate| predicate.field.is_http()) else {
                continue;
            };
            let path = rule_path(direction, index).field("operations").index(at);
            match direction {
                Direction::Ingress => {
                    let ports = ports(operation);
                    if let Some((workload, name)) = without_http(&protected, ports) {
                        let message = format!(
                            "{} is asked for on port `{name}` of {}/{}, which is not HTTP; there \
                             the rule {}",
                            what(&asks.field),
                            workload.namespace,
                            workload.name,
                            effect(rule),
                        );
                        findings.push(Lint::HttpOnTcp, policy, path, message);
                        findings.help("name the HTTP ports of the operation, or ask for less");
                    }
                }
                Direction::Egress => {
                    let only_https = ports(operation).is_some_and(|ranges| {
                        !ranges.is_empty()
                            && ranges.iter().all(|range| {
                                matches!(range, PortRange::Numbers(ports)
                                    if *ports.start() == HTTPS && *ports.end() == HTTPS)
                            })
                    });
                    if only_https {
                        let message = format!(
                            "{} is asked for on the way out to port 443, where the proxy usually \
                             sees TLS",
                            what(&asks.field),
                        );
                        findings.push(Lint::HttpInsideTls, policy, path, message);
                        findings.help("a condition on `sni` is seen without ending TLS");
                    }
                }
            }
        }
    }
}

fn ports(operation: &[Predicate]) -> Option<&[PortRange]> {
    operation
        .iter()
        .find_map(|predicate| match &predicate.patterns {
            Patterns::Ports(ranges) if !predicate.negated => Some(ranges.as_slice()),
            _ => None,
        })
}

/// A protected workload with a port that the operation covers and that is not HTTP by its name.
fn without_http<'a>(
    protected: &[&'a Workload],
    ranges: Option<&[PortRange]>,
) -> Option<(&'a Workload, &'a str)> {
    protected.iter().find_map(|workload| {
        let covered = workload.ports.iter().filter(|(name, number)| {
            ranges.is_none_or(|ranges| {
                ranges.iter().any(|range| match range {
                    PortRange::Numbers(range) => range.contains(number),
                    PortRange::Named(named) => named == *name,
                })
            })
        });
        let mut names = covered.map(|(name, _)| name.as_str());
        let other = names.find(|name| NOT_HTTP.contains(&name.split('-').next().unwrap_or("")));
        other.map(|name| (*workload, name))
    })
}

fn what(field: &Field) -> &'static str {
    match field {
        Field::Method => "a method",
        Field::Host => "a host",
        Field::Path => "a path",
        Field::Grpc => "a gRPC method",
        Field::Header(_) => "a header",
        Field::Query(_) => "a query parameter",
        Field::Claim(_) => "a claim",
        _ => "HTTP",
    }
}

fn effect(rule: &Rule) -> &'static str {
    match rule.action {
        Action::Deny => "denies whatever HTTP says",
        Action::Allow | Action::Pass => "never matches",
    }
}
