//! The reasons for which a document is refused.
//!
//! Each reads as the end of a sentence whose subject is the field or its value: `` `get` is not an
//! HTTP method ``. Each has a code that does not change when the words do.

use std::borrow::Cow;
use std::fmt;

use super::error::quotable;
use super::field_path::FieldPath;
use super::limits;
use super::position::Position;
use crate::spec::ObjectRef;

/// Why something in a document is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The text is not YAML or JSON; in the words of the reader.
    Syntax(String),
    /// The text uses a part of YAML that Kubernetes' readers do not agree on, or that we do not
    /// read.
    UnsupportedYaml(&'static str),
    /// The field is written twice; this is the line of the first.
    DuplicateField(u32),
    /// Mappings and lists are within each other beyond [`limits::MAX_DEPTH`].
    TooDeep,
    /// References to anchors make the document grow beyond [`limits::MAX_ALIASED_VALUES`] or
    /// [`limits::MAX_ALIASED_BYTES`].
    AliasesTooLarge,
    /// The document is not a mapping.
    NotAnObject,
    /// Nobody reads a kind of this name in this group.
    UnknownKind,
    /// The group does not have this version.
    UnknownVersion,
    /// More than [`limits::MAX_ERRORS`] errors were found.
    TooManyErrors,

    /// There is no field of this name.
    UnknownField,
    /// The field must be there.
    Missing,
    /// The field is there, but has no value.
    NoValue,
    /// The value is of another type.
    WrongType {
        /// What it is.
        found: Type,
        /// What it may be.
        expected: Vec<Type>,
    },
    /// The value is none of the words that the field takes.
    NotOneOf(Vec<String>),
    /// The number is written in a way that YAML readers understand differently.
    NotDecimal,
    /// The number is not whole.
    NotWhole,
    /// The number is outside these bounds, which belong to the range.
    OutOfRange {
        /// Smallest number that the field takes.
        min: i64,
        /// Largest number that the field takes.
        max: i64,
    },
    /// The list has no items; this is what it should list.
    Empty(&'static str),
    /// There are more of these than the limit allows.
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// The text is longer than this, in bytes.
    TooLong(usize),

    /// The text does not have the form that the field wants.
    Malformed {
        /// The form.
        form: Form,
        /// What about the text does not fit.
        why: Cow<'static, str>,
    },
    /// The value is listed twice, or is there by other means.
    Repeated,
    /// The network is not part of this one.
    Outside(String),
    /// The exceptions leave nothing of the network.
    NothingLeft,
    /// The field cannot stand beside this other field.
    Conflict(&'static str),
    /// Exactly one of these fields must be there.
    NotExactlyOne(&'static [&'static str]),
    /// The name is taken by the value at this path.
    NameTaken(FieldPath),
    /// A namespace is needed to understand the value, and nothing gives one.
    NoNamespace,
    /// The object belongs to the whole cluster and cannot be in a namespace.
    ClusterScoped,
    /// The value restricts nothing, which is written in another way.
    RestrictsNothing,
    /// The policy has no rules in either direction.
    NoRules,
    /// The field is understood, but cannot be enforced by what reads it here.
    Unsupported(&'static str),

    /// The object was defined before.
    DuplicateObject(Option<Position>),
    /// The priority is taken by this policy of the same tier.
    SamePriority(ObjectRef),
    /// There is more than one configuration; this is the other.
    SecondConfig(ObjectRef),
}

/// Types of values, in the words of a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Type {
    /// A string.
    Text,
    /// A number with a fraction.
    Number,
    /// A number without a fraction.
    WholeNumber,
    /// `true` or `false`.
    Boolean,
    /// A sequence.
    List,
    /// An object.
    Mapping,
}

/// Forms that text values have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Name of a Kubernetes object (RFC 1123 subdomain).
    ObjectName,
    /// Name of a namespace (RFC 1123 label).
    Namespace,
    /// Name of a service account, with or without its namespace.
    ServiceAccount,
    /// Name of a rule.
    RuleName,
    /// Port: number, range or name.
    Port,
    /// Key of a Kubernetes label.
    LabelKey,
    /// Value of a Kubernetes label.
    LabelValue,
    /// SPIFFE trust domain.
    TrustDomain,
    /// SPIFFE id, or a pattern of ids.
    Principal,
    /// Pattern with a wildcard at one end.
    Pattern,
    /// Host name or pattern of host names.
    Host,
    /// HTTP method.
    Method,
    /// HTTP path or pattern of paths.
    Path,
    /// Name of an HTTP header.
    HeaderName,
    /// Name of a query parameter.
    QueryName,
    /// Name of a claim.
    Claim,
    /// Fully qualified name of a gRPC service.
    GrpcService,
    /// Name of a gRPC method.
    GrpcMethod,
    /// Regular expression.
    Regex,
    /// Address range.
    Cidr,
    /// RFC 3339 time.
    Time,
    /// Plain text that is shown to people.
    Body,
}

