//! Programs: what one workload's filter needs and nothing else, in one flat buffer.
//!
//! [`Program::load`] checks a buffer once; after that it is used in place. A program that was
//! written by a newer format, that is damaged or that refers outside itself is refused with the
//! reason, and whoever holds the last good program keeps it.

mod field;
pub(crate) mod layout;
mod validate;
pub(crate) mod writer;

use std::fmt;
use std::ops::Range;

use regex_automata::dfa::sparse::DFA;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

pub(crate) use field::FieldCode;
pub use layout::FORMAT;
use layout::{
    Clause, Dimension, Document, NetworkRecord, Pattern, PredicateRecord, RegexRecord, RuleRecord,
    SETTINGS_EXPIRY, SETTINGS_MONITOR, SetRecord, Settings, Side, Span, Table, Text, TierRecord,
};
pub use validate::LoadError;

use crate::spec::{Denial, Direction, ObjectRef};

/// A validated program.
pub struct Program {
    bytes: Box<[u8]>,
    tables: [Range<usize>; Table::COUNT],
    automata: Vec<DFA<Vec<u8>>>,
    settings: Settings,
    sides: [Side; 2],
}

/// The content of a program, as its SHA-256. Equal programs have equal versions everywhere.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version(pub [u8; 32]);

impl Version {
    /// The version of a program or a peer table that was written just now. Of bytes from elsewhere
    /// it proves nothing, because nothing is checked.
    pub fn written(part: &[u8]) -> Version {
        // Peer tables begin with the same fields.
        match layout::Header::ref_from_prefix(part) {
            Ok((header, _)) => Version(header.digest),
            Err(_) => Version([0; 32]),
        }
    }
}

impl fmt::Display for Version {
    /// The first 16 bytes in hexadecimal: enough to tell programs apart, short enough to read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(16)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("version", &self.version())
            .field("workload", &self.workload())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Program {
    /// Checks a program and takes it over.
    pub fn load(bytes: Vec<u8>) -> Result<Program, LoadError> {
        validate::load(bytes)
    }

    /// The program as it was written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Hash of the content.
    pub fn version(&self) -> Version {
        Version::written(&self.bytes)
    }

    /// `namespace/name` of the workload that the program was compiled for; empty if it is for all
    /// workloads to which the same applies.
    pub fn workload(&self) -> &str {
        self.text(self.settings.workload)
    }

    /// Whether a monitored policy exists, so that the two verdicts can differ.
    pub fn has_monitored(&self) -> bool {
        self.settings.flags & SETTINGS_MONITOR != 0
    }

    /// Whether a policy expires, so that the time matters.
    pub fn has_expiry(&self) -> bool {
        self.settings.flags & SETTINGS_EXPIRY != 0
    }

    /// Number of proxies in front of the mesh whose `x-forwarded-for` entries are trusted.
    pub fn trusted_proxies(&self) -> u8 {
        self.settings.trusted_proxies
    }

    /// What a denied client is told.
    pub fn denial(&self) -> Denial {
        Denial {
            status: self.settings.denial_status.get(),
            body: self.text(self.settings.denial_body).to_owned(),
        }
    }

    /// Number of rules of both directions.
    pub fn rules(&self) -> usize {
        self.table::<RuleRecord>(Table::Rules).len()
    }

    /// Which attributes a direction looks at, so that a filter fetches no others.
    pub fn needs(&self, direction: Direction) -> Needs {
        let mut needs = Needs::default();
        for dimension in self.dimensions(self.side(direction)) {
            match FieldCode::from_code(dimension.field) {
                Some(
                    FieldCode::Principal
                    | FieldCode::TrustDomain
                    | FieldCode::Namespace
                    | FieldCode::ServiceAccount,
                ) => needs.principal = true,
                Some(FieldCode::PeerSet) => {
                    needs.principal = true;
                    needs.peer_address = true;
                }
                Some(FieldCode::PeerAddress) => needs.peer_address = true,
                Some(FieldCode::RemoteAddress) => needs.remote_address = true,
                Some(FieldCode::Port) => needs.port = true,
                Some(FieldCode::Sni) => needs.sni = true,
                Some(FieldCode::Claim) => needs.claims = true,
                Some(
                    FieldCode::Method
                    | FieldCode::Host
                    | FieldCode::Path
                    | FieldCode::Grpc
                    | FieldCode::Header
                    | FieldCode::Query,
                )
                | None => {}
            }
        }
        needs
    }

    /// Paths of the JSON Web Token claims that a direction looks at; segments joined by NUL.
    pub fn claims(&self, direction: Direction) -> impl Iterator<Item = &str> {
        self.dimensions(self.side(direction))
            .iter()
            .filter(|dimension| dimension.field == FieldCode::Claim as u8)
            .map(|dimension| self.text(dimension.key))
    }

    /// The canonical words of each peer set, in order.
    pub fn peer_sets(&self) -> impl ExactSizeIterator<Item = &str> {
        self.table::<SetRecord>(Table::Sets)
            .iter()
            .map(|set| self.text(set.text))
    }
}

/// Which attributes a program looks at. Everything of an HTTP request's headers comes in one
/// call to the proxy; these cost a call each.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// The principal of the peer.
    pub principal: bool,
    /// The address of the direct peer.
    pub peer_address: bool,
    /// The address that trusted proxies tell.
    pub remote_address: bool,
    /// The destination port.
    pub port: bool,
    /// The TLS server name.
    pub sni: bool,
    /// Claims of the JSON Web Token.
    pub claims: bool,
}

