//! One folder with one state, in the hands of one process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use redb::Database;

use super::aside::{set_aside, sync_folder};
use super::database::{self, Fault};
use super::error::{CommitError, Damage, OpenError};
use super::record::{Change, Remembered};

/// Name of the file with the state.
const FILE: &str = "state.redb";

/// What a file with the state is called until it is complete.
const NEW_FILE: &str = "state.redb.new";

/// Who has this file locked has the folder.
const LOCK: &str = "lock";

/// What was found in a folder.
#[derive(Debug)]
pub struct Opened {
    /// Takes what is to be remembered next.
    pub store: Store,
    /// Everything that was remembered, in the order of roles and keys.
    pub remembered: Vec<Remembered>,
    /// The file that could not be used, if there was one. Then nothing is remembered.
    pub damage: Option<Damage>,
}

/// A state on disk. The folder is free for others once it is dropped.
#[derive(Debug)]
pub struct Store {
    file: PathBuf,
    /// Closed after an error, because nothing can be said of it until it is read again.
    database: Option<Database>,
    /// Held, not used; given back after the database is closed.
    _lock: Lock,
}

/// A lock on a folder.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is being started shares it for a moment.
        // An error leaves the lock to the end of the process.
        let _ = self.0.unlock();
    }
}

impl Store {
    /// Opens the state in a folder, which is made if there is none. `now` becomes part of the name
    /// of a file that has to be set aside.
    ///
    /// # Errors
    ///
    /// If another process has the folder, or it cannot be written.
    pub fn open(folder: &Path, now: SystemTime) -> Result<Opened, OpenError> {
        fs::create_dir_all(folder).map_err(OpenError::io("create", folder))?;
        let lock = lock(folder)?;
        let file = folder.join(FILE);
        let mut damage = None;
        if exists(&file).map_err(OpenError::io("read", &file))? {
            match database::open(&file) {
                Ok((database, remembered)) => {
                    let store = Store {
                        file,
                        database: Some(database),
                        _lock: lock,
                    };
                    return Ok(Opened {
                        store,
                        remembered,
                        damage,
                    });
                }
                Err(Fault::Damaged(reason)) => {
                    let set_aside =
                        set_aside(&file, now).map_err(OpenError::io("set aside", &file))?;
                    damage = Some(Damage {
                        file: file.clone(),
                        set_aside,
                        reason,
                    });
                }
                Err(fault) => return Err(open_error("read", folder, &file, fault)),
            }
        }
        let database = create(folder, &file)?;
        let store = Store {
            file,
            database: Some(database),
            _lock: lock,
        };
        Ok(Opened {
            store,
            remembered: Vec::new(),
            damage,
        })
    }

    /// Commits changes in their order, all or none. When it returns, they are on disk.
    ///
    /// # Errors
    ///
    /// If they cannot be written; what was committed before is still there. The next call tries
    /// anew.
    pub fn commit(&mut self, changes: &[Change]) -> Result<(), CommitError> {
        let committed = self.open_again().and_then(|database| {
            database::commit(&database, changes)?;
            Ok(database)
        });
        match committed {
            Ok(database) => {
                self.database = Some(database);
                Ok(())
            }
            Err(fault) => Err(CommitError {
                file: self.file.clone(),
                reason: fault.to_string(),
            }),
        }
    }

    /// Size of the file in bytes; 0 if it cannot be told.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        fs::metadata(&self.file).map_or(0, |metadata| metadata.len())
    }

    /// The database; after an error, what is on disk is read and checked first.
    fn open_again(&mut self) -> Result<Database, Fault> {
        match self.database.take() {
            Some(database) => Ok(database),
            None => database::open(&self.file).map(|(database, _)| database),
        }
    }
}

fn lock(folder: &Path) -> Result<Lock, OpenError> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true);
    let file = options.open(&path).map_err(OpenError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(OpenError::io("lock", &path)(error)),
    }
}

/// Makes an empty state. It gets its name once it is complete.
fn create(folder: &Path, file: &Path) -> Result<Database, OpenError> {
    let new = folder.join(NEW_FILE);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(OpenError::io("remove", &new)(error));
        }
        _ => {}
    }
    let database =
        database::create(&new).map_err(|fault| open_error("create", folder, &new, fault))?;
    fs::rename(&new, file)
        .and_then(|()| sync_folder(file))
        .map_err(OpenError::io("create", file))?;
    Ok(database)
}

/// Whether there is something of this name, be it a link that leads nowhere.
fn exists(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn open_error(action: &'static str, folder: &Path, path: &Path, fault: Fault) -> OpenError {
    let source = match fault {
        Fault::InUse => {
            return OpenError::InUse {
                folder: folder.to_owned(),
            };
        }
        Fault::Io(error) => error,
        Fault::Damaged(reason) => io::Error::other(reason),
    };
    OpenError::io(action, path)(source)
}
