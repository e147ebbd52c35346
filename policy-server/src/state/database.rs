//! The file: a [redb](https://docs.rs/redb) database with our entries and a seal over them.
//!
//! redb commits atomically and keeps a checksum of every page. Three things are added, because the
//! file must be exactly what was committed last, whatever happened to it:
//!
//! - The seal, a table of numbers: the format, how many batches there were, how many entries there
//!   are and the sum of their checksums. It is part of every batch. An entry that is missing, or
//!   comes from another batch, breaks it.
//! - Everything is checked when the file is opened, not what happens to be read.
//! - Each batch is followed by an empty one. redb keeps the last two commits and falls back to the
//!   older one if it cannot read the newer; so both must say the same.
//!
//! A new file gets its name when it is complete. A file of that name which is empty or short has
//! lost something.

use std::any::Any;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use redb::{
    Builder, CommitError, Database, DatabaseError, ReadableDatabase as _, ReadableTable as _,
    StorageError, Table, TableDefinition, TableError, TransactionError,
};

use super::record::{Change, Remembered, checksum_of};

/// What this version reads and writes.
const FORMAT: u64 = 1;

/// Every version keeps this table, so that every version can tell which one wrote a file.
const SEAL: TableDefinition<'_, &str, u64> =
    TableDefinition::new("meshwall.io/policy-server/state");
const ENTRIES: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("entries");

/// Bytes of the file that redb may hold in memory; what is remembered is read once.
const CACHE_BYTES: usize = 8 * 1_024 * 1_024;

/// Why a file cannot be read or written.
#[derive(Debug)]
pub(super) enum Fault {
    /// Somebody else has it.
    InUse,
    /// The disk or its permissions are in the way.
    Io(io::Error),
    /// It does not hold what was committed; the reason.
    Damaged(String),
}

/// The numbers that make the seal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Seal {
    format: u64,
    batches: u64,
    entries: u64,
    digest: u64,
}

/// Makes a file with nothing in it. There must be none at the path.
pub(super) fn create(path: &Path) -> Result<Database, Fault> {
    let database = builder().create(path)?;
    let seal = Seal {
        format: FORMAT,
        ..Seal::default()
    };
    let transaction = database.begin_write()?;
    seal.write(&mut transaction.open_table(SEAL)?)?;
    transaction.open_table(ENTRIES)?;
    transaction.commit()?;
    repeat(&database)?;
    Ok(database)
}

/// Opens a file and reads everything in it.
pub(super) fn open(path: &Path) -> Result<(Database, Vec<Remembered>), Fault> {
    // redb reports damage as an error, but a fault in it must not keep the server from starting.
    panic::catch_unwind(AssertUnwindSafe(|| {
        let database = builder().open(path)?;
        let remembered = read(&database)?;
        Ok((database, remembered))
    }))
    .unwrap_or_else(|panic| Err(Fault::Damaged(words(panic.as_ref()))))
}

/// Commits changes, all or none. When it returns, they are on disk.
pub(super) fn commit(database: &Database, changes: &[Change]) -> Result<(), Fault> {
    let transaction = database.begin_write()?;
    {
        let mut seals = transaction.open_table(SEAL)?;
        let mut entries = transaction.open_table(ENTRIES)?;
        let mut seal = Seal::read(&seals)?;
        seal.batches = seal.batches.wrapping_add(1);
        for change in changes {
            let before = match change {
                Change::Put(remembered) => {
                    let (table, key) = remembered.key.encode();
                    let value = remembered.value(table, &key);
                    seal.add(checksum_of(&value));
                    entries.insert((table, key.as_str()), value.as_slice())?
                }
                Change::Forget(key) => {
                    let (table, key) = key.encode();
                    entries.remove((table, key.as_str()))?
                }
            };
            if let Some(before) = before {
                seal.remove(checksum_of(before.value()));
            }
        }
        seal.write(&mut seals)?;
    }
    transaction.commit()?;
    repeat(database)
}

/// Brings the older of the two commits that redb keeps to the newer one.
fn repeat(database: &Database) -> Result<(), Fault> {
    database.begin_write()?.commit()?;
    Ok(())
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder.set_check_integrity_on_open(true);
    builder
}

