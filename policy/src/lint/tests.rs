use std::path::Path;

use super::{Lint, Mesh, lint, reference};
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
            Workload {
                namespace: "batch".to_owned(),
                ..workload("analytics", &[])
            },
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
             {name: e, action: Deny}]",
            "shadowed-rule spec.ingress[0]: never decides: `e` of FirewallPolicy/shop/p denies all \
             of it",
        ),
        (
            "ingress: [{name: a, action: Allow, from: [{namespaces: [shop]}]}, \
             {name: b, action: Allow, from: [{namespaces: [shop]}]}]",
            "duplicate-rule spec.ingress[1]: says the same as `a` of FirewallPolicy/shop/p",
        ),
        (
            "ingress: [{name: a, action: Allow, from: [{namespaces: [shop]}]}, \
             {name: b, action: Allow, from: [{serviceAccounts: [checkout]}]}]",
            "redundant-rule spec.ingress[1]: matches only what `a` of FirewallPolicy/shop/p \
             matches, too",
        ),
        (
            "egress: [{action: Allow}]",
            "allows-everyone spec.egress[0]: permits all egress traffic of everyone",
        ),
        (
            "ingress: [{action: Deny, operations: [{ports: [8080], paths: [/admin]}]}]",
            "path-without-subpaths spec.ingress[0].operations[0].paths[0]: `/admin` is denied, \
             and `/admin/` is not",
        ),
        (
            "ingress: [{action: Allow, when: [{claim: a, regex: .*}]}]",
            "regex-matches-empty spec.ingress[0].when[0].regex: `.*` matches the empty text, too",
        ),
        (
            "ingress: [{action: Allow, from: [{podSelector: {matchLabels: {app: none}}}]}]",
            "peer-selects-nothing spec.ingress[0].from[0].podSelector: no workload of the \
             namespace `shop` has these labels: `app=none`",
        ),
        (
            "egress: [{action: Allow, to: [{serviceAccounts: [checkout, chekout]}]}]",
            "peer-selects-nothing spec.egress[0].to[0].serviceAccounts[1]: no workload runs as \
             `shop/chekout`",
        ),
        (
            "egress: [{action: Allow, to: [{principals: [partner.example/a]}]}]",
            "unknowable-peer spec.egress[0].to[0].principals: a destination of another mesh has no \
             identity here: it matches nobody",
        ),
        (
            "ingress: [{action: Deny, from: [{remoteIpBlocks: [192.0.2.1]}]}]",
            "no-trusted-proxies spec.ingress[0].from[0].remoteIpBlocks: the address of the direct \
             peer is compared: no proxy is trusted to tell another",
        ),
        (
            "ingress: [{action: Allow, operations: [{ports: [grpc]}]}]",
            "unknown-port spec.ingress[0].operations[0].ports[0]: no protected workload has a port \
             named `grpc`",
        ),
        (
            "ingress: [{action: Allow, operations: [{ports: [9000], methods: [GET]}]}]",
            "http-on-tcp spec.ingress[0].operations[0]: a method is asked for on port \
             `tcp-admin` of shop/payments, which is not HTTP; there the rule never matches",
        ),
        (
            "ingress: [{action: Deny, when: [{claim: sub, present: false}]}]",
            "http-on-tcp spec.ingress[0]: a claim is asked for on port `tcp-admin` of \
             shop/payments, which is not HTTP; there the rule denies whatever HTTP says",
        ),
        (
            "egress: [{action: Allow, operations: [{ports: [443], paths: [/v1/*]}]}]",
            "http-inside-tls spec.egress[0].operations[0]: a path is asked for on the way out to \
             ports where the proxy usually sees TLS",
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
fn each_example_has_what_it_is_an_example_of() {
    for lint in Lint::ALL {
        let spec = lint.example().replace('\n', "\n  ");
        let selector = match spec.contains("selector:") {
            true => "",
            false => "\n  selector:\n    matchLabels: {app: payments}",
        };
        let found = found_in(&format!(
            "apiVersion: meshwall.io/v1alpha1\nkind: FirewallPolicy\nmetadata: {{name: p, \
             namespace: shop}}\nspec:{selector}{spec}"
        ));
        let codes: Vec<&str> = found
            .iter()
            .filter_map(|found| found.split(' ').next())
            .collect();
        assert_eq!(codes, [lint.code()], "{found:?}");
    }
}

#[test]
fn what_permits_on_http_ports_too_is_in_order() {
    // The rule reaches `http` and `tcp-admin`; on the latter it permits nothing, as it should.
    let found = found("ingress: [{action: Allow, operations: [{methods: [GET]}]}]");
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_selector_of_nothing_is_found() {
    let policy = "{apiVersion: meshwall.io/v1alpha1, kind: FirewallPolicy, metadata: {name: p, \
                  namespace: shop}, spec: {selector: {matchLabels: {app: none}}, ingress: [{action: \
                  Deny}]}}";
    assert_eq!(
        found_in(policy),
        ["selects-nothing spec.selector: no workload of the namespace `shop` is selected"]
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
            "shadowed-rule spec.ingress[0]: never decides: `r` of ClusterFirewallPolicy/early \
             decides all of it before"
        ]
    );
    let apart = text.replace("10.1.0.0/16", "11.0.0.0/16");
    assert_eq!(found_in(&apart), [""; 0]);
}

#[test]
fn the_documentation_is_current() {
    let text = reference();
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
