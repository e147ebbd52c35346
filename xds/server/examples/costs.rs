//! What a server costs, on this machine: memory of an idle stream, CPU of a sparse update and of a
//! delivery.
//!
//! ```sh
//! cargo run --release -p meshwall-xds-server --example costs
//! ```
//!
//! The clients run in a process of their own, which the example starts, so that what is printed is
//! the server's. They speak plaintext; TLS adds its buffers and records.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a measurement that fails has no figures"
)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::config::core::v3::Node as ProtoNode;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use meshwall_xds_server::protocol::type_url::EXTENSION_CONFIG;
use meshwall_xds_server::protocol::{Node, Resource, ResourceName};
use meshwall_xds_server::{
    Authorizer, Change, Denied, Peer, Security, Server, Settings, ViewKey, any,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

const STREAMS: usize = 2000;
const NAMES: usize = 10_000;
const NAMES_PER_STREAM: usize = 5;
const UPDATES: usize = 2000;

struct OneView;

impl Authorizer for OneView {
    fn authorize(&self, _: &Peer, _: &Node) -> Result<ViewKey, Denied> {
        Ok("all".into())
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match env::args().nth(1) {
        Some(address) => runtime.block_on(clients(address.parse().expect("an address"))),
        None => runtime.block_on(measure()),
    }
}

fn name(i: usize) -> String {
    format!("meshwall/resource-{i}")
}

/// A resource whose message has this many bytes.
fn change(i: usize, version: usize, bytes: usize) -> Change {
    let mut body = format!("{i} {version}").into_bytes();
    body.resize(bytes, b'.');
    Change::Set {
        view: "all".into(),
        type_url: EXTENSION_CONFIG.into(),
        resource: Arc::new(Resource {
            name: ResourceName::new(&name(i)).expect("a name"),
            version: format!("{version:064x}").as_str().into(),
            body: any(EXTENSION_CONFIG, &body),
            ttl: None,
            aliases: Vec::new(),
        }),
    }
}

async fn measure() {
    let server = Server::new(Settings::default(), Arc::new(OneView));
    server.publish((0..NAMES).map(|i| change(i, 0, 1024)));
    let address = server
        .listen(SocketAddr::from(([127, 0, 0, 1], 0)), Security::Plaintext)
        .await
        .expect("a free port");
    let memory = resident();
    let cpu = cpu_time();
    let started = Instant::now();
    let mut clients = Command::new(env::current_exe().expect("this program"))
        .arg(address.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the clients");
    let mut lines = BufReader::new(clients.stdout.take().expect("its output")).lines();
    let mut told = clients.stdin.take().expect("its input");
    wait(&server, STREAMS).await;
    let delivered = server.counters().responses;
    report(
        "first delivery of 5 resources of 1 KB, with connecting",
        (cpu_time() - cpu) / u32::try_from(delivered).expect("few"),
        started.elapsed(),
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!(
        "an idle stream, one on each connection: {:.1} kB",
        (resident() - memory) as f64 / STREAMS as f64 / 1000.0
    );

    let cpu = cpu_time();
    let started = Instant::now();
    for update in 0..UPDATES {
        let before = server.counters().acks;
        server.publish([change(update % NAMES, update + 1, 1024)]);
        wait(&server, usize::try_from(before).expect("few") + 1).await;
    }
    report(
        "sparse update, 1 of 10,000 names, 2,000 streams with 5 names each",
        (cpu_time() - cpu) / u32::try_from(UPDATES).expect("few"),
        started.elapsed() / u32::try_from(UPDATES).expect("few"),
    );

    let rounds = 10;
    let before = server.counters().responses;
    let cpu = cpu_time();
    let started = Instant::now();
    for round in 0..rounds {
        let acks = usize::try_from(server.counters().acks).expect("few");
        server.publish((0..STREAMS).map(|i| change(i * NAMES_PER_STREAM, 1_000_000 + round, 1024)));
        wait(&server, acks + STREAMS).await;
    }
    let deliveries = u32::try_from(server.counters().responses - before).expect("few");
    report(
        "delivery of 1 KB, all streams at once",
        (cpu_time() - cpu) / deliveries,
        started.elapsed() / deliveries,
    );
    println!(
        "deliveries per second, clients on the same machine: {:.0}",
        f64::from(deliveries) / started.elapsed().as_secs_f64()
    );
    told.write_all(b"end\n").expect("the clients");
    drop(told);
    let _ = lines.next();
    clients.wait().expect("the clients");
    server.shut_down(Duration::from_secs(1)).await;
}

/// Waits until clients have accepted this many responses.
async fn wait(server: &Server, acks: usize) {
    let begin = Instant::now();
    while (server.counters().acks as usize) < acks {
        assert!(begin.elapsed() < Duration::from_secs(120), "no progress");
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

fn report(what: &str, cpu: Duration, time: Duration) {
    println!(
        "{what}: {:.1} us of CPU, {:.1} us",
        cpu.as_secs_f64() * 1e6,
        time.as_secs_f64() * 1e6
    );
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|n| n.parse::<usize>().ok());
    pages.expect("a number") * 4096
}

/// CPU time of this process, user and system; the kernel counts in hundredths of a second.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("procfs");
    let after = stat.rsplit(')').next().expect("a name");
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |i: usize| fields[i].parse::<u64>().expect("a number");
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// Clients with a connection each, which accept what comes, until the input ends.
async fn clients(address: SocketAddr) {
    let url = format!("http://{address}");
    for stream in 0..STREAMS {
        let url = url.clone();
        tokio::spawn(async move {
            let endpoint = Endpoint::from_shared(url).expect("a URL");
            let channel = endpoint.connect().await.expect("the server");
            let (requests, outbound) = mpsc::channel(4);
            let first = DeltaDiscoveryRequest {
                node: Some(ProtoNode {
                    id: format!("node-{stream}"),
                    ..Default::default()
                }),
                type_url: EXTENSION_CONFIG.into(),
                resource_names_subscribe: (0..NAMES_PER_STREAM)
                    .map(|i| name((stream * NAMES_PER_STREAM + i) % NAMES))
                    .collect(),
                ..Default::default()
            };
            requests.send(first).await.expect("room");
            let mut client = AggregatedDiscoveryServiceClient::new(channel);
            let outbound = ReceiverStream::new(outbound);
            let response = client.delta_aggregated_resources(outbound).await;
            let mut responses = response.expect("a stream").into_inner();
            while let Ok(Some(response)) = responses.message().await {
                let ack = DeltaDiscoveryRequest {
                    type_url: response.type_url,
                    response_nonce: response.nonce,
                    ..Default::default()
                };
                if requests.send(ack).await.is_err() {
                    return;
                }
            }
        });
    }
    let end = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next());
    let _ = end.await;
}
