//! From the words of a user to a question: workloads are looked up, defaults filled in, and what no
//! client could send is refused.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderName, HeaderValue, Method};
use meshwall_policy::document::FieldPath;
use meshwall_policy::document::types::Port;
use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::spec::{Direction, Timestamp};

use super::error::{Error, Reason};
use super::question::{Question, Request};
use super::types::{CaseSpec, Claim, DirectionSpec, FromSpec, HeaderValues};
use super::workload;
use crate::host::{HeaderKind, Headers};

/// The address of someone who comes from no address in particular.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The question that a case puts. Its name and what it expects are not looked at; the paths of
/// errors begin at the case.
///
/// # Errors
///
/// Everything that is wrong with the question.
pub fn question(
    case: &CaseSpec,
    inventory: &Inventory,
    now: Timestamp,
) -> Result<Question, Vec<Error>> {
    let mut reader = Reader {
        inventory,
        errors: Vec::new(),
    };
    let question = reader.question(case, now);
    match question {
        Some(question) if reader.errors.is_empty() => Ok(question),
        _ => Err(reader.errors),
    }
}

struct Reader<'a> {
    inventory: &'a Inventory,
    errors: Vec<Error>,
}

/// Where something goes.
#[derive(Clone, Copy)]
enum Destination<'a> {
    Workload(&'a Workload),
    Address(IpAddr),
}

/// Who connects.
#[derive(Default)]
struct Client<'a> {
    workload: Option<&'a Workload>,
    principal: Option<String>,
    address: Option<IpAddr>,
    remote_address: Option<IpAddr>,
}

impl<'a> Reader<'a> {
    fn question(&mut self, case: &CaseSpec, now: Timestamp) -> Option<Question> {
        let client = match &case.from {
            Some(from) => self.client(from),
            None => Client::default(),
        };
        let destination = self.destination(&case.to);
        let request = self.request(case);
        let port = destination.and_then(|destination| self.port(&case.port, destination));
        if let Some(sni) = &case.sni {
            self.sendable(field("sni"), sni);
        }
        let destination = destination?;
        let direction = match (case.direction, destination) {
            (Some(DirectionSpec::Ingress), _) | (None, Destination::Workload(_)) => {
                Direction::Ingress
            }
            (Some(DirectionSpec::Egress), _) | (None, Destination::Address(_)) => Direction::Egress,
        };
        let (workload, principal, address, remote_address) = match (direction, destination) {
            (Direction::Ingress, Destination::Workload(workload)) => (
                workload,
                client.principal,
                client.address.unwrap_or(NOWHERE),
                client.remote_address,
            ),
            (Direction::Ingress, Destination::Address(_)) => {
                self.push(Error::new(field("to"), Reason::NotProtected).value(&case.to));
                return None;
            }
            (Direction::Egress, destination) => {
                let Some(workload) = client.workload else {
                    let path = field("from").field("workload");
                    let hint = "on egress it is the firewall of `from`";
                    self.push(Error::new(path, Reason::NotProtected).hint(hint));
                    return None;
                };
                let address = match destination {
                    Destination::Address(address) => address,
                    Destination::Workload(destination) => first_address(destination),
                };
                (workload, None, address, None)
            }
        };
        Some(Question {
            workload: workload.clone(),
            direction,
            now,
            principal,
            address,
            remote_address,
            port: port?,
            sni: case.sni.clone(),
            request,
        })
    }

