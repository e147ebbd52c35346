//! The question that flags put.

use std::collections::BTreeMap;

use clap::Args;
use meshwall_policy::document::types::Port;
use meshwall_policy::document::{FieldPath, Segment};
use meshwall_policy::inventory::Inventory;
use meshwall_policy::spec::Timestamp;
use meshwall_testbed::scenario::types::{
    CaseSpec, Claim, DirectionSpec, FromSpec, GrpcSpec, HeaderValues, HttpSpec, TcpSpec,
    VerdictSpec,
};
use meshwall_testbed::scenario::{self, Question};
use serde_json::Value;

#[derive(Debug, Args)]
#[command(next_help_heading = "Question")]
#[group(id = "question", multiple = true)]
pub(crate) struct Flags {
    /// To whom: a workload, NAMESPACE/NAME, by its pod or by what made its pod; or an address
    #[arg(
        long,
        value_name = "WORKLOAD|ADDRESS",
        required_unless_present = "case"
    )]
    to: Option<String>,

    /// Destination TCP port, by number or by name
    #[arg(long, value_name = "PORT", required_unless_present = "case")]
    port: Option<String>,

    /// Who connects: a workload, with its certificate and from its address
    #[arg(long, value_name = "WORKLOAD", conflicts_with_all = ["principal", "address"])]
    from: Option<String>,

    /// Who connects: the URI in the verified certificate
    #[arg(long, value_name = "URI")]
    principal: Option<String>,

    /// Who connects: the address at the other end
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,

    /// The address of the client as trusted proxies tell it
    #[arg(long, value_name = "ADDRESS")]
    remote_address: Option<String>,

    /// Whose firewall is asked: with ingress that of --to, with egress that of --from
    /// [default: ingress, or egress if --to is an address]
    #[arg(long, value_name = "DIRECTION", value_parser = direction)]
    direction: Option<DirectionSpec>,

    /// Server name that the client asks for in its TLS handshake
    #[arg(long, value_name = "NAME")]
    sni: Option<String>,

    /// HTTP method [default: GET]
    #[arg(long, value_name = "METHOD", conflicts_with_all = ["grpc", "tcp"])]
    method: Option<String>,

    /// HTTP path with the query [default: /]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["grpc", "tcp"])]
    path: Option<String>,

    /// HTTP host [default: what --to says]
    #[arg(long, value_name = "HOST", conflicts_with = "tcp")]
    host: Option<String>,

    /// HTTP header; may be given several times
    #[arg(long, value_name = "NAME:VALUE", value_parser = header, conflicts_with = "tcp")]
    header: Vec<(String, String)>,

    /// Claim of the verified token; the value is text, or JSON if it begins like a list, a mapping
    /// or a quoted text; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = claim, conflicts_with = "tcp")]
    claim: Vec<(String, Value)>,

    /// A gRPC call
    #[arg(long, value_name = "SERVICE/METHOD", value_parser = call, conflicts_with = "tcp")]
    grpc: Option<(String, String)>,

    /// A connection on which something else than HTTP is spoken
    #[arg(long)]
    tcp: bool,
}

impl Flags {
    /// The question.
    ///
    /// # Errors
    ///
    /// What is wrong with it, naming the flags.
    pub(crate) fn ask(&self, inventory: &Inventory, now: Timestamp) -> anyhow::Result<Question> {
        scenario::question(&self.case(), inventory, now).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(line).collect();
            anyhow::Error::msg(lines.join("\n       "))
        })
    }

    fn case(&self) -> CaseSpec {
        let Flags {
            to,
            port,
            from,
            principal,
            address,
            remote_address,
            direction,
            sni,
            method,
            path,
            host,
            header,
            claim,
            grpc,
            tcp,
        } = self;
        let headers = (!header.is_empty()).then(|| headers(header));
        let claims = (!claim.is_empty()).then(|| claims(claim));
        let from = FromSpec {
            workload: from.clone(),
            principal: principal.clone(),
            address: address.clone(),
            remote_address: remote_address.clone(),
        };
        let http = HttpSpec {
            method: method.clone(),
            path: path.clone(),
            host: host.clone(),
            headers: headers.clone(),
            claims: claims.clone(),
        };
        let call = grpc.clone().map(|(service, method)| GrpcSpec {
            service,
            method,
            host: host.clone(),
            headers,
            claims,
        });
        let port = port.clone().unwrap_or_default();
        CaseSpec {
            name: String::new(),
            direction: *direction,
            from: (from != FromSpec::default()).then_some(from),
            to: to.clone().unwrap_or_default(),
            port: Port::Text(port),
            sni: sni.clone(),
            http: (!tcp && call.is_none()).then_some(http),
            grpc: call,
            tcp: tcp.then(TcpSpec::default),
            expect: VerdictSpec::Allow,
            cause: None,
            would_be: None,
        }
    }
}

