//! The programs of an API server on this machine.

use std::env;
use std::path::{Path, PathBuf};

use super::Error;
use crate::rig::cache_folder;

/// The version that the cache folder is searched for; the one that scripts/get-kubernetes builds.
const VERSION: &str = "1.20.2";

/// A folder with the programs etcd and kube-apiserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Finds the programs: in `given` if that is there, else where the environment variable
    /// `MESHWALL_KUBERNETES` says, else where scripts/get-kubernetes puts them.
    ///
    /// # Errors
    ///
    /// If one of them is not in the first of these that applies.
    pub fn find(given: Option<&Path>) -> Result<Self, Error> {
        let from_environment = || env::var_os("MESHWALL_KUBERNETES").map(PathBuf::from);
        let folder = given
            .map(Path::to_path_buf)
            .or_else(from_environment)
            .unwrap_or_else(cached_folder);
        let programs = Self { folder };
        for path in [programs.etcd(), programs.api_server()] {
            if !path.is_file() {
                return Err(Error::NotFound { path });
            }
        }
        Ok(programs)
    }

    pub(super) fn etcd(&self) -> PathBuf {
        self.folder.join("etcd")
    }

    pub(super) fn api_server(&self) -> PathBuf {
        self.folder.join("kube-apiserver")
    }
}

/// Where scripts/get-kubernetes puts the programs.
fn cached_folder() -> PathBuf {
    let folder = format!("{VERSION}-{}", env::consts::ARCH);
    cache_folder().join("kubernetes").join(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_the_programs_is_an_error_that_says_how_to_get_them() {
        let folder = tempfile::tempdir().unwrap();
        let error = Programs::find(Some(folder.path())).unwrap_err();
        let expected = format!(
            "there is no `{}`; run scripts/get-kubernetes, or set MESHWALL_KUBERNETES to the path \
             of a folder with etcd and kube-apiserver",
            folder.path().join("etcd").display()
        );
        assert_eq!(error.to_string(), expected);
    }
}
