//! Finding and reading the files that a user names.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Stands for the standard input.
const STDIN: &str = "-";

/// Largest file that is read, in bytes. An inventory of 10,000 pods, as `kubectl` prints it, has
/// about 100 MB.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// A text, and what errors call it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// Where it is; `-` is the standard input.
    pub path: PathBuf,
    /// Its path as the user wrote it, or `<stdin>`.
    pub name: Arc<str>,
    /// What is in it.
    pub text: Arc<str>,
}

/// Why a file cannot be read.
#[derive(Debug)]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// Why.
    pub reason: io::Error,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read `{}`: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

/// A file that a path stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    /// The file.
    pub(super) path: PathBuf,
    /// Whether the path named it, and not a folder that it is in.
    pub(super) is_named: bool,
}

/// The files that paths stand for, in order and each once: a file for itself, a folder for the
/// `.yaml`, `.yml` and `.json` files in it and in the folders in it, by name. What begins with a
/// dot is passed over in folders.
///
/// # Errors
///
/// The first path that leads nowhere or cannot be looked into; a folder without such files.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<Found>, FileError> {
    let mut found = Vec::new();
    for path in paths {
        if path.as_os_str() != STDIN && metadata(path)?.is_dir() {
            let mut listed = Vec::new();
            walk(path, &mut listed)?;
            if listed.is_empty() {
                let reason = io::Error::new(
                    io::ErrorKind::NotFound,
                    "no `.yaml`, `.yml` or `.json` file is in it",
                );
                return Err(FileError {
                    path: path.clone(),
                    reason,
                });
            }
            found.extend(listed.into_iter().map(|path| Found {
                path,
                is_named: false,
            }));
        } else {
            found.push(Found {
                path: path.clone(),
                is_named: true,
            });
        }
    }
    let mut known = HashSet::new();
    found.retain(|Found { path, .. }| {
        known.insert(path.canonicalize().unwrap_or_else(|_| path.clone()))
    });
    Ok(found)
}

/// Reads a file, or the standard input if its name is `-`.
///
/// # Errors
///
/// If it cannot be read, is larger than 1 GiB, or is not UTF-8.
pub(super) fn read(path: &Path) -> Result<Source, FileError> {
    let failed = |reason| FileError {
        path: path.to_owned(),
        reason,
    };
    let mut text = String::new();
    if path.as_os_str() == STDIN {
        let mut stdin = io::stdin().lock().take(MAX_FILE_BYTES);
        stdin.read_to_string(&mut text).map_err(failed)?;
        return Ok(Source {
            path: path.to_owned(),
            name: "<stdin>".into(),
            text: text.into(),
        });
    }
    let file = fs::File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length > MAX_FILE_BYTES {
        let reason = format!("it has {length} bytes, more than {MAX_FILE_BYTES}");
        return Err(failed(io::Error::other(reason)));
    }
    file.take(MAX_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let name = path.strip_prefix(".").unwrap_or(path);
    Ok(Source {
        path: path.to_owned(),
        name: name.display().to_string().into(),
        text: text.into(),
    })
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), FileError> {
    let failed = |reason| FileError {
        path: folder.to_owned(),
        reason,
    };
    let entries = fs::read_dir(folder).map_err(failed)?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // A link to a folder is not followed: it may lead back here.
        let kind = fs::symlink_metadata(&path).map_err(|reason| FileError {
            path: path.clone(),
            reason,
        })?;
        if kind.is_dir() {
            walk(&path, found)?;
        } else if is_document(&path) && metadata(&path)?.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn is_document(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["yaml", "yml", "json"]
        .iter()
        .any(|known| extension == *known)
}

fn metadata(path: &Path) -> Result<fs::Metadata, FileError> {
    fs::metadata(path).map_err(|reason| FileError {
        path: path.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_the_documents_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        for name in [
            "z.yaml",
            "a/b/c.yml",
            "a/d.json",
            "README.md",
            ".git/x.yaml",
            ".h.yaml",
        ] {
            fs::write(at(name), "").unwrap();
        }
        let found = find(&[at("z.yaml"), folder.path().to_owned()]).unwrap();
        let found: Vec<_> = found
            .into_iter()
            .map(|found| (found.path, found.is_named))
            .collect();
        let expected = [
            (at("z.yaml"), true),
            (at("a/b/c.yml"), false),
            (at("a/d.json"), false),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_error_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("nowhere");
        let error = find(std::slice::from_ref(&nowhere)).unwrap_err();
        assert_eq!(error.path, nowhere);
        let error = find(&[folder.path().to_owned()]).unwrap_err().to_string();
        assert!(
            error.ends_with("no `.yaml`, `.yml` or `.json` file is in it"),
            "{error}"
        );
        let broken = folder.path().join("broken.yaml");
        fs::write(&broken, b"\xff").unwrap();
        assert!(read(&broken).unwrap_err().to_string().contains("UTF-8"));
    }
}
