//! The same rules in Cedar, a policy for each. Requests are made beforehand.

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use meshwall_bench_decider::rules;
use meshwall_policy::cases::Question;

/// Cedar with the rules of the benchmark.
pub struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    requests: Vec<Request>,
    next: usize,
}

impl Cedar {
    /// So many rules.
    pub fn new(rules: usize) -> Cedar {
        let text: String = (0..rules).map(policy).collect();
        Cedar {
            authorizer: Authorizer::new(),
            policies: text.parse().unwrap(),
            entities: Entities::empty(),
            requests: rules::questions(rules, 1_000).iter().map(request).collect(),
            next: 0,
        }
    }
}

fn policy(number: usize) -> String {
    let environment = if number % 10 == 0 {
        r#" && context.headers has "x-env" && context.headers["x-env"] == "prod""#
    } else {
        ""
    };
    format!(
        r#"permit(principal == Client::"{}", action, resource) when {{
            context.port == 8080 && ["GET", "POST"].contains(context.method)
            && (context.path like "/api/v{}/client-{number}/*" || context.path == "/status/{number}")
            {environment}
        }};
        "#,
        rules::principal(number),
        number % 3,
    )
}

fn request(question: &Question) -> Request {
    let sent = question.request.as_ref().unwrap();
    let headers: serde_json::Map<String, serde_json::Value> = sent
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    let context = serde_json::json!({
        "port": question.port,
        "method": sent.method,
        "path": sent.path.split('?').next(),
        "headers": headers,
    });
    let uid = |kind: &str, id: &str| -> EntityUid { format!("{kind}::{id:?}").parse().unwrap() };
    Request::new(
        uid("Client", question.principal.as_deref().unwrap()),
        uid("Action", "request"),
        uid("Service", "payments"),
        Context::from_json_value(context, None).unwrap(),
        None,
    )
    .unwrap()
}

impl crate::Engine for Cedar {
    fn name(&self) -> &'static str {
        "cedar"
    }

    fn run(&mut self, times: u32) -> u32 {
        let mut allowed = 0;
        for _ in 0..times {
            let request = &self.requests[self.next];
            self.next = (self.next + 1) % self.requests.len();
            let answer = self
                .authorizer
                .is_authorized(request, &self.policies, &self.entities);
            allowed += u32::from(answer.decision() == Decision::Allow);
        }
        allowed
    }

    fn run_nothing(&mut self, times: u32) {
        std::hint::black_box(times);
    }
}