    fn client(&mut self, from: &FromSpec) -> Client<'a> {
        let FromSpec {
            workload,
            principal,
            address,
            remote_address,
        } = from;
        let at = |name| field("from").field(name);
        let mut client = Client {
            principal: principal.clone(),
            ..Client::default()
        };
        client.address = self.address(at("address"), address.as_deref());
        client.remote_address = self.address(at("remoteAddress"), remote_address.as_deref());
        if let Some(name) = workload {
            for (other, taken) in [
                ("principal", principal.is_some()),
                ("address", address.is_some()),
            ] {
                if taken {
                    let error = Error::new(at(other), Reason::Conflict("workload"));
                    self.push(error.hint("a workload has a principal and an address of its own"));
                }
            }
            client.workload = self.workload(at("workload"), name);
            client.principal = client.workload.map(Workload::principal);
            client.address = client.workload.map(first_address);
        }
        client
    }

    fn destination(&mut self, to: &str) -> Option<Destination<'a>> {
        if to.contains('/') {
            return self.workload(field("to"), to).map(Destination::Workload);
        }
        let address = to.parse::<IpAddr>();
        if address.is_err() {
            self.push(Error::new(field("to"), Reason::NotADestination).value(to));
        }
        address.ok().map(Destination::Address)
    }

    fn workload(&mut self, path: FieldPath, name: &str) -> Option<&'a Workload> {
        match workload::find(self.inventory, name) {
            Ok(workload) => Some(workload),
            Err((reason, meant)) => {
                let error = Error::new(path, reason).value(name);
                self.push(match meant {
                    Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                    None => error,
                });
                None
            }
        }
    }

    fn address(&mut self, path: FieldPath, text: Option<&str>) -> Option<IpAddr> {
        let text = text?;
        let address = text.parse::<IpAddr>();
        if address.is_err() {
            self.push(Error::new(path, Reason::NotAnAddress).value(text));
        }
        address.ok().map(|address| address.to_canonical())
    }

    fn port(&mut self, port: &Port, destination: Destination<'_>) -> Option<u16> {
        let name = match port {
            // The schema keeps 0 out.
            Port::Number(number) => return Some(*number),
            Port::Text(name) => name,
        };
        let named = match destination {
            Destination::Workload(workload) => workload.ports.get(name).copied(),
            Destination::Address(_) => None,
        };
        let number = name.parse::<u16>().ok().filter(|number| *number > 0);
        let port = named.or(number);
        if port.is_none() {
            self.push(Error::new(field("port"), Reason::UnknownPort).value(name));
        }
        port
    }

    fn request(&mut self, case: &CaseSpec) -> Option<Request> {
        let CaseSpec {
            http, grpc, tcp, ..
        } = case;
        let authority = |host: &Option<String>| host.clone().unwrap_or_else(|| host_of(&case.to));
        match (http, grpc, tcp) {
            (Some(http), None, None) => {
                let at = |name| field("http").field(name);
                let method = http.method.as_deref().unwrap_or("GET");
                if Method::from_bytes(method.as_bytes()).is_err() {
                    self.push(Error::new(at("method"), Reason::NotSendable).value(method));
                }
                let path = http.path.as_deref().unwrap_or("/");
                self.sendable(at("path"), path);
                let authority = authority(&http.host);
                self.sendable(at("host"), &authority);
                let mut headers = pseudo_headers(method, path, &authority);
                headers.extend(self.headers(&at("headers"), http.headers.as_ref()));
                Some(request(&headers, http.claims.as_ref()))
            }
            (None, Some(grpc), None) => {
                let at = |name| field("grpc").field(name);
                for (name, value) in [("service", &grpc.service), ("method", &grpc.method)] {
                    self.sendable(at(name), value);
                }
                let path = format!("/{}/{}", grpc.service, grpc.method);
                let authority = authority(&grpc.host);
                self.sendable(at("host"), &authority);
                let mut headers = pseudo_headers("POST", &path, &authority);
                headers.push(("content-type".to_owned(), "application/grpc".to_owned()));
                headers.push(("te".to_owned(), "trailers".to_owned()));
                headers.extend(self.headers(&at("headers"), grpc.headers.as_ref()));
                Some(request(&headers, grpc.claims.as_ref()))
            }
            (None, None, Some(_)) => {
                let from = case.from.as_ref();
                if from.is_some_and(|from| from.remote_address.is_some()) {
                    let path = field("from").field("remoteAddress");
                    let error = Error::new(path, Reason::Conflict("tcp"));
                    self.push(error.hint("only the headers of a request tell it"));
                }
                None
            }
            _ => {
                let reason = Reason::NotExactlyOne(&["http", "grpc", "tcp"]);
                self.push(Error::new(FieldPath::root(), reason));
                None
            }
        }
    }

    fn headers(
        &mut self,
        at: &FieldPath,
        headers: Option<&BTreeMap<String, HeaderValues>>,
    ) -> Vec<(String, String)> {
        let mut listed = Vec::new();
        for (name, values) in headers.into_iter().flatten() {
            let at = at.clone().field(name);
            let lower = match HeaderName::from_bytes(name.as_bytes()) {
                Ok(lower) if lower == http::header::HOST => {
                    let error = Error::new(at.clone(), Reason::NotAHeaderName).value(name);
                    self.push(error.hint("proxies turn it into `:authority`; use `host`"));
                    continue;
                }
                Ok(lower) => lower.to_string(),
                Err(_) => {
                    self.push(Error::new(at.clone(), Reason::NotAHeaderName).value(name));
                    continue;
                }
            };
            let values = match values {
                HeaderValues::One(value) => std::slice::from_ref(value),
                HeaderValues::Many(values) => values.as_slice(),
            };
            for value in values {
                if HeaderValue::from_bytes(value.as_bytes()).is_err() {
                    self.push(Error::new(at.clone(), Reason::NotSendable).value(value));
                }
                listed.push((lower.clone(), value.clone()));
            }
        }
        listed
    }

    fn sendable(&mut self, path: FieldPath, text: &str) {
        if text.is_empty() || text.chars().any(char::is_control) {
            self.push(Error::new(path, Reason::NotSendable).value(text));
        }
    }

    fn push(&mut self, error: Error) {
        self.errors.push(error);
    }
}

