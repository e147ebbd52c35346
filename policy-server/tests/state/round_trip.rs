//! Without accidents.

use std::fs;

use meshwall_policy_server::state::{Change, OpenError, Remembered, Role, Store};

use crate::support::{document, forget, key, now, open, put, remembered};

#[test]
fn what_is_committed_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("a/b");
    let mut opened = open(&folder);
    assert_eq!((opened.remembered, opened.damage), (vec![], None));
    let last_good = Remembered {
        key: key("a", Role::LastGood),
        ..document("a", 7)
    };
    let changes = [put("a", 1), put("b", 2), Change::Put(last_good.clone())];
    opened.store.commit(&changes).unwrap();
    drop(opened.store);

    let mut opened = open(&folder);
    let expected = [document("a", 1), document("b", 2), last_good.clone()];
    assert_eq!(opened.remembered, expected);
    let changes = [forget("b"), forget("never"), put("a", 3), put("a", 4)];
    opened.store.commit(&changes).unwrap();
    opened.store.commit(&[]).unwrap();
    assert!(opened.store.bytes() > 0);
    drop(opened.store);

    assert_eq!(remembered(&folder), [document("a", 4), last_good]);
}

#[test]
fn names_are_not_mixed_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for (cluster, namespace, name) in [
        ("a", Some("b"), "c"),
        ("a", None, "c"),
        ("a", Some(""), "c"),
        ("a\",\"b", None, "c"),
        ("a", Some("b\",\"c"), ""),
        ("", None, "\0"),
        ("ä", Some("/"), "日"),
    ] {
        let mut remembered = document("x", all.len() as u64);
        remembered.key.cluster = cluster.into();
        remembered.key.namespace = namespace.map(str::to_owned);
        remembered.key.name = name.into();
        all.push(remembered);
    }
    let changes: Vec<Change> = all.iter().cloned().map(Change::Put).collect();
    open(folder.path()).store.commit(&changes).unwrap();
    let mut found = remembered(folder.path());
    found.sort_by(|a, b| a.key.cmp(&b.key));
    all.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(found, all);
}

#[test]
fn a_folder_has_one_user() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = open(folder.path());
    let second = Store::open(folder.path(), now());
    assert!(
        matches!(&second, Err(OpenError::InUse { .. })),
        "{second:?}"
    );
    first.store.commit(&[put("a", 1)]).unwrap();
    drop(first);
    assert_eq!(remembered(folder.path()), [document("a", 1)]);
}

#[test]
fn what_a_first_start_left_unfinished_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state.redb.new"), "half").unwrap();
    open(folder.path()).store.commit(&[put("a", 1)]).unwrap();
    assert_eq!(remembered(folder.path()), [document("a", 1)]);
    assert!(!folder.path().join("state.redb.new").exists());
}
