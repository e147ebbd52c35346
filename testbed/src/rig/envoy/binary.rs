//! The Envoy program on this machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Error, tail};
use crate::rig::cache_folder;

/// The version that the cache folder is searched for; the one that scripts/get-envoy
/// fetches unless told otherwise.
const VERSION: &str = "1.40.0";

/// An Envoy program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    path: PathBuf,
}

impl Binary {
    /// Finds Envoy: at `given` if that is there, else where the environment variable
    /// `MESHWALL_ENVOY` says, else where scripts/get-envoy puts it.
    ///
    /// # Errors
    ///
    /// If there is no file at the first of these that applies. A later one is not tried
    /// then: whoever names a program wants that one.
    pub fn find(given: Option<&Path>) -> Result<Self, Error> {
        let from_environment = || env::var_os("MESHWALL_ENVOY").map(PathBuf::from);
        let path = given
            .map(Path::to_path_buf)
            .or_else(from_environment)
            .unwrap_or_else(cached_path);
        if path.is_file() {
            Ok(Self { path })
        } else {
            Err(Error::NotFound { path })
        }
    }

    /// Where the program is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version, `1.40.0` for example.
    ///
    /// # Errors
    ///
    /// If the program cannot be run or does not say.
    pub fn version(&self) -> Result<String, Error> {
        let output = self.output(&["--version"])?;
        // HASH/VERSION/Clean/RELEASE/BoringSSL
        let version = output.text.split('/').rev().nth(3).map(str::to_owned);
        version.ok_or_else(|| Error::Refused {
            reason: tail(&output.text),
        })
    }

    /// Asks Envoy whether it accepts a configuration. Files that it names must be there.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with Envoy's reason if it does not.
    pub fn validate(&self, config: &Value) -> Result<(), Error> {
        self.validate_text(&config.to_string(), "json")
    }

    /// The same for a configuration as text, `format` being `json` or `yaml`.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with Envoy's reason if it does not.
    pub fn validate_text(&self, config: &str, format: &str) -> Result<(), Error> {
        let file = tempfile::Builder::new()
            .prefix("envoy-")
            .suffix(&format!(".{format}"))
            .tempfile()
            .map_err(|source| Error::File {
                path: env::temp_dir(),
                source,
            })?;
        let path = file.path();
        fs::write(path, config).map_err(|source| Error::File {
            path: path.to_path_buf(),
            source,
        })?;
        let path = path.to_string_lossy();
        let output = self.output(&[
            "--mode",
            "validate",
            "--log-level",
            "error",
            "--config-path",
            &path,
        ])?;
        if output.success {
            Ok(())
        } else {
            Err(Error::Refused {
                reason: tail(&output.text),
            })
        }
    }

    fn output(&self, arguments: &[&str]) -> Result<Output, Error> {
        let output = Command::new(&self.path)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| Error::Run {
                path: self.path.clone(),
                source,
            })?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Output {
            success: output.status.success(),
            text: text.trim().to_owned(),
        })
    }
}

struct Output {
    success: bool,
    text: String,
}

fn cached_path() -> PathBuf {
    let folder = format!("{VERSION}-{}", env::consts::ARCH);
    cache_folder().join("envoy").join(folder).join("envoy")
}
