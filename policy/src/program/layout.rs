//! The layout of a program: a header, a table of contents, and tables of fixed-size records.
//!
//! ```text
//! Header     magic, format, length, SHA-256 of all that follows the header
//! Section[]  where each table is: offset and length in bytes, from the start of the program
//! tables     little-endian, unaligned, back to back
//! ```
//!
//! Records refer to each other by index and to text by offset, so a program is one buffer that is
//! validated once and then used in place. Every reference is checked by [`super::validate`];
//! readers still use checked access, because a wrong answer here must be a denial, not a trap.

use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First bytes of every program.
pub(crate) const MAGIC: [u8; 8] = *b"MESHWALL";

/// Format that this crate writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// An index that refers to nothing.
pub(crate) const NONE: u32 = u32::MAX;

/// Bytes in front of the part that the digest covers.
pub(crate) const HEADER_BYTES: usize = size_of::<Header>();

macro_rules! records {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
        #[repr(C)]
        pub(crate) struct $name { $($(#[$field_meta])* pub(crate) $field: $type,)* }
    )*};
}

records! {
    /// What stands in front.
    Header {
        magic: [u8; 8],
        format: U32,
        /// Length of the whole program in bytes.
        length: U32,
        /// SHA-256 of everything after the header.
        digest: [u8; 32],
    }

    /// Where a table is.
    Section {
        offset: U32,
        bytes: U32,
    }

    /// A piece of the text table, UTF-8.
    Text {
        offset: U32,
        bytes: U32,
    }

    /// Consecutive records of a table.
    Span {
        first: U32,
        count: U32,
    }

    /// What holds for the whole program. Exactly one.
    Settings {
        /// 0 deny, 1 allow.
        default_ingress: u8,
        default_egress: u8,
        /// Number of trusted `x-forwarded-for` hops.
        trusted_proxies: u8,
        /// [`SETTINGS_MONITOR`], [`SETTINGS_EXPIRY`].
        flags: u8,
        denial_status: U16,
        denial_body: Text,
        /// `namespace/name` of the workload that the program was compiled for; empty if shared.
        workload: Text,
        /// First half of the SHA-256 of the peer sets; a peer table answers for one list of sets.
        sets: [u8; 16],
    }

    /// The document that a rule comes from.
    Document {
        kind: Text,
        /// Empty for a cluster-scoped kind.
        namespace: Text,
        name: Text,
    }

    /// The tables of one direction. Exactly two: ingress, egress.
    Side {
        tiers: Span,
        clauses: Span,
        dimensions: Span,
    }

    /// A tier; tiers of a side are in the order of evaluation.
    TierRecord {
        /// Which gate the tier belongs to; ascending.
        gate: u8,
        /// 0 ordered, 1 set-like.
        kind: u8,
        /// Code of [`crate::spec::Tier`].
        name: u8,
        padding: u8,
        rules: Span,
        /// Latest moment at which an enforced Allow rule has not expired; `i64::MIN` if none.
        allow_until: I64,
        /// The same with monitored rules counted.
        allow_until_combined: I64,
    }

    /// A rule; rules of a tier are in the order of evaluation.
    RuleRecord {
        document: U32,
        name: Text,
        /// 0 deny, 1 allow, 2 pass.
        action: u8,
        /// [`RULE_MONITOR`].
        flags: u8,
        padding: U16,
        /// First second at which the rule counts as absent; `i64::MAX` for never.
        expires: I64,
    }

    /// One way to match a rule: all its predicates hold. Clauses of a side are in rule order.
    Clause {
        rule: U32,
        predicates: Span,
    }

    /// A test of one dimension.
    PredicateRecord {
        dimension: U32,
        /// [`PREDICATE_NEGATED`] and the others.
        flags: U32,
        patterns: Span,
    }

    /// One pattern; what `a` and `b` mean depends on the kind.
    Pattern {
        kind: U32,
        a: U32,
        b: U32,
    }

    /// A network; its exceptions are the `excepts` records that follow it.
    NetworkRecord {
        /// IPv4 addresses are written as IPv4-mapped IPv6 addresses.
        address: [u8; 16],
        /// Bits, counted in the 128-bit form.
        prefix: u8,
        /// 4 or 6.
        family: u8,
        excepts: U16,
    }

    /// Something that is looked at, with the index of the clauses by its value.
    Dimension {
        /// Code of [`super::FieldCode`].
        field: u8,
        padding: [u8; 3],
        /// Name of the header, query parameter or claim; claim segments are joined by NUL.
        key: Text,
        /// Posting of the clauses that the index of this dimension does not restrict.
        any: U32,
        /// Open-addressed hash table of [`Slot`]; empty or a power of two.
        exact: Span,
        /// [`Affix`], sorted by text.
        prefixes: Span,
        /// [`Affix`], sorted by reversed text.
        suffixes: Span,
        /// [`TemplateNode`]; the first is the root. Empty without templates.
        templates: Span,
        /// Posting for any value but the empty one, or [`NONE`].
        non_empty: U32,
        /// Posting for any value, or [`NONE`].
        present: U32,
        /// [`NetEntry`], sorted by address and prefix, IPv4 only.
        networks4: Span,
        /// The same, IPv6 only.
        networks6: Span,
        /// [`PortStep`], ascending.
        ports: Span,
        /// [`SetEntry`], one for each of the first peer sets of the program.
        sets: Span,
    }

    /// A place in a hash table.
    Slot {
        text: Text,
        /// [`NONE`] for an empty place.
        posting: U32,
        /// Upper half of the hash.
        tag: U32,
    }

    /// A prefix or suffix.
    Affix {
        text: Text,
        /// The longest other affix that this one begins (suffixes: ends) with: an earlier index,
        /// or [`NONE`].
        parent: U32,
        posting: U32,
    }

    /// A network in the index.
    NetEntry {
        address: [u8; 16],
        prefix: u8,
        padding: [u8; 3],
        /// The smallest network that contains this one: an earlier index, or [`NONE`].
        parent: U32,
        posting: U32,
    }

    /// What holds from this port up to the next step.
    PortStep {
        first: U16,
        padding: U16,
        posting: U32,
    }

    /// What holds for members of a peer set.
    SetEntry {
        posting: U32,
    }

    /// A node of the tree of path templates, reached after some segments.
    TemplateNode {
        edges: Span,
        /// Node after `{*}`: a later index, or [`NONE`].
        one: U32,
        /// Posting of the templates that go on with `{**}` here, or [`NONE`].
        rest: U32,
        /// Posting of the templates that end here, or [`NONE`].
        end: U32,
    }

    /// A literal segment; edges of a node are sorted by segment.
    TemplateEdge {
        segment: Text,
        /// A later index.
        node: U32,
    }

    /// A set of clauses: blocks in ascending order of their words.
    Posting {
        blocks: Span,
    }

    /// 64 clauses, counted from the first of the side.
    Block {
        word: U32,
        bits: U64,
    }

    /// A peer set, identified by its content.
    SetRecord {
        /// What the set is, in canonical words.
        text: Text,
    }

    /// An automaton: a piece of the blob table.
    RegexRecord {
        offset: U32,
        bytes: U32,
        source: Text,
    }
}

/// Some policy is monitored: the two verdicts can differ.
pub(crate) const SETTINGS_MONITOR: u8 = 1;
/// Some policy expires: the time matters.
pub(crate) const SETTINGS_EXPIRY: u8 = 2;

/// The rule belongs to a monitored policy.
pub(crate) const RULE_MONITOR: u8 = 1;

/// The predicate holds when no pattern matches.
pub(crate) const PREDICATE_NEGATED: u32 = 1;
/// The index has decided the predicate: a candidate clause satisfies it.
pub(crate) const PREDICATE_INDEXED: u32 = 2;
/// Of a field with several values, every one must match.
pub(crate) const PREDICATE_ALL: u32 = 4;

pub(crate) const ACTION_DENY: u8 = 0;
pub(crate) const ACTION_ALLOW: u8 = 1;
pub(crate) const ACTION_PASS: u8 = 2;

pub(crate) const TIER_ORDERED: u8 = 0;
pub(crate) const TIER_SET: u8 = 1;

/// Kinds of [`Pattern`].
pub(crate) mod pattern {
    /// `a`, `b`: offset and length of the text.
    pub(crate) const EXACT: u32 = 0;
    pub(crate) const PREFIX: u32 = 1;
    pub(crate) const SUFFIX: u32 = 2;
    pub(crate) const NON_EMPTY: u32 = 3;
    pub(crate) const PRESENT: u32 = 4;
    pub(crate) const TEMPLATE: u32 = 5;
    /// `a`: index of the automaton.
    pub(crate) const REGEX: u32 = 6;
    /// `a`: index of the network.
    pub(crate) const NETWORK: u32 = 7;
    /// `a`, `b`: first and last port.
    pub(crate) const PORTS: u32 = 8;
    /// `a`: index of the set.
    pub(crate) const SET: u32 = 9;
}

/// The tables of a program, in the order of the table of contents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub(crate) enum Table {
    Settings,
    Text,
    Blob,
    Documents,
    Sides,
    Tiers,
    Rules,
    Clauses,
    Predicates,
    Patterns,
    Networks,
    Dimensions,
    Slots,
    Affixes,
    NetEntries,
    PortSteps,
    SetEntries,
    TemplateNodes,
    TemplateEdges,
    Postings,
    Blocks,
    Sets,
    Regexes,
}

impl Table {
    /// Number of tables.
    pub(crate) const COUNT: usize = Table::Regexes as usize + 1;
}
