//! The fake API server, and each way in which it fails. That it answers as a real one does is in
//! the target `kubernetes`.

#![cfg(test)]

use std::time::Duration;

use meshwall_testbed::rig::client::Client;
use meshwall_testbed::rig::fake_kubernetes::{Availability, FakeKubernetes, Fault, Verb};
use meshwall_testbed::rig::kubernetes::{Api, Error, Watch};
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/shop/pods";

/// A client that does not wait for what never comes.
fn impatient(fake: &FakeKubernetes) -> Api {
    let client = Client::plaintext().timeout(Duration::from_millis(200));
    Api::new(client, fake.address(), "admin")
}

async fn fake() -> FakeKubernetes {
    let fake = FakeKubernetes::start().await.unwrap();
    let shop = json!({"metadata": {"name": "shop"}});
    fake.admin()
        .create("/api/v1/namespaces", &shop)
        .await
        .unwrap();
    fake
}

async fn pod(fake: &FakeKubernetes, name: &str) -> Value {
    let pod = json!({"metadata": {"name": name}});
    fake.admin().create(PODS, &pod).await.unwrap()
}

async fn watch(fake: &FakeKubernetes) -> Watch {
    let from = fake.revision();
    let path = format!("{PODS}?watch=1&allowWatchBookmarks=true&resourceVersion={from}");
    impatient(fake).watch(&path).await.unwrap()
}

/// Type and name of the next event.
async fn next(watch: &mut Watch) -> String {
    let event = watch.next().await.unwrap().unwrap();
    let name = event.pointer("/object/metadata/name");
    let name = name.and_then(Value::as_str).unwrap_or_default();
    format!("{} {name}", event["type"].as_str().unwrap())
}

