//! What a change touches, and what it does not.

use meshwall_policy::spec::Direction;
use meshwall_policy_server::index::{Index, Kind, NotApplied, Object, ObjectError};
use serde_json::{Value, json};

use super::support::{
    applies, changed, cluster, key, knows, listed, object, pod, policy, workload,
};

fn shop(clusters: &[&str]) -> Index {
    let mut index = listed(clusters);
    let home = cluster("home");
    for value in [
        pod("shop", "web-1", "web", "10.0.0.1"),
        pod("shop", "web-2", "web", "10.0.0.2"),
        pod("shop", "front", "front", "10.0.0.3"),
        pod("bank", "web", "web", "10.0.0.4"),
        policy("shop", "web", "web", "front"),
        policy("bank", "web", "web", "front"),
    ] {
        index.apply(&home, object(&value));
    }
    index.update();
    index
}

#[test]
fn equal_workloads_share_a_program_and_a_table() {
    let index = shop(&["home"]);
    let [one, two] =
        ["web-1", "web-2"].map(|name| index.enforced(&workload("home", "shop", name)).unwrap());
    assert_eq!(one, two);
    assert!(std::sync::Arc::ptr_eq(
        one.program.bytes(),
        two.program.bytes()
    ));
    assert!(std::sync::Arc::ptr_eq(one.peers.bytes(), two.peers.bytes()));
    assert_eq!(index.size().programs, 3);
    assert_eq!(one.version().to_string().len(), 65);
}

#[test]
fn a_change_goes_as_far_as_something_differs() {
    let mut index = shop(&["home"]);
    let home = cluster("home");
    let mut apply = |value: Value| {
        let told = index.apply(&home, object(&value));
        let update = index.update();
        (
            told,
            update.work.compiled,
            update.work.tables,
            changed(&update),
        )
    };
    let nobody: [String; 0] = [];
    let same = pod("shop", "front", "front", "10.0.0.3");
    assert_eq!(apply(same.clone()), (false, 0, 0, nobody.to_vec()));
    // A label that nobody asks for, an image, a status.
    let mut other = same.clone();
    other["metadata"]["labels"]["pod-template-hash"] = json!("1");
    assert_eq!(apply(other.clone()), (true, 0, 0, nobody.to_vec()));
    other["spec"]["nodeName"] = json!("node");
    other["metadata"]["resourceVersion"] = json!("7");
    assert_eq!(apply(other), (false, 0, 0, nobody.to_vec()));
    // An address: the table of the two that let it in.
    let webs = vec!["home/shop/web-1".to_owned(), "home/shop/web-2".to_owned()];
    let moved = pod("shop", "front", "front", "10.0.0.9");
    assert_eq!(apply(moved), (true, 0, 1, webs));
    // A pod in front of which no policy differs.
    let (_, compiled, _, names) = apply(pod("shop", "web-3", "web", "10.0.0.5"));
    assert_eq!((compiled, names), (0, vec!["home/shop/web-3".to_owned()]));
    // A relabelled one gets the program of its equals.
    let (_, compiled, _, names) = apply(pod("shop", "web-3", "front", "10.0.0.5"));
    assert_eq!((compiled, names.len()), (0, 3));
    // A policy: those that it selects.
    let (_, compiled, tables, names) = apply(policy("bank", "web", "web", "back"));
    assert_eq!(
        (compiled, tables, names),
        (1, 1, vec!["home/bank/web".to_owned()])
    );
}

#[test]
fn an_address_that_is_given_to_another_gives_no_old_right() {
    let mut index = shop(&["home"]);
    let home = cluster("home");
    let web = workload("home", "shop", "web-1");
    assert!(knows(index.enforced(&web).unwrap(), "10.0.0.3"));
    index.delete(&home, &key(Kind::Pod, "shop", "front"));
    index.apply(&home, object(&pod("bank", "other", "other", "10.0.0.3")));
    let update = index.update();
    assert_eq!(update.removed, [workload("home", "shop", "front")]);
    assert!(!knows(index.enforced(&web).unwrap(), "10.0.0.3"));
}

#[test]
fn an_address_that_two_clusters_claim_is_nobodys() {
    let mut index = shop(&["home", "east"]);
    let (home, east) = (cluster("home"), cluster("east"));
    let web = workload("home", "shop", "web-1");
    // The same names, but another trust domain.
    index.apply(&east, object(&pod("shop", "front", "front", "10.0.0.3")));
    index.update();
    assert!(!knows(index.enforced(&web).unwrap(), "10.0.0.3"));
    let claimants = index.at_address("10.0.0.3".parse().unwrap());
    assert_eq!(claimants.count(), 2);
    index.apply(&east, object(&pod("shop", "front", "front", "10.1.0.3")));
    index.update();
    // A mesh spans its clusters.
    for address in ["10.0.0.3", "10.1.0.3"] {
        assert!(knows(index.enforced(&web).unwrap(), address), "{address}");
    }
    // In one cluster, two of the same account count for what both are.
    let mut twin = pod("shop", "twin", "front", "10.0.0.3");
    index.apply(&home, object(&twin));
    index.update();
    assert!(knows(index.enforced(&web).unwrap(), "10.0.0.3"));
    twin["metadata"]["labels"]["app"] = json!("other");
    index.apply(&home, object(&twin));
    index.update();
    assert!(!knows(index.enforced(&web).unwrap(), "10.0.0.3"));
}

