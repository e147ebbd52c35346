//! Sources: what they tell of clusters that answer, and of clusters that do not.

#![cfg(test)]

mod bed;
mod clusters;
mod faults;
mod files;
mod scenario;

use meshwall_testbed::rig::fake_kubernetes::FakeKubernetes;

use self::bed::{Bed, CALM, client};

#[tokio::test]
async fn what_happens_in_a_cluster_is_told() {
    let fake = FakeKubernetes::start().await.unwrap();
    let mut bed = Bed::new();
    bed.watch("east", &client(&fake.url()), CALM);
    scenario::play(&mut bed, "east", &fake.admin()).await;
}