async fn names(fake: &FakeKubernetes) -> Vec<String> {
    let list = fake.admin().get(PODS).await.unwrap();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

fn timed_out<T>(result: Result<T, Error>) -> bool {
    let error = result.err().map(|error| error.to_string());
    error.is_some_and(|error| error.contains("no answer within"))
}

#[tokio::test]
async fn requests_are_refused_as_often_as_was_asked_for() {
    let fake = fake().await;
    fake.inject(Verb::List, "pods", Fault::Status(500), 2);
    fake.inject(Verb::List, "pods", Fault::Status(429), 1);
    fake.inject(Verb::Watch, "pods", Fault::Status(410), 1);
    for expected in [500, 500, 429] {
        let error = fake.admin().get(PODS).await.unwrap_err();
        assert_eq!(error.status(), Some(expected));
    }
    fake.admin().get(PODS).await.unwrap();
    fake.admin().get("/api/v1/services").await.unwrap();
    let path = format!("{PODS}?watch=1");
    let gone = fake.admin().watch(&path).await.unwrap_err();
    assert_eq!(gone.status(), Some(410));
    fake.admin().watch(&path).await.unwrap();
    let verbs: Vec<String> = fake
        .seen()
        .iter()
        .map(|seen| format!("{:?} {}", seen.verb, seen.plural))
        .collect();
    let list = "Some(List) pods";
    let services = "Some(List) services";
    let watch = "Some(Watch) pods";
    assert_eq!(verbs, [list, list, list, list, services, watch, watch]);
}

#[tokio::test]
async fn a_request_hangs_or_is_reset() {
    let fake = fake().await;
    fake.inject(Verb::List, "pods", Fault::Hang, 1);
    fake.inject(Verb::List, "pods", Fault::Reset, 1);
    assert!(timed_out(impatient(&fake).get(PODS).await));
    let reset = impatient(&fake).get(PODS).await;
    assert!(!timed_out(reset));
    impatient(&fake).get(PODS).await.unwrap();
    fake.inject(Verb::List, "pods", Fault::Status(500), 9);
    fake.heal();
    impatient(&fake).get(PODS).await.unwrap();
}

#[tokio::test]
async fn a_version_that_is_gone_is_an_event() {
    let fake = fake().await;
    let first = pod(&fake, "a").await;
    fake.inject(Verb::Watch, "pods", Fault::GoneEvent, 1);
    let mut watching = watch(&fake).await;
    let event = watching.next().await.unwrap().unwrap();
    assert_eq!(event["type"], "ERROR");
    assert_eq!(event["object"]["code"], 410);
    assert_eq!(watching.next().await.unwrap(), None);

    pod(&fake, "b").await;
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("{PODS}?watch=1&resourceVersion={version}");
    let mut running = fake.admin().watch(&path).await.unwrap();
    assert_eq!(next(&mut running).await, "ADDED b");
    pod(&fake, "c").await;
    assert_eq!(next(&mut running).await, "ADDED c");
    fake.compact();
    let mut late = fake.admin().watch(&path).await.unwrap();
    let event = late.next().await.unwrap().unwrap();
    assert_eq!(event["object"]["reason"], "Expired");
    // Who is up to date does not notice.
    pod(&fake, "d").await;
    assert_eq!(next(&mut running).await, "ADDED d");
}

#[tokio::test]
async fn watches_stay_silent_repeat_themselves_and_are_cut() {
    let fake = fake().await;
    fake.inject(Verb::Watch, "pods", Fault::Silence, 1);
    fake.inject(Verb::Watch, "pods", Fault::Duplicates, 1);
    let mut silent = watch(&fake).await;
    let mut repeating = watch(&fake).await;
    pod(&fake, "a").await;
    assert_eq!(next(&mut repeating).await, "ADDED a");
    assert_eq!(next(&mut repeating).await, "ADDED a");
    assert!(timed_out(silent.next().await));
    fake.bookmark();
    let bookmark = repeating.next().await.unwrap().unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(
        bookmark["object"]["metadata"]["resourceVersion"],
        fake.revision().to_string()
    );
    fake.cut_watches("pods");
    assert!(repeating.next().await.is_err());
    let mut after = watch(&fake).await;
    pod(&fake, "b").await;
    assert_eq!(next(&mut after).await, "ADDED b");
}

#[tokio::test]
async fn a_stale_list_is_of_an_earlier_version() {
    let fake = fake().await;
    pod(&fake, "a").await;
    let earlier = fake.revision();
    pod(&fake, "b").await;
    fake.admin().delete(&format!("{PODS}/a")).await.unwrap();
    fake.inject(Verb::List, "pods", Fault::Stale(earlier), 1);
    assert_eq!(names(&fake).await, ["a"]);
    assert_eq!(names(&fake).await, ["b"]);
}

#[tokio::test]
async fn kinds_are_held_apart() {
    let fake = fake().await;
    let mut pods = watch(&fake).await;
    let from = fake.revision();
    let path = format!("/api/v1/namespaces?watch=1&resourceVersion={from}");
    let mut namespaces = fake.admin().watch(&path).await.unwrap();
    fake.hold("pods");
    pod(&fake, "a").await;
    let bank = json!({"metadata": {"name": "bank"}});
    fake.admin()
        .create("/api/v1/namespaces", &bank)
        .await
        .unwrap();
    assert_eq!(next(&mut namespaces).await, "ADDED bank");
    assert!(timed_out(pods.next().await));
    fake.release("pods");
    assert_eq!(next(&mut pods).await, "ADDED a");
}

#[tokio::test]
async fn a_server_freezes_dies_and_comes_back() {
    let fake = fake().await;
    let mut watching = watch(&fake).await;
    fake.availability(Availability::Frozen);
    assert!(timed_out(impatient(&fake).get(PODS).await));
    assert!(timed_out(watching.next().await));
    fake.availability(Availability::Up);
    pod(&fake, "a").await;
    assert_eq!(next(&mut watching).await, "ADDED a");
    fake.availability(Availability::Down);
    assert!(watching.next().await.is_err());
    assert!(impatient(&fake).get(PODS).await.is_err());
    fake.availability(Availability::Up);
    assert_eq!(names(&fake).await, ["a"]);
}

#[tokio::test]
async fn a_test_waits_for_what_is_asked_for() {
    let fake = fake().await;
    let api = fake.admin();
    let (_, listed) = tokio::join!(
        fake.wait_until(|seen| seen.iter().any(|seen| seen.query == "limit=3")),
        api.get("/api/v1/pods?limit=3"),
    );
    listed.unwrap();
}
