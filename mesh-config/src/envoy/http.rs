//! HTTP listeners.

use super::firewall::{FilterKind, Firewall};
use super::jwt::{self, JwtIssuer};
use super::tree::{Entry, Tree, entry, extension, list, map};
use super::{Direction, access_log};

/// What an HTTP listener does with requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// The name of the cluster that permitted requests go to.
    pub cluster: String,
    /// Issuers whose tokens are verified; no token is looked at if there are none.
    pub jwt_issuers: Vec<JwtIssuer>,
    /// What happens to paths before the firewall sees them.
    pub paths: Paths,
    /// Number of proxies in front whose `x-forwarded-for` is believed. With 0 the address
    /// of a request is that of its connection.
    pub trusted_hops: u32,
}

/// What Envoy does to a request's path before any filter sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paths {
    /// It leaves them as they were sent. The firewall decides on its own normal form, refuses
    /// what has none, and its verdict is that of the test bed, which has no Envoy before it.
    AsSent,
    /// It brings them into a form of its own, which is what the firewall sees and what the
    /// application gets: dot segments are resolved, escaped letters are decoded, backslashes
    /// and repeated slashes become single slashes, `%00` is refused (400).
    Normalised,
}

impl Http {
    /// The network filter that does all of it.
    pub(super) fn connection_manager(
        &self,
        name: &str,
        direction: Direction,
        firewall: Option<&Firewall>,
    ) -> Tree {
        let jwt = (!self.jwt_issuers.is_empty()).then(|| jwt::filter(&self.jwt_issuers));
        let firewall = firewall.map(|firewall| firewall.filter(FilterKind::Http));
        let filters = jwt.into_iter().chain(firewall).chain([router()]);
        let nobody = map([
            entry("address_prefix", "255.255.255.255"),
            entry("prefix_len", 32u32),
        ]);
        extension(
            "envoy.filters.network.http_connection_manager",
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            [
                entry("stat_prefix", name.to_owned()),
                access_log::http(),
                entry("use_remote_address", true).because(
                    "Otherwise the source address that policies match on is whatever the peer \
                     writes into x-forwarded-for.",
                ),
                entry("xff_num_trusted_hops", self.trusted_hops),
                entry(
                    "internal_address_config",
                    map([entry("cidr_ranges", list([nobody]))]),
                )
                .because(
                    "An internal peer could steer this proxy by x-envoy- headers. No peer \
                         has this address; an empty list would mean the private addresses.",
                ),
            ],
        )
        .and_config(direction.client_certificate_header())
        .and_config(self.paths.settings())
        .and_config([
            entry("server_header_transformation", "PASS_THROUGH"),
            entry(
                "upgrade_configs",
                list([map([entry("upgrade_type", "websocket")])]),
            )
            .because(
                "A WebSocket starts with a request, which the firewall decides on like any other.",
            ),
            entry("route_config", self.routes()),
            entry("http_filters", list(filters)),
        ])
    }

    fn routes(&self) -> Tree {
        let route = map([
            entry("match", map([entry("prefix", "/")])),
            entry(
                "route",
                map([
                    entry("cluster", &self.cluster),
                    entry("timeout", "0s").because(
                        "The default of 15 s would cut streams; time limits are the \
                         application's.",
                    ),
                ]),
            ),
        ]);
        map([entry(
            "virtual_hosts",
            list([map([
                entry("name", "all"),
                entry("domains", list(["*"])),
                entry("routes", list([route])),
            ])]),
        )])
    }
}

impl Paths {
    fn settings(self) -> [Entry; 3] {
        let normalise = self == Self::Normalised;
        let why = match self {
            Self::Normalised => {
                "What is decided on is what the application gets: dot segments are resolved, \
                 escaped letters decoded, backslashes made slashes, before the firewall looks."
            }
            Self::AsSent => {
                "The application gets the path as sent; the firewall decides on its own normal \
                 form of it."
            }
        };
        [
            entry("normalize_path", normalise).because(why),
            entry("merge_slashes", normalise),
            entry("path_with_escaped_slashes_action", "KEEP_UNCHANGED").because(
                "Escaped slashes mean different things to different servers. The firewall \
                 refuses them itself, with a cause and a counter; Envoy's own refusal has \
                 neither.",
            ),
        ]
    }
}

impl Direction {
    fn client_certificate_header(self) -> Vec<Entry> {
        match self {
            Self::Outbound => Vec::new(),
            Self::Inbound => vec![
                entry("forward_client_cert_details", "SANITIZE_SET").because(
                    "The application gets the verified identity of the peer in \
                     x-forwarded-client-cert, and never one that the peer wrote itself.",
                ),
                entry("set_current_client_cert_details", map([entry("uri", true)])),
            ],
        }
    }
}

fn router() -> Tree {
    extension(
        "envoy.filters.http.router",
        "envoy.extensions.filters.http.router.v3.Router",
        [entry("suppress_envoy_headers", true)
            .because("Peers learn nothing of this proxy's inside.")],
    )
}
