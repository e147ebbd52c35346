//! xDS sessions without sockets: messages in, effects out.
//!
//! A [`Session`] is the server's side of one gRPC stream of the [xDS protocol]: it takes what the
//! client sends, asks a [`View`] for the resources that are meant for this client, and returns
//! [`Effect`]s: what to send, what to watch, what the client accepted or refused. It has no sockets,
//! tasks, clock or protobuf, so every rule of the protocol can be tested by calling it, and any
//! order of events can be tried.
//!
//! It speaks both variants, state of the world and incremental, aggregated or for one type. It knows
//! nothing of the content of resources; of their types it knows that clusters and listeners are sent
//! as a whole in state of the world, and the order in which types depend on each other.
//!
//! What a client can make a session keep is bounded by [`Limits`]. Beyond them, and when the client
//! breaks the protocol in a way that has no answer, the stream ends with a [`Refusal`].
//!
//! [xDS protocol]: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol

mod channel;
mod delta;
mod due;
mod held;
mod message;
mod name;
mod refusal;
mod resource;
mod respond;
mod session;
mod state;
mod subscription;
pub mod type_url;

pub use message::{Ask, Effect, ErrorDetail, Item, Node, Nonce, Request, Response};
pub use name::{NameError, ResourceName};
pub use refusal::{Code, Limits, Refusal};
pub use resource::{Resource, Version, View};
pub use session::{Scope, Session};
pub use type_url::TypeUrl;
