//! Definitions that contradict each other: the same is in force, and the same is said, in whatever
//! order they come.

use meshwall_policy_server::index::{Conflict, DefinitionKey, Index, Instead, Kind, Standing};
use serde_json::{Value, json};

use super::support::{
    applies, cluster, cluster_policy, definition, key, listed, object, pod, policy, report,
    workload,
};

const EAST: &str = "east";
const HOME: &str = "home";

fn aged(mut value: Value, created: &str) -> Value {
    value["metadata"]["creationTimestamp"] = json!(created);
    value
}

/// Tells an index of a pod in each cluster and of these objects, in order.
fn told(objects: &[(&str, Value)]) -> Index {
    let mut index = listed(&[HOME, EAST]);
    for name in [HOME, EAST] {
        let address = if name == HOME { "10.0.0.1" } else { "10.1.0.1" };
        index.apply(&cluster(name), object(&pod("shop", "web", "web", address)));
    }
    for (at, value) in objects {
        index.apply(&cluster(at), object(value));
    }
    index.update();
    index
}

/// Every order of two or three objects.
fn orders<T: Clone>(objects: &[T]) -> Vec<Vec<T>> {
    let reversed = objects.iter().rev().cloned().collect();
    let mut rotated = objects.to_vec();
    rotated.rotate_left(1);
    vec![objects.to_vec(), reversed, rotated]
}

fn conflict(index: &Index, definition: &DefinitionKey) -> (Conflict, Instead) {
    match &report(index, definition).standing {
        Standing::Conflicted { conflict, instead } => (conflict.clone(), *instead),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_policy_cluster_has_the_word_on_a_name() {
    let central = definition(HOME, Kind::FirewallPolicy, "shop", "web");
    let local = definition(EAST, Kind::FirewallPolicy, "shop", "web");
    let objects = [
        (HOME, policy("shop", "web", "web", "front")),
        (EAST, policy("shop", "web", "web", "back")),
    ];
    for objects in orders(&objects) {
        let index = told(&objects);
        let expected = (Conflict::SameName(central.clone()), Instead::Nothing);
        assert_eq!(conflict(&index, &local), expected);
        assert_eq!(
            expected.0.to_string(),
            "differs from FirewallPolicy/shop/web of cluster `home`, which holds everywhere"
        );
        assert_eq!(report(&index, &central).selects, 2);
        for name in [HOME, EAST] {
            let applied = applies(&index, &workload(name, "shop", "web"));
            assert_eq!(applied, [central.to_string()], "{name}");
        }
    }
}

#[test]
fn saying_the_same_is_no_contradiction() {
    let both = policy("shop", "web", "web", "front");
    let index = told(&[(EAST, both.clone()), (HOME, both)]);
    let local = definition(EAST, Kind::FirewallPolicy, "shop", "web");
    assert_eq!(report(&index, &local).standing, Standing::Repeated);
    let applied = applies(&index, &workload(EAST, "shop", "web"));
    assert_eq!(applied, ["FirewallPolicy/shop/web of cluster `home`"]);
}

#[test]
fn a_local_policy_holds_in_its_own_cluster() {
    let index = told(&[(EAST, policy("shop", "web", "web", "front"))]);
    let home = workload(HOME, "shop", "web");
    assert_eq!(applies(&index, &home), [""; 0]);
    assert_eq!(applies(&index, &workload(EAST, "shop", "web")).len(), 1);
}

#[test]
fn the_older_of_equal_priorities_is_in_force() {
    let older = definition(HOME, Kind::ClusterFirewallPolicy, "", "z");
    let younger = definition(HOME, Kind::ClusterFirewallPolicy, "", "a");
    let local = definition(EAST, Kind::ClusterFirewallPolicy, "", "l");
    let objects = [
        (
            HOME,
            aged(cluster_policy("z", "Admin", 7, "x"), "2026-01-01T00:00:00Z"),
        ),
        (
            HOME,
            aged(cluster_policy("a", "Admin", 7, "x"), "2026-01-02T00:00:00Z"),
        ),
        (
            EAST,
            aged(cluster_policy("l", "Admin", 7, "x"), "2025-01-02T00:00:00Z"),
        ),
        // The same number in another tier is another place.
        (HOME, cluster_policy("b", "Baseline", 7, "x")),
    ];
    for objects in orders(&objects) {
        let index = told(&objects);
        for refused in [&younger, &local] {
            let expected = (Conflict::SamePriority(older.clone()), Instead::Nothing);
            assert_eq!(conflict(&index, refused), expected);
        }
        let applied = applies(&index, &workload(EAST, "shop", "web"));
        let other = definition(HOME, Kind::ClusterFirewallPolicy, "", "b");
        assert_eq!(applied, [older.to_string(), other.to_string()]);
    }
}

#[test]
fn what_was_in_force_stays_behind_the_one_that_has_its_place() {
    let first = cluster_policy("first", "Admin", 1, "x");
    let second = cluster_policy("second", "Admin", 2, "y");
    let mut index = told(&[(HOME, first), (HOME, second)]);
    let web = workload(HOME, "shop", "web");
    let keys = ["first", "second"]
        .map(|name| definition(HOME, Kind::ClusterFirewallPolicy, "", name).to_string());
    assert_eq!(applies(&index, &web), keys);

    // The second wants the place of the first: it stays where it was.
    index.apply(
        &cluster(HOME),
        object(&cluster_policy("second", "Admin", 1, "z")),
    );
    index.update();
    let second = definition(HOME, Kind::ClusterFirewallPolicy, "", "second");
    assert_eq!(conflict(&index, &second).1, Instead::LastGood);
    let description = index.describe(&web).unwrap();
    let second = description.applies.last().unwrap();
    assert_eq!((second.priority, second.is_last_good), (2, true));

    // The first, which ranks before it, wants the place that the second has: it comes before.
    index.apply(
        &cluster(HOME),
        object(&cluster_policy("second", "Admin", 2, "y")),
    );
    index.update();
    index.apply(
        &cluster(HOME),
        object(&cluster_policy("first", "Admin", 2, "x")),
    );
    index.update();
    assert_eq!(applies(&index, &web), keys);

    // Once the first is gone, nothing is in the way.
    index.delete(
        &cluster(HOME),
        &key(Kind::ClusterFirewallPolicy, "", "first"),
    );
    let update = index.update();
    assert_eq!(update.forgotten.len(), 1);
    let second = definition(HOME, Kind::ClusterFirewallPolicy, "", "second");
    assert_eq!(report(&index, &second).standing, Standing::Accepted);
}

#[test]
fn a_cluster_has_one_configuration() {
    let config = |name: &str, status: u16| {
        json!({
            "apiVersion": "meshwall.io/v1alpha1",
            "kind": "MeshwallConfig",
            "metadata": {"name": name},
            "spec": {"denial": {"status": status}},
        })
    };
    let first = definition(HOME, Kind::MeshwallConfig, "", "a");
    let objects = [
        (HOME, config("a", 401)),
        (HOME, config("b", 402)),
        (EAST, config("c", 404)),
    ];
    for objects in orders(&objects) {
        let index = told(&objects);
        for (at, name) in [(HOME, "b"), (EAST, "c")] {
            let refused = definition(at, Kind::MeshwallConfig, "", name);
            let expected = (Conflict::SecondConfig(first.clone()), Instead::Nothing);
            assert_eq!(conflict(&index, &refused), expected);
        }
        for name in [HOME, EAST] {
            let description = index.describe(&workload(name, "shop", "web")).unwrap();
            assert_eq!(description.config.denial.status, 401);
        }
    }
}
