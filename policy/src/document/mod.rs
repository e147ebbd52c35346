//! Policy documents: what a person writes, in YAML or JSON.
//!
//! Text becomes documents ([`parse`]), a document becomes spec ([`Located::lower`]), and all
//! documents of a mesh together become a [`Set`]. A file, an API server and the admission webhook
//! take the same way, and each refuses a document with the same words:
//!
//! ```text
//! text --read--> value --check against the schema--> typed document --lower--> spec
//!                      ^ from_value: a value that was decoded elsewhere
//! ```
//!
//! Nothing that is wrong passes in silence: unknown fields, values of the wrong type, empty lists
//! and words that nobody reads are errors, and all errors of a document are reported together.
//! Documents of other kinds are not touched and handed back for their own readers.
//!
//! Where the language comes from and what each field means is in the comments of [`types`], from
//! which the reference is written ([`mod@reference`]).

mod check;
mod error;
mod field_path;
mod hints;
pub mod limits;
mod lower;
mod position;
pub mod properties;
mod read;
mod reason;
pub mod reference;
pub mod schema;
mod set;
mod sort;
pub mod types;
mod write;

use std::sync::Arc;

use serde_json::Value;

pub use self::error::{Error, Suggestion};
pub use self::field_path::{FieldPath, Segment};
pub use self::position::{Position, Positions};
pub use self::reason::{Form, Reason, Type};
pub use self::set::{Set, Sourced};
pub use self::write::to_yaml;

use self::error::Findings;
use self::position::Mark;
use self::types::{ClusterFirewallPolicySpec, FirewallPolicySpec, MeshwallConfigSpec, Object};
use crate::spec::ObjectRef;

/// What a text holds.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The documents that could be read, in their order.
    pub documents: Vec<Document>,
    /// What is wrong with the others.
    pub errors: Vec<Error>,
}

/// One document.
#[derive(Clone, Debug)]
pub enum Document {
    /// Rules of a namespace.
    FirewallPolicy(Located<FirewallPolicySpec>),
    /// Rules of the cluster's owners.
    ClusterFirewallPolicy(Located<ClusterFirewallPolicySpec>),
    /// Configuration of the mesh.
    MeshwallConfig(Located<MeshwallConfigSpec>),
    /// An object of a kind that is not ours, for another reader.
    Other(Other),
}

/// A typed document that has passed the check against the schema of its kind, and where its parts
/// stand in the source.
#[derive(Clone, Debug)]
pub struct Located<S> {
    object: Object<S>,
    reference: ObjectRef,
    positions: Positions,
}

impl<S> Located<S> {
    /// The document, with its values as written.
    pub fn object(&self) -> &Object<S> {
        &self.object
    }

    /// What names the object.
    pub fn reference(&self) -> &ObjectRef {
        &self.reference
    }

    /// Where the parts of the document stand.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }
}

/// An object of a kind that is not ours.
#[derive(Clone, Debug)]
pub struct Other {
    /// `apiVersion`; empty if the document has none.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// The whole document.
    pub value: Value,
    /// Where its parts stand.
    pub positions: Positions,
}

/// Reads all documents of a text.
///
/// `source_name` is what errors call the text, usually the name of its file. Lists of objects
/// (`kind: List`, as `kubectl get` prints them) count as their items. A syntax error ends the
/// text; what stands before it is read.
pub fn parse(source_name: &str, text: &str) -> Parsed {
    let source = Arc::from(source_name);
    let text = read::read(&source, text);
    let mut parsed = Parsed::default();
    for tree in text.trees {
        sort::sort(&source, tree, &mut parsed);
    }
    parsed.errors.extend(text.error);
    parsed
}

/// Reads one document that was decoded elsewhere, such as by a Kubernetes client.
///
/// # Errors
///
/// Everything that is wrong with its shape.
pub fn from_value(value: Value) -> Result<Document, Vec<Error>> {
    sort::document(value, Positions::none(), Findings::default())
}

/// A scalar as its author wrote it, as far as that is known.
fn scalar_text(value: &Value, mark: Option<&Mark>) -> Option<String> {
    if let Some(raw) = mark.and_then(|mark| mark.raw.as_deref()) {
        return Some(raw.to_owned());
    }
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
