//! Objects of clusters, reduced on entry to what programs depend on.
//!
//! Reading is apart from the index, so that sources can read while the index works, and so that
//! what is kept does not grow with what Kubernetes keeps in its objects. Policies are read by the
//! parser that `meshwall check` and the admission check use, and compiled once by themselves: what
//! is wrong with a policy, whatever it is applied to, is known before it is in the index.

use std::fmt;
use std::sync::Arc;

use meshwall_mesh_config::inventory::{self, Pod, Why};
use meshwall_policy::compile::{CompileError, Target, compile_selected};
use meshwall_policy::document::types::GROUP;
use meshwall_policy::document::{self, Document};
use meshwall_policy::inventory::{Labels, with_name};
use meshwall_policy::spec::{Config, Policy};
use serde_json::Value;

use super::document::as_written;
use super::key::{Kind, ObjectKey};

/// An object of a cluster, as far as the index needs it.
#[derive(Clone, Debug)]
pub struct Object {
    pub(super) key: ObjectKey,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Its trust domain is that of its cluster, which the index knows.
    Pod(Box<Pod>),
    Namespace(Labels),
    Definition(Definition),
    /// What no program depends on: services, service accounts, pods that have ended.
    Nothing,
    /// What cannot be read is not there.
    Unreadable(Vec<inventory::Error>),
}

/// What a policy or a configuration says, or why it cannot be followed.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    /// `metadata.creationTimestamp`; the older of two that contradict each other counts.
    pub(super) created: String,
    /// `metadata.generation`.
    pub(super) generation: Option<i64>,
    pub(super) meaning: Result<Meaning, Arc<Refusal>>,
    /// The document, to be remembered, if there is one.
    pub(super) document: Option<Arc<Value>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    Policy(Arc<Policy>),
    Config(Arc<Config>),
}

/// Why a policy or configuration is refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The document is wrong: object, field, value and reason of each error.
    Document(Vec<document::Error>),
    /// The policy cannot be compiled, whatever it is applied to.
    Compile(CompileError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Document(errors) => {
                for (position, error) in errors.iter().enumerate() {
                    let separator = if position > 0 { "\n" } else { "" };
                    write!(f, "{separator}{error}")?;
                }
                Ok(())
            }
            Refusal::Compile(error) => error.fmt(f),
        }
    }
}

/// Why an object is nothing for the index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ObjectError {
    /// It is of a kind that nobody asked for.
    Kind {
        /// The kind, as it was written.
        kind: String,
    },
    /// It has no name.
    NoName {
        /// Its kind.
        kind: Kind,
    },
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectError::Kind { kind } => write!(f, "objects of kind `{kind}` are not read"),
            ObjectError::NoName { kind } => write!(f, "{kind} without a name"),
        }
    }
}

impl std::error::Error for ObjectError {}

impl Object {
    /// Reads an object, with its `apiVersion` and `kind`, as an API server sends it.
    ///
    /// An object with errors is an object, too: the index reports it, and keeps the last good
    /// version of a policy.
    ///
    /// # Errors
    ///
    /// If it cannot be said which object it is.
    pub fn read(value: Value) -> Result<Object, ObjectError> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let kind = text(value.get("kind")).unwrap_or_default();
        let version = text(value.get("apiVersion")).unwrap_or_default();
        let is_ours = version.split('/').next() == Some(GROUP);
        let known = Kind::named(&kind)
            .filter(|known| is_ours == Kind::POLICIES.contains(known))
            .filter(|_| is_ours || inventory::reads(&version, &kind));
        let Some(kind) = known else {
            return Err(ObjectError::Kind { kind });
        };
        let metadata = value.get("metadata");
        let field = |name: &str| text(metadata.and_then(|metadata| metadata.get(name)));
        let key = ObjectKey {
            kind,
            namespace: field("namespace").filter(|namespace| !namespace.is_empty()),
            name: field("name").unwrap_or_default(),
        };
        if key.name.is_empty() {
            return Err(ObjectError::NoName { kind });
        }
        let content = match kind {
            Kind::Namespace => match inventory::read_namespace(&value) {
                Ok(namespace) => Content::Namespace(with_name(namespace.labels, &namespace.name)),
                Err(errors) => Content::Unreadable(errors),
            },
            Kind::Pod => match inventory::read_pod(&value, "") {
                Ok(pod) if pod.left_out == Some(Why::Ended) => Content::Nothing,
                Ok(pod) => Content::Pod(Box::new(pod)),
                Err(errors) => Content::Unreadable(errors),
            },
            Kind::Service | Kind::ServiceAccount => Content::Nothing,
            Kind::FirewallPolicy | Kind::ClusterFirewallPolicy | Kind::MeshwallConfig => {
                Content::Definition(Definition {
                    created: field("creationTimestamp").unwrap_or_default(),
                    generation: metadata
                        .and_then(|metadata| metadata.get("generation"))
                        .and_then(Value::as_i64),
                    document: Some(Arc::new(as_written(value.clone()))),
                    meaning: meaning(value).map_err(Arc::new),
                })
            }
        };
        Ok(Object { key, content })
    }

    /// A policy or configuration that cannot be followed, by a reader that knows more about why than
    /// the object says, such as its file and line.
    #[must_use]
    pub fn refused(key: ObjectKey, errors: Vec<document::Error>) -> Object {
        let definition = Definition {
            created: String::new(),
            generation: None,
            meaning: Err(Arc::new(Refusal::Document(errors))),
            document: None,
        };
        Object {
            key,
            content: Content::Definition(definition),
        }
    }

    /// What names the object.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Why the object cannot be followed, if it is a policy or a configuration that cannot.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.content {
            Content::Definition(definition) => definition.meaning.as_ref().err().map(Arc::as_ref),
            _ => None,
        }
    }
}

fn meaning(value: Value) -> Result<Meaning, Refusal> {
    let document = document::from_value(value).map_err(Refusal::Document)?;
    let policy = match document {
        Document::FirewallPolicy(located) => located.lower(),
        Document::ClusterFirewallPolicy(located) => located.lower(),
        Document::MeshwallConfig(located) => {
            let config = located.lower().map_err(Refusal::Document)?;
            return Ok(Meaning::Config(Arc::new(config)));
        }
        // Unless this and the caller disagree about what is ours.
        Document::Other(_) => return Err(Refusal::Document(Vec::new())),
    };
    let policy = policy.map_err(Refusal::Document)?;
    compile_selected(&Config::default(), &[&policy], &Target::default())
        .map_err(Refusal::Compile)?;
    Ok(Meaning::Policy(Arc::new(policy)))
}
