//! Those who ask a real proxy: with a certificate, from an address, by HTTP or by TCP.

use std::collections::BTreeMap;
use std::net::IpAddr;

use meshwall_policy::cases::{OwnedRequest, Question};
use meshwall_policy::spec::Direction;
use meshwall_testbed::rig::client::{Client, Error, Exchange, Request, Response, Version};
use meshwall_testbed::rig::pki::{Authority, Identity, Leaf};
use meshwall_testbed::rig::token::TokenIssuer;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::claims::claims;
use crate::proxy::{CAUSE, DETAILS, Proxy, WOULD_BE};
use crate::world::Scene;

/// The certificates of everybody, from one authority that signs whatever it is asked to.
pub(crate) struct Peers {
    pub(crate) authority: Authority,
    pub(crate) server: Identity,
    pub(crate) issuer: TokenIssuer,
    /// By principal.
    known: BTreeMap<String, Client>,
    /// Without a URI SAN, and with two: no identity, either way.
    nobody: [Client; 2],
}

/// What came of a question to a real proxy.
pub(crate) enum Asked {
    /// The filter answered.
    Answered(Answer),
    /// It is in the access log, or will be.
    Logged {
        /// Whether the connection was permitted, as its peer saw it.
        permitted: bool,
    },
    /// The filter was not asked, for this reason.
    Skipped(String),
}

impl Peers {
    pub(crate) fn new(scenes: &[Scene]) -> Peers {
        let authority = Authority::new("cluster.local").unwrap();
        let client = |leaf: &Leaf| {
            let identity = authority.issue(leaf).unwrap();
            Client::mtls(&identity, &[&authority]).unwrap()
        };
        let questions = scenes.iter().flat_map(|scene| &scene.questions);
        let mut known = BTreeMap::new();
        for principal in questions.filter_map(|question| question.principal.as_ref()) {
            if !known.contains_key(principal) {
                known.insert(principal.clone(), client(&Leaf::uri(principal.as_str())));
            }
        }
        let two = [
            "spiffe://cluster.local/ns/shop/sa/web",
            "spiffe://cluster.local/ns/shop/sa/api",
        ];
        Peers {
            nobody: [client(&Leaf::anonymous()), client(&Leaf::uris(two))],
            server: authority.workload("shop", "server").unwrap(),
            issuer: TokenIssuer::new("https://issuer.example").unwrap(),
            known,
            authority,
        }
    }

    /// Asks a proxy the question of this number, from 1.
    pub(crate) async fn ask(
        &self,
        proxy: &Proxy,
        scene: &Scene,
        question: &Question,
        number: u16,
    ) -> Asked {
        let Question {
            direction,
            address,
            port,
            ref request,
            ..
        } = *question;
        let here = IpAddr::from([127, 0, 0, 1]);
        let (client, source, destination) = match direction {
            Direction::Ingress => {
                let source = address.to_canonical();
                if !source.is_loopback() || source.is_ipv6() && !crate::proxy::has_ipv6() {
                    return Asked::Skipped("peers at this address cannot be had".to_owned());
                }
                let client = self.client(question, number);
                (client.from_address(source), source, source)
            }
            Direction::Egress => (Client::plaintext(), here, address),
        };
        let source_is_v6 = source.is_ipv6();
        let client = client.preamble(proxy_header(source, number, destination, port));
        let to = proxy.address(scene, direction, request.is_some(), source_is_v6);
        match request {
            Some(request) => self.http(&client, to, question, request, number).await,
            None => tcp(&client, to).await,
        }
    }

    fn client(&self, question: &Question, number: u16) -> Client {
        let client = match &question.principal {
            Some(principal) => &self.known[principal],
            None if number.is_multiple_of(2) => &self.nobody[0],
            None => &self.nobody[1],
        };
        match &question.sni {
            Some(name) => client.clone().sni(name),
            None => client.clone(),
        }
    }

