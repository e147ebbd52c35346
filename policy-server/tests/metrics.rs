//! The list of metrics in docs/metrics.md is that of the server.
//!
//! To accept what has changed, after reading it:
//!
//! ```text
//! MESHWALL_BLESS=1 cargo test -p meshwall-policy-server --test metrics
//! ```

#![cfg(test)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use meshwall_policy_server::telemetry::{
    KindLabels, Metrics, PolicyLabels, ReviewLabels, TypeLabels, copy,
};

const HEAD: &str = "\
# Metrics of the policy server

What `/metrics` of the admin port shows, as OpenMetrics text. A test compares this page with the
server.

| Metric | Type | Labels | Description |
|---|---|---|---|
";

/// Metrics of which everything with a label was seen once.
fn seen() -> Metrics {
    let metrics = Metrics::new();
    let kind = KindLabels {
        cluster: "west".into(),
        kind: "Pod",
    };
    metrics.events.get_or_create(&kind).inc();
    metrics.source_synced.get_or_create(&kind).set(1);
    metrics.source_silence.get_or_create(&kind).set(0.5);
    metrics.source_failures.get_or_create(&kind).inc();
    metrics
        .policies
        .get_or_create(&PolicyLabels { status: "accepted" })
        .set(3);
    let resource = "envoy.config.core.v3.TypedExtensionConfig".to_owned();
    metrics
        .streams
        .get_or_create(&TypeLabels { resource })
        .set(2);
    metrics
        .reviews
        .get_or_create(&ReviewLabels { verdict: "allowed" })
        .inc();
    metrics
}

/// The names of the labels of a sample, and no values.
fn labels(sample: &str) -> Vec<String> {
    let inside = sample
        .split_once('{')
        .and_then(|(_, rest)| rest.rsplit_once('}'));
    let labels = inside.map_or("", |(labels, _)| labels).split(',');
    let names = labels.filter_map(|label| label.split_once('='));
    let names = names.map(|(name, _)| name).filter(|name| *name != "le");
    names.map(|name| format!("`{name}`")).collect()
}

fn page() -> String {
    let text = seen().encode().unwrap();
    let mut page = HEAD.to_owned();
    let mut help = BTreeMap::new();
    let mut sample_of: BTreeMap<&str, &str> = BTreeMap::new();
    let mut order = Vec::new();
    for line in text.lines() {
        if let Some((name, words)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            help.insert(name, words);
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
        {
            order.push((name, kind));
        } else if let Some((name, _)) = order.last().filter(|_| !line.starts_with('#')) {
            assert!(line.starts_with(name), "{line}");
            sample_of.entry(name).or_insert(line);
        }
    }
    for (name, kind) in order {
        let sample = sample_of[name];
        let shown = if kind == "counter" {
            assert!(sample.starts_with(&format!("{name}_total")), "{sample}");
            format!("{name}_total")
        } else {
            name.to_owned()
        };
        let labels = labels(sample).join(", ");
        let help = help[name].trim_end_matches('.');
        writeln!(page, "| `{shown}` | {kind} | {labels} | {help} |").unwrap();
    }
    page
}

#[test]
fn the_page_lists_what_the_server_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = page();
    if std::env::var_os("MESHWALL_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), page);
}

#[test]
fn names_follow_the_conventions() {
    let text = seen().encode().unwrap();
    assert!(text.ends_with("# EOF\n"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("meshwall_"), "{line}");
    }
    assert!(
        text.contains("meshwall_events_total{cluster=\"west\",kind=\"Pod\"} 1\n"),
        "{text}"
    );
    assert!(text.contains("meshwall_source_silence_seconds{"), "{text}");
}

#[test]
fn what_others_count_is_copied() {
    let metrics = Metrics::new();
    copy(&metrics.acks, 7);
    copy(&metrics.acks, 9);
    assert!(
        metrics
            .encode()
            .unwrap()
            .contains("meshwall_acks_total 9\n")
    );
}
