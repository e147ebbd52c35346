//! What is told of a real cluster.

#![cfg(test)]

#[path = "../sources/bed.rs"]
#[expect(
    dead_code,
    reason = "the faults of the fake are in the target `sources`"
)]
mod bed;
#[path = "../sources/scenario.rs"]
mod scenario;

use std::process::Command;
use std::time::Duration;

use meshwall_policy_server::index::Kind;
use meshwall_policy_server::source::State;
use meshwall_policy_server::source::kubernetes::{Access, Timing, connect};
use meshwall_testbed::rig::kubernetes::{Api, Kubernetes, Launch, Programs};
use serde_json::json;

use self::bed::{Bed, PODS, QUICK, pod, shop};

const USER: &str = "meshwall-server";

/// A server on which the user of the policy server may do what it needs, and nothing else.
async fn server() -> Kubernetes {
    let programs = Programs::find(None).unwrap();
    let server = Launch::new(&programs).user(USER).start().await.unwrap();
    permit(&server.admin()).await;
    server
}

async fn permit(api: &Api) {
    let root = "/apis/rbac.authorization.k8s.io/v1";
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let watch = ["list", "watch"];
    let role = json!({
        "metadata": {"name": USER},
        "rules": [
            rule("", &["namespaces", "pods", "services", "serviceaccounts"], &watch),
            rule(
                "meshwall.io",
                &["firewallpolicies", "clusterfirewallpolicies", "meshwallconfigs"],
                &watch,
            ),
            rule("apiextensions.k8s.io", &["customresourcedefinitions"], &["get"]),
        ],
    });
    let binding = json!({
        "metadata": {"name": USER},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": USER,
        },
        "subjects": [{
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "User",
            "name": USER,
        }],
    });
    api.create(&format!("{root}/clusterroles"), &role)
        .await
        .unwrap();
    api.create(&format!("{root}/clusterrolebindings"), &binding)
        .await
        .unwrap();
}

async fn watch(bed: &mut Bed, server: &Kubernetes, timing: Timing) {
    let access = Access::Kubeconfig {
        path: Some(server.kubeconfig(USER).unwrap()),
        context: None,
    };
    let client = connect(&access).await.unwrap();
    bed.watch("east", &client, timing);
}

/// By the waits of production, a kubeconfig and TLS.
#[tokio::test]
async fn what_happens_in_a_cluster_is_told() {
    let server = server().await;
    let mut bed = Bed::new();
    let timing = Timing {
        // A kind that is not there is asked for again after this.
        longest_wait: Duration::from_secs(1),
        ..Timing::default()
    };
    watch(&mut bed, &server, timing).await;
    scenario::play(&mut bed, "east", &server.admin()).await;
}

/// Its kernel takes connections, and it answers nothing.
#[tokio::test]
async fn a_server_that_is_stopped_is_heard_of_again_when_it_goes_on() {
    let server = server().await;
    let api = server.admin();
    shop(&api).await;
    let mut bed = Bed::new();
    watch(&mut bed, &server, QUICK).await;
    bed.settles("east", &api).await;
    signal("STOP", &server);
    bed.until("it is known to fail", |bed| {
        matches!(bed.of("east", Kind::Pod).state, State::Failing(_))
    })
    .await;
    signal("CONT", &server);
    api.create(PODS, &pod("late")).await.unwrap();
    bed.settles("east", &api).await;
    assert_eq!(bed.names("east", Kind::Pod), ["Pod/shop/late"]);
}

/// It does not know the version any more that was watched from.
#[tokio::test]
async fn a_server_that_is_started_again_is_listed_again() {
    let mut server = server().await;
    let api = server.admin();
    shop(&api).await;
    for name in ["gone", "kept"] {
        api.create(PODS, &pod(name)).await.unwrap();
    }
    let mut bed = Bed::new();
    watch(&mut bed, &server, QUICK).await;
    bed.settles("east", &api).await;
    api.delete(&format!("{PODS}/gone")).await.unwrap();
    server.restart().await.unwrap();
    api.create(PODS, &pod("late")).await.unwrap();
    bed.settles("east", &api).await;
    assert_eq!(
        bed.names("east", Kind::Pod),
        ["Pod/shop/kept", "Pod/shop/late"]
    );
}

fn signal(name: &str, server: &Kubernetes) {
    let status = Command::new("kill")
        .args([format!("-{name}"), server.pid().to_string()])
        .status();
    assert!(status.unwrap().success());
}