fn headers(listed: &[(String, String)]) -> BTreeMap<String, HeaderValues> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in listed {
        headers.entry(name.clone()).or_default().push(value.clone());
    }
    let headers = headers.into_iter();
    headers
        .map(|(name, values)| (name, HeaderValues::Many(values)))
        .collect()
}

fn claims(listed: &[(String, Value)]) -> BTreeMap<String, Claim> {
    let mut claims: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (name, value) in listed {
        claims.entry(name.clone()).or_default().push(value.clone());
    }
    let claims = claims.into_iter();
    claims
        .map(
            |(name, mut values)| match (values.pop(), values.is_empty()) {
                (Some(only), true) => (name, Claim(only)),
                (last, _) => {
                    values.extend(last);
                    (name, Claim(Value::Array(values)))
                }
            },
        )
        .collect()
}

/// An error in the words of the command line.
fn line(error: &scenario::Error) -> String {
    let mut line = flag(&error.path);
    if let Some(value) = &error.value {
        line.push_str(&format!(" `{}`", scenario::shown(value)));
    }
    line.push_str(&format!(" {}", error.reason));
    if let Some(hint) = &error.hint {
        line.push_str(&format!("; {hint}"));
    }
    line
}

/// The flag that a field of a case stands for.
fn flag(path: &FieldPath) -> String {
    let fields: Vec<&str> = path
        .segments()
        .iter()
        .filter_map(|segment| match segment {
            Segment::Field(name) => Some(name.as_str()),
            Segment::Index(_) => None,
        })
        .collect();
    match fields.as_slice() {
        ["from", "workload"] => "--from".to_owned(),
        ["from", "remoteAddress"] => "--remote-address".to_owned(),
        ["grpc", "service" | "method"] => "--grpc".to_owned(),
        [_, "headers", ..] => "--header".to_owned(),
        [.., last] => format!("--{last}"),
        [] => "the question".to_owned(),
    }
}

fn direction(text: &str) -> Result<DirectionSpec, String> {
    match text {
        "ingress" => Ok(DirectionSpec::Ingress),
        "egress" => Ok(DirectionSpec::Egress),
        _ => Err("directions are `ingress` and `egress`".to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("a header is written as `NAME:VALUE`")?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("a claim is written as `NAME=VALUE`")?;
    let value = if value.starts_with(['[', '{', '"']) {
        serde_json::from_str(value).map_err(|error| format!("the value is not JSON: {error}"))?
    } else {
        Value::String(value.to_owned())
    };
    Ok((name.to_owned(), value))
}

fn call(text: &str) -> Result<(String, String), String> {
    let (service, method) = text
        .trim_start_matches('/')
        .split_once('/')
        .ok_or("a call is written as `SERVICE/METHOD`")?;
    Ok((service.to_owned(), method.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_text_or_json() {
        let listed = [
            "iss=https://id.example",
            "groups=a",
            "groups=b",
            "level=5",
            "realm_access={\"roles\": [\"x\"]}",
            "quoted=\"[\"",
        ]
        .map(|text| claim(text).unwrap());
        let claims: BTreeMap<_, _> = claims(&listed)
            .into_iter()
            .map(|(name, claim)| (name, claim.0))
            .collect();
        let expected = json!({
            "iss": "https://id.example",
            "groups": ["a", "b"],
            "level": "5",
            "realm_access": {"roles": ["x"]},
            "quoted": "[",
        });
        assert_eq!(json!(claims), expected);
        assert!(claim("=x").is_err());
        assert!(claim("x=[").unwrap_err().contains("not JSON"));
    }
}
