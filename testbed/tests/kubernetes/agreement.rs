//! The fake API server and the real one, asked the same.

use meshwall_testbed::rig::fake_kubernetes::FakeKubernetes;

use super::{empty_server, scenario};

#[tokio::test]
async fn the_fake_answers_as_the_real_one_does() {
    let real = empty_server().await;
    let fake = FakeKubernetes::start().await.unwrap();
    let expected = scenario::transcript(&real.admin()).await;
    let found = scenario::transcript(&fake.admin()).await;
    assert!(expected.len() > 40, "{expected:#?}");
    assert_eq!(found, expected);
}
