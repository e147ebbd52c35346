//! A new policy holds at once, and whoever is asking meanwhile notices nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use meshwall_testbed::rig::client::{Client, End, Exchange, Request, Version};
use tokio::task::JoinHandle;

use crate::sidecar::{CONSOLE, FRONTEND, GREETING, Published, SOON};

const BOTH: &str = "
- {name: readers, action: Allow, from: [{serviceAccounts: [frontend, ops/console]}]}
";
const FRONTEND_ONLY: &str = "
- {name: readers, action: Allow, from: [{serviceAccounts: [frontend]}]}
";
const SWAPS: usize = 20;

#[tokio::test]
async fn nothing_passes_before_there_is_a_policy() {
    let sidecar = Published::start().await;
    let start = Instant::now();
    for version in [Version::Http1, Version::Http2] {
        assert_eq!(sidecar.ask(&FRONTEND, version).await, 403);
    }
    assert!(!sidecar.is_greeted(&FRONTEND).await);
    let took = start.elapsed();
    assert!(
        took < Duration::from_secs(2),
        "denied at once, not after {took:?}"
    );
    assert_eq!(sidecar.web.traffic().connections, 0);
    assert_eq!(sidecar.raw.traffic().connections, 0);

    sidecar.publish("1", FRONTEND_ONLY).await;
    assert_eq!(sidecar.ask(&FRONTEND, Version::Http2).await, 200);
    assert_eq!(sidecar.ask(&CONSOLE, Version::Http2).await, 403);
    assert!(sidecar.is_greeted(&FRONTEND).await);
    assert!(!sidecar.is_greeted(&CONSOLE).await);
}

/// Envoy finds an earlier configuration again, byte for byte, if something of it still lives,
/// and does not tell the filter.
#[tokio::test]
async fn a_policy_that_is_brought_back_is_live() {
    let sidecar = Published::start_with(BOTH).await;
    let address = sidecar.envoy.listener("http").unwrap();
    let stream = Request::get("/stream");
    // Two workers: on each of them, most likely, something of each policy lives.
    let mut living = Vec::new();
    for round in 0..3 {
        for (rules, status) in [(FRONTEND_ONLY, 403), (BOTH, 200)] {
            for _ in 0..6 {
                let frontend = sidecar.mesh.client(&FRONTEND);
                let mut connection = frontend.http(address, Version::Http2).await.unwrap();
                let mut stream = connection.stream(&stream).await.unwrap();
                assert!(stream.next().await.unwrap().is_some());
                living.push((connection, stream));
            }
            sidecar
                .publish(&format!("{status} in round {round}"), rules)
                .await;
            let told_otherwise = Instant::now() + Duration::from_secs(3);
            let mut in_a_row = 0;
            while in_a_row < 40 {
                let right = sidecar.ask(&CONSOLE, Version::Http2).await == status
                    && sidecar.is_greeted(&CONSOLE).await == (status == 200);
                in_a_row = if right { in_a_row + 1 } else { 0 };
                assert!(
                    right || Instant::now() < told_otherwise,
                    "round {round}: {status}"
                );
            }
        }
    }
    for (_, stream) in &mut living {
        assert!(stream.next().await.unwrap().is_some());
    }
}

