//! Policies as the compiler reads them: parsed, validated, with every name resolved to a type.
//!
//! Documents of every kind, our own and imported ones, lower to [`Policy`]. A rule is a
//! conjunction of alternatives of conjunctions of predicates, and the levels have names:
//!
//! ```text
//! Rule  = peers AND operations AND conditions
//! peers = Peer OR Peer ...            operations = Operation OR Operation ...
//! Peer  = Predicate AND Predicate ...
//! Predicate = field is one of (or, negated, none of) these patterns
//! ```
//!
//! What a predicate needs to know about Kubernetes is carried by [`PeerSet`]: a question about
//! the workload behind an address, which the server answers in the peer table.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Names one object: `kind/namespace/name`, or `kind/name` for a cluster-scoped one.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectRef {
    /// Kubernetes kind, such as `FirewallPolicy`.
    pub kind: String,
    /// Namespace of the object; `None` for a cluster-scoped kind.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{}/{}", self.kind, namespace, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

/// The direction of a connection as its workload sees it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// Someone connects to the workload.
    Ingress,
    /// The workload connects to someone.
    Egress,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        })
    }
}

/// What a rule does to what it matches.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// Permit, and end the evaluation of the gate.
    Allow,
    /// Refuse, and end the evaluation.
    Deny,
    /// Leave the tier undecided. Only in an ordered tier.
    Pass,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Allow => "Allow",
            Action::Deny => "Deny",
            Action::Pass => "Pass",
        })
    }
}

/// Whether a policy decides, or is only evaluated beside those that do.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Mode {
    /// The policy decides.
    #[default]
    Enforce,
    /// The policy counts towards the would-be verdict only.
    Monitor,
}

/// Where a policy stands in the evaluation: its gate, and the tier of that gate.
///
/// Gates are evaluated in the order of the variants' gates and all must permit; the tiers of a
/// gate are evaluated in order until one decides.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Tier {
    /// Meshwall's gate, first tier, ordered: the security team's word, final.
    Admin,
    /// Meshwall's gate, second tier, set-like: the workload owners' rules.
    Namespace,
    /// Meshwall's gate, last tier, ordered: what holds when nobody said anything.
    Baseline,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tier::Admin => "Admin",
            Tier::Namespace => "Namespace",
            Tier::Baseline => "Baseline",
        })
    }
}

/// One policy: whom it protects, where it stands, and its rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// The document that the policy was written as.
    pub origin: ObjectRef,
    /// Its place in the evaluation.
    pub tier: Tier,
    /// Order within an ordered tier, lower first, 0-1000; 0 in a set-like tier.
    pub priority: u16,
    /// The workloads that the policy protects.
    pub subject: Subject,
    /// Enforced or monitored.
    pub mode: Mode,
    /// The moment from which the policy counts as absent.
    pub expires: Option<Timestamp>,
    /// Rules for connections to the workload; empty says nothing about the direction.
    pub ingress: Vec<Rule>,
    /// Rules for connections from the workload; empty says nothing about the direction.
    pub egress: Vec<Rule>,
}

/// A moment: seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(pub i64);

/// The workloads that a policy protects: those in a matching namespace with matching labels.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// Which namespaces.
    pub namespaces: NamespaceScope,
    /// Labels of the pods; the empty selector selects every pod.
    pub pods: LabelSelector,
}

/// A choice of namespaces.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum NamespaceScope {
    /// Every namespace.
    All,
    /// The namespace of this name.
    Named(String),
    /// The namespaces whose labels match.
    Selected(LabelSelector),
}

/// A Kubernetes label selector: all requirements hold. Empty matches everything.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LabelSelector {
    /// The requirements, in canonical order (sorted, without duplicates).
    pub requirements: Vec<LabelRequirement>,
}

/// One requirement of a [`LabelSelector`].
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LabelRequirement {
    /// Label key.
    pub key: String,
    /// Relation that the label must have to its operands.
    pub operator: LabelOperator,
}

/// Operators of label selectors, with Kubernetes' meaning.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LabelOperator {
    /// The label is present and its value is one of these (sorted, without duplicates).
    In(Vec<String>),
    /// The label is absent, or its value is none of these (sorted, without duplicates).
    NotIn(Vec<String>),
    /// The label is present.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

