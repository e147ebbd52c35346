//! The admin port: how the server is doing, for operators and probes. It changes nothing, and shows
//! names, versions and reasons, never a document's content or a secret.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 while the process lives |
//! | `/readyz` | 200 once proxies are served what they should enforce, else 503; a line a source |
//! | `/metrics` | OpenMetrics text |
//! | `/status` | JSON: [`Status`] |
//! | `/proxies` | JSON: a list of [`Proxy`] |
//! | `/workloads/CLUSTER/NAMESPACE/POD` | JSON: [`Workload`] |

mod service;
mod view;

pub use self::service::serve;
pub use self::view::{
    Counts, Delivery, Nack, NotApplied, PeerSet, Policy, PolicyState, Proxy, Readiness, Source,
    SourceState, Status, View, Workload,
};
