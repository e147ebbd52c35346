//! Who may have which resources: a question that the owner of a server answers.

use std::net::SocketAddr;

use meshwall_xds_protocol::Node;

use crate::store::ViewKey;

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// What its certificate proves; none if it was not asked for one.
    pub certificate: Option<PeerCertificate>,
}

/// What a verified certificate says about its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// All URI names, in the order of the certificate. A SPIFFE certificate has exactly one, its
    /// SPIFFE id; one that has several is no identity.
    pub uri_names: Vec<String>,
}

/// Decides which view a client has.
///
/// The node is what the client says of itself. It must be held against the certificate: whoever
/// can connect can send any node.
pub trait Authorizer: Send + Sync + 'static {
    /// Names the view that the peer has as this node. It is asked once for each stream, and must
    /// not block.
    ///
    /// # Errors
    ///
    /// If the peer is not this node. The stream ends with `PERMISSION_DENIED`.
    fn authorize(&self, peer: &Peer, node: &Node) -> Result<ViewKey, Denied>;
}

/// Why a peer is refused. The reason is logged, and not told to the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Denied {
    /// The reason, for the operator.
    pub reason: String,
}
