//! Brings attributes to the forms that rules are written in: normal paths and hosts, the parts of
//! a SPIFFE id, the workload behind an address, the values of the headers that rules name.

use std::net::IpAddr;
use std::ops::Range;

use crate::attributes::{Attributes, Claim};
use crate::decision::Cause;
use crate::path;
use crate::peers::{PeerEntry, PeerTable, mapped};
use crate::program::layout::Dimension;
use crate::program::{FieldCode, Program};
use crate::spec::Direction;
use crate::text::{host, query};

/// Buffers for the normal forms.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    path: Vec<u8>,
    host: Vec<u8>,
    sni: Vec<u8>,
    query: Vec<u8>,
    values: Vec<Value>,
}

/// One value of a field that can have several, and the dimension that looks at it.
#[derive(Clone, Debug)]
struct Value {
    dimension: u32,
    place: Place,
}

/// Where the bytes of a value are.
#[derive(Clone, Debug)]
enum Place {
    Header(usize),
    Claim(usize),
    Query(Range<usize>),
}

/// What the rules of one direction are compared with.
pub(crate) struct Facts<'a> {
    pub(crate) direction: Direction,
    pub(crate) principal: Option<&'a [u8]>,
    pub(crate) trust_domain: Option<&'a [u8]>,
    pub(crate) namespace: Option<&'a [u8]>,
    /// The path of a SPIFFE id that names a service account: `/ns/NAMESPACE/sa/NAME`.
    pub(crate) service_account: Option<&'a [u8]>,
    /// The workload behind the peer's address, if it is the one that the certificate says.
    pub(crate) workload: Option<PeerEntry<'a>>,
    pub(crate) identity_mismatch: bool,
    pub(crate) address: [u8; 16],
    pub(crate) remote_address: [u8; 16],
    pub(crate) port: u16,
    pub(crate) sni: Option<&'a [u8]>,
    pub(crate) http: Option<HttpFacts<'a>>,
}

/// What there is of an HTTP request.
pub(crate) struct HttpFacts<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) path: &'a [u8],
    pub(crate) is_grpc: bool,
    headers: &'a [(&'a [u8], &'a [u8])],
    claims: &'a [Claim<'a>],
    query: &'a [u8],
    values: &'a [Value],
}

impl<'a> Facts<'a> {
    pub(crate) fn derive(
        program: &'a Program,
        peers: &'a PeerTable,
        attributes: &Attributes<'a>,
        scratch: &'a mut Scratch,
    ) -> Result<Facts<'a>, Cause> {
        let Attributes {
            direction,
            peer,
            port,
            sni,
            request,
            now: _,
        } = *attributes;
        let dimensions = program.dimensions(program.side(direction));
        let Scratch {
            path,
            host,
            sni: sni_buffer,
            query,
            values,
        } = scratch;

        let sni = sni.map(|sni| {
            sni_buffer.clear();
            sni_buffer.extend(sni.iter().map(u8::to_ascii_lowercase));
            let name: &[u8] = sni_buffer;
            name.strip_suffix(b".").unwrap_or(name)
        });
        let http = match request {
            None => None,
            Some(request) => {
                let target = path::normalize(request.path, path).map_err(Cause::Path)?;
                let looked_at = of_field(dimensions, FieldCode::Host).is_some();
                let host = if looked_at && !request.authority.is_empty() {
                    let host = host::normalize(request.authority, host);
                    Some(host.map_err(Cause::Host)?.name)
                } else {
                    None
                };
                values.clear();
                query.clear();
                find_headers(program, dimensions, request.headers, values);
                find_claims(program, dimensions, request.claims, values);
                find_query(program, dimensions, target.query, query, values)
                    .map_err(Cause::Query)?;
                Some(HttpFacts {
                    method: request.method,
                    host,
                    path: target.path,
                    is_grpc: of_field(dimensions, FieldCode::Grpc).is_some_and(|_| {
                        request.headers.iter().any(|(name, value)| {
                            *name == b"content-type" && is_grpc_content_type(value)
                        })
                    }),
                    headers: request.headers,
                    claims: request.claims,
                    query,
                    values,
                })
            }
        };
        let id = peer.principal.and_then(SpiffeId::parse);
        let listed =
            of_field(dimensions, FieldCode::PeerSet).and_then(|_| peers.lookup(peer.address));
        let believed = listed.filter(|entry| {
            direction == Direction::Egress || peer.principal == Some(entry.principal)
        });
        Ok(Facts {
            direction,
            principal: peer.principal,
            trust_domain: id.map(|id| id.trust_domain),
            namespace: id.and_then(|id| id.namespace),
            service_account: id.filter(|id| id.namespace.is_some()).map(|id| id.path),
            workload: believed,
            identity_mismatch: listed.is_some() && believed.is_none(),
            address: mapped(canonical(peer.address)),
            remote_address: mapped(canonical(peer.remote_address.unwrap_or(peer.address))),
            port,
            sni,
            http,
        })
    }

    /// The value of a field that has one; `None` if it is absent.
    pub(crate) fn single(&self, field: FieldCode) -> Option<&'a [u8]> {
        match field {
            FieldCode::Principal => self.principal,
            FieldCode::TrustDomain => self.trust_domain,
            FieldCode::Namespace => self.namespace,
            FieldCode::ServiceAccount => self.service_account,
            FieldCode::Sni => self.sni,
            FieldCode::Method => self.http.as_ref().map(|http| http.method),
            FieldCode::Host => self.http.as_ref().and_then(|http| http.host),
            FieldCode::Path => self.http.as_ref().map(|http| http.path),
            FieldCode::Grpc => self
                .http
                .as_ref()
                .filter(|http| http.is_grpc)
                .map(|_| b"grpc".as_slice()),
            FieldCode::PeerSet
            | FieldCode::PeerAddress
            | FieldCode::RemoteAddress
            | FieldCode::Port
            | FieldCode::Header
            | FieldCode::Query
            | FieldCode::Claim => None,
        }
    }

    /// The values that a dimension looks at.
    pub(crate) fn values(&self, dimension: u32) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        self.http.iter().flat_map(move |http| {
            let found = http
                .values
                .iter()
                .filter(move |value| value.dimension == dimension);
            found.filter_map(|value| match &value.place {
                Place::Header(at) => http.headers.get(*at).map(|(_, value)| *value),
                Place::Claim(at) => http.claims.get(*at).map(|claim| claim.value),
                Place::Query(range) => http.query.get(range.clone()),
            })
        })
    }
}

