//! Dynamic configuration by files, which Envoy watches.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Error;

/// A file with one type of resources, for a `path_config_source`.
///
/// Envoy reads it when it is *moved* into place, so that it never sees half a file. For
/// extension configurations (ECDS) it wants a file for each resource, with just that one
/// in it; a file without any is refused, and leaves things as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveryFile {
    path: PathBuf,
}

impl DiscoveryFile {
    /// A file called `name` in `folder`. It is there once something was published, if only
    /// an empty list; an Envoy that starts without it refuses its configuration.
    #[must_use]
    pub fn new(folder: &Path, name: &str) -> Self {
        Self {
            path: folder.join(name),
        }
    }

    /// Where the file is, to be named in the configuration.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces what the file says by `resources`, each with its `@type`.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn publish(&self, version: &str, resources: &[Value]) -> Result<(), Error> {
        let response = json!({ "version_info": version, "resources": resources });
        let fresh = self.path.with_extension("new");
        let error = |source| Error::File {
            path: self.path.clone(),
            source,
        };
        fs::write(&fresh, response.to_string()).map_err(error)?;
        fs::rename(&fresh, &self.path).map_err(error)
    }
}

/// An extension configuration (ECDS) resource called `name`; `typed_config` has the
/// `@type` of the filter.
#[must_use]
pub fn extension(name: &str, typed_config: &Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": name,
        "typed_config": typed_config,
    })
}
