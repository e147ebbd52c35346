//! Requests.

use meshwall_filter_host::fake::HostCall::{
    DefineMetric, GetHeaderMapPairs, GetProperty, IncrementMetric, SendLocalResponse, SetProperty,
};
use meshwall_filter_host::property::{CONNECTION_URI_SAN_PEER_CERTIFICATE, Property, PropertyPath};
use meshwall_filter_host::{Action, ContextId, GrpcStatus, MapKind, Status};

use crate::support::{CONSOLE, FRONTEND, PEER_ADDRESS, ROOT, Rig, frontend_reads, policy};

#[test]
fn a_permitted_request_costs_one_map_one_property_and_one_count() {
    let mut rig = Rig::http(&frontend_reads());
    let first = rig.calls_of(|rig| assert_eq!(rig.get(2, FRONTEND, "/v1/a"), Action::Continue));
    let budget = [
        (GetHeaderMapPairs, 1),
        (GetProperty, 1),
        (IncrementMetric, 1),
    ];
    let with_definition: Vec<_> = budget.into_iter().chain([(DefineMetric, 1)]).collect();
    assert_eq!(first, with_definition.into_iter().collect());
    let next = rig.calls_of(|rig| assert_eq!(rig.get(3, FRONTEND, "/v1/b"), Action::Continue));
    assert_eq!(next, budget.into());
}

#[test]
fn a_denied_request_costs_its_reply_and_its_explanation_besides() {
    let mut rig = Rig::http(&frontend_reads());
    rig.get(2, CONSOLE, "/v1/a");
    let calls = rig.calls_of(|rig| assert_eq!(rig.get(3, CONSOLE, "/v1/a"), Action::Pause));
    assert_eq!(
        calls,
        [
            (GetHeaderMapPairs, 1),
            (GetProperty, 1),
            (IncrementMetric, 1),
            (SendLocalResponse, 1),
            (SetProperty, 2),
        ]
        .into()
    );
}

#[test]
fn only_what_the_program_looks_at_is_asked_for() {
    for (rules, properties) in [
        (
            "\n  - {name: a, action: Allow, operations: [{paths: [/v1/*]}]}",
            None,
        ),
        (
            "\n  - {name: a, action: Allow, from: [{ipBlocks: [10.0.0.0/8]}]}",
            Some(1),
        ),
        (
            "\n  - {name: a, action: Allow, from: [{podSelector: {}}]}",
            Some(2),
        ),
        (
            "\n  - {name: a, action: Allow, when: [{claim: sub, values: [alice]}]}",
            Some(1),
        ),
        (
            "\n  - {name: a, action: Allow, when: [{sni: [ledger.shop]}]}",
            Some(1),
        ),
    ] {
        let mut rig = Rig::http(&policy(rules));
        rig.proxy
            .stream(ContextId(2))
            .property(PEER_ADDRESS, "10.0.0.1:5000");
        let calls = rig.calls_of(|rig| {
            rig.get(2, FRONTEND, "/v1/a");
        });
        assert_eq!(calls.get(&GetProperty).copied(), properties, "{rules}");
    }
}

#[test]
fn a_denied_client_learns_that_it_was_denied_and_no_more() {
    let mut rig = Rig::http(&frontend_reads());
    rig.get(2, CONSOLE, "/v1/a");
    let reply = rig.reply(2).unwrap();
    assert_eq!(
        (reply.status, reply.body),
        (403, b"denied by policy\n".to_vec())
    );
    assert_eq!(reply.grpc_status, Some(GrpcStatus::PERMISSION_DENIED));
    assert_eq!(reply.headers, []);

    let told = format!(
        "{}\n---
apiVersion: meshwall.io/v1alpha1
kind: MeshwallConfig
metadata: {{name: mesh}}
spec:
  denial: {{status: 404, body: nothing here}}",
        frontend_reads()
    );
    let mut rig = Rig::http(&told);
    rig.get(2, CONSOLE, "/v1/a");
    let reply = rig.reply(2).unwrap();
    assert_eq!((reply.status, reply.body), (404, b"nothing here".to_vec()));
}

#[test]
fn a_verdict_is_explained_to_the_operator() {
    let denies = policy(
        "
  - {name: no-deletes, action: Deny, operations: [{methods: [DELETE]}]}
  - {name: all, action: Allow}
",
    );
    let mut rig = Rig::http(&denies);
    rig.request(2, FRONTEND, &[(":method", "DELETE"), (":path", "/")]);
    rig.get(3, FRONTEND, "/");
    rig.get(4, FRONTEND, "/a%2fb");
    let cause = "FirewallPolicy/shop/ledger/no-deletes";
    assert_eq!(rig.details(2), Some(format!("meshwall_denied[{cause}]")));
    assert_eq!(
        rig.filter_state(2, "meshwall.verdict").as_deref(),
        Some("deny")
    );
    assert_eq!(
        rig.filter_state(2, "meshwall.cause").as_deref(),
        Some(cause)
    );
    assert_eq!(
        (rig.details(3), rig.filter_state(3, "meshwall.verdict")),
        (None, None)
    );
    let refused = "meshwall_denied[refused/path_encoded_slash]";
    assert_eq!(rig.details(4).as_deref(), Some(refused));
    for (name, count) in [
        (
            "verdict=deny;policy=FirewallPolicy/shop/ledger;rule=no-deletes",
            1,
        ),
        (
            "verdict=allow;policy=FirewallPolicy/shop/ledger;rule=all",
            1,
        ),
        ("verdict=deny;reason=refused/path_encoded_slash", 1),
    ] {
        let name = format!("meshwall_requests_total;direction=ingress;{name}");
        assert_eq!(rig.proxy.metric(&name), Some(count), "{name}");
    }
}

