//! What a status should say.

use std::collections::BTreeSet;
use std::sync::Arc;

use meshwall_mesh_config::crds::status::{Answer, MAX_REFUSALS, Proxies};
use meshwall_policy_server::index::{
    ClusterName, DefinitionKey, Index, Kind, Mesh, Object, ObjectKey, Report, Standing, WorkloadKey,
};
use meshwall_policy_server::status::{Claim, Desired, Proxy, Stage, desired};
use serde_json::json;

fn definition(cluster: &str) -> DefinitionKey {
    DefinitionKey {
        cluster: ClusterName::from(cluster),
        object: ObjectKey {
            kind: Kind::FirewallPolicy,
            namespace: Some("shop".to_owned()),
            name: "web".to_owned(),
        },
    }
}

fn report(standing: Standing) -> Report {
    Report {
        definition: definition("east"),
        generation: Some(7),
        standing,
        selects: 3,
        failures: BTreeSet::new(),
    }
}

/// A proxy of the cluster `east` that the definition concerns.
fn proxy(number: usize, stage: Stage) -> Proxy {
    Proxy {
        workload: WorkloadKey {
            cluster: ClusterName::from("east"),
            namespace: "shop".to_owned(),
            name: format!("web-{number:02}"),
        },
        definitions: Arc::new([definition("east")]),
        stage,
    }
}

fn proxies(stages: &[Stage]) -> Vec<Proxy> {
    let stages = stages.iter().cloned().enumerate();
    stages.map(|(number, stage)| proxy(number, stage)).collect()
}

fn said(report: &Report, proxies: &[Proxy]) -> Desired {
    let mut said = desired([report].into_iter(), proxies);
    assert_eq!(said.len(), 1);
    said.remove(&report.definition).unwrap()
}

#[test]
fn programmed_says_how_many_proxies_enforce_it_and_who_does_not() {
    let refused = || Stage::Refused("too new".to_owned());
    let cases: [(&[Stage], Answer, &str, &str); 5] = [
        (
            &[],
            Answer::Unknown,
            "NoProxies",
            "no connected proxy is concerned",
        ),
        (
            &[Stage::Current],
            Answer::True,
            "Programmed",
            "1 of 1 connected proxies enforce this version",
        ),
        (
            &[Stage::Current, Stage::Behind],
            Answer::False,
            "Pending",
            "1 of 2 connected proxies enforce this version",
        ),
        (
            &[Stage::Behind],
            Answer::False,
            "Pending",
            "0 of 1 connected proxies enforce this version",
        ),
        (
            &[Stage::Current, refused(), refused()],
            Answer::False,
            "Refused",
            "1 of 3 connected proxies enforce this version; 2 refused it, such as \
             `east/shop/web-01`: too new",
        ),
    ];
    for (stages, answer, reason, message) in cases {
        let said = said(&report(Standing::Accepted), &proxies(stages));
        let expected = Claim {
            answer,
            reason,
            message: message.to_owned(),
        };
        assert_eq!(said.programmed, Some(expected));
        assert_eq!(said.accepted.answer, Answer::True);
        assert_eq!(said.generation, 7);
    }
}

#[test]
fn refusals_are_counted_and_some_are_listed() {
    let stages = vec![Stage::Refused("no".to_owned()); MAX_REFUSALS + 5];
    let said = said(&report(Standing::Accepted), &proxies(&stages));
    assert_eq!(said.refusals.len(), MAX_REFUSALS);
    assert_eq!(said.refusals[0].proxy, "east/shop/web-00");
    let expected = Proxies {
        selected: 15,
        programmed: 0,
        refused: 15,
    };
    assert_eq!(said.proxies, expected);
}

#[test]
fn a_program_that_cannot_be_made_is_the_policys_fault() {
    let report = Report {
        failures: BTreeSet::from(["too many rules".to_owned()]),
        ..report(Standing::Accepted)
    };
    let claim = said(&report, &proxies(&[Stage::Behind]))
        .programmed
        .unwrap();
    assert_eq!(claim.reason, "ProgramFailed");
    assert!(
        claim.message.ends_with("too many rules"),
        "{}",
        claim.message
    );
}

#[test]
fn what_repeats_the_policy_cluster_counts_its_own_proxies() {
    let mut elsewhere = proxy(1, Stage::Behind);
    elsewhere.workload.cluster = ClusterName::from("west");
    let mut here = proxy(0, Stage::Current);
    for proxy in [&mut elsewhere, &mut here] {
        proxy.definitions = Arc::new([definition("main")]);
    }
    let said = said(&report(Standing::Repeated), &[elsewhere, here]);
    assert_eq!(said.programmed.unwrap().reason, "Programmed");
    assert_eq!(said.proxies.selected, 1);
}

/// Through the index, from objects.
#[test]
fn what_is_wrong_or_contradicts_is_not_accepted() {
    let policy = |cluster: &str, generation: i64, path: &str| {
        let object = json!({
            "apiVersion": "meshwall.io/v1alpha1", "kind": "FirewallPolicy",
            "metadata": {"name": "web", "namespace": "shop", "generation": generation},
            "spec": {"selector": {}, "ingress": [{
                "name": "all", "action": "Allow", "operations": [{"paths": [path]}],
            }]},
        });
        (ClusterName::from(cluster), Object::read(object).unwrap())
    };
    // In `main`, then in `east`; what is said of the latter.
    let cases = [
        ("/a", "/a", "Accepted", "the policy cluster says the same"),
        (
            "/a",
            "/b",
            "Conflicted",
            "FirewallPolicy/shop/web of cluster `main`",
        ),
        ("/a", "/a/../b", "Invalid", "/a/../b"),
    ];
    for (main, east, reason, message) in cases {
        let mesh = Mesh::new(ClusterName::from("main"), "cluster.local");
        let mut index = Index::new(mesh.with(ClusterName::from("east"), "cluster.local"));
        for (cluster, path) in [("main", main), ("east", east)] {
            let (cluster, object) = policy(cluster, 1, path);
            index.apply(&cluster, object);
        }
        let reports = index.update().reports;
        let said = desired(reports.iter(), &[]);
        let said = &said[&definition("east")];
        assert_eq!(said.accepted.reason, reason);
        let text = &said.accepted.message;
        assert!(text.contains(message), "{text}");
        let is_accepted = said.accepted.answer == Answer::True;
        assert_eq!(said.programmed.is_some(), is_accepted);
        assert_eq!(said.generation, 1);
    }
}
