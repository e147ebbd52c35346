//! A policy server for one workload.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshwall_policy::bundle::Bundle;
use meshwall_policy::delivery::{CHUNK_TYPE, Delivery, POLICY_NAME, POLICY_TYPE};
use meshwall_xds_server::protocol::{Node, Resource, ResourceName};
use meshwall_xds_server::{
    Authorizer, Change, Denied, Peer, Security, Server, Settings, ViewKey, any,
};
use prost::Message;

use crate::sidecar::{SOON, bundle};

const VIEW: &str = "shop/ledger-0";
const POLL: Duration = Duration::from_millis(5);

/// Knows one node.
struct Ledger;

impl Authorizer for Ledger {
    fn authorize(&self, _: &Peer, node: &Node) -> Result<ViewKey, Denied> {
        if node.id == "ledger-0.shop" {
            Ok(ViewKey::from(VIEW))
        } else {
            let reason = format!("unknown node {node:?}");
            Err(Denied { reason })
        }
    }
}

/// The server, and where it listens.
pub(crate) struct PolicyServer {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
}

impl PolicyServer {
    pub(crate) async fn start() -> PolicyServer {
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        PolicyServer::start_at(loopback).await
    }

    /// Starts it where another one was.
    pub(crate) async fn start_at(address: SocketAddr) -> PolicyServer {
        let server = Server::new(Settings::default(), Arc::new(Ledger));
        let start = Instant::now();
        loop {
            match server.listen(address, Security::Plaintext).await {
                Ok(address) => return PolicyServer { server, address },
                // The other one may not have left yet.
                Err(error) => assert!(start.elapsed() < SOON, "{error}"),
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Publishes what documents mean. How long it took until it was in force everywhere, and in
    /// how many chunks it came.
    pub(crate) async fn publish(&self, documents: &str, streams: usize) -> (Duration, usize) {
        let start = Instant::now();
        let (version, chunks) = self.offer(documents);
        self.until(|server| in_force(server, &version) == streams)
            .await;
        (start.elapsed(), chunks)
    }

    /// Publishes what documents mean. The version, and the number of chunks.
    pub(crate) fn offer(&self, documents: &str) -> (String, usize) {
        let bundle = Bundle::load(&bundle(documents)).unwrap();
        let delivery = Delivery::new(bundle.program.bytes(), bundle.peers.bytes()).unwrap();
        let version = delivery.version().to_string();
        let chunks = delivery.chunks.iter();
        let chunks = chunks.map(|(id, data)| set(CHUNK_TYPE, &id.to_string(), "1", data));
        let manifest = set(POLICY_TYPE, POLICY_NAME, &version, &delivery.manifest);
        self.server.publish(chunks.chain([manifest]));
        (version, delivery.chunks.len())
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, condition: impl Fn(&Server) -> bool) {
        let start = Instant::now();
        while !condition(&self.server) {
            let streams = self.server.streams();
            assert!(start.elapsed() < SOON, "still not: {streams:#?}");
            tokio::time::sleep(POLL).await;
        }
    }

    pub(crate) async fn stop(self) -> SocketAddr {
        self.server.shut_down(Duration::from_millis(100)).await;
        self.address
    }
}

/// How many streams have a policy in force.
pub(crate) fn in_force(server: &Server, version: &str) -> usize {
    let has = |stream: &meshwall_xds_server::StreamStatus| {
        let policy = stream.types.get(POLICY_TYPE);
        let mut acked = policy.into_iter().flat_map(|policy| policy.acked.values());
        acked.any(|acked| acked.as_str() == version)
    };
    server.streams().iter().filter(|stream| has(stream)).count()
}

fn set(type_url: &str, name: &str, version: &str, content: &[u8]) -> Change {
    // A message with bytes in field 1, as `google.protobuf.BytesValue` is.
    let message = content.to_vec().encode_to_vec();
    Change::Set {
        view: ViewKey::from(VIEW),
        type_url: type_url.into(),
        resource: Arc::new(Resource {
            name: ResourceName::new(name).unwrap(),
            version: version.into(),
            body: any(type_url, &message),
            ttl: None,
            aliases: Vec::new(),
        }),
    }
}
