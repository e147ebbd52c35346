//! Where the index hears of objects: API servers ([`kubernetes`]), or a folder of files ([`files`]).
//!
//! A source tells, for each kind, first all objects that there are ([`Event::Listed`]), and from
//! then on what changes. It may tell the same again, and all of it again; the index tells what
//! differs. What it cannot hear for a while, it tells nothing about: what was told holds.
//!
//! Sources read objects where they arrive, each in its own task, and hand them over in a bounded
//! channel: an index that is behind slows its sources down, and no source slows another.

pub mod files;
mod health;
pub mod kubernetes;

pub use self::health::{Health, KindHealth, State};

use crate::index::{ClusterName, Index, Kind, Object, ObjectKey};

/// Something that a source has to tell.
#[derive(Clone, Debug)]
pub enum Event {
    /// These are all objects of a kind.
    Listed {
        /// Where.
        cluster: ClusterName,
        /// The kind.
        kind: Kind,
        /// All of them.
        objects: Vec<Object>,
    },
    /// An object is new, or is another.
    Applied {
        /// Where.
        cluster: ClusterName,
        /// What it is now. Boxed: deletions are small.
        object: Box<Object>,
    },
    /// An object is gone.
    Deleted {
        /// Where.
        cluster: ClusterName,
        /// Its name.
        key: ObjectKey,
    },
}

impl Event {
    /// Tells the index. Whether anything is another for it.
    pub fn tell(self, index: &mut Index) -> bool {
        match self {
            Event::Listed {
                cluster,
                kind,
                objects,
            } => index.reset(&cluster, kind, objects),
            Event::Applied { cluster, object } => index.apply(&cluster, *object),
            Event::Deleted { cluster, key } => index.delete(&cluster, &key),
        }
    }
}
