//! What stays when something is wrong: never a hole.

use meshwall_policy_server::index::{Failure, Index, Instead, Kind, Standing};
use serde_json::{Value, json};

use super::support::{
    applies, changed, cluster, cluster_policy, definition, knows, listed, mesh, object, pod,
    policy, report, workload,
};

fn generation(mut value: Value, generation: i64) -> Value {
    value["metadata"]["generation"] = json!(generation);
    value
}

fn misspelt(mut value: Value) -> Value {
    value["spec"]["selectr"] = json!({});
    value
}

fn shop() -> Index {
    let mut index = listed(&["home"]);
    let home = cluster("home");
    index.apply(&home, object(&pod("shop", "web", "web", "10.0.0.1")));
    index.apply(&home, object(&pod("shop", "front", "front", "10.0.0.2")));
    index.apply(&home, object(&pod("bank", "web", "web", "10.0.0.3")));
    index
}

#[test]
fn the_last_good_version_of_a_policy_stays() {
    let mut index = shop();
    let home = cluster("home");
    let web = workload("home", "shop", "web");
    let good = policy("shop", "web", "web", "front");
    index.apply(&home, object(&generation(good.clone(), 1)));
    index.update();
    let before = index.enforced(&web).unwrap().clone();

    index.apply(&home, object(&generation(misspelt(good.clone()), 2)));
    let update = index.update();
    assert_eq!(changed(&update), [""; 0]);
    assert_eq!(index.enforced(&web), Some(&before));
    let [report] = &update.reports[..] else {
        panic!("{:?}", update.reports)
    };
    assert_eq!((report.generation, report.selects), (Some(2), 1));
    let Standing::Refused { refusal, instead } = &report.standing else {
        panic!("{report:?}")
    };
    assert_eq!(*instead, Instead::LastGood);
    assert_eq!(
        refusal.to_string(),
        "FirewallPolicy/shop/web: spec.selectr: unknown field; did you mean `selector`?"
    );

    // The peers of what stays are those of today.
    index.apply(&home, object(&pod("shop", "front", "front", "10.0.0.9")));
    index.update();
    let enforced = index.enforced(&web).unwrap();
    assert!(knows(enforced, "10.0.0.9") && !knows(enforced, "10.0.0.2"));

    // Deleted is deleted.
    let key = definition("home", Kind::FirewallPolicy, "shop", "web");
    index.delete(&home, &key.object);
    let update = index.update();
    assert_eq!(changed(&update), ["home/shop/web"]);
    assert_eq!(update.forgotten, [key]);
    assert_eq!(applies(&index, &web), [""; 0]);
}

#[test]
fn a_policy_that_never_was_right_is_not_in_force() {
    let mut index = shop();
    index.update();
    let before = index.enforced(&workload("home", "shop", "web")).cloned();
    assert!(before.is_some());
    let bad = misspelt(policy("shop", "web", "web", "front"));
    index.apply(&cluster("home"), object(&generation(bad, 1)));
    let update = index.update();
    assert_eq!(changed(&update), [""; 0]);
    let key = definition("home", Kind::FirewallPolicy, "shop", "web");
    let Standing::Refused { instead, .. } = report(&index, &key).standing else {
        panic!("{:?}", update.reports)
    };
    assert_eq!(instead, Instead::Nothing);
}

/// After a restart without state, a bad second version must not make a hole of the first.
#[test]
fn what_an_unknown_version_may_concern_is_held() {
    let mut index = shop();
    let home = cluster("home");
    let bad = generation(misspelt(policy("shop", "web", "web", "front")), 2);
    index.apply(&home, object(&bad));
    let update = index.update();
    // Another namespace is not concerned.
    assert_eq!(changed(&update), ["home/bank/web"]);
    let failures: Vec<_> = index
        .failures()
        .map(|(key, why)| (key.to_string(), why))
        .collect();
    let held = |name: &str| (format!("home/shop/{name}"), Failure::Held);
    assert_eq!(failures.len(), 2);
    assert!(failures.contains(&held("web")) && failures.contains(&held("front")));

    index.apply(
        &home,
        object(&generation(policy("shop", "web", "web", "front"), 3)),
    );
    let update = index.update();
    assert_eq!(changed(&update), ["home/shop/front", "home/shop/web"]);

    // A policy of the cluster may concern everyone: they keep what they have.
    let bad = generation(misspelt(cluster_policy("c", "Admin", 1, "x")), 5);
    index.apply(&home, object(&bad));
    index.apply(&home, object(&pod("shop", "new", "web", "10.0.0.7")));
    assert_eq!(changed(&index.update()), [""; 0]);
    assert!(index.enforced(&workload("home", "shop", "web")).is_some());
}

#[test]
fn nothing_is_published_before_everything_is_listed() {
    let mut index = Index::new(mesh(&["home", "east"]));
    let home = cluster("home");
    for kind in [
        Kind::Namespace,
        Kind::FirewallPolicy,
        Kind::ClusterFirewallPolicy,
    ] {
        index.reset(&home, kind, []);
    }
    index.reset(
        &home,
        Kind::Pod,
        [object(&pod("shop", "web", "web", "10.0.0.1"))],
    );
    let update = index.update();
    assert_eq!(changed(&update), [""; 0]);
    assert!(!index.is_listed(&home));
    assert!(index.reset(&home, Kind::MeshwallConfig, []));
    // A cluster that is dead does not hold up another.
    assert_eq!(changed(&index.update()), ["home/shop/web"]);
    assert!(index.is_listed(&home) && !index.is_listed(&cluster("east")));
}

/// Two policies that are small enough by themselves, and too large together.
#[test]
fn a_program_that_is_too_large_leaves_the_last_good_one() {
    let large = |name: &str| {
        let paths: Vec<String> = (0..250)
            .map(|number| format!("/{name}/{number}/{}", "x".repeat(2_000)))
            .collect();
        let rules: Vec<Value> = (0..10)
            .map(|rule| {
                let paths: Vec<String> = paths.iter().map(|path| format!("{path}/{rule}")).collect();
                json!({"name": format!("r{rule}"), "action": "Allow", "operations": [{"paths": paths}]})
            })
            .collect();
        json!({
            "apiVersion": "meshwall.io/v1alpha1",
            "kind": "FirewallPolicy",
            "metadata": {"namespace": "shop", "name": name},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "ingress": rules},
        })
    };
    let mut index = shop();
    let home = cluster("home");
    let web = workload("home", "shop", "web");
    index.apply(&home, object(&large("one")));
    index.update();
    let before = index.enforced(&web).unwrap().clone();
    assert!(before.program.bytes().len() > 4 << 20);
    index.apply(&home, object(&large("two")));
    let update = index.update();
    assert_eq!(changed(&update), [""; 0]);
    assert_eq!(index.enforced(&web), Some(&before));
    let Some((key, Failure::Program(error))) = index.failures().next() else {
        panic!("{update:?}")
    };
    assert_eq!(*key, web);
    let words = error.to_string();
    assert!(words.contains("more than 8388608"), "{words}");
    let blamed = update
        .reports
        .iter()
        .filter(|report| !report.failures.is_empty());
    let blamed: Vec<_> = blamed
        .map(|report| report.definition.object.name.as_str())
        .collect();
    assert_eq!(blamed, [error.policy.name.as_str()]);

    index.delete(
        &home,
        &definition("home", Kind::FirewallPolicy, "shop", "two").object,
    );
    assert_eq!(changed(&index.update()), [""; 0]);
    assert_eq!(index.failures().count(), 0);
}