#[test]
fn a_pod_that_is_being_deleted_keeps_its_program_and_is_no_peer() {
    let mut index = shop(&["home"]);
    let home = cluster("home");
    let front = workload("home", "shop", "front");
    let mut ending = pod("shop", "front", "front", "10.0.0.3");
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    index.apply(&home, object(&ending));
    let update = index.update();
    assert_eq!(update.removed, []);
    assert!(index.enforced(&front).is_some());
    let web = index.enforced(&workload("home", "shop", "web-1")).unwrap();
    assert!(!knows(web, "10.0.0.3"));
    ending["status"]["phase"] = json!("Failed");
    index.apply(&home, object(&ending));
    assert_eq!(index.update().removed, [front]);
}

#[test]
fn a_list_is_a_difference() {
    let mut index = shop(&["home"]);
    let home = cluster("home");
    let list = || {
        [
            pod("shop", "web-1", "web", "10.0.0.1"),
            pod("shop", "front", "front", "10.0.0.3"),
            pod("bank", "web", "web", "10.0.0.4"),
        ]
        .map(|value| object(&value))
    };
    assert!(index.reset(&home, Kind::Pod, list()));
    let update = index.update();
    assert_eq!(update.removed, [workload("home", "shop", "web-2")]);
    assert_eq!(changed(&update), [""; 0]);
    assert!(!index.reset(&home, Kind::Pod, list()));
    assert_eq!(index.update().work, Default::default());
}

#[test]
fn what_comes_back_comes_in_another_edition() {
    let mut index = shop(&["home"]);
    let home = cluster("home");
    let web = workload("home", "shop", "web-1");
    let first = index.enforced(&web).unwrap().clone();
    index.apply(&home, object(&policy("shop", "web", "web", "back")));
    index.update();
    index.apply(&home, object(&policy("shop", "web", "web", "front")));
    index.update();
    let again = index.enforced(&web).unwrap().clone();
    assert_eq!(first.version(), again.version());
    let bytes = |enforced: &meshwall_policy_server::index::Enforced, process| {
        enforced.bundle(Direction::Ingress, None, process)
    };
    assert_ne!(bytes(&first, 1), bytes(&again, 1));
    assert_ne!(bytes(&again, 1), bytes(&again, 2));
    // One that starts now may share it, and so may one that was there.
    let twin = index.enforced(&workload("home", "shop", "web-2")).unwrap();
    assert_eq!(twin.edition, again.edition);
}

#[test]
fn a_workload_can_be_asked_about() {
    let mut index = shop(&["home", "east"]);
    let web = workload("home", "shop", "web-1");
    assert_eq!(
        index.principal(&web).unwrap(),
        "spiffe://home/ns/shop/sa/web"
    );
    let mut at = index.at_address("::ffff:10.0.0.1".parse().unwrap());
    assert_eq!(at.next(), Some(&web));
    drop(at);
    index.apply(
        &cluster("east"),
        object(&policy("shop", "east", "web", "front")),
    );
    index.update();
    let description = index.describe(&web).unwrap();
    assert_eq!(
        applies(&index, &web),
        ["FirewallPolicy/shop/web of cluster `home`"]
    );
    let not_applied: Vec<_> = description
        .not_applied
        .iter()
        .map(|(key, why)| format!("{key}: {why}"))
        .collect();
    assert_eq!(
        not_applied,
        [
            "FirewallPolicy/shop/east of cluster `east`: it is for another cluster",
            "FirewallPolicy/bank/web of cluster `home`: it is for other namespaces",
        ]
    );
    let [set] = &description.sets[..] else {
        panic!("{:?}", description.sets)
    };
    assert_eq!(set.set, "pods (app=front) in namespaces (name=shop)");
    assert_eq!(set.members, [workload("home", "shop", "front")]);
    let front = index.describe(&workload("home", "shop", "front")).unwrap();
    let labels = front
        .not_applied
        .iter()
        .find(|(_, why)| matches!(why, NotApplied::Labels(_)));
    assert_eq!(
        labels.unwrap().1.to_string(),
        "the labels of the pod do not meet `app=web`"
    );
}

#[test]
fn an_object_that_cannot_be_read_counts_as_absent() {
    let mut index = shop(&["home"]);
    let home = cluster("home");
    let bad = pod("shop", "front", "front", "nowhere");
    assert!(index.apply(&home, object(&bad)));
    assert!(!index.apply(&home, object(&bad)));
    let update = index.update();
    assert_eq!(update.removed, [workload("home", "shop", "front")]);
    let unreadable: Vec<_> = index.unreadable().collect();
    assert_eq!(
        unreadable[0].errors[0].to_string(),
        "Pod/shop/front: status.podIP: `nowhere` is not an IP address"
    );
    index.apply(&home, object(&pod("shop", "front", "front", "10.0.0.3")));
    assert_eq!(index.unreadable().count(), 0);
    // Of what nobody asked for, and of no one, nothing is said.
    let kind = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}});
    let error = Object::read(kind).unwrap_err();
    assert_eq!(
        error,
        ObjectError::Kind {
            kind: "Deployment".to_owned()
        }
    );
    assert!(Object::read(json!({"apiVersion": "v1", "kind": "Pod"})).is_err());
    assert!(!index.apply(&cluster("elsewhere"), object(&bad)));
}
