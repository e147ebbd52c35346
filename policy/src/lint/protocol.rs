//! Rules that look into HTTP where there is none to see.

use super::place::{Place, workload, written};
use super::{Findings, Lint, Mesh};
use crate::inventory::{Inventory, Workload};
use crate::spec::{Action, Alternatives, Direction, Field, Patterns, PortRange, Predicate};

/// Prefixes of port names for which the mesh does not parse HTTP, up to the first dash; the
/// convention is Istio's ("Explicit protocol selection").
const NOT_HTTP: [&str; 7] = ["https", "mongo", "mysql", "redis", "tcp", "tls", "udp"];

/// TCP ports that the IANA registry gives to protocols inside TLS, and 8443, the usual stand-in for
/// 443.
const TLS_PORTS: [u16; 11] = [443, 465, 636, 853, 990, 993, 995, 5671, 6443, 8443, 8883];

pub(super) fn check(mesh: &Mesh<'_>, findings: &mut Findings) {
    for rule in mesh.rules() {
        match (rule.direction, mesh.inventory) {
            (Direction::Ingress, Some(inventory)) => on_tcp(&rule, inventory, findings),
            (Direction::Ingress, None) => {}
            (Direction::Egress, _) => inside_tls(&rule, findings),
        }
    }
}

/// Ingress: ports that by their names speak something else.
fn on_tcp(rule: &Place<'_>, inventory: &Inventory, findings: &mut Findings) {
    let anything: &[Predicate] = &[];
    let operations = match &rule.rule.operations {
        Alternatives::Any => vec![(rule.path(), anything)],
        Alternatives::OneOf(_) => written(&rule.rule.operations)
            .map(|(at, operation)| (rule.operation(at), operation))
            .collect(),
    };
    for (path, operation) in operations {
        let Some(field) = asked(operation, rule) else {
            continue;
        };
        let Some((protected, name)) = without_http(rule, operation, inventory) else {
            continue;
        };
        let effect = match rule.rule.action {
            Action::Deny => "denies whatever HTTP says",
            Action::Allow | Action::Pass => "never matches",
        };
        let message = format!(
            "{} is asked for on port `{name}` of {}, which is not HTTP; there the rule {effect}",
            what(field),
            workload(protected),
        );
        findings.push(Lint::HttpOnTcp, rule.policy, path, message);
        findings.help("name the ports on which HTTP is spoken under `ports`");
    }
}

/// A port that the operation reaches and that is not HTTP by its name. What permits is in order as
/// long as it reaches others, too; what denies is not, since it widens.
fn without_http<'a>(
    rule: &Place<'a>,
    operation: &[Predicate],
    inventory: &'a Inventory,
) -> Option<(&'a Workload, &'a str)> {
    let mut other = None;
    for workload in rule.protected(inventory) {
        for (name, number) in &workload.ports {
            if !reaches(operation, name, *number) {
                continue;
            }
            if NOT_HTTP.contains(&stem(name)) {
                other = other.or(Some((workload, name.as_str())));
            } else if rule.rule.action != Action::Deny {
                return None;
            }
        }
    }
    other
}

/// Egress: ports on which a workload speaks TLS itself.
fn inside_tls(rule: &Place<'_>, findings: &mut Findings) {
    for (at, operation) in written(&rule.rule.operations) {
        let Some(field) = asked(operation, rule) else {
            continue;
        };
        if is_tls(operation) {
            let message = format!(
                "{} is asked for on the way out to ports where the proxy usually sees TLS",
                what(field)
            );
            findings.push(
                Lint::HttpInsideTls,
                rule.policy,
                rule.operation(at),
                message,
            );
            findings.help("a condition on `sni` is seen without ending TLS");
        }
    }
}

/// Whether all ports of an operation are for TLS.
fn is_tls(operation: &[Predicate]) -> bool {
    operation.iter().any(|predicate| match &predicate.patterns {
        Patterns::Ports(ranges) => ranges.iter().all(|range| match range {
            PortRange::Numbers(numbers) => {
                numbers.start() == numbers.end() && TLS_PORTS.contains(numbers.start())
            }
            PortRange::Named(name) => matches!(stem(name), "https" | "tls"),
        }),
        _ => false,
    })
}

/// A field of HTTP that the operation or a condition of the rule looks at.
fn asked<'a>(operation: &'a [Predicate], rule: &Place<'a>) -> Option<&'a Field> {
    let mut predicates = operation.iter().chain(&rule.rule.conditions);
    let asked = predicates.find(|predicate| predicate.field.is_http())?;
    Some(&asked.field)
}

fn reaches(operation: &[Predicate], name: &str, number: u16) -> bool {
    operation.iter().all(|predicate| match &predicate.patterns {
        Patterns::Ports(ranges) => ranges.iter().any(|range| match range {
            PortRange::Numbers(numbers) => numbers.contains(&number),
            PortRange::Named(named) => named == name,
        }),
        _ => true,
    })
}

fn stem(port_name: &str) -> &str {
    port_name.split('-').next().unwrap_or_default()
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
