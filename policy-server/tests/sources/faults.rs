//! What an API server does wrong, and what is told nevertheless: in the end, what is there.

use std::time::Instant;

use meshwall_mesh_config::crds;
use meshwall_policy_server::index::Kind;
use meshwall_policy_server::source::State;
use meshwall_testbed::rig::fake_kubernetes::{FakeKubernetes, Fault, Seen, Verb};
use serde_json::json;

use crate::bed::{Bed, PODS, QUICK, client, pod, running, shop};

/// A cluster with some pods, of which everything was told.
async fn bed() -> (FakeKubernetes, Bed) {
    let fake = FakeKubernetes::start().await.unwrap();
    let api = fake.admin();
    shop(&api).await;
    for name in ["a", "b"] {
        api.create(PODS, &pod(name)).await.unwrap();
    }
    let mut bed = Bed::new();
    bed.watch("east", &client(&fake.url()), QUICK);
    bed.settles("east", &api).await;
    watching(&mut bed).await;
    (fake, bed)
}

async fn watching(bed: &mut Bed) {
    bed.until("pods are watched", |bed| {
        bed.of("east", Kind::Pod).state == State::Watching
    })
    .await;
}

/// Something happens to pods.
async fn happens(fake: &FakeKubernetes, name: &str) {
    let api = fake.admin();
    api.create(PODS, &pod(name)).await.unwrap();
    api.patch(&format!("{PODS}/{name}/status"), &running("10.0.0.9"))
        .await
        .unwrap();
}

/// Requests for pods, from some moment on: `list`, or `watch VERSION`.
fn asked(seen: &[Seen], from: usize) -> Vec<String> {
    let of_pods = seen.iter().skip(from).filter(|seen| seen.plural == "pods");
    of_pods
        .map(|seen| match seen.verb {
            Some(Verb::Watch) => {
                let version = seen.query.rsplit("resourceVersion=").next();
                format!("watch {}", version.unwrap_or_default())
            }
            _ => "list".to_owned(),
        })
        .collect()
}

#[tokio::test]
async fn long_lists_come_in_pages_and_are_told_as_one() {
    let fake = FakeKubernetes::start().await.unwrap();
    let api = fake.admin();
    shop(&api).await;
    for number in 0..1_100 {
        api.create(PODS, &pod(&format!("pod-{number}")))
            .await
            .unwrap();
    }
    let mut bed = Bed::new();
    bed.watch("east", &client(&fake.url()), QUICK);
    bed.settles("east", &api).await;
    assert_eq!(bed.names("east", Kind::Pod).len(), 1_100);
    assert_eq!(bed.of("east", Kind::Pod).lists, 1);
    let pages = fake.seen().into_iter().filter(|seen| {
        // `contents` asks for all at once.
        seen.plural == "pods" && seen.verb == Some(Verb::List) && seen.query.contains("limit=500")
    });
    assert_eq!(pages.count(), 3);
}

/// As an event and as a status, once and again and again: the same version is never asked for
/// twice, and everything is told in the end.
#[tokio::test]
async fn a_version_that_is_gone_leads_to_a_list() {
    for fault in [Fault::GoneEvent, Fault::Status(410)] {
        let (fake, mut bed) = bed().await;
        let lists = bed.of("east", Kind::Pod).lists;
        let from = fake.seen().len();
        fake.hold("pods");
        happens(&fake, "unseen").await;
        fake.inject(Verb::Watch, "pods", fault, 3);
        fake.cut_watches("pods");
        bed.until("it is listed again", |bed| {
            bed.of("east", Kind::Pod).lists >= lists + 3
        })
        .await;
        fake.release("pods");
        happens(&fake, "later").await;
        bed.settles("east", &fake.admin()).await;
        let asked = asked(&fake.seen(), from);
        for pair in asked.windows(2) {
            let is_watch = pair[0].starts_with("watch");
            assert!(!is_watch || pair[0] != pair[1], "{fault:?}: {asked:?}");
        }
    }
}

