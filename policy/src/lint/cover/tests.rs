use super::super::place::Place;
use super::covers;
use crate::document::{Set, parse};
use crate::spec::{Config, Policy};

/// Policies of tier Admin that protect everyone, each with one rule.
fn policies(rules: &[&str]) -> Vec<Policy> {
    let documents = rules.iter().enumerate().map(|(at, rule)| {
        format!(
            "---\n{{apiVersion: meshwall.io/v1alpha1, kind: ClusterFirewallPolicy, metadata: \
             {{name: p{at}}}, spec: {{tier: Admin, priority: {at}, subject: {{namespaceSelector: \
             {{}}}}, ingress: [{{{rule}}}]}}}}\n"
        )
    });
    let parsed = parse("test", &documents.collect::<String>());
    assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
    let set = Set::from(parsed.documents);
    assert!(set.errors.is_empty(), "{:?}", set.errors);
    set.policies
        .into_iter()
        .map(|policy| policy.value)
        .collect()
}

fn is_covered(wide: &str, narrow: &str, config: &Config) -> bool {
    let policies = policies(&[wide, narrow]);
    let mut places = policies.iter().flat_map(Place::of);
    let (wide, narrow) = (places.next().unwrap(), places.next().unwrap());
    covers(&wide, &narrow, config)
}

#[test]
fn what_is_within_is_covered() {
    for (wide, narrow) in [
        (
            "action: Deny",
            "action: Allow, from: [{namespaces: [shop]}]",
        ),
        (
            "action: Allow",
            "action: Deny, operations: [{methods: [GET]}]",
        ),
        (
            "action: Deny, from: [{namespaces: [shop]}]",
            "action: Allow, from: [{serviceAccounts: [shop/a, shop/*]}]",
        ),
        (
            "action: Deny, from: [{trustDomains: [a.example]}, {trustDomains: [b.example]}]",
            "action: Deny, from: [{trustDomains: [b.example], namespaces: [x]}]",
        ),
        (
            "action: Deny, from: [{ipBlocks: [{cidr: 10.0.0.0/8, except: [10.9.0.0/16]}]}]",
            "action: Allow, from: [{ipBlocks: [10.1.0.0/16]}]",
        ),
        (
            "action: Deny, from: [{ipBlocks: [{cidr: 10.0.0.0/8, except: [10.9.1.0/24]}]}]",
            "action: Allow, from: [{ipBlocks: [{cidr: 10.0.0.0/8, except: [10.9.0.0/16]}]}]",
        ),
        (
            "action: Allow, operations: [{ports: [80-90], paths: [/a/*]}]",
            "action: Allow, operations: [{ports: [85], paths: [\"/a/{*}/b\", /a/c]}]",
        ),
        (
            "action: Allow, operations: [{paths: [\"/a/{**}\"]}]",
            "action: Allow, operations: [{paths: [/a/b*]}]",
        ),
        (
            "action: Allow, operations: [{hosts: [\"*.example.com\"]}]",
            "action: Allow, operations: [{hosts: [a.b.example.com]}]",
        ),
        (
            "action: Allow, operations: [{headers: [{name: a, present: true}]}]",
            "action: Allow, operations: [{headers: [{name: a, values: [b]}, {name: c, values: [d]}]}]",
        ),
        (
            "action: Deny, from: [{namespaces: [a], podSelector: {matchExpressions: [{key: k, \
             operator: In, values: [x, z]}]}}]",
            "action: Deny, from: [{namespaces: [a], podSelector: {matchLabels: {k: x, l: z}}}]",
        ),
        (
            "action: Deny, from: [{namespaceSelector: {matchLabels: \
             {kubernetes.io/metadata.name: a}}}]",
            "action: Deny, from: [{namespaces: [a], podSelector: {matchLabels: {k: x}}}]",
        ),
        (
            "action: Allow, when: [{claim: groups, present: true}]",
            "action: Allow, when: [{claim: groups, values: [a]}, {sni: [b]}]",
        ),
    ] {
        let config = Config::default();
        assert!(
            is_covered(wide, narrow, &config),
            "{narrow}\nis within\n{wide}"
        );
        assert!(
            !is_covered(narrow, wide, &config),
            "{wide}\nis not within\n{narrow}"
        );
    }
}

#[test]
fn what_is_in_doubt_is_not_covered() {
    let aliased = Config {
        trust_domain_aliases: vec!["old.example".to_owned()],
        ..Config::default()
    };
    for (wide, narrow) in [
        // Other addresses, ports, texts.
        (
            "action: Deny, from: [{ipBlocks: [{cidr: 10.0.0.0/8, except: [10.1.2.0/24]}]}]",
            "action: Allow, from: [{ipBlocks: [10.1.0.0/16]}]",
        ),
        (
            "action: Deny, from: [{ipBlocks: [10.0.0.0/8]}]",
            "action: Allow, from: [{ipBlocks: [\"fd00::/8\"]}]",
        ),
        (
            "action: Deny, operations: [{ports: [80]}]",
            "action: Allow, operations: [{ports: [http]}]",
        ),
        (
            "action: Allow, operations: [{paths: [\"/a/{*}\"]}]",
            "action: Allow, operations: [{paths: [/a/b*]}]",
        ),
        // Without HTTP, the Deny loses what the Allow still asks for.
        (
            "action: Allow, operations: [{methods: [GET]}]",
            "action: Deny, operations: [{methods: [GET]}]",
        ),
        // A header that is there twice: the Deny looks for one value, the Allow at each.
        (
            "action: Allow, operations: [{headers: [{name: a, values: [b, c]}]}]",
            "action: Deny, operations: [{headers: [{name: a, values: [b]}]}]",
        ),
        // Names of the mesh before it was moved.
        (
            "action: Deny, from: [{principals: [\"cluster*\"]}]",
            "action: Allow, from: [{principals: [cluster.local/ns/a/sa/b]}]",
        ),
        // Pods without the label are selected, too.
        (
            "action: Deny, from: [{namespaces: [a], podSelector: {matchExpressions: [{key: k, \
             operator: Exists}]}}]",
            "action: Deny, from: [{namespaces: [a], podSelector: {matchExpressions: [{key: k, \
             operator: NotIn, values: [x]}]}}]",
        ),
    ] {
        assert!(
            !is_covered(wide, narrow, &aliased),
            "{narrow}\nis not within\n{wide}"
        );
    }
}
