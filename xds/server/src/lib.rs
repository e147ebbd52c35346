//! An xDS server: transport, store and fan-out around [`meshwall_xds_protocol`].
//!
//! A [`Server`] serves resources of any type by the aggregated discovery service and by that of
//! extension configurations, in both variants of the protocol, over plaintext, TLS or mTLS. The
//! owner publishes [`Change`]s of resources in views, and an [`Authorizer`] says which view a
//! client has; names are the view's own, so that all clients can ask for the same name and each
//! gets what is its own.
//!
//! ```text
//!   publish(changes) --> store: views, resources, subscribers by name
//!                          |  notes names in the mailboxes of subscribers, and wakes them
//!                          v
//!   socket --> service --> stream: session (protocol), inbound, outbox
//!              who is it?    |  looks at its view, encodes small heads around shared bytes
//!                            v
//!                          status, events, counters
//! ```
//!
//! A resource is encoded once, by who publishes it, and its bytes are shared by all views and
//! streams, up to the socket. A stream is the body of an HTTP/2 response: it has no task, queue or
//! buffer of its own, and waits without any while its client does not read.

mod authorize;
mod inbound;
mod mailbox;
mod method;
mod proto;
mod server;
mod service;
mod settings;
mod status;
mod store;
mod stream;
mod sync;
mod tls;

pub use authorize::{Authorizer, Denied, Peer, PeerCertificate};
pub use proto::any;
pub use server::{ListenError, Security, Server};
pub use settings::Settings;
pub use status::{Counters, Delivery, Event, EventKind, Nack, StreamId, StreamStatus};
pub use store::{Change, ViewKey};
pub use tls::{TlsError, TlsFiles};

pub use meshwall_xds_protocol as protocol;
