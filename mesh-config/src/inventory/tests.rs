use std::net::IpAddr;

use meshwall_policy::document::{Document, parse};
use meshwall_policy::inventory::Workload;

use super::*;

fn read_text(text: &str) -> Read {
    let parsed = parse("cluster.yaml", text);
    assert_eq!(parsed.errors, []);
    let objects: Vec<Other> = parsed
        .documents
        .into_iter()
        .map(|document| match document {
            Document::Other(other) => other,
            ours => panic!("{ours:?}"),
        })
        .collect();
    read(&objects, "cluster.local")
}

fn errors(text: &str) -> Vec<String> {
    let errors = read_text(text).errors;
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_list_as_kubectl_prints_it() {
    let read = read_text(
        "
apiVersion: v1
kind: List
metadata: {resourceVersion: ''}
items:
- apiVersion: v1
  kind: Namespace
  metadata:
    name: shop
    labels: {kubernetes.io/metadata.name: shop, stage: prod}
  spec: {finalizers: [kubernetes]}
  status: {phase: Active}
- apiVersion: v1
  kind: Pod
  metadata:
    name: payments-6d4f9c7b5c-x2x7k
    namespace: shop
    labels: {app: payments}
    ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: payments-6d4f9c7b5c}]
  spec:
    serviceAccountName: payments
    nodeName: a
    containers:
    - name: app
      image: shop/payments:1
      ports:
      - {containerPort: 8080, name: http, protocol: TCP}
      - {containerPort: 9090, name: stats}
      - {containerPort: 8125, name: metrics, protocol: UDP}
      - {containerPort: 7000, protocol: TCP}
    initContainers:
    - name: proxy
      restartPolicy: Always
      ports: [{containerPort: 15090, name: proxy-stats}]
    - name: setup
      ports: [{containerPort: 1, name: never}]
  status:
    phase: Running
    podIP: 10.1.0.5
    podIPs: [{ip: 10.1.0.5}, {ip: 'fd00::5'}]
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: payments, namespace: shop}}
- apiVersion: v1
  kind: Service
  metadata: {name: payments, namespace: shop}
  spec: {ports: [{port: 80}]}
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: payments, namespace: shop}, spec: 1}
",
    );
    assert_eq!(read.errors, []);
    assert_eq!(read.left_out, []);
    let labels = &read.inventory.namespaces["shop"];
    assert_eq!(labels["stage"], "prod");
    let [payments] = read.inventory.workloads.as_slice() else {
        panic!("{:?}", read.inventory.workloads);
    };
    let addresses: Vec<IpAddr> = ["10.1.0.5", "fd00::5"].map(|ip| ip.parse().unwrap()).into();
    let ports = [("http", 8080), ("proxy-stats", 15090), ("stats", 9090)];
    let expected = Workload {
        namespace: "shop".to_owned(),
        name: "payments-6d4f9c7b5c-x2x7k".to_owned(),
        labels: [("app".to_owned(), "payments".to_owned())].into(),
        service_account: "payments".to_owned(),
        trust_domain: "cluster.local".to_owned(),
        addresses,
        ports: ports.map(|(name, port)| (name.to_owned(), port)).into(),
    };
    assert_eq!(*payments, expected);
    let principal = "spiffe://cluster.local/ns/shop/sa/payments";
    assert_eq!(payments.principal(), principal);
}

#[test]
fn a_list_as_the_api_server_sends_it() {
    let read = read_text(
        r#"{"apiVersion": "v1", "kind": "PodList", "items": [
            {"metadata": {"name": "a", "namespace": "shop"},
             "spec": {"containers": []}, "status": {"podIP": "::ffff:10.0.0.1", "podIPs": null}}
        ]}"#,
    );
    assert_eq!(read.errors, []);
    let workload = &read.inventory.workloads[0];
    assert_eq!(workload.service_account, "default");
    assert_eq!(workload.addresses, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
}

