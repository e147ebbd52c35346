//! The filter in the test bed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use meshwall_policy::cases::{OwnedRequest, Question};
use meshwall_policy::spec::{Direction, Timestamp};
use meshwall_testbed::host::{
    Clock, MetricKind, Metrics, Module, Outcome, StreamAttributes, TcpOutcome, Value, Vm,
};

use serde_json::Value as Json;

use crate::answer::{Answer, Counters};
use crate::claims::claims;
use crate::world::Scene;

/// Where `jwt_authn` leaves the claims of a token.
const CLAIMS: [&str; 4] = [
    "metadata",
    "filter_metadata",
    "envoy.filters.http.jwt_authn",
    "payload",
];

/// The module, and what all its machines count into, as those of one proxy do.
pub(crate) struct TestBed {
    module: Module,
    metrics: Metrics,
    clock: Clock,
}

/// One scene's filters: by direction, and whether for HTTP.
pub(crate) struct Machines(BTreeMap<(Direction, bool), Vm>);

impl TestBed {
    pub(crate) fn new(module: &Path, now: Timestamp) -> TestBed {
        let bytes = std::fs::read(module).unwrap();
        let seconds = u64::try_from(now.0).unwrap();
        TestBed {
            module: Module::from_bytes(&bytes).unwrap(),
            metrics: Metrics::new(),
            clock: Clock::at_nanos(seconds * 1_000_000_000),
        }
    }

    pub(crate) fn machines(&self, scene: &Scene) -> Machines {
        let start = |direction, is_http| {
            let vm = Vm::builder(&self.module)
                .root_id(if is_http { "http" } else { "network" })
                .plugin_configuration(scene.bundle(direction))
                .clock(&self.clock)
                .metrics(&self.metrics)
                .build()
                .unwrap();
            ((direction, is_http), vm)
        };
        let directions = [Direction::Ingress, Direction::Egress];
        let all = directions.map(|direction| [start(direction, true), start(direction, false)]);
        Machines(all.into_iter().flatten().collect())
    }

    /// Asks. Why something is permitted is told by the counter, which is looked for where it
    /// is `expected`.
    pub(crate) fn ask(
        &self,
        machines: &Machines,
        question: &Question,
        counter: &str,
        expected: &Answer,
    ) -> Answer {
        let vm = &machines.0[&(question.direction, question.request.is_some())];
        let before = self.metrics.counter(counter).unwrap_or_default();
        let attributes = attributes(question);
        let mut answer = match &question.request {
            Some(request) => http(vm, attributes, request),
            None => tcp(vm, attributes),
        };
        if answer.cause.is_none() {
            let counted = self.metrics.counter(counter) == Some(before + 1);
            answer.cause = match counted {
                true => expected.cause.clone(),
                false => Some("something else".to_owned()),
            };
        }
        answer
    }

    /// All that was counted.
    pub(crate) fn counters(&self) -> Counters {
        let names = self.metrics.names().into_iter();
        let counters = names.filter(|(kind, _)| *kind == MetricKind::Counter);
        let named = counters.map(|(_, name)| {
            let value = self.metrics.counter(&name).unwrap_or_default();
            (String::from_utf8(name).unwrap(), value)
        });
        named.filter(|(_, value)| *value > 0).collect()
    }
}

fn http(vm: &Vm, attributes: StreamAttributes, request: &OwnedRequest) -> Answer {
    let mut headers = vec![
        (":authority", request.authority.as_str()),
        (":path", &request.path),
        (":method", &request.method),
        (":scheme", "https"),
    ];
    let others = request.headers.iter();
    headers.extend(others.map(|(name, value)| (name.as_str(), value.as_str())));
    let stream = vm.http_stream(attributes);
    let outcome = stream.request_headers(&headers, true).unwrap();
    let (verdict, cause) = match outcome {
        Outcome::Continue => ("allow", None),
        Outcome::LocalReply(reply) => ("deny", Some(denial(&text(reply.details)))),
        other => panic!("{other:?}"),
    };
    let would_be = stream.filter_state("wasm.meshwall.would_be");
    stream.finish().unwrap();
    Answer {
        verdict: verdict.to_owned(),
        cause,
        would_be: would_be.map(text),
    }
}

fn tcp(vm: &Vm, attributes: StreamAttributes) -> Answer {
    let stream = vm.tcp_stream(attributes);
    assert_eq!(stream.new_connection().unwrap(), TcpOutcome::Continue);
    let outcome = stream.downstream_data("x", false).unwrap();
    let state = |key| stream.filter_state(key).map(text);
    let (verdict, cause) = match outcome {
        TcpOutcome::Continue => ("allow", None),
        TcpOutcome::Closed => ("deny", state("wasm.meshwall.cause")),
        other => panic!("{other:?}"),
    };
    Answer {
        verdict: verdict.to_owned(),
        cause,
        would_be: state("wasm.meshwall.would_be"),
    }
}

/// What a listener that Meshwall has generated says of a connection.
fn attributes(question: &Question) -> StreamAttributes {
    let Question {
        direction,
        address,
        remote_address,
        port,
        sni,
        principal,
        request,
        now: _,
    } = question;
    let here = SocketAddr::from(([127, 0, 0, 1], 15000));
    let (source, destination) = match direction {
        Direction::Ingress => {
            let peer = SocketAddr::new(*address, 40000);
            let told = remote_address.map_or(peer, |address| SocketAddr::new(address, 0));
            (told, SocketAddr::new(here.ip(), *port))
        }
        Direction::Egress => (here, SocketAddr::new(*address, *port)),
    };
    let mut attributes = StreamAttributes::new()
        .source(source)
        .destination(destination);
    let state = |key| ["filter_state", key];
    if *direction == Direction::Ingress {
        let peer = SocketAddr::new(*address, 40000).to_string();
        attributes = attributes.property(state("meshwall.peer_address"), peer);
        if let Some(principal) = principal {
            attributes = attributes.property(state("meshwall.peer_uri_sans"), principal.as_str());
        }
    }
    if let Some(name) = sni {
        attributes = attributes.requested_server_name(name.as_str());
    }
    if let Some(request) = request {
        let claims = claims(request);
        attributes = attributes.property(CLAIMS, value(&claims));
    }
    attributes
}

/// Claims as the metadata that `jwt_authn` makes of them.
fn value(json: &Json) -> Value {
    match json {
        Json::String(text) => text.as_str().into(),
        Json::Array(elements) => Value::List(elements.iter().map(value).collect()),
        Json::Object(entries) => {
            let entries = entries.iter();
            Value::Map(
                entries
                    .map(|(key, json)| (key.clone().into_bytes(), value(json)))
                    .collect(),
            )
        }
        other => panic!("{other}"),
    }
}

/// The cause in the details of a denial.
pub(crate) fn denial(details: &str) -> String {
    let cause = details
        .strip_prefix("meshwall_denied[")
        .and_then(|rest| rest.strip_suffix(']'));
    cause.unwrap_or(details).to_owned()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}