#[test]
fn a_monitored_policy_changes_nothing_and_says_what_it_would() {
    let monitored = "
apiVersion: meshwall.io/v1alpha1
kind: FirewallPolicy
metadata: {name: stricter, namespace: shop}
spec:
  mode: Monitor
  ingress:
  - {name: no-deletes, action: Deny, operations: [{methods: [DELETE]}]}
";
    let both = format!(
        "{}\n---{monitored}",
        policy("\n  - {name: all, action: Allow}")
    );
    let mut rig = Rig::http(&both);
    let head = [(":method", "DELETE"), (":path", "/")];
    assert_eq!(rig.request(2, FRONTEND, &head), Action::Continue);
    let would_be = "deny FirewallPolicy/shop/stricter/no-deletes";
    assert_eq!(
        rig.filter_state(2, "meshwall.would_be").as_deref(),
        Some(would_be)
    );
    assert_eq!(
        rig.filter_state(2, "meshwall.verdict").as_deref(),
        Some("allow")
    );
    let name = "meshwall_would_be_total;direction=ingress;verdict=deny;\
                policy=FirewallPolicy/shop/stricter;rule=no-deletes";
    assert_eq!(rig.proxy.metric(name), Some(1));
}

#[test]
fn an_identity_is_one_name() {
    let mut rig = Rig::http(&frontend_reads());
    for names in [
        String::new(),
        format!("{FRONTEND},{CONSOLE}"),
        format!("{CONSOLE},{FRONTEND}"),
        format!("{FRONTEND},"),
        FRONTEND.to_uppercase(),
    ] {
        assert_eq!(rig.get(2, &names, "/v1/a"), Action::Pause, "{names}");
    }
    assert_eq!(rig.get(3, FRONTEND, "/v1/a"), Action::Continue);
}

#[test]
fn where_the_listener_tells_no_names_the_first_one_counts() {
    let mut rig = Rig::http(&frontend_reads());
    rig.proxy
        .stream(ContextId(2))
        .property(CONNECTION_URI_SAN_PEER_CERTIFICATE, FRONTEND);
    assert_eq!(rig.get(2, "", "/v1/a"), Action::Continue);
}

#[test]
fn labels_count_if_the_certificate_is_of_the_account_at_the_address() {
    let labelled = policy(
        "
  - name: front
    action: Allow
    from: [{podSelector: {matchLabels: {app: frontend}}}]
",
    );
    let mut rig = Rig::http(&labelled);
    for (context, names, address, action) in [
        (2, FRONTEND, "10.0.0.1:5000", Action::Continue),
        (3, FRONTEND, "10.0.0.2:5000", Action::Pause),
        (4, CONSOLE, "10.0.0.1:5000", Action::Pause),
        (5, "", "10.0.0.1:5000", Action::Pause),
    ] {
        rig.proxy
            .stream(ContextId(context))
            .property(PEER_ADDRESS, address);
        assert_eq!(rig.get(context, names, "/"), action, "{names} {address}");
    }
    assert_eq!(
        rig.proxy.metric("meshwall_identity_mismatch_total"),
        Some(2)
    );
}

#[test]
fn claims_are_those_that_the_proxy_has_verified() {
    let rules = "\n  - {name: a, action: Allow, when: [{claim: [realm, roles], values: [reader]}]}";
    let namespace = "envoy.filters.http.jwt_authn";
    let path = PropertyPath::filter_metadata(namespace, &["payload", "realm", "roles"]).unwrap();
    let property: Property<'_, Vec<u8>> = path.property();
    let list = meshwall_filter_host::pairs::encode(&[("writer", ""), ("reader", "")]).unwrap();
    for (value, action) in [
        (&b"reader"[..], Action::Continue),
        (&list, Action::Continue),
        (b"readers", Action::Pause),
        (b"", Action::Pause),
    ] {
        let mut rig = Rig::http(&policy(rules));
        rig.proxy.stream(ContextId(2)).property(property, value);
        assert_eq!(rig.get(2, FRONTEND, "/"), action, "{value:?}");
    }
}

#[test]
fn what_cannot_be_found_out_is_refused() {
    let by_address = policy("\n  - {name: a, action: Deny, from: [{ipBlocks: [10.0.0.0/8]}]}");
    let by_port = policy("\n  - {name: a, action: Deny, operations: [{ports: [80]}]}");
    for (documents, details) in [
        (by_address, "meshwall_fault[peer_address]"),
        (by_port, "meshwall_fault[port]"),
    ] {
        let mut rig = Rig::http(&documents);
        assert_eq!(rig.get(2, FRONTEND, "/"), Action::Pause);
        assert_eq!(rig.details(2).as_deref(), Some(details));
    }
}

#[test]
fn a_request_without_a_readable_head_is_refused() {
    for head in [Ok(&b""[..]), Ok(b"\xff\xff"), Err(Status::InternalFailure)] {
        let mut rig = Rig::http(&policy("\n  - {name: all, action: Allow}"));
        let stream = rig.proxy.stream(ContextId(2));
        match head {
            Ok(bytes) => stream.map_bytes(MapKind::RequestHeaders, bytes),
            Err(status) => stream.map_error(MapKind::RequestHeaders, status),
        };
        assert_eq!(rig.headers(ROOT, 2), Action::Pause);
        assert_eq!(rig.details(2).as_deref(), Some("meshwall_fault[headers]"));
        let counted = rig.proxy.metric("meshwall_faults_total;reason=headers");
        assert_eq!(counted, Some(1));
    }
}

#[test]
fn without_a_policy_everything_is_refused() {
    let mut rig = Rig::empty();
    assert_eq!(rig.get(2, FRONTEND, "/"), Action::Pause);
    assert_eq!(rig.details(2).as_deref(), Some("meshwall_fault[no_policy]"));
}
