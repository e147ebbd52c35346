//! Documents, and what to do with a folder.

use std::path::Path;
use std::time::{Duration, SystemTime};

use meshwall_policy_server::state::{Change, Key, Opened, Remembered, Role, Store};
use serde_json::json;

/// 2026-11-25T03:04:05Z.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_575_845)
}

/// How a file is named that is set aside now.
pub(crate) const ASIDE: &str = "state.redb.damaged-20261125T030405Z";

pub(crate) fn key(name: &str, role: Role) -> Key {
    Key {
        cluster: "west".into(),
        kind: "FirewallPolicy".into(),
        namespace: Some("shop".into()),
        name: name.into(),
        role,
    }
}

/// A document that differs by its number.
pub(crate) fn document(name: &str, number: u64) -> Remembered {
    Remembered {
        key: key(name, Role::Current),
        document: json!({"metadata": {"name": name}, "spec": {"number": number}}),
    }
}

pub(crate) fn put(name: &str, number: u64) -> Change {
    Change::Put(document(name, number))
}

pub(crate) fn forget(name: &str) -> Change {
    Change::Forget(key(name, Role::Current))
}

pub(crate) fn open(folder: &Path) -> Opened {
    Store::open(folder, now()).unwrap()
}

/// What a folder remembers; nothing of it may be damaged.
pub(crate) fn remembered(folder: &Path) -> Vec<Remembered> {
    let opened = open(folder);
    assert_eq!(opened.damage, None);
    opened.remembered
}
