//! What happens in any cluster, and has to be heard of: asked of the fake API server here, and of a
//! real one in the target `kubernetes_sources`.

use meshwall_mesh_config::crds;
use meshwall_policy_server::index::Kind;
use meshwall_policy_server::source::State;
use meshwall_testbed::rig::kubernetes::Api;
use serde_json::json;

use crate::bed::{Bed, PODS, pod, running, shop};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const POLICIES: &str = "/apis/meshwall.io/v1alpha1/namespaces/shop/firewallpolicies";

/// From an empty cluster without our definitions to one with pods and policies, and back.
pub(crate) async fn play(bed: &mut Bed, cluster: &str, api: &Api) {
    // Without definitions, there are no policies, and that is known.
    bed.settles(cluster, api).await;
    assert_eq!(bed.of(cluster, Kind::FirewallPolicy).state, State::Absent);
    assert_eq!(bed.of(cluster, Kind::Pod).state, State::Watching);

    shop(api).await;
    for name in ["web", "api", "job"] {
        api.create(PODS, &pod(name)).await.unwrap();
    }
    api.patch(&format!("{PODS}/web/status"), &running("10.0.0.1"))
        .await
        .unwrap();
    api.create(
        "/api/v1/namespaces/shop/serviceaccounts",
        &json!({"metadata": {"name": "web"}}),
    )
    .await
    .unwrap();
    bed.settles(cluster, api).await;
    assert_eq!(bed.names(cluster, Kind::Pod).len(), 3);

    // Definitions come, and then policies, right and wrong.
    for definition in crds::all() {
        api.create(DEFINITIONS, &definition.object).await.unwrap();
    }
    bed.until("the definitions are there", |bed| {
        let state = bed.of(cluster, Kind::FirewallPolicy).state;
        state == State::Watching
    })
    .await;
    for (name, action) in [("right", "Allow"), ("wrong", "Deny")] {
        let policy = json!({
            "apiVersion": "meshwall.io/v1alpha1",
            "kind": "FirewallPolicy",
            "metadata": {"name": name},
            "spec": {"ingress": [{"action": action, "from": [{"namespaces": ["*a*"]}]}]},
        });
        api.create(POLICIES, &policy).await.unwrap();
    }
    bed.settles(cluster, api).await;
    assert_eq!(bed.names(cluster, Kind::FirewallPolicy).len(), 2);

    // A pod that has ended is no pod any more; others come and go.
    let ended = json!({"status": {"phase": "Succeeded"}});
    api.patch(&format!("{PODS}/job/status"), &ended)
        .await
        .unwrap();
    api.delete(&format!("{PODS}/api")).await.unwrap();
    let relabelled = json!({"metadata": {"labels": {"app": "other"}}});
    api.patch(&format!("{PODS}/web"), &relabelled)
        .await
        .unwrap();
    bed.settles(cluster, api).await;
    assert_eq!(bed.names(cluster, Kind::Pod), ["Pod/shop/web"]);

    // All of that was heard of as it happened.
    for kind in [Kind::Pod, Kind::Namespace, Kind::ServiceAccount] {
        assert_eq!(bed.of(cluster, kind).lists, 1, "{kind}");
    }

    // With the definitions go the policies.
    for definition in crds::all() {
        let name = format!("{}.meshwall.io", definition.plural);
        api.delete(&format!("{DEFINITIONS}/{name}")).await.unwrap();
    }
    bed.settles(cluster, api).await;
    assert_eq!(bed.names(cluster, Kind::FirewallPolicy).len(), 0);
}
