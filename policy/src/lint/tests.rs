use std::path::Path;

use super::{Lint, Mesh, lint};
use crate::document::{Set, parse};
use crate::inventory::{Inventory, Workload};
use crate::spec::{Config, Timestamp};

/// 2026-06-15T00:00:00Z.
const NOW: Timestamp = Timestamp(1_781_481_600);

fn inventory() -> Inventory {
    let workload = |name: &str, ports: &[(&str, u16)]| Workload {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        labels: [("app".to_owned(), name.to_owned())].into(),
        service_account: name.to_owned(),
        trust_domain: "cluster.local".to_owned(),
        addresses: Vec::new(),
        ports: ports
            .iter()
            .map(|(name, port)| ((*name).to_owned(), *port))
            .collect(),
    };
    Inventory {
        namespaces: [("shop".to_owned(), Default::default())].into(),
        workloads: vec![
            workload("payments", &[("http", 8080), ("tcp-admin", 9000)]),
            workload("checkout", &[("http", 8080)]),
        ],
    }
}

/// What is found in a FirewallPolicy for `payments` with this spec: code, field, message.
fn found(spec: &str) -> Vec<String> {
    found_in(&format!(
        "{{apiVersion: meshwall.io/v1alpha1, kind: FirewallPolicy, \
         metadata: {{name: p, namespace: shop}}, spec: {{selector: {{matchLabels: {{app: \
         payments}}}}, {spec}}}}}"
    ))
}

fn found_in(text: &str) -> Vec<String> {
    let parsed = parse("test", text);
    assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
    let set = Set::from(parsed.documents);
    assert!(set.errors.is_empty(), "{:?}", set.errors);
    let policies: Vec<_> = set
        .policies
        .into_iter()
        .map(|policy| policy.value)
        .collect();
    let findings = lint(&Mesh {
        config: &Config::default(),
        policies: &policies,
        inventory: Some(&inventory()),
        now: NOW,
    });
    findings
        .iter()
        .map(|finding| {
            format!(
                "{} {}: {}",
                finding.lint.code(),
                finding.path,
                finding.message
            )
        })
        .collect()
}

#[test]
fn a_sound_policy_is_left_alone() {
    let sound = "ingress: [
        {action: Allow, from: [{serviceAccounts: [checkout]}], operations: [{paths: [/v1/*]}]},
        {action: Deny, operations: [{ports: [http], paths: [/admin, /admin/*]}]}]";
    // The two rules say nothing about ports, so the first also covers `tcp-admin`.
    let found = found(&sound.replace("[{paths", "[{ports: [8080], paths"));
    assert_eq!(found, [""; 0]);
}

#[test]
fn each_lint_is_found() {
    for (spec, expected) in [
        (
            "ingress: [{name: a, action: Allow, from: [{serviceAccounts: [checkout]}]}, \
             {name: d, action: Deny, from: [{namespaces: [shop]}]}, \
             {name: e, action: Deny}]",
            "shadowed-rule spec.ingress[0]: whatever the rule permits is denied by `e`",
        ),
        (
            "ingress: [{name: a, action: Allow, from: [{namespaces: [shop]}]}, \
             {name: b, action: Allow, from: [{namespaces: [shop]}]}]",
            "duplicate-rule spec.ingress[1]: the rule matches the same as `a`",
        ),
        (
            "egress: [{action: Allow}]",
            "allows-everyone spec.egress[0]: the rule permits all egress traffic of everyone",
        ),
        (
            "ingress: [{action: Deny, operations: [{ports: [8080], paths: [/admin]}]}]",
            "path-without-subpaths spec.ingress[0].operations[0].paths[0]: `/admin` is denied, \
             and `/admin/` is not",
        ),
        (
            "ingress: [{action: Allow, from: [{podSelector: {matchLabels: {app: none}}}]}]",
            "peer-selects-nothing spec.ingress[0].from[0]: the inventory has no pods (app=none) \
             in namespaces (name=shop)",
        ),
        (
            "ingress: [{action: Allow, operations: [{ports: [grpc]}]}]",
            "unknown-port spec.ingress[0].operations[0].ports: no protected workload has a port \
             named `grpc`",
        ),
        (
            "ingress: [{action: Allow, operations: [{ports: [9000], methods: [GET]}]}]",
            "http-on-tcp spec.ingress[0].operations[0]: a method is asked for on port \
             `tcp-admin` of shop/payments, which is not HTTP; there the rule never matches",
        ),
        (
            "egress: [{action: Allow, operations: [{ports: [443], paths: [/v1/*]}]}]",
            "http-inside-tls spec.egress[0].operations[0]: a path is asked for on the way out to \
             port 443, where the proxy usually sees TLS",
        ),
        (
            "expires: 2026-06-14T00:00:00Z, ingress: [{action: Deny}]",
            "expired spec.expires: the policy has expired and counts as absent",
        ),
        (
            "expires: 2026-06-18T00:00:00Z, ingress: [{action: Deny}]",
            "expires-soon spec.expires: the policy expires in 3 days",
        ),
    ] {
        assert_eq!(found(spec), [expected], "{spec}");
    }
}

#[test]
fn a_selector_of_nothing_is_found() {
    let policy = "{apiVersion: meshwall.io/v1alpha1, kind: FirewallPolicy, metadata: {name: p, \
                  namespace: shop}, spec: {selector: {matchLabels: {app: none}}, ingress: [{action: \
                  Deny}]}}";
    assert_eq!(
        found_in(policy),
        ["selects-nothing spec.selector: no workload of the inventory is selected"]
    );
}

#[test]
fn a_policy_that_cannot_be_compiled_is_found() {
    let found = found(
        r"ingress: [{name: big, action: Deny, operations: [{ports: [8080], headers: [{name: x-id, regex: '(?:\w{50}){50}'}]}]}]",
    );
    let [found] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(
        found.starts_with("does-not-compile spec.ingress[0]: regular expression"),
        "{found}"
    );
}

#[test]
fn an_earlier_policy_shadows_a_later_one() {
    let policy = |name: &str, priority: u8, from: &str| {
        format!(
            "{{apiVersion: meshwall.io/v1alpha1, kind: ClusterFirewallPolicy, metadata: {{name: \
             {name}}}, spec: {{tier: Admin, priority: {priority}, subject: {{namespaceSelector: \
             {{}}}}, ingress: [{{name: r, action: Deny, from: [{{ipBlocks: [{from}]}}]}}]}}}}"
        )
    };
    let text = format!(
        "{}\n---\n{}",
        policy("late", 2, "10.1.0.0/16"),
        policy("early", 1, "10.0.0.0/8")
    );
    assert_eq!(
        found_in(&text),
        [
            "shadowed-rule spec.ingress[0]: `r` of ClusterFirewallPolicy/early decides before it \
          whatever it matches"
        ]
    );
    let apart = text.replace("10.1.0.0/16", "11.0.0.0/16");
    assert_eq!(found_in(&apart), [""; 0]);
}

#[test]
fn the_documentation_is_current() {
    let mut text = String::from(
        "# Lints\n\nWhat `meshwall check` finds in policies that are valid and cannot be meant.\n\
         A finding is certain; where the answer depends on what is not known, nothing is said.\n\n\
         | code | severity | meaning |\n|---|---|---|\n",
    );
    for lint in Lint::ALL {
        let (code, severity) = (lint.code(), lint.severity());
        text.push_str(&format!(
            "| `{code}` | {severity} | {} |\n",
            lint.explanation()
        ));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lints.md");
    if std::env::var_os("MESHWALL_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, text,
        "MESHWALL_BLESS=1 cargo test -p meshwall-policy writes it"
    );
}