/// Access to the tables.
impl Program {
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn side(&self, direction: Direction) -> &Side {
        let [ingress, egress] = &self.sides;
        match direction {
            Direction::Ingress => ingress,
            Direction::Egress => egress,
        }
    }

    /// A table; the empty one if it is damaged, which validation has ruled out.
    #[inline]
    pub(crate) fn table<T>(&self, table: Table) -> &[T]
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        self.tables
            .get(table as usize)
            .and_then(|range| self.bytes.get(range.clone()))
            .and_then(|bytes| <[T]>::ref_from_bytes(bytes).ok())
            .unwrap_or_default()
    }

    /// Some records of a table; none if the span is damaged, which validation has ruled out.
    #[inline]
    pub(crate) fn records<T>(&self, table: Table, span: Span) -> &[T]
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        slice(self.table(table), span)
    }

    #[inline]
    pub(crate) fn raw_text(&self, text: Text) -> &[u8] {
        let start = text.offset.get() as usize;
        self.table::<u8>(Table::Text)
            .get(start..start.saturating_add(text.bytes.get() as usize))
            .unwrap_or_default()
    }

    pub(crate) fn text(&self, text: Text) -> &str {
        std::str::from_utf8(self.raw_text(text)).unwrap_or_default()
    }

    pub(crate) fn dimensions(&self, side: &Side) -> &[Dimension] {
        self.records(Table::Dimensions, side.dimensions)
    }

    pub(crate) fn tiers(&self, side: &Side) -> &[TierRecord] {
        self.records(Table::Tiers, side.tiers)
    }

    pub(crate) fn clauses(&self, side: &Side) -> &[Clause] {
        self.records(Table::Clauses, side.clauses)
    }

    pub(crate) fn rule(&self, rule: u32) -> Option<&RuleRecord> {
        self.table::<RuleRecord>(Table::Rules).get(rule as usize)
    }

    pub(crate) fn document(&self, rule: &RuleRecord) -> Option<ObjectRef> {
        let document = self
            .table::<Document>(Table::Documents)
            .get(rule.document.get() as usize)?;
        let namespace = self.text(document.namespace);
        Some(ObjectRef {
            kind: self.text(document.kind).to_owned(),
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
            name: self.text(document.name).to_owned(),
        })
    }

    pub(crate) fn predicates(&self, clause: &Clause) -> &[PredicateRecord] {
        self.records(Table::Predicates, clause.predicates)
    }

    pub(crate) fn patterns(&self, predicate: &PredicateRecord) -> &[Pattern] {
        self.records(Table::Patterns, predicate.patterns)
    }

    /// A network and its exceptions.
    pub(crate) fn network(&self, index: u32) -> Option<(&NetworkRecord, &[NetworkRecord])> {
        let (network, rest) = self
            .table::<NetworkRecord>(Table::Networks)
            .get(index as usize..)?
            .split_first()?;
        Some((network, rest.get(..usize::from(network.excepts.get()))?))
    }

    pub(crate) fn automaton(&self, index: u32) -> Option<&DFA<Vec<u8>>> {
        self.automata.get(index as usize)
    }

    pub(crate) fn regex_source(&self, index: u32) -> &str {
        self.table::<RegexRecord>(Table::Regexes)
            .get(index as usize)
            .map(|regex| self.text(regex.source))
            .unwrap_or_default()
    }
}

/// Consecutive records; none if the span is damaged.
#[inline]
pub(crate) fn slice<T>(table: &[T], span: Span) -> &[T] {
    let first = span.first.get() as usize;
    table
        .get(first..first.saturating_add(span.count.get() as usize))
        .unwrap_or_default()
}