/// How many answers of a new verdict are waited for before the next swap.
const ANSWERS: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_drop_nothing() {
    let sidecar = Published::start_with(BOTH).await;
    let load = Load::start(&sidecar);
    for swap in 0..SWAPS {
        let (rules, verdict) = match swap % 2 {
            0 => (FRONTEND_ONLY, &load.answers.denied),
            _ => (BOTH, &load.answers.permitted),
        };
        sidecar.publish(&format!("swap {swap}"), rules).await;
        let start = Instant::now();
        let before = verdict.load(Ordering::Relaxed);
        while verdict.load(Ordering::Relaxed) < before + ANSWERS {
            assert!(start.elapsed() < SOON, "swap {swap}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    // Any of the peers panics if it is told or served anything else.
    let Seen {
        frontend,
        connections,
        stream,
    } = load.stop().await;
    for (what, count) in [
        ("requests of the frontend", frontend),
        ("connections of the frontend", connections),
        ("pieces of the stream", stream),
    ] {
        assert!(count > SWAPS, "{what}: {count}");
    }
}

/// Verdicts that the console was told.
#[derive(Default)]
struct Answers {
    permitted: AtomicUsize,
    denied: AtomicUsize,
}

/// What the frontend did in the meantime.
struct Seen {
    /// Requests; all were permitted.
    frontend: usize,
    /// Connections; all were greeted and answered.
    connections: usize,
    /// Pieces of one response that went on all the time.
    stream: usize,
}

/// Peers that ask all the time.
struct Load {
    running: Arc<AtomicBool>,
    answers: Arc<Answers>,
    console: Vec<JoinHandle<()>>,
    frontend: Vec<JoinHandle<usize>>,
    connections: JoinHandle<usize>,
    stream: JoinHandle<usize>,
}

impl Load {
    fn start(sidecar: &Published) -> Load {
        let running = Arc::new(AtomicBool::new(true));
        let answers = Arc::new(Answers::default());
        let http = sidecar.envoy.listener("http").unwrap();
        let tcp = sidecar.envoy.listener("tcp").unwrap();
        let [frontend, console] = [&FRONTEND, &CONSOLE].map(|peer| sidecar.mesh.client(peer));
        let versions = [Version::Http1, Version::Http2];
        let console = versions.map(|version| {
            let (client, running, answers) = (console.clone(), running.clone(), answers.clone());
            tokio::spawn(async move { ask(&client, http, version, &running, &answers).await })
        });
        let served = versions.map(|version| {
            let (client, running) = (frontend.clone(), running.clone());
            tokio::spawn(async move {
                let answers = Answers::default();
                ask(&client, http, version, &running, &answers).await;
                assert_eq!(answers.denied.into_inner(), 0);
                answers.permitted.into_inner()
            })
        });
        Load {
            console: console.into(),
            frontend: served.into(),
            connections: tokio::spawn(greet(frontend.clone(), tcp, running.clone())),
            stream: tokio::spawn(listen(frontend, http, running.clone())),
            running,
            answers,
        }
    }

    async fn stop(self) -> Seen {
        self.running.store(false, Ordering::Relaxed);
        for task in self.console {
            task.await.unwrap();
        }
        let mut frontend = 0;
        for task in self.frontend {
            frontend += task.await.unwrap();
        }
        Seen {
            frontend,
            connections: self.connections.await.unwrap(),
            stream: self.stream.await.unwrap(),
        }
    }
}

/// Asks on one connection again and again; every answer is a verdict.
async fn ask(
    client: &Client,
    address: SocketAddr,
    version: Version,
    running: &AtomicBool,
    answers: &Answers,
) {
    let mut connection = client.http(address, version).await.unwrap();
    while running.load(Ordering::Relaxed) {
        let answer = connection.send(&Request::get("/")).await.unwrap();
        match (answer.status, answer.text().as_str()) {
            (200, _) => answers.permitted.fetch_add(1, Ordering::Relaxed),
            (403, "denied by policy\n") => answers.denied.fetch_add(1, Ordering::Relaxed),
            (status, body) => panic!("{status}: {body}"),
        };
    }
}

/// Opens connections again and again; each is greeted and answered.
async fn greet(client: Client, address: SocketAddr, running: Arc<AtomicBool>) -> usize {
    let answer = [GREETING, b"hi"].concat();
    let mut count = 0;
    while running.load(Ordering::Relaxed) {
        let exchange = Exchange {
            send: b"hi",
            expect: answer.len(),
        };
        let end = client.exchange(address, exchange).await.unwrap();
        assert_eq!(end, End::Received(answer.clone()));
        count += 1;
    }
    count
}

/// Listens to one response all the time.
async fn listen(client: Client, address: SocketAddr, running: Arc<AtomicBool>) -> usize {
    let mut connection = client.http(address, Version::Http2).await.unwrap();
    let mut stream = connection.stream(&Request::get("/stream")).await.unwrap();
    let mut pieces = 0;
    while running.load(Ordering::Relaxed) {
        assert!(stream.next().await.unwrap().is_some());
        pieces += 1;
    }
    pieces
}