#[tokio::test]
async fn a_compacted_store_leads_to_a_list() {
    let (fake, mut bed) = bed().await;
    fake.inject(Verb::Watch, "pods", Fault::Reset, 2);
    fake.cut_watches("pods");
    happens(&fake, "unseen").await;
    fake.admin().delete(&format!("{PODS}/a")).await.unwrap();
    fake.compact();
    bed.settles("east", &fake.admin()).await;
    assert!(
        !bed.names("east", Kind::Pod)
            .contains(&"Pod/shop/a".to_owned())
    );
}

/// A bookmark says that nothing has happened: so a quiet watch is not taken for a dead one, and
/// goes on from where the cluster is, and not from the last change of its kind.
#[tokio::test]
async fn bookmarks_keep_a_quiet_watch_alive_and_up_to_date() {
    let (fake, mut bed) = bed().await;
    let before = bed.of("east", Kind::Pod);
    let changes = fake.seen().len();
    for _ in 0..8 {
        // Twice as long as silence may last, in all.
        tokio::time::sleep(QUICK.silence / 4).await;
        fake.bookmark();
    }
    fake.admin()
        .create("/api/v1/namespaces", &json!({"metadata": {"name": "bank"}}))
        .await
        .unwrap();
    bed.settles("east", &fake.admin()).await;
    let then = Instant::now();
    fake.bookmark();
    bed.until("the bookmark is heard", |bed| {
        bed.of("east", Kind::Pod).heard > Some(then)
    })
    .await;
    fake.compact();
    fake.cut_watches("pods");
    happens(&fake, "late").await;
    bed.settles("east", &fake.admin()).await;
    let after = bed.of("east", Kind::Pod);
    assert_eq!(after.lists, before.lists);
    // The one watch that was cut.
    assert!(after.failures <= before.failures + 1, "{after:?}");
    let watches = asked(&fake.seen(), changes);
    assert!(
        watches
            .iter()
            .filter(|asked| asked.starts_with("watch"))
            .count()
            <= 3
    );
}

#[tokio::test]
async fn watches_that_break_go_on_where_they_were() {
    let (fake, mut bed) = bed().await;
    let lists = bed.of("east", Kind::Pod).lists;
    for number in 0..20 {
        happens(&fake, &format!("pod-{number}")).await;
        fake.cut_watches("pods");
    }
    bed.settles("east", &fake.admin()).await;
    watching(&mut bed).await;
    happens(&fake, "last").await;
    bed.settles("east", &fake.admin()).await;
    // Most are resumed: a list is what remains if nothing came in between.
    assert!(bed.of("east", Kind::Pod).lists <= lists + 5);
}

#[tokio::test]
async fn what_is_told_twice_is_told_twice() {
    let (fake, mut bed) = bed().await;
    fake.inject(Verb::Watch, "pods", Fault::Duplicates, 1);
    fake.cut_watches("pods");
    for name in ["c", "d"] {
        happens(&fake, name).await;
    }
    fake.admin().delete(&format!("{PODS}/c")).await.unwrap();
    bed.settles("east", &fake.admin()).await;
}

/// A replica of the API server that lags behind lists what was there before.
#[tokio::test]
async fn an_older_list_does_not_bring_back_what_is_gone() {
    let (fake, mut bed) = bed().await;
    let earlier = fake.revision();
    fake.admin().delete(&format!("{PODS}/a")).await.unwrap();
    bed.settles("east", &fake.admin()).await;
    let lists = bed.of("east", Kind::Pod).lists;
    fake.inject(Verb::List, "pods", Fault::Stale(earlier), 3);
    fake.inject(Verb::Watch, "pods", Fault::Status(410), 1);
    fake.cut_watches("pods");
    bed.until("it is listed again", |bed| {
        // What is gone is not told, not for a moment.
        assert_eq!(bed.names("east", Kind::Pod), ["Pod/shop/b"]);
        bed.of("east", Kind::Pod).lists > lists
    })
    .await;
    bed.settles("east", &fake.admin()).await;
}