    async fn http(
        &self,
        client: &Client,
        to: std::net::SocketAddr,
        question: &Question,
        request: &OwnedRequest,
        number: u16,
    ) -> Asked {
        let mut headers = request.headers.clone();
        if let Some(address) = question.remote_address {
            let value = address.to_canonical().to_string();
            headers.push(("x-forwarded-for".to_owned(), value));
        }
        let claims = claims(request);
        if claims != Value::Object(Map::new()) {
            let token = self.issuer.sign(&claims).unwrap();
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        let by_http2 = number.is_multiple_of(2) || !is_http1(request);
        let response = if by_http2 && is_proper(request) {
            let request = Request {
                authority: request.authority.clone(),
                headers: headers
                    .into_iter()
                    .map(|(name, value)| (name, value.into_bytes()))
                    .collect(),
                ..Request::new(&request.method, &request.path)
            };
            client.request(to, Version::Http2, &request).await
        } else {
            by_hand(client, to, request, &headers, number).await
        };
        match response {
            Ok(response) => answer(&response),
            Err(error) => panic!("{error}: {question:#?}"),
        }
    }
}

/// Whether Envoy takes such a request by HTTP/1.1 at all.
fn is_http1(request: &OwnedRequest) -> bool {
    request.method.bytes().all(|byte| byte.is_ascii_uppercase()) && request.path.is_ascii()
}

/// Whether a proper implementation of HTTP sends the request as it is.
fn is_proper(request: &OwnedRequest) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let authority = &request.authority;
    !authority.is_empty()
        && authority.chars().all(is_name)
        && request.path.starts_with('/')
        && !request.path.contains('#')
}

/// Sends a request by HTTP/1.1 as it is, byte for byte, with names in mixed case.
async fn by_hand(
    client: &Client,
    to: std::net::SocketAddr,
    request: &OwnedRequest,
    headers: &[(String, String)],
    number: u16,
) -> Result<Response, Error> {
    let OwnedRequest {
        method,
        authority,
        path,
        ..
    } = request;
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n");
    for (name, value) in headers {
        let name = match number % 3 {
            0 => name.to_ascii_uppercase(),
            _ => name.clone(),
        };
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    client.hostile_http1(to).await?.send(text.as_bytes()).await
}

/// What a response says of the filter's decision.
fn answer(response: &Response) -> Asked {
    let header = |name| {
        let value = response.header(name).map(str::to_owned);
        value.filter(|value| value != "-")
    };
    let details = header(DETAILS).unwrap_or_default();
    let (verdict, cause) = if details.starts_with("meshwall_") {
        let cause = denial(&details);
        assert_eq!(header(CAUSE).as_ref(), Some(&cause), "{details}");
        ("deny", Some(cause))
    } else if ["direct_response", "route_not_found"].contains(&details.as_str()) {
        ("allow", None)
    } else {
        return Asked::Skipped(format!("Envoy itself refuses: {details}"));
    };
    Asked::Answered(Answer {
        verdict: verdict.to_owned(),
        cause,
        would_be: header(WOULD_BE),
    })
}

async fn tcp(client: &Client, to: std::net::SocketAddr) -> Asked {
    let exchange = Exchange {
        send: b"x",
        expect: 1,
    };
    let end = client.exchange(to, exchange).await.unwrap();
    let permitted = end.received() == b"x";
    assert!(permitted || end.is_ended(), "{end:?}");
    Asked::Logged { permitted }
}

/// Version 1 of the PROXY protocol. The number of the question stands in the place of the
/// source's port.
fn proxy_header(source: IpAddr, number: u16, destination: IpAddr, port: u16) -> String {
    let (family, source, destination) = match (source, destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) => ("TCP4", source, destination),
        (IpAddr::V4(source), IpAddr::V6(_)) => {
            ("TCP6", source.to_ipv6_mapped().into(), destination)
        }
        _ => ("TCP6", source, destination),
    };
    format!("PROXY {family} {source} {destination} {number} {port}\r\n")
}

/// The cause in the details of a denial.
fn denial(details: &str) -> String {
    let cause = details
        .strip_prefix("meshwall_denied[")
        .and_then(|rest| rest.strip_suffix(']'));
    cause.unwrap_or(details).to_owned()
}