fn field(name: &str) -> FieldPath {
    FieldPath::root().field(name)
}

fn first_address(workload: &Workload) -> IpAddr {
    workload.addresses.first().copied().unwrap_or(NOWHERE)
}

fn pseudo_headers(method: &str, path: &str, authority: &str) -> Vec<(String, String)> {
    let headers = [
        (":method", method),
        (":path", path),
        (":authority", authority),
        (":scheme", "https"),
    ];
    headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The host under which a destination is known: `name.namespace` of a workload, or the address.
fn host_of(to: &str) -> String {
    match to.split_once('/') {
        Some((namespace, name)) => format!("{}.{namespace}", workload::short(name)),
        None if to.contains(':') => format!("[{to}]"),
        None => to.to_owned(),
    }
}

/// The request as it is behind Envoy's codec, which joins some repeated headers.
fn request(headers: &[(String, String)], claims: Option<&BTreeMap<String, Claim>>) -> Request {
    let headers = Headers::new(HeaderKind::Request, headers);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let claims = claims.into_iter().flatten();
    Request {
        headers: headers
            .iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect(),
        claims: claims
            .map(|(name, claim)| (name.clone(), claim.0.clone()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use meshwall_policy::document::types::Resource as _;
    use meshwall_policy::document::{Document, parse};

    use super::super::types::ScenarioSpec;
    use super::*;

    fn inventory() -> Inventory {
        let workload = |name: &str, address: [u8; 4]| Workload {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            labels: Default::default(),
            service_account: name.to_owned(),
            trust_domain: "cluster.local".to_owned(),
            addresses: vec![address.into()],
            ports: [("http".to_owned(), 8080)].into(),
        };
        Inventory {
            workloads: vec![
                workload("web", [10, 0, 0, 1]),
                workload("api", [10, 0, 0, 2]),
            ],
            ..Inventory::default()
        }
    }

    /// The question of a case, written as YAML without `name` and `expect`.
    fn ask(case: &str) -> Result<Question, Vec<String>> {
        let text = format!(
            "{{apiVersion: meshwall.io/v1alpha1, kind: {}, metadata: {{name: s}}, spec: {{cases: \
             [{{name: c, expect: allow, {case}}}]}}}}",
            ScenarioSpec::KIND
        );
        let parsed = parse("test", &text);
        assert_eq!(parsed.errors, []);
        let Some(Document::Other(other)) = parsed.documents.into_iter().next() else {
            panic!("{text}");
        };
        let scenario = other.read::<ScenarioSpec>().unwrap();
        let case = &scenario.object().spec.cases[0];
        question(case, &inventory(), Timestamp(7))
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    fn headers(question: &Question) -> Vec<String> {
        let request = question.request.as_ref();
        let headers = request.map(|request| &request.headers);
        let headers = headers.into_iter().flatten();
        headers
            .map(|(name, value)| format!("{name}: {value}"))
            .collect()
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let asked = ask("to: shop/api, port: http, http: {}").unwrap();
        assert_eq!(asked.direction, Direction::Ingress);
        assert_eq!((asked.workload.name.as_str(), asked.port), ("api", 8080));
        assert_eq!((asked.principal.as_ref(), asked.address), (None, NOWHERE));
        assert_eq!(asked.now, Timestamp(7));
        let expected = [
            ":method: GET",
            ":path: /",
            ":authority: api.shop",
            ":scheme: https",
        ];
        assert_eq!(headers(&asked), expected);
    }

    #[test]
    fn a_workload_has_a_principal_and_an_address() {
        let asked = ask("from: {workload: shop/web}, to: shop/api, port: 1, tcp: {}").unwrap();
        let principal = "spiffe://cluster.local/ns/shop/sa/web";
        assert_eq!(asked.principal.as_deref(), Some(principal));
        assert_eq!(asked.address, IpAddr::from([10, 0, 0, 1]));
        assert_eq!(asked.request, None);
    }

    #[test]
    fn on_egress_the_firewall_is_that_of_the_client() {
        for case in [
            "from: {workload: shop/web}, to: shop/api, direction: egress, port: 1, tcp: {}",
            "from: {workload: shop/web}, to: 10.0.0.2, port: 1, tcp: {}",
            "from: {workload: shop/web}, to: 10.0.0.2, direction: egress, port: 1, tcp: {}",
        ] {
            let asked = ask(case).unwrap();
            assert_eq!(asked.direction, Direction::Egress);
            assert_eq!(asked.workload.name, "web");
            assert_eq!(
                (asked.principal, asked.address),
                (None, [10, 0, 0, 2].into())
            );
        }
    }

    #[test]
    fn headers_are_as_behind_the_codec() {
        let asked = ask(
            "to: shop/api, port: 1, http: {headers: {X-Team: [a, b], content-type: [c, d], Accept: \
             e}}",
        );
        let headers = headers(&asked.unwrap());
        let expected = ["accept: e", "x-team: a", "x-team: b", "content-type: c,d"];
        for header in expected {
            assert!(headers.iter().any(|known| known == header), "{headers:?}");
        }
        assert_eq!(headers.len(), 4 + expected.len());
    }

    #[test]
    fn a_call_is_a_request() {
        let asked = ask("to: shop/api, port: 1, grpc: {service: a.B, method: C, host: 'x:1'}");
        let expected = [
            ":method: POST",
            ":path: /a.B/C",
            ":authority: x:1",
            ":scheme: https",
            "content-type: application/grpc",
            "te: trailers",
        ];
        assert_eq!(headers(&asked.unwrap()), expected);
    }

    #[test]
    fn claims_are_read_as_the_engine_reads_them() {
        let asked = ask(
            "to: shop/api, port: 1, http: {claims: {sub: ada, level: 5, admin: true, empty: '', \
             groups: [a, 7], realm: {roles: [b]}}}",
        );
        let request = asked.unwrap().request.unwrap();
        for (path, expected) in [
            ("sub", vec!["ada"]),
            ("level", vec!["5"]),
            ("admin", vec!["true"]),
            ("empty", vec![]),
            ("groups", vec!["a", "7"]),
            ("realm", vec![]),
            ("realm\0roles", vec!["b"]),
            ("realm\0roles\0x", vec![]),
            ("none", vec![]),
        ] {
            assert_eq!(request.claim(path), expected, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_an_error() {
        for (case, expected) in [
            (
                "to: 10.0.0.2, direction: ingress, port: 1, tcp: {}",
                "to: `10.0.0.2` has to be a workload: its firewall is the one that is asked",
            ),
            (
                "to: shop/api, port: https, tcp: {}",
                "port: `https` is not the name of a port of the destination",
            ),
            (
                "to: shop/api, port: 1, sni: \"a\\nb\", tcp: {}",
                "sni: `a\\nb` has characters that cannot be sent",
            ),
            (
                "to: shop/api, port: 1, http: {headers: {a: \"b\\nc\"}}",
                "http.headers.a: `b\\nc` has characters that cannot be sent",
            ),
            (
                "from: {remoteAddress: 10.0.0.9}, to: shop/api, port: 1, tcp: {}",
                "from.remoteAddress: cannot be combined with `tcp`; only the headers of a request \
                 tell it",
            ),
            (
                "to: shop/api, port: 1",
                "needs exactly one of `http`, `grpc` and `tcp`",
            ),
        ] {
            assert_eq!(ask(case), Err(vec![expected.to_owned()]), "{case}");
        }
    }
}
