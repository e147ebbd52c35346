//! Codes of the fields that a dimension looks at.

use crate::spec::Field;

/// The field of a dimension, without its key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum FieldCode {
    Principal = 0,
    TrustDomain = 1,
    Namespace = 2,
    ServiceAccount = 3,
    PeerSet = 4,
    PeerAddress = 5,
    RemoteAddress = 6,
    Port = 7,
    Sni = 8,
    Method = 9,
    Host = 10,
    Path = 11,
    Grpc = 12,
    Header = 13,
    Query = 14,
    Claim = 15,
}

impl FieldCode {
    const ALL: [FieldCode; 16] = [
        FieldCode::Principal,
        FieldCode::TrustDomain,
        FieldCode::Namespace,
        FieldCode::ServiceAccount,
        FieldCode::PeerSet,
        FieldCode::PeerAddress,
        FieldCode::RemoteAddress,
        FieldCode::Port,
        FieldCode::Sni,
        FieldCode::Method,
        FieldCode::Host,
        FieldCode::Path,
        FieldCode::Grpc,
        FieldCode::Header,
        FieldCode::Query,
        FieldCode::Claim,
    ];

    /// The field with this code.
    pub(crate) fn from_code(code: u8) -> Option<FieldCode> {
        FieldCode::ALL.get(usize::from(code)).copied()
    }

    /// Code and key of a field; the segments of a claim are joined by NUL.
    pub(crate) fn of(field: &Field) -> (FieldCode, String) {
        let plain = |code| (code, String::new());
        match field {
            Field::Principal => plain(FieldCode::Principal),
            Field::TrustDomain => plain(FieldCode::TrustDomain),
            Field::Namespace => plain(FieldCode::Namespace),
            Field::ServiceAccount => plain(FieldCode::ServiceAccount),
            Field::PeerSet => plain(FieldCode::PeerSet),
            Field::PeerAddress => plain(FieldCode::PeerAddress),
            Field::RemoteAddress => plain(FieldCode::RemoteAddress),
            Field::Port => plain(FieldCode::Port),
            Field::Sni => plain(FieldCode::Sni),
            Field::Method => plain(FieldCode::Method),
            Field::Host => plain(FieldCode::Host),
            Field::Path => plain(FieldCode::Path),
            Field::Grpc => plain(FieldCode::Grpc),
            Field::Header(name) => (FieldCode::Header, name.clone()),
            Field::Query(name) => (FieldCode::Query, name.clone()),
            Field::Claim(path) => (FieldCode::Claim, path.join("\0")),
        }
    }

    /// Whether the field exists only in an HTTP request.
    pub(crate) fn is_http(self) -> bool {
        matches!(
            self,
            FieldCode::Method
                | FieldCode::Host
                | FieldCode::Path
                | FieldCode::Grpc
                | FieldCode::Header
                | FieldCode::Query
                | FieldCode::Claim
        )
    }

    /// Whether the field can have several values at once.
    pub(crate) fn is_multiple(self) -> bool {
        matches!(
            self,
            FieldCode::Header | FieldCode::Query | FieldCode::Claim
        )
    }

    /// What the field is called in explanations.
    pub(crate) fn name(self) -> &'static str {
        match self {
            FieldCode::Principal => "principal",
            FieldCode::TrustDomain => "trust domain",
            FieldCode::Namespace => "namespace",
            FieldCode::ServiceAccount => "service account",
            FieldCode::PeerSet => "peer workload",
            FieldCode::PeerAddress => "peer address",
            FieldCode::RemoteAddress => "remote address",
            FieldCode::Port => "port",
            FieldCode::Sni => "server name",
            FieldCode::Method => "method",
            FieldCode::Host => "host",
            FieldCode::Path => "path",
            FieldCode::Grpc => "grpc",
            FieldCode::Header => "header",
            FieldCode::Query => "query parameter",
            FieldCode::Claim => "claim",
        }
    }
}
