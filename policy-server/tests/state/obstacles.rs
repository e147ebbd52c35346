//! Disks that take nothing more, and folders that are none.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use meshwall_policy_server::state::{OpenError, Store};

use crate::support::{document, forget, now, open, put, remembered};

/// Where the child finds its folder.
const FOLDER: &str = "MESHWALL_TEST_FULL_FOLDER";

#[test]
fn a_folder_that_cannot_be_used_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    let error = Store::open(&file, now()).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Io {
                action: "create",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");

    let state = folder.path().join("state.redb");
    fs::create_dir(&state).unwrap();
    let error = Store::open(folder.path(), now()).unwrap_err();
    assert!(
        matches!(error, OpenError::Io { action: "read", .. }),
        "{error}"
    );
    assert!(error.to_string().contains("state.redb`: "), "{error}");
    assert!(state.is_dir());
}

/// The child may not make files larger than 2 MiB. What it commits before it finds that out is
/// there afterwards, and what it commits after it made room, too.
#[test]
fn a_full_disk_costs_nothing_that_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let test = std::env::current_exe().unwrap();
    // The limit is in blocks of 512 bytes. Without the trap it would end the process.
    let script = "trap '' XFSZ; ulimit -f 4096; exec \"$@\"";
    let mut child = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(test)
        .args([
            "--exact",
            "obstacles::fills_the_disk",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{lines:?}");
    let number = |what: &str| -> u64 {
        let mut found = lines.iter().filter_map(|line| line.strip_prefix(what));
        found.next().unwrap().parse().unwrap()
    };
    let committed = number("committed ");
    assert!(committed > 1);
    let names: Vec<String> = remembered(folder.path())
        .into_iter()
        .map(|remembered| remembered.key.name)
        .collect();
    let mut expected: Vec<String> = (1..committed).map(|batch| format!("p{batch:04}")).collect();
    expected.push("small".into());
    assert_eq!(names, expected);
}

#[test]
#[ignore = "the child of `a_full_disk_costs_nothing_that_was_committed`"]
fn fills_the_disk() {
    let folder = std::env::var_os(FOLDER).expect("a parent starts this");
    let mut store = open(Path::new(&folder)).store;
    let large = |batch: u64| {
        let mut large = document(&format!("p{batch:04}"), batch);
        large.document["spec"]["text"] = "x".repeat(50_000).into();
        meshwall_policy_server::state::Change::Put(large)
    };
    let mut committed = 0;
    let error = loop {
        match store.commit(&[large(committed)]) {
            Ok(()) => committed += 1,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("File too large"), "{error}");
    assert!(store.commit(&[large(committed)]).is_err());
    store.commit(&[forget("p0000")]).unwrap();
    store.commit(&[put("small", 1)]).unwrap();
    println!("\ncommitted {committed}");
}
