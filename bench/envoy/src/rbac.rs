//! The rules of the benchmark as Envoy's own RBAC filter has them: a policy for each.

use meshwall_bench_decider::rules;
use serde_json::{Value, json};

/// The HTTP filter with so many rules.
///
/// Envoy looks at the policies in the order of their names, which are padded to make that the
/// order of their numbers.
pub fn filter(count: usize) -> Value {
    let policies: serde_json::Map<String, Value> = (0..count)
        .map(|number| (format!("client-{number:05}"), policy(number)))
        .collect();
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": { "action": "ALLOW", "policies": policies },
        },
    })
}

fn policy(number: usize) -> Value {
    let prefix = format!("/api/v{}/client-{number}/", number % 3);
    let exact = format!("/status/{number}");
    let mut all = vec![
        // The listener is on a port that the kernel picks: a range asks the same question.
        json!({ "destination_port_range": { "start": 1, "end": 65536 } }),
        any([header(":method", "GET"), header(":method", "POST")]),
        any([
            json!({ "url_path": { "path": { "prefix": prefix } } }),
            json!({ "url_path": { "path": { "exact": exact } } }),
        ]),
    ];
    if number.is_multiple_of(10) {
        all.push(header("x-env", "prod"));
    }
    json!({
        "permissions": [{ "and_rules": { "rules": all } }],
        "principals": [{
            "authenticated": { "principal_name": { "exact": rules::principal(number) } },
        }],
    })
}

fn any(rules: [Value; 2]) -> Value {
    json!({ "or_rules": { "rules": rules } })
}

fn header(name: &str, value: &str) -> Value {
    json!({ "header": { "name": name, "string_match": { "exact": value } } })
}
