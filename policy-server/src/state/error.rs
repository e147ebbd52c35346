//! What can go wrong with the state on disk.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why the state cannot be used. Nothing on disk was changed, and trying again makes sense once the
/// reason is gone.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has the folder.
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The disk or its permissions are in the way.
    Io {
        /// What was attempted, as in `create`.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl OpenError {
    /// What makes an error of an attempt on a path.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
        move |source| OpenError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::InUse { folder } => {
                let folder = folder.display();
                write!(f, "another process uses the state folder `{folder}`")
            }
            OpenError::Io {
                action,
                path,
                source,
            } => write!(f, "cannot {action} `{}`: {source}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::InUse { .. } => None,
            OpenError::Io { source, .. } => Some(source),
        }
    }
}

/// A file that was set aside, because it cannot be said that it holds what was committed. The
/// server starts with nothing remembered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    /// What the file was called.
    pub file: PathBuf,
    /// What it is called now.
    pub set_aside: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage {
            file,
            set_aside,
            reason,
        } = self;
        write!(
            f,
            "the state in `{}` cannot be used: {reason}; it was set aside as `{}`, and nothing is \
             remembered",
            file.display(),
            set_aside.display()
        )
    }
}

/// Why a batch is not on disk. What was committed before is; whether this batch is cannot be known
/// until the next that succeeds, so commit its changes again.
#[derive(Debug)]
pub struct CommitError {
    /// The file.
    pub file: PathBuf,
    /// The reason.
    pub reason: String,
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CommitError { file, reason } = self;
        write!(
            f,
            "cannot write the state to `{}`: {reason}",
            file.display()
        )
    }
}

impl std::error::Error for CommitError {}