/// A rule: what it does, and to what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Name, unique within the policy and direction.
    pub name: String,
    /// What the rule does to what it matches.
    pub action: Action,
    /// Who is at the other end.
    pub peers: Alternatives,
    /// What is asked.
    pub operations: Alternatives,
    /// What must hold besides: all of these.
    pub conditions: Vec<Predicate>,
}

/// A disjunction of conjunctions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Alternatives {
    /// Holds always: the rule does not restrict this aspect.
    Any,
    /// Holds if all predicates of at least one alternative hold. Of no alternatives: never.
    OneOf(Vec<Vec<Predicate>>),
}

/// A test of one field: it is one of the patterns or, negated, none of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Predicate {
    /// What is looked at.
    pub field: Field,
    /// What it is compared with; any one suffices.
    pub patterns: Patterns,
    /// Whether the predicate holds when *no* pattern matches.
    pub negated: bool,
}

/// What a predicate looks at.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Field {
    /// The SPIFFE id of the verified peer certificate, `spiffe://trust-domain/path`. [`Strings`]
    ///
    /// [`Strings`]: Patterns::Strings
    Principal,
    /// Trust domain of the principal. Strings.
    TrustDomain,
    /// Namespace of the principal: `NS` in `spiffe://td/ns/NS/sa/SA`. Strings.
    Namespace,
    /// Service account of the principal as `namespace/name`. Strings.
    ServiceAccount,
    /// Sets that the workload at the peer's address belongs to. [`Patterns::Sets`]
    PeerSet,
    /// Address of the direct peer: on ingress the client, on egress the destination.
    /// [`Patterns::Networks`]
    PeerAddress,
    /// Address of the client as told by trusted proxies; the direct peer without them. Networks.
    RemoteAddress,
    /// Destination TCP port. [`Patterns::Ports`]
    Port,
    /// Server name of the TLS handshake, lower case, without a trailing dot. Strings.
    Sni,
    /// HTTP method, as sent (methods are case-sensitive, RFC 9110 section 9.1). Strings.
    Method,
    /// HTTP host: `:authority` in lower case, without port and trailing dot. Strings.
    Host,
    /// HTTP path in the normal form of [`crate::path`], without the query. Strings.
    Path,
    /// Whether the request is gRPC (`content-type: application/grpc`, also with `+` or `;`).
    /// [`Patterns::Present`]
    Grpc,
    /// Values of the HTTP header of this name (lower case). Strings or Present.
    Header(String),
    /// Values of the query parameter of this name, decoded. Strings or Present.
    Query(String),
    /// Values of the claim at this path in the verified JSON Web Token; a list counts as its
    /// elements. Strings or Present.
    Claim(Vec<String>),
}

impl Field {
    /// Whether the field exists only in an HTTP request.
    pub fn is_http(&self) -> bool {
        match self {
            Field::Method
            | Field::Host
            | Field::Path
            | Field::Grpc
            | Field::Header(_)
            | Field::Query(_)
            | Field::Claim(_) => true,
            Field::Principal
            | Field::TrustDomain
            | Field::Namespace
            | Field::ServiceAccount
            | Field::PeerSet
            | Field::PeerAddress
            | Field::RemoteAddress
            | Field::Port
            | Field::Sni => false,
        }
    }
}

/// What a field is compared with; any one suffices.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Patterns {
    /// Text patterns, for text fields.
    Strings(Vec<StringPattern>),
    /// Networks, for addresses.
    Networks(Vec<Network>),
    /// TCP ports, for [`Field::Port`].
    Ports(Vec<PortRange>),
    /// Peer sets, for [`Field::PeerSet`].
    Sets(Vec<PeerSet>),
    /// The trust domain of the mesh and its aliases, for [`Field::TrustDomain`]. What our own
    /// documents mean when they name a namespace or a service account without a trust domain:
    /// another mesh's namespace of the same name is someone else's.
    MeshTrustDomains,
    /// The field is there, whatever its value.
    Present,
}

