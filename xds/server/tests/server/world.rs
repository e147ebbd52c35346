//! A server with short times, and what is published on it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use meshwall_xds_server::protocol::type_url::EXTENSION_CONFIG;
use meshwall_xds_server::protocol::{Node, Resource, ResourceName};
use meshwall_xds_server::{
    Authorizer, Change, Denied, Peer, Security, Server, Settings, ViewKey, any,
};

pub(crate) const ECDS: &str = EXTENSION_CONFIG;

/// Lets a node have the view of its id. Over TLS, only if the certificate has that name and no
/// other.
struct ByNode;

impl Authorizer for ByNode {
    fn authorize(&self, peer: &Peer, node: &Node) -> Result<ViewKey, Denied> {
        let expected = format!("spiffe://test/{}", node.id);
        match &peer.certificate {
            Some(certificate) if certificate.uri_names != [expected] => Err(Denied {
                reason: "another identity".into(),
            }),
            _ => Ok(node.id.as_str().into()),
        }
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        message_bytes: 256 * 1024,
        first_message_timeout: Duration::from_millis(200),
        handshake_timeout: Duration::from_millis(200),
        certificate_interval: Duration::from_millis(20),
        ..Settings::default()
    }
}

pub(crate) fn authorizer() -> Arc<dyn Authorizer> {
    Arc::new(ByNode)
}

pub(crate) async fn server(settings: Settings, security: Security) -> (Server, SocketAddr) {
    let server = Server::new(settings, authorizer());
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let address = server.listen(any_port, security).await.unwrap();
    (server, address)
}

pub(crate) async fn plaintext() -> (Server, SocketAddr) {
    server(settings(), Security::Plaintext).await
}

pub(crate) fn set(view: &str, name: &str, version: &str) -> Change {
    set_sized(view, name, version, 0)
}

/// A resource whose body is at least this long.
pub(crate) fn set_sized(view: &str, name: &str, version: &str, bytes: usize) -> Change {
    let mut message = version.as_bytes().to_vec();
    message.resize(bytes.max(message.len()), b'.');
    Change::Set {
        view: view.into(),
        type_url: ECDS.into(),
        resource: Arc::new(Resource {
            name: ResourceName::new(name).unwrap(),
            version: version.into(),
            body: any(ECDS, &message),
            ttl: None,
            aliases: Vec::new(),
        }),
    }
}

pub(crate) fn remove(view: &str, name: &str) -> Change {
    Change::Remove {
        view: view.into(),
        type_url: ECDS.into(),
        name: ResourceName::new(name).unwrap(),
    }
}

/// Waits for something, but not for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, future).await.expect("in time")
}

/// Waits until something is so.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    within(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
