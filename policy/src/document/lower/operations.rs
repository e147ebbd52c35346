//! Operations and conditions: what is asked, and what must hold besides.

use super::super::reason::Form;
use super::super::types::{ClaimPath, Condition, GrpcMatch, Operation, Port};
use super::{At, Error, Fault, Findings, Reason, names, strings, web};
use crate::spec::{Field, Patterns, PortRange, Predicate, StringPattern};

/// Lowers an operation.
pub(super) fn operation(
    at: &At<'_>,
    operation: &Operation,
    findings: &mut Findings,
) -> Vec<Predicate> {
    let Operation {
        ports,
        hosts,
        methods,
        paths,
        headers,
        query,
        grpc,
    } = operation;
    let mut predicates = Vec::new();
    if let Some(ports) = ports {
        let list = at.field("ports");
        let ports = ports.iter().enumerate();
        let ports = ports.filter_map(|(index, port)| match port {
            // The schema keeps 0 out.
            Port::Number(number) => Some(PortRange::Numbers(*number..=*number)),
            Port::Text(text) => findings.take(&list.index(index), text, port_range(text)),
        });
        predicates.push(is(Field::Port, Patterns::Ports(ports.collect())));
    }
    let mut strings = |name: &str, values: &Option<Vec<String>>, field: Field, parse: Parse| {
        let patterns = findings.take_all(&at.field(name), values.as_deref()?, parse);
        predicates.push(is(field, Patterns::Strings(patterns)));
        Some(())
    };
    strings("hosts", hosts, Field::Host, web::host);
    strings("methods", methods, Field::Method, web::method);
    strings("paths", paths, Field::Path, web::path);
    let list = at.field("headers");
    for (index, header) in headers.iter().flatten().enumerate() {
        let at = list.index(index);
        let name = findings.take(
            &at.field("name"),
            &header.name,
            web::header_name(&header.name),
        );
        let asked = Asked {
            values: header.values.as_deref(),
            regex: header.regex.as_deref(),
            present: header.present,
        };
        let field = Field::Header(name.unwrap_or_default());
        predicates.extend(asked.lower(&at, field, strings::header_value, findings));
    }
    let list = at.field("query");
    for (index, parameter) in query.iter().flatten().enumerate() {
        let at = list.index(index);
        let checked = web::query_name(&parameter.name);
        findings.take(&at.field("name"), &parameter.name, checked);
        let asked = Asked {
            values: parameter.values.as_deref(),
            regex: parameter.regex.as_deref(),
            present: parameter.present,
        };
        let field = Field::Query(parameter.name.clone());
        predicates.extend(asked.lower(&at, field, strings::value, findings));
    }
    if let Some(calls) = grpc {
        for (name, taken) in [("methods", methods.is_some()), ("paths", paths.is_some())] {
            if taken {
                let hint = "a gRPC call has its own method and path";
                let error = Error::new(&at.field(name), Reason::Conflict("grpc"));
                findings.push(error.hint(hint));
            }
        }
        predicates.push(is(Field::Grpc, Patterns::Present));
        let paths = grpc_paths(&at.field("grpc"), calls, findings);
        predicates.push(is(Field::Path, Patterns::Strings(paths)));
    }
    if *operation == Operation::default() {
        let error = Error::new(at, Reason::RestrictsNothing);
        findings.push(error.hint("to match anything remove `operations`"));
    }
    predicates
}

/// Lowers a condition.
pub(super) fn condition(
    at: &At<'_>,
    condition: &Condition,
    findings: &mut Findings,
) -> Option<Predicate> {
    let Condition {
        claim,
        values,
        regex,
        present,
        sni,
    } = condition;
    match (claim, sni) {
        (Some(claim), None) => {
            let names = match claim {
                ClaimPath::Name(name) => {
                    findings.take(&at.field("claim"), name, claim_name(name));
                    vec![name.clone()]
                }
                ClaimPath::Path(names) => {
                    findings.take_all(&at.field("claim"), names, claim_name);
                    names.clone()
                }
            };
            let asked = Asked {
                values: values.as_deref(),
                regex: regex.as_deref(),
                present: *present,
            };
            asked.lower(at, Field::Claim(names), strings::value, findings)
        }
        (None, Some(names)) => {
            let others = [
                ("values", values.is_some()),
                ("regex", regex.is_some()),
                ("present", present.is_some()),
            ];
            for (name, taken) in others {
                if taken {
                    findings.push(Error::new(&at.field(name), Reason::Conflict("sni")));
                }
            }
            let patterns = findings.take_all(&at.field("sni"), names, web::server_name);
            Some(is(Field::Sni, Patterns::Strings(patterns)))
        }
        (Some(_), Some(_)) | (None, None) => {
            findings.push(Error::new(at, Reason::NotExactlyOne(&["claim", "sni"])));
            None
        }
    }
}

