//! A folder of files.

use std::fs;
use std::time::Duration;

use meshwall_policy_server::index::{ClusterName, Kind};
use meshwall_policy_server::source::{Event, Health, State, files};
use tokio::sync::mpsc;

const SOON: Duration = Duration::from_millis(50);

/// The names of all objects, once all kinds were told.
async fn told(events: &mut mpsc::Receiver<Event>) -> Vec<String> {
    let mut names = Vec::new();
    for expected in Kind::ALL {
        let event = tokio::time::timeout(Duration::from_secs(20), events.recv());
        let Event::Listed { kind, objects, .. } = event.await.unwrap().unwrap() else {
            panic!("a folder is told as a whole");
        };
        assert_eq!(kind, expected);
        names.extend(objects.iter().map(|object| object.key().to_string()));
    }
    names
}

#[tokio::test]
async fn a_folder_is_told_as_a_whole_whenever_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    let namespace =
        |name: &str| format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n");
    fs::write(&path, namespace("shop")).unwrap();
    let (sender, mut events) = mpsc::channel(1);
    let health = Health::default();
    let local = ClusterName::from("local");
    let looking = files::watch(&local, folder.path(), SOON, &sender, &health);
    assert_eq!(told(&mut events).await, ["Namespace/shop"]);
    fs::write(&path, namespace("bank")).unwrap();
    assert_eq!(told(&mut events).await, ["Namespace/bank"]);
    fs::write(&path, "{{").unwrap();
    assert_eq!(told(&mut events).await, ["Namespace/bank"]);
    let failing = async {
        while !matches!(
            health.of(&local, Kind::Pod).map(|health| health.state),
            Some(State::Failing(_))
        ) {
            tokio::time::sleep(SOON).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), failing)
        .await
        .unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(told(&mut events).await, Vec::<String>::new());
    drop(looking);
    drop(sender);
    assert!(events.recv().await.is_none());
}
