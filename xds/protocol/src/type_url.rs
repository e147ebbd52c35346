//! Types of resources, and the little that the protocol knows about some of them.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Type URL of a kind of resource, such as
/// `type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeUrl(Arc<str>);

/// `envoy.config.cluster.v3.Cluster` (CDS).
pub const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
/// `envoy.config.endpoint.v3.ClusterLoadAssignment` (EDS).
pub const ENDPOINTS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
/// `envoy.config.listener.v3.Listener` (LDS).
pub const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
/// `envoy.config.route.v3.RouteConfiguration` (RDS).
pub const ROUTES: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
/// `envoy.config.route.v3.VirtualHost` (VHDS).
pub const VIRTUAL_HOST: &str = "type.googleapis.com/envoy.config.route.v3.VirtualHost";
/// `envoy.config.core.v3.TypedExtensionConfig` (ECDS).
pub const EXTENSION_CONFIG: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";

/// Types whose updates depend on each other, in the order in which they must arrive.
const ORDERED: [&str; 5] = [CLUSTER, ENDPOINTS, LISTENER, ROUTES, VIRTUAL_HOST];

impl TypeUrl {
    /// The URL as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a state-of-the-world response must hold all resources of the type, so that one that
    /// is not in it counts as removed.
    pub(crate) fn is_full_state(&self) -> bool {
        matches!(&*self.0, CLUSTER | LISTENER)
    }

    /// The place of the type in the make-before-break order, the first being 0. None if no other
    /// type depends on it.
    pub(crate) fn rank(&self) -> Option<usize> {
        ORDERED.iter().position(|url| *url == &*self.0)
    }

    /// Whether resources of the type are what routes and listeners point to, and so are removed
    /// after these.
    pub(crate) fn is_pointed_to(&self) -> bool {
        matches!(&*self.0, CLUSTER | ENDPOINTS)
    }
}

impl From<&str> for TypeUrl {
    fn from(url: &str) -> Self {
        Self(url.into())
    }
}

impl Borrow<str> for TypeUrl {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TypeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for TypeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