type Parse = fn(&str) -> Result<StringPattern, Fault>;

fn is(field: Field, patterns: Patterns) -> Predicate {
    Predicate {
        field,
        patterns,
        negated: false,
    }
}

/// What is asked of a field that may be there or not.
struct Asked<'a> {
    values: Option<&'a [String]>,
    regex: Option<&'a str>,
    present: Option<bool>,
}

impl Asked<'_> {
    fn lower(
        &self,
        at: &At<'_>,
        field: Field,
        parse: Parse,
        findings: &mut Findings,
    ) -> Option<Predicate> {
        let (patterns, negated) = match (self.values, self.regex, self.present) {
            (Some(values), None, None) => {
                let values = findings.take_all(&at.field("values"), values, parse);
                (Patterns::Strings(values), false)
            }
            (None, Some(regex), None) => {
                let regex = findings.take(&at.field("regex"), regex, strings::regex(regex))?;
                (Patterns::Strings(vec![regex]), false)
            }
            (None, None, Some(present)) => (Patterns::Present, !present),
            _ => {
                let reason = Reason::NotExactlyOne(&["values", "regex", "present"]);
                findings.push(Error::new(at, reason));
                return None;
            }
        };
        Some(Predicate {
            field,
            patterns,
            negated,
        })
    }
}

/// Paths of gRPC calls: `/package.Service/Method`.
fn grpc_paths(list: &At<'_>, calls: &[GrpcMatch], findings: &mut Findings) -> Vec<StringPattern> {
    let mut paths = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let at = list.index(index);
        let service = &call.service;
        findings.take(&at.field("service"), service, web::grpc_service(service));
        match &call.methods {
            None => paths.push(StringPattern::Prefix(format!("/{service}/"))),
            Some(methods) => {
                paths.extend(findings.take_all(&at.field("methods"), methods, |method| {
                    web::grpc_method(method)?;
                    Ok(StringPattern::Exact(format!("/{service}/{method}")))
                }));
            }
        }
    }
    paths
}

fn port_range(text: &str) -> Result<PortRange, Fault> {
    let fault = |why: &'static str| Fault::new(Form::Port, why);
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok().filter(|number| *number > 0))
    };
    if let Some(port) = number(text) {
        let port = port.ok_or_else(|| fault("ports are within 1-65535"))?;
        return Ok(PortRange::Numbers(port..=port));
    }
    if let Some((from, to)) = text.split_once('-')
        && let (Some(from), Some(to)) = (number(from.trim()), number(to.trim()))
    {
        let (Some(first), Some(last)) = (from, to) else {
            return Err(fault("ports are within 1-65535"));
        };
        if first > last {
            return Err(fault("the range ends before it begins").replace(format!("{last}-{first}")));
        }
        return Ok(PortRange::Numbers(first..=last));
    }
    if names::is_port(text) {
        return Ok(PortRange::Named(text.to_owned()));
    }
    let lower = text.to_ascii_lowercase();
    let why = "it is no number, no range such as `9000-9010`, and no name of lower-case letters, \
               digits and `-`, of at most 15 characters";
    Err(if names::is_port(&lower) {
        fault(why).replace(lower)
    } else {
        fault(why)
    })
}

fn claim_name(name: &str) -> Result<(), Fault> {
    let fault = |why: &'static str| Fault::new(Form::Claim, why);
    if name.is_empty() {
        return Err(fault("it is empty"));
    }
    if name.chars().any(char::is_control) {
        return Err(fault("it has control characters"));
    }
    if name.starts_with("request.auth.") {
        let hint = "write the name of the claim, or the list of names that lead to it";
        return Err(fault("it is a key of AuthorizationPolicy").hint(hint));
    }
    Ok(())
}
