//! A client made of tonic and the stubs of Envoy's API.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::extension::v3::extension_config_discovery_service_client::ExtensionConfigDiscoveryServiceClient;
use envoy_types::pb::google::rpc;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::pki::{Authority, Identity};
use crate::world::{ECDS, within};

/// Bytes that a client takes before it reads: what HTTP/2 begins with.
const WINDOW: u32 = 65_535;

pub(crate) async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    // Small, so that what is large waits at the server.
    let endpoint = endpoint
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    within(endpoint.connect()).await.unwrap()
}

/// How a client trusts and shows itself.
pub(crate) fn tls(servers: &Authority, identity: Option<&Identity>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(servers.certificate.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
            let chain = chain.collect::<Result<_, _>>().unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

pub(crate) async fn connect_tls(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    within(endpoint.connect_with_connector(Connector { address, config })).await
}

#[derive(Clone)]
struct Connector {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Service<http::Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let Self { address, config } = self.clone();
        Box::pin(async move {
            let socket = TcpStream::connect(address).await?;
            let name = ServerName::try_from("localhost").unwrap();
            let stream = TlsConnector::from(config).connect(name, socket).await?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// One stream, with requests of type `Q` and responses of type `R`.
pub(crate) struct Stream<Q, R> {
    requests: mpsc::Sender<Q>,
    responses: Streaming<R>,
}

pub(crate) type Delta = Stream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
pub(crate) type State = Stream<DiscoveryRequest, DiscoveryResponse>;

/// Whether a stream is of all types or of extension configurations only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ads,
    Ecds,
}

pub(crate) fn node(id: &str) -> Option<Node> {
    Some(Node {
        id: id.into(),
        ..Default::default()
    })
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// The first request of a delta stream.
pub(crate) fn subscribe(id: &str, names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: node(id),
        type_url: ECDS.into(),
        resource_names_subscribe: texts(names),
        ..Default::default()
    }
}

/// The first request of a stream in state of the world.
pub(crate) fn want(id: &str, names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        node: node(id),
        type_url: ECDS.into(),
        resource_names: texts(names),
        ..Default::default()
    }
}

impl Delta {
    pub(crate) async fn open(
        channel: &Channel,
        kind: Kind,
        first: DeltaDiscoveryRequest,
    ) -> Result<Self, Status> {
        let (requests, outbound) = mpsc::channel(16);
        requests.send(first).await.unwrap();
        let outbound = ReceiverStream::new(outbound);
        let response = within(async {
            let channel = channel.clone();
            match kind {
                Kind::Ads => {
                    let mut client = AggregatedDiscoveryServiceClient::new(channel);
                    client.delta_aggregated_resources(outbound).await
                }
                Kind::Ecds => {
                    let mut client = ExtensionConfigDiscoveryServiceClient::new(channel);
                    client.delta_extension_configs(outbound).await
                }
            }
        })
        .await?;
        Ok(Self {
            requests,
            responses: response.into_inner(),
        })
    }

    /// The next response, as `name=version` and `-name`, and its nonce. It is not answered.
    pub(crate) async fn next(&mut self) -> (String, String) {
        let response = self.receive().await.unwrap().expect("a response");
        assert_eq!(response.type_url, ECDS);
        let mut words = Vec::new();
        for resource in &response.resources {
            let any = resource.resource.as_ref().unwrap();
            assert_eq!(any.type_url, ECDS);
            // The body begins with the version.
            assert!(any.value.starts_with(resource.version.as_bytes()));
            words.push(format!("{}={}", resource.name, resource.version));
        }
        words.extend(response.removed_resources.iter().map(|n| format!("-{n}")));
        (words.join(" "), response.nonce)
    }

    /// The next response, which is accepted.
    pub(crate) async fn accept(&mut self) -> String {
        let (content, nonce) = self.next().await;
        self.answer(nonce, None).await;
        content
    }

    /// The next response, which is refused.
    pub(crate) async fn refuse(&mut self, reason: &str) -> String {
        let (content, nonce) = self.next().await;
        self.answer(nonce, Some(reason)).await;
        content
    }

    async fn answer(&mut self, nonce: String, error: Option<&str>) {
        self.send(DeltaDiscoveryRequest {
            type_url: ECDS.into(),
            response_nonce: nonce,
            error_detail: error.map(|message| rpc::Status {
                code: 13,
                message: message.into(),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await;
    }
}

impl State {
    pub(crate) async fn open(
        channel: &Channel,
        kind: Kind,
        first: DiscoveryRequest,
    ) -> Result<Self, Status> {
        let (requests, outbound) = mpsc::channel(16);
        requests.send(first).await.unwrap();
        let outbound = ReceiverStream::new(outbound);
        let response = within(async {
            let channel = channel.clone();
            match kind {
                Kind::Ads => {
                    let mut client = AggregatedDiscoveryServiceClient::new(channel);
                    client.stream_aggregated_resources(outbound).await
                }
                Kind::Ecds => {
                    let mut client = ExtensionConfigDiscoveryServiceClient::new(channel);
                    client.stream_extension_configs(outbound).await
                }
            }
        })
        .await?;
        Ok(Self {
            requests,
            responses: response.into_inner(),
        })
    }

    /// The next response, which is accepted with a subscription: its bodies and its version.
    pub(crate) async fn accept(&mut self, names: &[&str]) -> (String, String) {
        let response = self.receive().await.unwrap().expect("a response");
        assert_eq!(response.type_url, ECDS);
        let bodies = response.resources.iter();
        let bodies: Vec<_> = bodies.map(|b| String::from_utf8_lossy(&b.value)).collect();
        self.send(DiscoveryRequest {
            type_url: ECDS.into(),
            version_info: response.version_info.clone(),
            resource_names: texts(names),
            response_nonce: response.nonce.clone(),
            ..Default::default()
        })
        .await;
        (bodies.join(" "), response.version_info)
    }
}

impl<Q, R> Stream<Q, R> {
    pub(crate) async fn send(&mut self, request: Q) {
        within(self.requests.send(request)).await.ok().unwrap();
    }

    pub(crate) async fn receive(&mut self) -> Result<Option<R>, Status> {
        within(self.responses.message()).await
    }

    /// The status with which the server ends the stream, after whatever it sends before.
    pub(crate) async fn end(&mut self) -> Status {
        loop {
            match self.receive().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok(""),
                Err(status) => return status,
            }
        }
    }

    /// Ends the client's side.
    pub(crate) fn half_close(self) -> Streaming<R> {
        self.responses
    }
}
