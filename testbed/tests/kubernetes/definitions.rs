//! What a real API server makes of our custom resource definitions.

use meshwall_mesh_config::crds;
use meshwall_testbed::rig::client::Request;
use serde_json::{Value, json};

use super::{DEFINITIONS, collection, namespace, served, server, text};

fn policy() -> Value {
    json!({
        "apiVersion": "meshwall.io/v1alpha1",
        "kind": "FirewallPolicy",
        "metadata": {"name": "web"},
        "spec": {
            "mode": "Monitor",
            "ingress": [{"action": "Allow", "operations": [{"ports": [8080, "http"]}]}],
        },
    })
}

#[tokio::test]
async fn the_definitions_are_applied_again_and_again() {
    let server = server().await;
    let api = server.admin();
    for _ in 0..2 {
        for definition in crds::all() {
            let name = text(&definition.object, "/metadata/name");
            let path = format!("{DEFINITIONS}/{name}");
            api.apply(&path, &definition.object).await.unwrap();
        }
    }
    for definition in crds::all() {
        served(&api, definition.plural).await;
        let name = text(&definition.object, "/metadata/name");
        let stored = api.get(&format!("{DEFINITIONS}/{name}")).await.unwrap();
        let conditions = stored["status"]["conditions"].as_array().unwrap();
        let conditions: Vec<(&str, &str)> = conditions
            .iter()
            .map(|condition| (text(condition, "/type"), text(condition, "/status")))
            .collect();
        // A third one, NonStructuralSchema, would say that the schema is not structural.
        assert_eq!(
            conditions,
            [("NamesAccepted", "True"), ("Established", "True")],
            "{name}"
        );
        let wanted = &definition.object["spec"]["versions"][0]["schema"];
        assert_eq!(&stored["spec"]["versions"][0]["schema"], wanted, "{name}");
    }
}

#[tokio::test]
async fn kinds_have_short_names_and_a_category() {
    let server = server().await;
    let api = server.admin();
    let found = api.get("/apis/meshwall.io/v1alpha1").await.unwrap();
    let resources = found["resources"].as_array().unwrap();
    let mut names: Vec<String> = resources
        .iter()
        .map(|resource| {
            format!(
                "{} {} {} {}",
                text(resource, "/name"),
                text(resource, "/shortNames/0"),
                text(resource, "/categories/0"),
                resource["namespaced"]
            )
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "clusterfirewallpolicies cfwp meshwall false",
            "clusterfirewallpolicies/status   false",
            "firewallpolicies fwp meshwall true",
            "firewallpolicies/status   true",
            "meshwallconfigs mwc meshwall false",
            "meshwallconfigs/status   false",
        ]
    );
}

#[tokio::test]
async fn the_status_is_written_apart_and_shown_in_columns() {
    let server = server().await;
    let api = server.admin();
    namespace(&api, "shop").await;
    let path = format!("{}/web", collection("FirewallPolicy", "shop"));
    let created = api.apply(&path, &policy()).await.unwrap();
    assert_eq!(created["metadata"]["generation"], 1);

    let condition = |kind: &str, status: &str| {
        json!({
            "type": kind,
            "status": status,
            "observedGeneration": 1,
            "lastTransitionTime": "2026-01-02T03:04:05Z",
            "reason": "Accepted",
            "message": "",
        })
    };
    let status = json!({
        "apiVersion": "meshwall.io/v1alpha1",
        "kind": "FirewallPolicy",
        "status": {
            "observedGeneration": 1,
            "conditions": [condition("Accepted", "True"), condition("Programmed", "False")],
            "proxies": {"selected": 3, "programmed": 2, "refused": 1},
            "refusals": [{"proxy": "east/shop/web-1", "message": "too large"}],
        },
    });
    let written = api.apply(&format!("{path}/status"), &status).await.unwrap();
    assert_eq!(written["status"], status["status"]);
    assert_eq!(written["spec"], policy()["spec"]);
    assert_eq!(written["metadata"]["generation"], 1);
    let read: crds::status::Status = serde_json::from_value(written["status"].clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), status["status"]);

    let table = Request::get(collection("FirewallPolicy", "shop"))
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let table = api.send(table).await.unwrap().json();
    let columns = table["columnDefinitions"].as_array().unwrap();
    let columns: Vec<(&str, i64)> = columns
        .iter()
        .map(|column| (text(column, "/name"), column["priority"].as_i64().unwrap()))
        .collect();
    assert_eq!(
        columns,
        [
            ("Name", 0),
            ("Mode", 0),
            ("Accepted", 0),
            ("Programmed", 0),
            ("Proxies", 1),
            ("At version", 1),
            ("Refused", 1),
            ("Age", 0),
        ]
    );
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    let cells = serde_json::to_string(&cells[..7]).unwrap();
    assert_eq!(cells, r#"["web","Monitor","True","False",3,2,1]"#);
}

#[tokio::test]
async fn two_managers_share_a_policy() {
    let server = server().await;
    let api = server.admin();
    namespace(&api, "managers").await;
    let path = format!("{}/web", collection("FirewallPolicy", "managers"));
    api.apply(&path, &policy()).await.unwrap();
    let other = |mode: &str, force: bool| {
        let body = json!({
            "apiVersion": "meshwall.io/v1alpha1",
            "kind": "FirewallPolicy",
            "spec": {"mode": mode, "expires": "2027-01-01T00:00:00Z"},
        });
        Request::new("PATCH", format!("{path}?fieldManager=other&force={force}"))
            .header("content-type", "application/apply-patch+yaml")
            .body(body.to_string())
    };
    let conflict = api.send(other("Enforce", false)).await.unwrap();
    assert_eq!(conflict.status, 409, "{}", conflict.text());
    assert!(
        conflict.text().contains(".spec.mode"),
        "{}",
        conflict.text()
    );
    let taken = api.send(other("Enforce", true)).await.unwrap();
    assert_eq!(taken.status, 200, "{}", taken.text());
    let spec = &taken.json()["spec"];
    assert_eq!(spec["mode"], "Enforce");
    assert_eq!(spec["expires"], "2027-01-01T00:00:00Z");
    assert_eq!(spec["ingress"], policy()["spec"]["ingress"]);
}
