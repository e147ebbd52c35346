//! The last good state on disk: the objects of which the programs in force are made.
//!
//! A server that starts while API servers are down reads here what it served before, and serves it
//! again. What is read is exactly what was committed, or nothing: one atomic transaction a batch,
//! a checksum for each value beside those of the database, and a seal over all of them. A file of
//! which this cannot be said is set aside under another name, never deleted and never half read.
//!
//! Everything here blocks on the disk; call it from a thread that may wait. A batch waits for the
//! disk twice, because it is written to both places in which the database keeps what is current
//! (see `database.rs`).

mod aside;
mod database;
mod error;
mod record;
mod store;

pub use self::error::{CommitError, Damage, OpenError};
pub use self::record::{Change, Key, Remembered, Role};
pub use self::store::{Opened, Store};