fn read(database: &Database) -> Result<Vec<Remembered>, Fault> {
    let transaction = database.begin_read()?;
    let seals = match transaction.open_table(SEAL) {
        Err(TableError::TableDoesNotExist(_) | TableError::TableTypeMismatch { .. }) => {
            return Err(damaged("another program wrote it"));
        }
        seals => seals?,
    };
    let seal = Seal::read(&seals)?;
    if seal.format != FORMAT {
        let format = seal.format;
        return Err(Fault::Damaged(format!(
            "it has format {format}, and this version of Meshwall reads format {FORMAT}"
        )));
    }
    let mut counted = Seal {
        entries: 0,
        digest: 0,
        ..seal
    };
    let mut remembered = Vec::new();
    for entry in transaction.open_table(ENTRIES)?.iter()? {
        let (key, value) = entry?;
        let ((table, key), value) = (key.value(), value.value());
        remembered.push(Remembered::read(table, key, value).map_err(damaged)?);
        counted.add(checksum_of(value));
    }
    if counted != seal {
        return Err(damaged("its entries are not those of its last batch"));
    }
    Ok(remembered)
}

impl Seal {
    fn read(table: &impl redb::ReadableTable<&'static str, u64>) -> Result<Seal, Fault> {
        let number = |name: &str| -> Result<u64, Fault> {
            let number = table.get(name)?.map(|number| number.value());
            number.ok_or_else(|| damaged("its seal is incomplete"))
        };
        let format = number("format")?;
        if format != FORMAT {
            return Ok(Seal {
                format,
                ..Seal::default()
            });
        }
        Ok(Seal {
            format,
            batches: number("batches")?,
            entries: number("entries")?,
            digest: number("digest")?,
        })
    }

    fn write(self, table: &mut Table<'_, &'static str, u64>) -> Result<(), Fault> {
        let Seal {
            format,
            batches,
            entries,
            digest,
        } = self;
        for (name, number) in [
            ("format", format),
            ("batches", batches),
            ("entries", entries),
            ("digest", digest),
        ] {
            table.insert(name, number)?;
        }
        Ok(())
    }

    fn add(&mut self, checksum: u64) {
        self.entries = self.entries.wrapping_add(1);
        self.digest = self.digest.wrapping_add(checksum);
    }

    fn remove(&mut self, checksum: u64) {
        self.entries = self.entries.wrapping_sub(1);
        self.digest = self.digest.wrapping_sub(checksum);
    }
}

fn damaged(reason: &str) -> Fault {
    Fault::Damaged(reason.to_owned())
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!(
        "reading it failed: {}",
        text.unwrap_or("no reason is given")
    )
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::InUse => f.write_str("another process uses it"),
            Fault::Io(error) => error.fmt(f),
            Fault::Damaged(reason) => f.write_str(reason),
        }
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Fault {
        match error {
            StorageError::Io(error) => match error.kind() {
                io::ErrorKind::InvalidData => damaged("it is no database"),
                io::ErrorKind::UnexpectedEof => damaged("it is shorter than it was"),
                _ => Fault::Io(error),
            },
            error => Fault::Damaged(error.to_string()),
        }
    }
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Fault {
        match error {
            DatabaseError::Storage(error) => error.into(),
            DatabaseError::DatabaseAlreadyOpen => Fault::InUse,
            error => Fault::Damaged(error.to_string()),
        }
    }
}

impl From<TransactionError> for Fault {
    fn from(error: TransactionError) -> Fault {
        match error {
            TransactionError::Storage(error) => error.into(),
            error => Fault::Damaged(error.to_string()),
        }
    }
}

impl From<TableError> for Fault {
    fn from(error: TableError) -> Fault {
        match error {
            TableError::Storage(error) => error.into(),
            error => Fault::Damaged(error.to_string()),
        }
    }
}

impl From<CommitError> for Fault {
    fn from(error: CommitError) -> Fault {
        match error {
            CommitError::Storage(error) => error.into(),
            error => Fault::Damaged(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
