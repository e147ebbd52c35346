//! Names of resources.
//!
//! A name is opaque unless it begins with `xdstp://`. Such names have structure, after the xRFC
//! TP1 of cncf/xds ("xdstp:// structured resource naming"):
//!
//! ```text
//! xdstp://AUTHORITY/TYPE/ID?KEY=VALUE&KEY=VALUE
//! ```
//!
//! Two of them are the same if they differ in the order of the context parameters only. Here every
//! name is brought to one spelling when it is made, with the parameters sorted, and compared byte
//! by byte from then on.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

const SCHEME: &str = "xdstp://";
const WILDCARD: &str = "*";

/// Name of a resource, of a collection of resources, or `*` for all resources of a type.
///
/// In canonical spelling: the context parameters of an `xdstp://` name are sorted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName(Arc<str>);

/// Why a text is not the name of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name has no characters.
    #[error("it is empty")]
    Empty,
    /// An `xdstp://` name has no type or no id.
    #[error("it lacks a resource type or an id")]
    Incomplete,
    /// An `xdstp://` name has a fragment. Directives are for clients, and are not sent.
    #[error("it has a processing directive")]
    Directive,
}

impl ResourceName {
    /// Reads a name and brings it to its canonical spelling.
    ///
    /// # Errors
    ///
    /// If the text is empty, or begins with `xdstp://` and is no name of that form.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return Ok(Self(text.into()));
        };
        if rest.contains('#') {
            return Err(NameError::Directive);
        }
        let (path, context) = rest.split_once('?').unwrap_or((rest, ""));
        let mut parts = path.splitn(3, '/').skip(1);
        if parts.next().is_none_or(str::is_empty) || parts.next().is_none_or(str::is_empty) {
            return Err(NameError::Incomplete);
        }
        Ok(Self(join(path, context).into()))
    }

    /// The name `*`, which subscribes to all resources of a type.
    #[must_use]
    pub fn wildcard() -> Self {
        Self(WILDCARD.into())
    }

    /// The name as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `*`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        &*self.0 == WILDCARD
    }

    /// Whether this names a glob collection: an `xdstp://` name whose id ends in the component `*`.
    #[must_use]
    pub fn is_collection(&self) -> bool {
        self.parts().is_some_and(|(path, _)| path.ends_with("/*"))
    }

    /// The glob collection to which a resource of this name belongs; opaque names have none.
    ///
    /// It has the same authority, type and context parameters, and `*` in place of the last
    /// component of the id.
    #[must_use]
    pub fn collection(&self) -> Option<Self> {
        let (path, context) = self.parts()?;
        let (folder, _) = path.rsplit_once('/')?;
        Some(Self(join(&format!("{folder}/*"), context).into()))
    }

    /// What stands between the scheme and the context parameters, and these.
    fn parts(&self) -> Option<(&str, &str)> {
        let rest = self.0.strip_prefix(SCHEME)?;
        Some(rest.split_once('?').unwrap_or((rest, "")))
    }
}

impl Borrow<str> for ResourceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn join(path: &str, context: &str) -> String {
    let mut parameters: Vec<&str> = context.split('&').filter(|p| !p.is_empty()).collect();
    parameters.sort_unstable();
    let mut name = format!("{SCHEME}{path}");
    for (index, parameter) in parameters.iter().enumerate() {
        name.push(if index == 0 { '?' } else { '&' });
        name.push_str(parameter);
    }
    name
}
