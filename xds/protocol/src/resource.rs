//! What is delivered, and where a session finds it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::name::ResourceName;
use crate::type_url::TypeUrl;

/// Version of a resource: a text that changes whenever the resource does.
///
/// It should be a hash of the content, so that it is the same after a restart and on every replica:
/// clients tell a new stream which versions they have.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(Arc<str>);

/// A resource, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name; never `*`.
    pub name: ResourceName,
    /// Its version.
    pub version: Version,
    /// Its content, an encoded `google.protobuf.Any`. The protocol does not look at it.
    pub body: Bytes,
    /// How long a client may use it without hearing from the server; none is for ever. Sent to
    /// clients that say that they support it.
    pub ttl: Option<Duration>,
    /// Other names by which clients may ask for it.
    pub aliases: Vec<ResourceName>,
}

/// The resources that are meant for one client, at this moment.
///
/// Names are the view's own: two clients may find different resources under the same name. A
/// session asks for all that it needs within one call, so the view must not change during a call.
pub trait View {
    /// The resource of the type that has the name, or has it as an alias.
    fn resource(&self, type_url: &TypeUrl, name: &ResourceName) -> Option<Arc<Resource>>;

    /// The names, not the aliases, of all resources of the type, in any order.
    fn names(&self, type_url: &TypeUrl) -> Vec<ResourceName>;
}

impl Version {
    /// The version as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Version {
    fn from(version: &str) -> Self {
        Self(version.into())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