#[test]
fn what_has_no_address_of_its_own_is_told() {
    let pod = |name: &str, more: &str, spec: &str, status: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop{more}}}\n\
             spec: {{{spec}}}\nstatus: {{{status}}}\n"
        )
    };
    let text = [
        pod("ended", "", "", "phase: Succeeded, podIP: 10.0.0.1"),
        pod("failed", "", "", "phase: Failed"),
        pod(
            "going",
            ", deletionTimestamp: '2026-01-01T00:00:00Z'",
            "",
            "phase: Running, podIP: 10.0.0.2",
        ),
        pod("node", "", "hostNetwork: true", "podIP: 192.0.2.1"),
        pod("new", "", "", "phase: Pending"),
        pod("fine", "", "", "podIP: 10.0.0.3"),
    ]
    .concat();
    let read = read_text(&text);
    assert_eq!(read.errors, []);
    let left_out: Vec<_> = read
        .left_out
        .iter()
        .map(|left_out| (left_out.object.name.as_str(), left_out.why))
        .collect();
    let expected = [
        ("ended", Why::Ended),
        ("failed", Why::Ended),
        ("going", Why::Deleted),
        ("node", Why::HostNetwork),
        ("new", Why::NoAddress),
    ];
    assert_eq!(left_out, expected);
    let kept: Vec<_> = read
        .inventory
        .workloads
        .iter()
        .map(|workload| (workload.name.as_str(), workload.addresses.len()))
        .collect();
    assert_eq!(kept, [("node", 0), ("new", 0), ("fine", 1)]);
}

#[test]
fn an_error_says_where_and_what() {
    assert_eq!(
        errors(
            "
apiVersion: v1
kind: Pod
metadata:
  name: payments
  namespace: shop
  labels:
    app: 1
spec:
  serviceAccountName: pay/ments
  hostNetwork: maybe
  containers:
  - ports:
    - {name: http, containerPort: 80800}
    - {name: grpc, containerPort: grpc}
status:
  podIP: 10.0.0
  podIPs: 10.0.0.1
"
        ),
        [
            "cluster.yaml:8:10: Pod/shop/payments: metadata.labels.app: `1` is not text",
            "cluster.yaml:10:23: Pod/shop/payments: spec.serviceAccountName: `pay/ments` is not \
             the name of an object",
            "cluster.yaml:11:16: Pod/shop/payments: spec.hostNetwork: `maybe` is not a boolean",
            "cluster.yaml:14:35: Pod/shop/payments: spec.containers[0].ports[0].containerPort: \
             `80800` is not a port within 1-65535",
            "cluster.yaml:15:35: Pod/shop/payments: spec.containers[0].ports[1].containerPort: \
             `grpc` is not a whole number",
            "cluster.yaml:17:10: Pod/shop/payments: status.podIP: `10.0.0` is not an IP address",
            "cluster.yaml:18:11: Pod/shop/payments: status.podIPs: `10.0.0.1` is not a list",
        ]
    );
}

#[test]
fn an_object_without_a_name_is_no_object() {
    let texts = [
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a}}",
            "cluster.yaml:1:39: Pod//a: metadata.namespace: is required",
        ),
        (
            "{apiVersion: v1, kind: Namespace}",
            "cluster.yaml:1:1: Namespace/: metadata.name: is required",
        ),
        (
            "{apiVersion: v1, kind: Namespace, metadata: {name: \"a/b\\n\"}}",
            "cluster.yaml:1:52: Namespace/: metadata.name: `a/b\\n` is not the name of an object",
        ),
    ];
    for (text, expected) in texts {
        assert_eq!(errors(text), [expected]);
    }
}

#[test]
fn an_object_counts_once() {
    let pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\n";
    let read = read_text(&[pod, pod].concat());
    assert_eq!(read.inventory.workloads.len(), 1);
    let errors: Vec<String> = read.errors.iter().map(ToString::to_string).collect();
    let expected = "cluster.yaml:8:18: Pod/shop/a: metadata.name: `a` has been read before";
    assert_eq!(errors, [expected]);
}