#[tokio::test]
async fn refusals_are_waited_out() {
    for fault in [
        Fault::Status(500),
        Fault::Status(429),
        Fault::Status(401),
        Fault::Reset,
    ] {
        let (fake, mut bed) = bed().await;
        let failures = bed.of("east", Kind::Pod).failures;
        fake.inject(Verb::Watch, "pods", fault, 4);
        fake.inject(Verb::List, "pods", fault, 1);
        fake.cut_watches("pods");
        happens(&fake, "unseen").await;
        bed.until("it fails", |bed| {
            bed.of("east", Kind::Pod).failures > failures
        })
        .await;
        fake.heal();
        bed.settles("east", &fake.admin()).await;
        watching(&mut bed).await;
    }
}

#[tokio::test]
async fn who_does_not_answer_is_asked_again() {
    for (verb, fault) in [
        (Verb::Watch, Fault::Hang),
        (Verb::Watch, Fault::Silence),
        (Verb::List, Fault::Hang),
    ] {
        let (fake, mut bed) = bed().await;
        fake.inject(verb, "pods", fault, 1);
        if verb == Verb::List {
            fake.inject(Verb::Watch, "pods", Fault::Status(410), 1);
        }
        fake.cut_watches("pods");
        happens(&fake, "unseen").await;
        bed.until("it is told", |bed| {
            let names = bed.names("east", Kind::Pod);
            names.contains(&"Pod/shop/unseen".to_owned())
        })
        .await;
        bed.settles("east", &fake.admin()).await;
    }
}

/// An API server that has just started answers as if custom kinds were not there.
#[tokio::test]
async fn a_kind_that_seems_not_to_be_there_keeps_its_objects() {
    let (fake, mut bed) = bed().await;
    let api = fake.admin();
    for definition in crds::all() {
        api.create(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            &definition.object,
        )
        .await
        .unwrap();
    }
    let policy = json!({
        "metadata": {"name": "web"},
        "spec": {"ingress": [{"action": "Allow"}]},
    });
    let path = "/apis/meshwall.io/v1alpha1/namespaces/shop/firewallpolicies";
    api.create(path, &policy).await.unwrap();
    bed.settles("east", &api).await;
    bed.until("policies are watched", |bed| {
        bed.of("east", Kind::FirewallPolicy).state == State::Watching
    })
    .await;
    let failures = bed.of("east", Kind::FirewallPolicy).failures;
    fake.inject(Verb::Watch, "firewallpolicies", Fault::Status(404), 9);
    fake.inject(Verb::List, "firewallpolicies", Fault::Status(404), 9);
    fake.cut_watches("firewallpolicies");
    bed.until("it fails", |bed| {
        assert_eq!(bed.names("east", Kind::FirewallPolicy).len(), 1);
        bed.of("east", Kind::FirewallPolicy).failures > failures + 8
    })
    .await;
    fake.heal();
    bed.settles("east", &api).await;
    assert_eq!(bed.names("east", Kind::FirewallPolicy).len(), 1);
}

/// Changes and faults in an order that is another for each seed.
#[tokio::test]
async fn whatever_goes_wrong_everything_is_told_in_the_end() {
    for seed in 1..=4_u64 {
        let (fake, mut bed) = bed().await;
        let api = fake.admin();
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let faults = [
            (Verb::Watch, Fault::Status(410)),
            (Verb::Watch, Fault::GoneEvent),
            (Verb::Watch, Fault::Status(500)),
            (Verb::Watch, Fault::Duplicates),
            (Verb::Watch, Fault::Reset),
            (Verb::List, Fault::Status(500)),
            (Verb::List, Fault::Reset),
        ];
        for _ in 0..150 {
            let name = format!("pod-{}", below(12));
            match below(8) {
                0 => fake.cut_watches("pods"),
                1 => {
                    let index = usize::try_from(below(7)).unwrap();
                    let (verb, fault) = faults[index];
                    fake.inject(verb, "pods", fault, 1);
                }
                2 if below(5) == 0 => fake.compact(),
                2 => fake.bookmark(),
                3 => {
                    // Perhaps it is not there.
                    let _ = api.delete(&format!("{PODS}/{name}")).await;
                }
                _ => {
                    let _ = api.create(PODS, &pod(&name)).await;
                    let address = format!("10.0.0.{}", below(200));
                    let status = format!("{PODS}/{name}/status");
                    api.patch(&status, &running(&address)).await.unwrap();
                }
            }
        }
        fake.heal();
        bed.settles("east", &api).await;
    }
}
