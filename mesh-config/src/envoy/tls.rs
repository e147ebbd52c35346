//! TLS: who we are, whom we trust.

use std::path::PathBuf;

use super::tree::{Entry, Tree, entry, extension, list, map};

/// Something that Envoy reads from a file, or has inline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataSource {
    /// A file on the machine that Envoy runs on.
    File(PathBuf),
    /// The content itself.
    Inline(String),
}

/// The certificate that a proxy shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate chain, PEM, leaf first.
    pub chain: DataSource,
    /// The private key, PEM.
    pub key: DataSource,
}

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Each trust domain has authorities of its own, which can speak for nobody else. The
    /// only right choice where more than one trust domain is known. A peer without a
    /// SPIFFE id of one of these domains is refused by TLS.
    PerDomain(Vec<TrustDomain>),
    /// Any of these authorities (PEM) can speak for anybody, a peer may have no SPIFFE id,
    /// and the firewall alone decides. For a mesh that has one authority.
    AnyAuthority(DataSource),
}

/// A trust domain with its authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustDomain {
    /// The name, `cluster.local` for example, in lower case.
    pub name: String,
    /// The certificates of its authorities, PEM.
    pub authorities: DataSource,
}

/// The TLS side of a listener that wants a certificate from its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// What peers are shown.
    pub certificate: Certificate,
    /// Which peers are let in.
    pub trust: Trust,
}

/// The TLS side of a connection to an upstream that wants a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// What the upstream is shown.
    pub certificate: Certificate,
    /// Which upstreams are believed.
    pub trust: Trust,
    /// The server name to ask for; none is sent if there is none here.
    pub sni: Option<String>,
    /// URI SANs of which the upstream must have one; with none, any that is trusted will do.
    pub expected_uris: Vec<String>,
}

impl ServerTls {
    /// The `transport_socket` of a filter chain; `alpn` best first.
    pub(super) fn transport_socket(&self, alpn: &[&'static str]) -> Tree {
        extension(
            "envoy.transport_sockets.tls",
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            [
                entry("require_client_certificate", true).because(
                    "No certificate, no identity: such a peer is turned away by TLS already.",
                ),
                entry("disable_stateless_session_resumption", true).because(
                    "A resumed session is not verified again, and would outlive the short life \
                     of its certificate.",
                ),
                entry("disable_stateful_session_resumption", true),
                common_context(&self.certificate, alpn, self.trust.validation_context(&[])),
            ],
        )
    }
}

impl ClientTls {
    /// The `transport_socket` of a cluster; `alpn` best first.
    pub(super) fn transport_socket(&self, alpn: &[&'static str]) -> Tree {
        let validation = self.trust.validation_context(&self.expected_uris);
        extension(
            "envoy.transport_sockets.tls",
            "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            self.sni
                .as_ref()
                .map(|name| entry("sni", name))
                .into_iter()
                .chain([common_context(&self.certificate, alpn, validation)]),
        )
    }
}

impl Trust {
    fn validation_context(&self, expected_uris: &[String]) -> Tree {
        let trust = match self {
            Self::AnyAuthority(authorities) => entry("trusted_ca", authorities.to_tree()).because(
                "`trust_chain_verification` stays at its default: ACCEPT_UNTRUSTED would \
                     make a forged certificate look like a verified one.",
            ),
            Self::PerDomain(domains) => entry(
                "custom_validator_config",
                extension(
                    "envoy.tls.cert_validator.spiffe",
                    "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig",
                    [entry(
                        "trust_domains",
                        list(domains.iter().map(TrustDomain::to_tree)),
                    )],
                ),
            )
            .because(
                "An authority can vouch for its own trust domain only. In one common \
                 `trusted_ca` bundle every authority could forge the identities of all others.",
            ),
        };
        let names = expected_uris.iter().map(|uri| {
            map([
                entry("san_type", "URI"),
                entry("matcher", map([entry("exact", uri)])),
            ])
        });
        let expected = (!expected_uris.is_empty())
            .then(|| entry("match_typed_subject_alt_names", list(names)));
        map([trust]).and(expected)
    }
}

impl TrustDomain {
    fn to_tree(&self) -> Tree {
        map([
            entry("name", &self.name),
            entry("trust_bundle", self.authorities.to_tree()),
        ])
    }
}

impl DataSource {
    /// An `envoy.config.core.v3.DataSource`.
    pub(super) fn to_tree(&self) -> Tree {
        map([match self {
            Self::File(path) => entry("filename", path.as_path()),
            Self::Inline(text) => entry("inline_string", text),
        }])
    }
}

fn common_context(certificate: &Certificate, alpn: &[&'static str], validation: Tree) -> Entry {
    let alpn = (!alpn.is_empty()).then(|| entry("alpn_protocols", list(alpn.iter().copied())));
    let certificate = map([
        entry("certificate_chain", certificate.chain.to_tree()),
        entry("private_key", certificate.key.to_tree()),
    ]);
    let context = map(alpn).and([
        entry("tls_certificates", list([certificate])),
        entry("validation_context", validation),
    ]);
    entry("common_tls_context", context)
}

/// A listener filter that makes the server name known before the handshake is done.
pub(super) fn inspector() -> Tree {
    extension(
        "envoy.filters.listener.tls_inspector",
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        [],
    )
    .because("Makes the server name (SNI) known to filters.")
}
