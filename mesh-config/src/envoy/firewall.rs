//! The firewall as a filter: our module, with a program or with the way to get one.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::contract::{FILTER, HTTP_ROOT_ID, NETWORK_ROOT_ID, VM_ID};
use super::tree::{Entry, Tree, any, entry, list, map};

/// A cluster that never is: where connections go that nothing has been decided on.
const NOWHERE: &str = "meshwall.no-program";

/// Which of Envoy's two filter interfaces the firewall is used through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilterKind {
    /// Decides on requests.
    Http,
    /// Decides on connections.
    Network,
}

/// The compiled firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// The file on the machine that Envoy runs on.
    pub path: PathBuf,
    /// SHA-256 of the file in hexadecimal, told to whoever reads the configuration: Envoy
    /// itself does not check local files.
    pub sha256: Option<String>,
}

/// Where the firewall's program comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// It is part of the configuration.
    Inline(Vec<u8>),
    /// Envoy fetches the filter with its program (ECDS), and again at each change.
    /// Connections and requests are denied until there is one.
    Discovered(Discovery),
}

/// How to fetch a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The name of the resource. HTTP and network filters are different resources.
    pub resource: String,
    /// Where from.
    pub source: ConfigSource,
}

/// Where dynamic configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    /// A file that is replaced by moving another one to its place.
    File(PathBuf),
    /// A cluster of xDS servers, asked by the incremental protocol on a stream for this
    /// type alone.
    Grpc {
        /// The name of the cluster.
        cluster: String,
    },
}

/// The firewall in a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firewall {
    /// The module.
    pub module: Module,
    /// Its program.
    pub program: Program,
}

impl Firewall {
    /// The entry in the list of filters.
    pub(super) fn filter(&self, kind: FilterKind) -> Tree {
        match &self.program {
            Program::Inline(program) => map([
                entry("name", FILTER),
                entry("typed_config", typed_config(kind, &self.module, program)),
            ]),
            Program::Discovered(discovery) => map([
                entry("name", &discovery.resource),
                entry("config_discovery", discovery.to_tree(kind)),
            ]),
        }
    }
}

/// The resource by which [`Program::Discovered`] gets its filter: an
/// `envoy.config.core.v3.TypedExtensionConfig`.
#[must_use]
pub fn discovered_filter(
    resource: &str,
    kind: FilterKind,
    module: &Module,
    program: &[u8],
) -> Value {
    let entries = [
        entry("name", resource.to_owned()),
        entry("typed_config", typed_config(kind, module, program)),
    ];
    any("envoy.config.core.v3.TypedExtensionConfig", entries).to_json()
}

fn typed_config(kind: FilterKind, module: &Module, program: &[u8]) -> Tree {
    any(
        kind.wasm_message(),
        [entry("config", plugin(kind, module, program))],
    )
}

fn plugin(kind: FilterKind, module: &Module, program: &[u8]) -> Tree {
    let code = map([entry(
        "local",
        map([entry("filename", module.path.as_path())]),
    )]);
    let code = match &module.sha256 {
        Some(sha256) => code.because(format!("sha256 {sha256}")),
        None => code,
    };
    map([
        entry("name", FILTER),
        entry("root_id", kind.root_id()),
        entry(
            "vm_config",
            map([
                entry("vm_id", VM_ID)
                    .because("The HTTP and the network filter share one virtual machine."),
                entry("runtime", "envoy.wasm.runtime.v8"),
                entry("code", code),
            ]),
        ),
        entry(
            "configuration",
            any(
                "google.protobuf.BytesValue",
                [entry("value", BASE64.encode(program))],
            ),
        )
        .because("The compiled program. The filter gets these bytes as they are."),
        entry("failure_policy", "FAIL_RELOAD").because(
            "After a trap: 503 until a new virtual machine is up. FAIL_OPEN would let \
             everything pass from then on, FAIL_CLOSED nothing ever again.",
        ),
    ])
}

impl FilterKind {
    /// The root id under which the module has this filter.
    #[must_use]
    pub fn root_id(self) -> &'static str {
        match self {
            Self::Http => HTTP_ROOT_ID,
            Self::Network => NETWORK_ROOT_ID,
        }
    }

    fn wasm_message(self) -> &'static str {
        match self {
            Self::Http => "envoy.extensions.filters.http.wasm.v3.Wasm",
            Self::Network => "envoy.extensions.filters.network.wasm.v3.Wasm",
        }
    }

    /// The filter that stands in until there is a program, by its message type, and how.
    fn default_config(self) -> (&'static str, Tree) {
        match self {
            Self::Http => {
                let message = "envoy.extensions.filters.http.rbac.v3.RBAC";
                let rules = entry("rules", map([entry("action", "ALLOW")]));
                let comment = "Until the first program is there: no policy allows anything, 403.";
                (message, any(message, [rules]).because(comment))
            }
            Self::Network => {
                let message = "envoy.extensions.filters.network.set_filter_state.v3.Config";
                let state = map([
                    entry("object_key", "envoy.tcp_proxy.cluster"),
                    entry(
                        "format_string",
                        map([entry(
                            "text_format_source",
                            map([entry("inline_string", NOWHERE)]),
                        )]),
                    ),
                ]);
                let comment = "Until the first program is there: connections are sent to a \
                     cluster that does not exist, so they are closed before an upstream is \
                     contacted. (Envoy's RBAC would hand them the greeting of a server that \
                     speaks first.)";
                let filter = any(message, [entry("on_new_connection", list([state]))]);
                (message, filter.because(comment))
            }
        }
    }
}

impl Discovery {
    /// An `envoy.config.core.v3.ExtensionConfigSource`.
    fn to_tree(&self, kind: FilterKind) -> Tree {
        let (default_message, default_config) = kind.default_config();
        let types = [kind.wasm_message(), default_message];
        map([
            entry("config_source", self.source.to_tree()),
            entry("default_config", default_config),
            entry("apply_default_config_without_warming", true).because(
                "Without it the listener would wait for the first answer before it listens.",
            ),
            entry(
                "type_urls",
                list(types.map(|message| format!("type.googleapis.com/{message}"))),
            ),
        ])
    }
}

impl ConfigSource {
    /// An `envoy.config.core.v3.ConfigSource`.
    fn to_tree(&self) -> Tree {
        map([entry("resource_api_version", "V3")])
            .and([self.specifier()])
            .and([entry("initial_fetch_timeout", "0s").because("Wait for it for ever.")])
    }

    fn specifier(&self) -> Entry {
        match self {
            Self::File(path) => entry("path_config_source", path_source(path)),
            Self::Grpc { cluster } => {
                let service = map([entry("envoy_grpc", map([entry("cluster_name", cluster)]))]);
                entry(
                    "api_config_source",
                    map([
                        entry("api_type", "DELTA_GRPC"),
                        entry("transport_api_version", "V3"),
                        entry("grpc_services", list([service])),
                        entry("set_node_on_first_message_only", true),
                    ]),
                )
            }
        }
    }
}

fn path_source(path: &Path) -> Tree {
    map([entry("path", path)])
}