/// An address of an IPv4 peer that arrives as an IPv4-mapped IPv6 address is an IPv4 address.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// `application/grpc`, alone or followed by a subtype (`+proto`) or parameters.
fn is_grpc_content_type(value: &[u8]) -> bool {
    let essence = b"application/grpc";
    let (Some(head), rest) = (value.get(..essence.len()), value.get(essence.len())) else {
        return false;
    };
    head.eq_ignore_ascii_case(essence) && matches!(rest, None | Some(b'+' | b';' | b' '))
}

/// The parts of a SPIFFE id.
#[derive(Clone, Copy)]
struct SpiffeId<'a> {
    trust_domain: &'a [u8],
    /// The path, with its slash in front.
    path: &'a [u8],
    /// `NAMESPACE`, if the path has the form `/ns/NAMESPACE/sa/NAME`.
    namespace: Option<&'a [u8]>,
}

impl<'a> SpiffeId<'a> {
    fn parse(principal: &'a [u8]) -> Option<SpiffeId<'a>> {
        let rest = principal.strip_prefix(b"spiffe://")?;
        let slash = rest
            .iter()
            .position(|byte| *byte == b'/')
            .unwrap_or(rest.len());
        let (trust_domain, path) = rest.split_at(slash);
        let mut parts = path.split(|byte| *byte == b'/').skip(1);
        let namespace = match (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) {
            (Some(b"ns"), Some(namespace), Some(b"sa"), Some(name), None)
                if !namespace.is_empty() && !name.is_empty() =>
            {
                Some(namespace)
            }
            _ => None,
        };
        Some(SpiffeId {
            trust_domain,
            path,
            namespace,
        })
    }
}

/// The dimensions of a field; dimensions are in the order of fields and keys.
fn of_field(dimensions: &[Dimension], field: FieldCode) -> Option<(usize, &[Dimension])> {
    let first = dimensions.partition_point(|dimension| dimension.field < field as u8);
    let rest = dimensions.get(first..)?;
    let count = rest.partition_point(|dimension| dimension.field == field as u8);
    let found = rest.get(..count)?;
    (!found.is_empty()).then_some((first, found))
}

/// The dimension of this key among those of a field.
fn of_key(
    program: &Program,
    (first, dimensions): (usize, &[Dimension]),
    key: &[u8],
) -> Option<u32> {
    let at = dimensions
        .binary_search_by(|dimension| program.raw_text(dimension.key).cmp(key))
        .ok()?;
    u32::try_from(first + at).ok()
}

fn find_headers(
    program: &Program,
    dimensions: &[Dimension],
    headers: &[(&[u8], &[u8])],
    values: &mut Vec<Value>,
) {
    let Some(named) = of_field(dimensions, FieldCode::Header) else {
        return;
    };
    for (at, (name, _)) in headers.iter().enumerate() {
        if let Some(dimension) = of_key(program, named, name) {
            values.push(Value {
                dimension,
                place: Place::Header(at),
            });
        }
    }
}

fn find_claims(
    program: &Program,
    dimensions: &[Dimension],
    claims: &[Claim<'_>],
    values: &mut Vec<Value>,
) {
    let Some(named) = of_field(dimensions, FieldCode::Claim) else {
        return;
    };
    for (at, claim) in claims.iter().enumerate() {
        if let Some(dimension) = of_key(program, named, claim.path.as_bytes()) {
            values.push(Value {
                dimension,
                place: Place::Claim(at),
            });
        }
    }
}

fn find_query(
    program: &Program,
    dimensions: &[Dimension],
    raw: Option<&[u8]>,
    decoded: &mut Vec<u8>,
    values: &mut Vec<Value>,
) -> Result<(), query::Fault> {
    let (Some(named), Some(raw)) = (of_field(dimensions, FieldCode::Query), raw) else {
        return Ok(());
    };
    query::each(raw, decoded, |name, decoded, value| {
        if let Some(dimension) = of_key(program, named, decoded.get(name).unwrap_or_default()) {
            values.push(Value {
                dimension,
                place: Place::Query(value),
            });
        }
    })
}