/// TCP ports, as a rule names them.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum PortRange {
    /// An inclusive range within 1-65535; a single port is a range of one.
    Numbers(RangeInclusive<u16>),
    /// The container port of this name. It resolves when the program of a workload is compiled:
    /// on ingress to the ports that the protected workload gives the name, on egress to the
    /// ports that the destinations give it. A name that nothing declares matches no connection.
    Named(String),
}

/// A pattern over text. Comparison is bytewise; fields that ignore case are in lower case on both
/// sides.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum StringPattern {
    /// The whole value.
    Exact(String),
    /// The beginning of the value.
    Prefix(String),
    /// The end of the value.
    Suffix(String),
    /// Any value that is not empty.
    NonEmpty,
    /// A path template; only for [`Field::Path`].
    Template(PathTemplate),
    /// A regular expression that must match the whole value.
    Regex(Regex),
}

/// A path template: literal segments, `{*}` for exactly one segment, at most one `{**}` for any
/// number, and only literal segments behind it. [`crate::path`] reads and matches it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PathTemplate {
    /// The segments between the slashes, from the first; after a trailing slash an empty literal.
    pub segments: Vec<TemplateSegment>,
}

/// One segment of a [`PathTemplate`].
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TemplateSegment {
    /// This text, in normal form.
    Literal(String),
    /// `{*}`: any one non-empty segment.
    One,
    /// `{**}`: in the last place the rest of the path, empty or not; before literal segments at
    /// least one segment. The slash in front of it is never optional.
    Rest,
}

/// A regular expression in the syntax of the `regex` crate, without look-around and
/// back-references. It always matches in time linear in its input.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Regex(pub String);

/// A network with holes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Network {
    /// Addresses that match.
    pub cidr: Cidr,
    /// Addresses in `cidr` that do not match after all; each lies within `cidr`.
    pub except: Vec<Cidr>,
}

/// An address range in CIDR notation. IPv4-mapped IPv6 addresses are IPv4 addresses.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cidr {
    /// First address of the range; its host bits are zero.
    pub address: IpAddr,
    /// Length of the prefix in bits: 0-32 or 0-128.
    pub prefix_len: u8,
}

/// A question about the workload behind an address, answered by the peer table.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PeerSet {
    /// Pods with these labels in these namespaces.
    Labels {
        /// Which namespaces.
        namespaces: NamespaceScope,
        /// Labels of the pods.
        pods: LabelSelector,
    },
    /// Workloads whose identity has this property; how egress rules name the identity of a
    /// destination, which shows no certificate before the connection is made.
    Identity {
        /// One of the identity fields: principal, trust domain, namespace, service account.
        field: Field,
        /// The value that it must have.
        pattern: StringPattern,
    },
    /// Workloads that declare this number for a port of this name; how egress rules resolve the
    /// named ports of their destinations.
    NamedPort {
        /// Name of the port.
        name: String,
        /// TCP port, 1-65535.
        number: u16,
    },
}

/// What holds for the whole mesh.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// Trust domain of the mesh.
    pub trust_domain: String,
    /// Other names of the same trust domain.
    pub trust_domain_aliases: Vec<String>,
    /// Verdict on ingress when no policy says anything.
    pub default_ingress: DefaultAction,
    /// Verdict on egress when no policy says anything.
    pub default_egress: DefaultAction,
    /// Number of proxies in front of the mesh whose `x-forwarded-for` entries are trusted.
    pub trusted_proxies: u8,
    /// What a denied client is told.
    pub denial: Denial,
}

/// Verdict when no policy says anything.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DefaultAction {
    /// Permit.
    Allow,
    /// Refuse.
    Deny,
}

/// What the client of a denied HTTP request is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denial {
    /// HTTP status code, 400-599. gRPC clients get `PERMISSION_DENIED` instead.
    pub status: u16,
    /// Response body, plain text, at most 1,024 bytes.
    pub body: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            trust_domain: "cluster.local".to_owned(),
            trust_domain_aliases: Vec::new(),
            default_ingress: DefaultAction::Deny,
            default_egress: DefaultAction::Deny,
            trusted_proxies: 0,
            denial: Denial {
                status: 403,
                body: "denied by policy\n".to_owned(),
            },
        }
    }
}
