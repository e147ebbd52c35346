//! The fake API server and the real one, asked the same.

use meshwall_testbed::rig::fake_kubernetes::FakeKubernetes;
use meshwall_testbed::rig::kubernetes::Api;
use serde_json::{Value, json};

use super::{empty_server, namespace, scenario, text};

#[tokio::test]
async fn the_fake_answers_as_the_real_one_does() {
    let real = empty_server().await;
    let fake = FakeKubernetes::start().await.unwrap();
    let expected = scenario::transcript(&real.admin()).await;
    let found = scenario::transcript(&fake.admin()).await;
    assert!(expected.len() > 40, "{expected:#?}");
    assert_eq!(found, expected);
}

/// What a watch sends that begins where nobody remembers, without the numbers in its message.
async fn gone(api: &Api) -> Vec<Value> {
    let mut watch = api
        .watch("/api/v1/serviceaccounts?watch=1&resourceVersion=1")
        .await
        .unwrap();
    let mut events = Vec::new();
    while let Some(mut event) = watch.next().await.unwrap() {
        let message = text(&event, "/object/message").to_owned();
        let words = message.split(|c: char| c.is_ascii_digit() || "()".contains(c));
        let words: Vec<&str> = words
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        event["object"]["message"] = words.join(" ").into();
        events.push(event);
    }
    events
}

/// A server remembers what happened since it was started, and of that as much as it has room for.
#[tokio::test]
async fn a_version_that_is_gone_is_told_in_the_same_words() {
    let mut real = empty_server().await;
    let fake = FakeKubernetes::start().await.unwrap();
    for api in [&real.admin(), &fake.admin()] {
        namespace(api, "gone").await;
        let account = json!({"metadata": {"name": "web"}});
        api.create("/api/v1/namespaces/gone/serviceaccounts", &account)
            .await
            .unwrap();
    }
    real.restart().await.unwrap();
    fake.compact();
    let expected = gone(&real.admin()).await;
    assert_eq!(expected.len(), 1, "{expected:?}");
    assert_eq!(gone(&fake.admin()).await, expected);
}
