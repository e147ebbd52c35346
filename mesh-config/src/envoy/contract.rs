//! Names that a configuration and the filter in it have to agree on.
//!
//! The filter is a module of its own and is not built from this crate; what it reads and
//! writes under these names is described in its documentation.

use super::{Direction, FilterKind};

/// Root id of the firewall as an HTTP filter.
pub const HTTP_ROOT_ID: &str = "http";
/// Root id of the firewall as a network filter.
pub const NETWORK_ROOT_ID: &str = "network";

/// Name of the firewall in a filter chain, and as a plugin.
pub const FILTER: &str = "meshwall.firewall";
/// Id of the virtual machine, one a worker, that the firewall's filters share.
pub const VM_ID: &str = "meshwall";

/// Name by which a listener asks a policy server for its firewall (ECDS). What it gets under this
/// name is its own workload's.
#[must_use]
pub fn discovered(kind: FilterKind, direction: Direction) -> &'static str {
    match (direction, kind) {
        (Direction::Inbound, FilterKind::Http) => "meshwall.ingress.http",
        (Direction::Inbound, FilterKind::Network) => "meshwall.ingress.network",
        (Direction::Outbound, FilterKind::Http) => "meshwall.egress.http",
        (Direction::Outbound, FilterKind::Network) => "meshwall.egress.network",
    }
}

/// Filter state that the configuration writes: all URI SANs of the peer's certificate,
/// joined with commas. Absent if there is none.
///
/// A filter sees only the first one as `connection.uri_san_peer_certificate`. The two are
/// equal exactly if there is one URI SAN, whatever characters it has in it.
pub const PEER_URI_SANS: &str = "meshwall.peer_uri_sans";
/// Filter state that the configuration writes: the address, `ip:port`, at the other end of
/// the connection, whatever `x-forwarded-for` says.
pub const PEER_ADDRESS: &str = "meshwall.peer_address";

/// Filter state that the firewall writes, for access logs: the verdict. Like the other two
/// it is absent where all policies, the monitored ones included, permit.
pub const VERDICT: &str = "meshwall.verdict";
/// Filter state that the firewall writes, for access logs: the document and rule that
/// caused the verdict.
pub const CAUSE: &str = "meshwall.cause";
/// Filter state that the firewall writes, for access logs: the verdict that would hold if
/// every monitored policy were enforced, with its cause; absent if it is the same.
pub const WOULD_BE: &str = "meshwall.would_be";

/// Labels that the firewall puts into the names of its metrics, as in
/// `NAME;verdict=deny;rule=r7`.
pub const METRIC_LABELS: [&str; 5] = ["direction", "policy", "reason", "rule", "verdict"];

/// Key, below `envoy.filters.http.jwt_authn` in the dynamic metadata, of the claims of a
/// verified token.
pub const JWT_CLAIMS: &str = "payload";