impl Reason {
    /// A short name that stays the same when the words change, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Syntax(_) => "syntax",
            Reason::UnsupportedYaml(_) => "unsupported-yaml",
            Reason::DuplicateField(_) => "duplicate-field",
            Reason::TooDeep => "too-deep",
            Reason::AliasesTooLarge => "aliases-too-large",
            Reason::NotAnObject => "not-an-object",
            Reason::UnknownKind => "unknown-kind",
            Reason::UnknownVersion => "unknown-version",
            Reason::TooManyErrors => "too-many-errors",
            Reason::UnknownField => "unknown-field",
            Reason::Missing => "missing-field",
            Reason::NoValue => "no-value",
            Reason::WrongType { .. } => "wrong-type",
            Reason::NotOneOf(_) => "not-one-of",
            Reason::NotDecimal => "not-decimal",
            Reason::NotWhole => "not-whole",
            Reason::OutOfRange { .. } => "out-of-range",
            Reason::Empty(_) => "empty-list",
            Reason::TooMany { .. } => "too-many",
            Reason::TooLong(_) => "too-long",
            Reason::Malformed { .. } => "malformed-value",
            Reason::Repeated => "repeated",
            Reason::Outside(_) => "outside-network",
            Reason::NothingLeft => "nothing-left",
            Reason::Conflict(_) => "conflicting-fields",
            Reason::NotExactlyOne(_) => "not-exactly-one",
            Reason::NameTaken(_) => "name-taken",
            Reason::NoNamespace => "no-namespace",
            Reason::ClusterScoped => "cluster-scoped",
            Reason::RestrictsNothing => "restricts-nothing",
            Reason::NoRules => "no-rules",
            Reason::Unsupported(_) => "unsupported",
            Reason::DuplicateObject(_) => "duplicate-object",
            Reason::SamePriority(_) => "same-priority",
            Reason::SecondConfig(_) => "second-config",
        }
    }

    pub(super) fn malformed(form: Form, why: impl Into<Cow<'static, str>>) -> Reason {
        Reason::Malformed {
            form,
            why: why.into(),
        }
    }

    /// Whether the error is about the name of the field and not about its value.
    pub(super) fn concerns_name(&self) -> bool {
        matches!(
            self,
            Reason::UnknownField
                | Reason::DuplicateField(_)
                | Reason::NoValue
                | Reason::Conflict(_)
                | Reason::Unsupported(_)
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Syntax(why) => f.write_str(why),
            Reason::UnsupportedYaml(what) => f.write_str(what),
            Reason::DuplicateField(line) => write!(f, "is already written on line {line}"),
            Reason::TooDeep => write!(f, "is nested deeper than {} levels", limits::MAX_DEPTH),
            Reason::AliasesTooLarge => write!(
                f,
                "makes the document too large: references to anchors may add {} values and {} bytes \
                 of text",
                grouped(limits::MAX_ALIASED_VALUES),
                grouped(limits::MAX_ALIASED_BYTES)
            ),
            Reason::NotAnObject => f.write_str(
                "not a document: documents are mappings with `apiVersion`, `kind` and `metadata`",
            ),
            Reason::UnknownKind => f.write_str("is not a kind of policy document"),
            Reason::UnknownVersion => f.write_str("is not a version of policy documents"),
            Reason::TooManyErrors => {
                write!(
                    f,
                    "more than {} errors, the rest is not shown",
                    grouped(limits::MAX_ERRORS)
                )
            }
            Reason::UnknownField => f.write_str("unknown field"),
            Reason::Missing => f.write_str("is required"),
            Reason::NoValue => f.write_str("has no value"),
            Reason::WrongType { found, expected } => {
                write!(
                    f,
                    "is {found}, not {}",
                    list(expected.iter().map(Type::to_string), "or")
                )
            }
            Reason::NotOneOf(words) => {
                let quoted = words.iter().map(|word| format!("`{word}`"));
                match words.as_slice() {
                    [only] => write!(f, "is not `{only}`"),
                    [_, _] => write!(f, "is neither {}", list(quoted, "nor")),
                    _ => write!(f, "is none of {}", list(quoted, "or")),
                }
            }
            Reason::NotDecimal => {
                f.write_str("is a number that readers of YAML understand differently")
            }
            Reason::NotWhole => f.write_str("is not a whole number"),
            Reason::OutOfRange { min, max } => write!(f, "is not within {min}-{max}"),
            Reason::Empty(what) => write!(f, "lists no {what}"),
            Reason::TooMany { what, limit } => {
                write!(f, "has more than {} {what}", grouped(*limit))
            }
            Reason::TooLong(limit) => write!(f, "is longer than {} bytes", grouped(*limit)),
            Reason::Malformed { form, why } => write!(f, "is not {form}: {why}"),
            Reason::Repeated => f.write_str("is listed already"),
            Reason::Outside(network) => write!(f, "is not within `{}`", quotable(network)),
            Reason::NothingLeft => f.write_str("excepts the whole network"),
            Reason::Conflict(other) => write!(f, "cannot be combined with `{other}`"),
            Reason::NotExactlyOne(fields) => {
                let quoted = fields.iter().map(|field| format!("`{field}`"));
                write!(f, "needs exactly one of {}", list(quoted, "and"))
            }
            Reason::NameTaken(path) => write!(f, "is already the name of {path}"),
            Reason::NoNamespace => f.write_str("does not say in which namespace"),
            Reason::ClusterScoped => f.write_str("is set, but the kind belongs to no namespace"),
            Reason::RestrictsNothing => f.write_str("restricts nothing"),
            Reason::NoRules => f.write_str("has no rules"),
            Reason::Unsupported(why) => write!(f, "is not supported: {why}"),
            Reason::DuplicateObject(None) => f.write_str("is defined twice"),
            Reason::DuplicateObject(Some(first)) => write!(f, "is already defined at {first}"),
            Reason::SamePriority(other) => {
                write!(
                    f,
                    "is also the priority of {other}, so their order is undefined"
                )
            }
            Reason::SecondConfig(other) => {
                write!(
                    f,
                    "is a second configuration beside {other}; there can be only one"
                )
            }
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Text => "text",
            Type::Number => "a number",
            Type::WholeNumber => "a whole number",
            Type::Boolean => "a boolean",
            Type::List => "a list",
            Type::Mapping => "a mapping",
        })
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::ObjectName => "the name of an object",
            Form::Namespace => "the name of a namespace",
            Form::ServiceAccount => "a service account",
            Form::RuleName => "the name of a rule",
            Form::Port => "a port",
            Form::LabelKey => "the key of a label",
            Form::LabelValue => "the value of a label",
            Form::TrustDomain => "a trust domain",
            Form::Principal => "a principal",
            Form::Pattern => "a pattern",
            Form::Host => "a host name",
            Form::Method => "an HTTP method",
            Form::Path => "a path",
            Form::HeaderName => "the name of a header",
            Form::QueryName => "the name of a query parameter",
            Form::Claim => "the name of a claim",
            Form::GrpcService => "a gRPC service",
            Form::GrpcMethod => "a gRPC method",
            Form::Regex => "a regular expression",
            Form::Cidr => "an address range",
            Form::Time => "a time",
            Form::Body => "plain text",
        })
    }
}

/// `a`, `a or b`, `a, b or c`.
fn list(items: impl Iterator<Item = String>, conjunction: &str) -> String {
    let mut items: Vec<String> = items.collect();
    let last = items.pop().unwrap_or_default();
    if items.is_empty() {
        last
    } else {
        format!("{} {conjunction} {last}", items.join(", "))
    }
}

/// A number with a comma between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
