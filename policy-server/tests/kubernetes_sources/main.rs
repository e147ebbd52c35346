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

use meshwall_policy_server::source::kubernetes::{Access, Timing, connect};
use meshwall_testbed::rig::kubernetes::{Launch, Programs};

use self::bed::Bed;

/// By the waits of production, a kubeconfig and TLS.
#[tokio::test]
async fn what_happens_in_a_cluster_is_told() {
    let programs = Programs::find(None).unwrap();
    let server = Launch::new(&programs).start().await.unwrap();
    let access = Access::Kubeconfig {
        path: Some(server.kubeconfig("admin").unwrap()),
        context: None,
    };
    let client = connect(&access).await.unwrap();
    let mut bed = Bed::new();
    let timing = Timing {
        // A kind that is not there is asked for again after this.
        longest_wait: std::time::Duration::from_secs(1),
        ..Timing::default()
    };
    bed.watch("east", &client, timing);
    scenario::play(&mut bed, "east", &server.admin()).await;
}
