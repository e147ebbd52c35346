//! Looking at a folder, and reading what is another there, once it is at rest.
//!
//! A file is at rest if it was not written within a moment before it was looked at, and is the same
//! after it was read. Which file it is, and of which time, is told by its stamp: device, inode,
//! length, and the times of its content and of itself. A file that is renamed into place has another
//! inode, one that a symbolic link points to since has, too, so all ways to replace files are seen.
//!
//! Nothing is told while any file is not at rest, so that files that are written together are told
//! together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::read;
use crate::index::{Object, ObjectKey};

/// Folders within each other. Links may go in circles.
const MAX_DEPTH: usize = 16;

/// Files of a folder.
const MAX_FILES: usize = 10_000;

/// Bytes of one file.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// What a look has found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// What was there before.
    Same,
    /// Something else.
    Other,
    /// This is not at rest; look again.
    Unrest(PathBuf),
    /// The folder cannot be looked at; why.
    Nothing(String),
}

/// A folder, and what is known of it.
#[derive(Debug)]
pub(super) struct Scanner {
    folder: PathBuf,
    /// How long a file was not written when it is at rest.
    rest: Duration,
    files: BTreeMap<PathBuf, File>,
    was_seen: bool,
}

#[derive(Debug)]
struct File {
    stamp: Stamp,
    objects: Vec<Object>,
    /// Why its objects are those of before.
    trouble: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Scanner {
    pub(super) fn new(folder: &Path, rest: Duration) -> Scanner {
        Scanner {
            folder: folder.to_owned(),
            rest,
            files: BTreeMap::new(),
            was_seen: false,
        }
    }

    /// Looks, and reads what is another and at rest.
    pub(super) fn look(&mut self, now: SystemTime) -> Seen {
        let found = match self.find() {
            Ok(found) => found,
            Err(Trouble { path, error })
                if error.kind() == ErrorKind::NotFound && path != self.folder =>
            {
                return Seen::Unrest(path);
            }
            Err(Trouble { path, error }) => {
                return Seen::Nothing(format!("cannot read `{}`: {error}", path.display()));
            }
        };
        let differs = |(path, stamp): &(&PathBuf, &Stamp)| {
            self.files
                .get(*path)
                .is_none_or(|file| file.stamp != **stamp)
        };
        let others: Vec<(PathBuf, Stamp)> = found
            .iter()
            .filter(differs)
            .map(|(path, stamp)| (path.clone(), *stamp))
            .collect();
        if let Some((path, _)) = others
            .iter()
            .find(|(_, stamp)| !stamp.is_at_rest(now, self.rest))
        {
            return Seen::Unrest(path.clone());
        }
        let read: Vec<(PathBuf, Stamp, Result<Vec<Object>, String>)> = others
            .into_iter()
            .map(|(path, stamp)| {
                let objects = self.read(&path);
                (path, stamp, objects)
            })
            .collect();
        // What was read is what was there if it still is.
        match self.find() {
            Ok(again) if again == found => {}
            _ => return Seen::Unrest(self.folder.clone()),
        }
        let known = self.files.len();
        self.files.retain(|path, _| found.contains_key(path));
        let is_other = !self.was_seen || known != self.files.len() || !read.is_empty();
        for (path, stamp, result) in read {
            let (objects, trouble) = match result {
                Ok(objects) => (objects, None),
                Err(trouble) => {
                    let before = self.files.remove(&path);
                    let before = before.map(|file| file.objects);
                    (before.unwrap_or_default(), Some(trouble))
                }
            };
            let file = File {
                stamp,
                objects,
                trouble,
            };
            self.files.insert(path, file);
        }
        self.was_seen = true;
        if is_other { Seen::Other } else { Seen::Same }
    }

    /// All objects. Of two of the same name, the first counts, by the names of their files.
    pub(super) fn objects(&self) -> Vec<Object> {
        let mut known = BTreeSet::new();
        let objects = self.files.values().flat_map(|file| &file.objects);
        let first = objects.filter(|object| known.insert(object.key()));
        first.cloned().collect()
    }

    /// What is wrong with the files.
    pub(super) fn trouble(&self) -> Option<String> {
        let mut known: BTreeMap<&ObjectKey, &Path> = BTreeMap::new();
        for (path, file) in &self.files {
            if let Some(trouble) = &file.trouble {
                return Some(trouble.clone());
            }
            for object in &file.objects {
                if let Some(first) = known.insert(object.key(), path) {
                    let (key, first, second) = (object.key(), first.display(), path.display());
                    return Some(format!("`{key}` is in `{first}` and in `{second}`"));
                }
            }
        }
        None
    }

    /// The files that may hold objects. What begins with a dot is passed over, such as the folders
    /// in which Kubernetes keeps the versions of a ConfigMap.
    fn find(&self) -> Result<BTreeMap<PathBuf, Stamp>, Trouble> {
        let mut found = BTreeMap::new();
        walk(&self.folder, 0, &mut found)?;
        Ok(found)
    }

    fn read(&self, path: &Path) -> Result<Vec<Object>, String> {
        let name = path.strip_prefix(&self.folder).unwrap_or(path).display();
        let text = fs::read_to_string(path);
        let text = text.map_err(|error| format!("cannot read `{name}`: {error}"))?;
        read::objects(&name.to_string(), &text)
    }
}

/// What cannot be looked at.
#[derive(Debug)]
struct Trouble {
    path: PathBuf,
    error: io::Error,
}

fn walk(folder: &Path, depth: usize, found: &mut BTreeMap<PathBuf, Stamp>) -> Result<(), Trouble> {
    let trouble = |path: &Path| {
        let path = path.to_owned();
        move |error| Trouble { path, error }
    };
    let too = |what: String| trouble(folder)(io::Error::other(what));
    if depth > MAX_DEPTH {
        return Err(too(format!(
            "more than {MAX_DEPTH} folders within each other"
        )));
    }
    for entry in fs::read_dir(folder).map_err(trouble(folder))? {
        let entry = entry.map_err(trouble(folder))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        // Of what a link points to.
        let metadata = fs::metadata(&path).map_err(trouble(&path))?;
        if metadata.is_dir() {
            walk(&path, depth + 1, found)?;
        } else if metadata.is_file() && is_document(&path) {
            if metadata.len() > MAX_BYTES {
                return Err(trouble(&path)(io::Error::other(format!(
                    "it is larger than {MAX_BYTES} bytes"
                ))));
            }
            found.insert(path, Stamp::of(&metadata));
        }
        if found.len() > MAX_FILES {
            return Err(too(format!("more than {MAX_FILES} files")));
        }
    }
    Ok(())
}

fn is_document(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["yaml", "yml", "json"].contains(&extension))
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether its content is that of a moment ago. A file of the future is taken as it is: whoever
    /// set the clock has not written it now.
    fn is_at_rest(&self, now: SystemTime, rest: Duration) -> bool {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let seconds = u64::try_from(self.modified.0).unwrap_or_default();
        let nanos = u32::try_from(self.modified.1).unwrap_or_default();
        let age = now.checked_sub(Duration::new(seconds, nanos));
        age.is_none_or(|age| age >= rest)
    }
}

#[cfg(test)]
mod tests;
