//! A server that is killed while policies and pods change: what it had published is in force when
//! it starts again, and nothing else ever is.

#![cfg(test)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use meshwall_mesh_config::envoy::Module;
use meshwall_policy_server::driver::{Ask, Driver};
use meshwall_policy_server::identity::Identities;
use meshwall_policy_server::index::{
    ClusterName, Enforced, Index, Kind, Mesh, Object, WorkloadKey,
};
use meshwall_policy_server::memory::{Memory, Restored};
use meshwall_policy_server::publish::Publisher;
use meshwall_policy_server::source::Event;
use meshwall_xds_server::{Server, Settings};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// How often the process is killed.
const KILLS: u64 = 100;

/// Where the child finds its folder.
const FOLDER: &str = "MESHWALL_TEST_KILLED_FOLDER";

/// Changes after which nothing of an earlier one is left.
const ROUND: u64 = 16;

fn cluster() -> ClusterName {
    ClusterName::from("main")
}

fn mesh() -> Mesh {
    Mesh::new(cluster(), "cluster.local")
}

fn event(document: Value) -> Event {
    Event::Applied {
        cluster: cluster(),
        object: Box::new(Object::read(document).unwrap()),
    }
}

/// Before the first change: everything is listed, and nothing is there but a namespace.
fn beginning() -> Vec<Event> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    let kinds = Kind::ALL.into_iter();
    let listed = kinds.map(|kind| Event::Listed {
        cluster: cluster(),
        kind,
        objects: match kind {
            Kind::Namespace => vec![Object::read(namespace.clone()).unwrap()],
            _ => Vec::new(),
        },
    });
    listed.collect()
}

/// The change of this number: of a pod, or of a policy that in one of four cases is wrong.
fn change(number: u64) -> Event {
    let labels = json!({"number": number.to_string(), "tier": format!("t{}", number % 3)});
    if number.is_multiple_of(2) {
        let name = format!("web-{}", number / 2 % 4);
        return event(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "shop", "name": name, "labels": labels},
            "spec": {"serviceAccountName": "web"},
            "status": {"phase": "Running", "podIPs": [{"ip": format!("10.0.0.{}", number % 8)}]},
        }));
    }
    let path = if number % 8 == 7 { "/a/../b" } else { "/a" };
    event(json!({
        "apiVersion": "meshwall.io/v1alpha1", "kind": "FirewallPolicy",
        "metadata": {"namespace": "shop", "name": format!("p{}", number / 2 % 2), "labels": labels},
        "spec": {"ingress": [{
            "name": format!("rule-{number}"), "action": "Allow",
            "from": [{"podSelector": {"matchLabels": {"tier": format!("t{}", number % 3)}}}],
            "operations": [{"paths": [path]}],
        }]},
    }))
}

/// What is enforced by whom after these events, without the editions, which are the process's own.
fn enforced(events: impl IntoIterator<Item = Event>) -> Vec<(WorkloadKey, Enforced)> {
    let mut index = Index::new(mesh());
    for event in events {
        event.tell(&mut index);
    }
    let mut enforced = index.update().changed;
    enforced.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (_, enforced) in &mut enforced {
        enforced.edition = 0;
    }
    enforced
}

/// How many changes are remembered.
fn changes(events: &[Event]) -> u64 {
    let numbers = events.iter().filter_map(|event| match event {
        Event::Listed { objects, .. } => objects.iter().filter_map(number).max(),
        Event::Applied { object, .. } => number(object),
        Event::Deleted { .. } => None,
    });
    numbers.max().map_or(0, |last| last + 1)
}

fn number(object: &Object) -> Option<u64> {
    let document = object.document()?;
    document["metadata"]["labels"]["number"]
        .as_str()?
        .parse()
        .ok()
}

fn open(folder: &Path) -> Restored {
    let restored = Memory::open(folder, SystemTime::now()).unwrap();
    assert_eq!(restored.damage, None);
    restored
}

#[test]
fn what_was_published_is_in_force_after_each_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut published = 0;
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for kill in 0..KILLS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut child = start(folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: String| {
            if let Some(number) = line.strip_prefix("published ") {
                published = number.parse::<u64>().unwrap();
            }
        };
        // Some are killed at once, while they open what the last one left.
        if kill % 5 != 0 {
            let mut seen = 0;
            while seen <= random % 4 {
                let line = lines.next().unwrap().unwrap();
                seen += u64::from(line.starts_with("published "));
                note(line);
            }
        }
        // This is the randomness, and waits for nothing.
        std::thread::sleep(Duration::from_micros((random >> 32) % 12_000));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died.
        lines.map_while(Result::ok).for_each(note);

        let remembered = open(folder.path()).events;
        let found = changes(&remembered);
        assert!(
            found == published || found == published + 1,
            "kill {kill}: change {published} was published, {found} are remembered"
        );
        let since = found.saturating_sub(4 * ROUND);
        let expected = beginning().into_iter().chain((since..found).map(change));
        assert_eq!(enforced(remembered), enforced(expected), "kill {kill}");
        published = found;
    }
    assert!(published > KILLS, "{published} changes");
}

fn start(folder: &Path) -> Child {
    let test = std::env::current_exe().unwrap();
    Command::new(test)
        .args([
            "--exact",
            "serves_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "the child of `what_was_published_is_in_force_after_each_kill`"]
async fn serves_until_it_is_killed() {
    let folder = std::env::var_os(FOLDER).expect("a parent starts this");
    let Restored { memory, events, .. } = open(Path::new(&folder));
    let first = changes(&events);
    // The last one may have been killed while it began.
    let begins = first == 0;
    let identities = Arc::new(Identities::new(
        [(cluster(), "cluster.local".to_owned())],
        false,
    ));
    let xds = Server::new(Settings::default(), identities.clone());
    let module = Module {
        path: "/etc/meshwall/firewall.wasm".into(),
        sha256: None,
    };
    let publisher = Publisher::new(module, 1);
    let index = Index::new(mesh());
    // One change an update.
    let window = Duration::ZERO;
    let metrics = Arc::default();
    let memory = Some(memory);
    let mut driver = Driver::new(index, memory, identities, publisher, xds, metrics, window);
    driver.restore(events);
    let (tell, told) = mpsc::channel(1);
    let (asks, asked) = mpsc::channel(1);
    tokio::spawn(driver.run(told, asked));
    let tell = async |event: Event| {
        tell.send(event).await.unwrap();
        while tell.capacity() == 0 {
            tokio::task::yield_now().await;
        }
        // The driver has it, and answers when it is done with it.
        let (answer, answered) = oneshot::channel();
        let workload = WorkloadKey {
            cluster: cluster(),
            namespace: String::new(),
            name: String::new(),
        };
        asks.send(Ask { workload, answer }).await.unwrap();
        answered.await.unwrap();
    };
    if begins {
        for event in beginning() {
            tell(event).await;
        }
    }
    for number in first..first + 100_000 {
        tell(change(number)).await;
        let mut out = std::io::stdout().lock();
        writeln!(out, "\npublished {}", number + 1).unwrap();
        out.flush().unwrap();
    }
}
