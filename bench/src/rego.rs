//! The same rules in Rego, evaluated by regorus: one rule of the language over a list of ours.
//! Requests are made beforehand.

use meshwall_bench_decider::rules;
use meshwall_policy::cases::Question;
use regorus::{Engine, Value};
use serde_json::json;

const POLICY: &str = r#"
package meshwall

import rego.v1

default allow := false

allow if {
    some rule in data.rules
    rule.principal == input.principal
    input.port in rule.ports
    input.method in rule.methods
    path_matches(rule)
    headers_match(rule)
}

path_matches(rule) if input.path in rule.paths

path_matches(rule) if {
    some prefix in rule.prefixes
    startswith(input.path, prefix)
}

headers_match(rule) if {
    every name, value in rule.headers {
        input.headers[name] == value
    }
}
"#;

/// Regorus with the rules of the benchmark.
pub struct Rego {
    engine: Engine,
    requests: Vec<Value>,
    next: usize,
}

impl Rego {
    /// So many rules.
    pub fn new(rules: usize) -> Rego {
        let mut engine = Engine::new();
        engine
            .add_policy("meshwall.rego".to_owned(), POLICY.to_owned())
            .unwrap();
        let data = json!({ "rules": (0..rules).map(rule).collect::<Vec<_>>() });
        engine
            .add_data(Value::from_json_str(&data.to_string()).unwrap())
            .unwrap();
        let requests = rules::questions(rules, 1_000).iter().map(request).collect();
        Rego {
            engine,
            requests,
            next: 0,
        }
    }
}

fn rule(number: usize) -> serde_json::Value {
    json!({
        "principal": rules::principal(number),
        "ports": [8080],
        "methods": ["GET", "POST"],
        "paths": [format!("/status/{number}")],
        "prefixes": [format!("/api/v{}/client-{number}/", number % 3)],
        "headers": if number % 10 == 0 { json!({ "x-env": "prod" }) } else { json!({}) },
    })
}

fn request(question: &Question) -> Value {
    let sent = question.request.as_ref().unwrap();
    let headers: serde_json::Map<String, serde_json::Value> = sent
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    let input = json!({
        "principal": question.principal,
        "port": question.port,
        "method": sent.method,
        "path": sent.path.split('?').next(),
        "headers": headers,
    });
    Value::from_json_str(&input.to_string()).unwrap()
}

impl crate::Engine for Rego {
    fn name(&self) -> &'static str {
        "regorus"
    }

    fn run(&mut self, times: u32) -> u32 {
        let mut allowed = 0;
        for _ in 0..times {
            let request = &self.requests[self.next];
            self.next = (self.next + 1) % self.requests.len();
            self.engine.set_input(request.clone());
            let answer = self
                .engine
                .eval_rule("data.meshwall.allow".to_owned())
                .unwrap();
            allowed += u32::from(answer == Value::from(true));
        }
        allowed
    }

    fn run_nothing(&mut self, times: u32) {
        std::hint::black_box(times);
    }
}
