//! The filter in the test bed, asked as `meshwall test` asks it.

use std::collections::BTreeMap;
use std::path::Path;

use meshwall_policy::cases::{OwnedRequest, Question};
use meshwall_policy::spec::{Direction, Timestamp};
use meshwall_testbed::host::Module;
use meshwall_testbed::scenario::{self, Request, Sidecar};
use serde_json::Value;

use crate::answer::Answer;
use crate::claims::claims;
use crate::world::Scene;

/// The module, compiled once.
pub(crate) struct TestBed {
    module: Module,
    now: Timestamp,
}

/// The sidecars of one scene's workload.
pub(crate) struct Sidecars(BTreeMap<Direction, Sidecar>);

impl TestBed {
    pub(crate) fn new(module: &Path, now: Timestamp) -> TestBed {
        let bytes = std::fs::read(module).unwrap();
        TestBed {
            module: Module::from_bytes(&bytes).unwrap(),
            now,
        }
    }

    pub(crate) fn sidecars(&self, scene: &Scene) -> Sidecars {
        let start = |direction| {
            let bundle = scene.bundle(direction);
            let sidecar = Sidecar::start(&self.module, &bundle, self.now).unwrap();
            (direction, sidecar)
        };
        Sidecars([Direction::Ingress, Direction::Egress].map(start).into())
    }
}

impl Sidecars {
    /// Asks, and finds that what the filter counts is what it does.
    pub(crate) fn ask(&self, scene: &Scene, question: &Question) -> Answer {
        let Question {
            direction,
            now,
            ref principal,
            address,
            remote_address,
            port,
            ref sni,
            ref request,
        } = *question;
        let question = scenario::Question {
            workload: scene.workload.clone(),
            direction,
            now,
            principal: principal.clone(),
            address,
            remote_address,
            port,
            sni: sni.clone(),
            request: request.as_ref().map(sent),
        };
        let answer = self.0[&direction].ask(&question);
        let answer = answer.unwrap_or_else(|error| panic!("{error}: {question:#?}"));
        let scenario::Answer { enforced, would_be } = answer;
        Answer {
            verdict: enforced.verdict.to_string(),
            cause: Some(enforced.cause),
            would_be: would_be.map(|outcome| outcome.to_string()),
        }
    }
}

/// A request as it is sent.
fn sent(request: &OwnedRequest) -> Request {
    let OwnedRequest {
        method,
        authority,
        path,
        headers,
        claims: _,
    } = request;
    let pseudo = [
        (":authority", authority.as_str()),
        (":path", path),
        (":method", method),
        (":scheme", "https"),
    ];
    let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let claims = match claims(request) {
        Value::Object(claims) => claims,
        other => panic!("{other}"),
    };
    Request {
        headers: pseudo.into_iter().chain(headers.clone()).collect(),
        claims,
    }
}
