//! What a client that lists, watches and writes asks an API server, and what it is answered: a
//! transcript, without what differs from server to server. Resource versions are left out, but have
//! to grow.

use std::time::Duration;

use meshwall_mesh_config::crds;
use meshwall_testbed::rig::client::Request;
use meshwall_testbed::rig::kubernetes::{Api, Error};
use serde_json::{Value, json};

use super::{DEFINITIONS, served, text};

const NAMESPACES: &str = "/api/v1/namespaces";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const POLICIES: &str = "/apis/meshwall.io/v1alpha1/namespaces/shop/firewallpolicies";

/// Asks everything, and gives what was answered.
pub(crate) async fn transcript(api: &Api) -> Vec<String> {
    let mut run = Run {
        api,
        lines: Vec::new(),
    };
    run.objects().await;
    run.lists().await;
    run.watches().await;
    run.custom_resources().await;
    run.definitions_that_go().await;
    run.lines
}

struct Run<'a> {
    api: &'a Api,
    lines: Vec<String>,
}

impl Run<'_> {
    fn note(&mut self, what: &str, result: &Result<Value, Error>) {
        let outcome = match result {
            Ok(object) => describe(object),
            // Behind the path stands what the server answered.
            Err(error) => error.to_string(),
        };
        self.lines.push(format!("{what}: {outcome}"));
    }

    async fn objects(&mut self) {
        let api = self.api;
        let orphan = api.create(PODS, &pod("web", "a")).await;
        self.note("a pod without its namespace", &orphan);
        let shop = api
            .create(NAMESPACES, &json!({"metadata": {"name": "shop"}}))
            .await;
        self.note("namespace", &shop);
        for name in ["web", "api", "db"] {
            let created = api.create(PODS, &pod(name, "a")).await;
            self.note("pod", &created);
        }
        let again = api.create(PODS, &pod("web", "a")).await;
        self.note("the same pod", &again);
        let missing = api.get(&format!("{PODS}/nobody")).await;
        self.note("a pod that is not there", &missing);
        let web = format!("{PODS}/web");
        let before = api.get(&web).await;
        self.note("get", &before);
        let addressed = api
            .patch(&format!("{web}/status"), &running("10.0.0.1"))
            .await;
        self.note("address", &addressed);
        let unchanged = api
            .patch(&format!("{web}/status"), &running("10.0.0.1"))
            .await;
        self.note("the same address", &unchanged);
        self.lines.push(format!(
            "it is another version: {}, {}",
            version(&before.unwrap()) < version(addressed.as_ref().unwrap()),
            version(&addressed.unwrap()) < version(&unchanged.unwrap()),
        ));
        let unknown = api.get("/api/v1/widgets").await;
        self.note("a kind that is not there", &unknown);
    }

    async fn lists(&mut self) {
        let mut from = String::new();
        loop {
            let path = format!("{PODS}?limit=2{from}");
            let page = self.api.get(&path).await.unwrap();
            self.lines.push(format!(
                "page of {} {}: {}; more: {}, remaining: {}",
                text(&page, "/apiVersion"),
                text(&page, "/kind"),
                items(&page),
                !text(&page, "/metadata/continue").is_empty(),
                page["metadata"]["remainingItemCount"],
            ));
            let token = text(&page, "/metadata/continue");
            if token.is_empty() {
                break;
            }
            from = format!("&continue={}", encode(token));
        }
        for query in [
            "labelSelector=app%3Dweb",
            "labelSelector=app!%3Dweb",
            "fieldSelector=status.phase%21%3DPending",
            "fieldSelector=metadata.name%3Dapi",
        ] {
            let found = self.api.get(&format!("{PODS}?{query}")).await.unwrap();
            self.lines.push(format!("{query}: {}", items(&found)));
        }
        let all = self.api.get("/api/v1/pods").await.unwrap();
        self.lines.push(format!("all namespaces: {}", items(&all)));
    }

    async fn watches(&mut self) {
        let api = self.api;
        let listed = api.get(PODS).await.unwrap();
        let from = version(&listed);
        let changes = async {
            let web = format!("{PODS}/web");
            api.patch(&web, &json!({"metadata": {"labels": {"app": "b"}}}))
                .await?;
            api.patch(
                &format!("{PODS}/api/status"),
                &json!({"status": {"phase": "Failed"}}),
            )
            .await?;
            api.delete(&format!("{PODS}/db")).await?;
            api.create(PODS, &pod("late", "a")).await
        };
        changes.await.unwrap();
        for query in [
            "",
            "&fieldSelector=status.phase%21%3DFailed",
            "&labelSelector=app%3Da",
        ] {
            let path = format!("{PODS}?watch=1&timeoutSeconds=1&resourceVersion={from}{query}");
            self.watch(&path).await;
        }
        self.watch(&format!(
            "{PODS}?watch=1&timeoutSeconds=1&resourceVersion=0"
        ))
        .await;
        let unknown = api.watch("/api/v1/widgets?watch=1").await;
        self.note("a watch of nothing", &unknown.map(|_| Value::Null));
    }

    /// Watches until the server ends it.
    async fn watch(&mut self, path: &str) {
        let what = path
            .split_once("resourceVersion")
            .map_or(path, |(_, query)| query);
        let what = what.split_once('&').map_or("", |(_, selector)| selector);
        let mut watch = self.api.watch(path).await.unwrap();
        let mut last = 0;
        let mut initial = Vec::new();
        while let Some(event) = watch.next().await.unwrap() {
            let line = format!(
                "watch {what}: {} {}",
                text(&event, "/type"),
                describe(&event["object"])
            );
            if path.ends_with("resourceVersion=0") {
                // What is there at the start comes in any order.
                initial.push(line);
                continue;
            }
            let version = version(&event["object"]);
            assert!(version > last, "{event}");
            last = version;
            self.lines.push(line);
        }
        initial.sort();
        self.lines.extend(initial);
    }

    async fn custom_resources(&mut self) {
        let api = self.api;
        let absent = api.get(POLICIES).await;
        self.note("policies before their definition", &absent);
        let definition = &crds::all()[0].object;
        api.create(DEFINITIONS, definition).await.unwrap();
        served(api, "firewallpolicies").await;
        let policy = json!({
            "apiVersion": "meshwall.io/v1alpha1",
            "kind": "FirewallPolicy",
            "metadata": {"name": "web"},
            "spec": {"ingress": [{"action": "Allow"}]},
            "status": {"observedGeneration": 7},
        });
        let created = api.create(POLICIES, &policy).await;
        self.note("policy", &created);
        let stale = created.unwrap();
        let path = format!("{POLICIES}/web");
        let monitored = api
            .patch(&path, &json!({"spec": {"mode": "Monitor"}}))
            .await;
        self.note("another spec", &monitored);
        let status = json!({
            "spec": {"mode": "Enforce"},
            "status": {"observedGeneration": 2},
        });
        let status = api.patch(&format!("{path}/status"), &status).await;
        self.note("another status", &status);
        let unchanged = api
            .patch(&path, &json!({"spec": {"mode": "Monitor"}, "status": null}))
            .await;
        self.note("the same spec", &unchanged);
        let conflict = api.replace(&path, &stale).await;
        self.note("an old version", &conflict);
        let listed = api.get(POLICIES).await.unwrap();
        let item = &listed["items"][0];
        self.lines.push(format!(
            "an item is a {} {}",
            text(item, "/apiVersion"),
            text(item, "/kind")
        ));
        let pods = api.get(PODS).await.unwrap();
        self.lines
            .push(format!("a pod is a {}", pods["items"][0]["kind"]));
        let table = Request::get("/readyz");
        let ready = api.send(table).await.unwrap();
        self.lines.push(format!("ready: {}", ready.status));
    }

    async fn definitions_that_go(&mut self) {
        let api = self.api;
        let listed = api.get(POLICIES).await.unwrap();
        let path = format!("{POLICIES}?watch=1&resourceVersion={}", version(&listed));
        let mut watch = api.watch(&path).await.unwrap();
        let name = text(&crds::all()[0].object, "/metadata/name").to_owned();
        api.delete(&format!("{DEFINITIONS}/{name}")).await.unwrap();
        let events = async {
            let mut events = Vec::new();
            while let Some(event) = watch.next().await.unwrap() {
                events.push(text(&event, "/type").to_owned());
            }
            events
        };
        let events = tokio::time::timeout(Duration::from_secs(30), events).await;
        self.lines.push(format!(
            "when the definition goes: {:?}, and the watch ends",
            events.expect("the watch does not end")
        ));
        let gone = tokio::time::timeout(Duration::from_secs(30), until_gone(api)).await;
        self.note("policies without their definition", &gone.unwrap());
    }
}

/// Asks for policies until they are refused.
async fn until_gone(api: &Api) -> Result<Value, Error> {
    loop {
        api.get(POLICIES).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn pod(name: &str, app: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": app, "name": name}},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    })
}

fn running(address: &str) -> Value {
    json!({"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}})
}

/// What of an object is the same on every server.
fn describe(object: &Value) -> String {
    let mut parts = vec![
        text(object, "/kind").to_owned(),
        text(object, "/metadata/namespace").to_owned(),
        text(object, "/metadata/name").to_owned(),
        text(object, "/metadata/labels/app").to_owned(),
        text(object, "/status/phase").to_owned(),
        text(object, "/status/podIP").to_owned(),
        text(object, "/spec/mode").to_owned(),
        object["metadata"]["generation"].to_string(),
        object["status"]["observedGeneration"].to_string(),
    ];
    parts.retain(|part| !part.is_empty() && part != "null");
    parts.join(" ")
}

fn items(list: &Value) -> String {
    let items = list["items"].as_array().unwrap();
    let names = items.iter().map(|item| text(item, "/metadata/name"));
    names.collect::<Vec<_>>().join(" ")
}

fn version(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap()
}

fn encode(token: &str) -> String {
    token.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
