//! A process that is killed while it commits.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use meshwall_policy_server::state::{Change, Remembered};

use crate::support::{document, forget, open, put};

/// How often the process is killed.
const KILLS: u64 = 100;

/// Where the child finds its folder.
const FOLDER: &str = "MESHWALL_TEST_KILLED_FOLDER";

/// A batch replaces, adds and removes.
fn batch(number: u64) -> Vec<Change> {
    let mut changes = vec![
        put("number", number),
        put(&format!("a{}", number % 7), number),
        put(&format!("b{}", number % 31), number),
        put(&format!("once{number}"), number),
    ];
    changes.extend(
        number
            .checked_sub(3)
            .map(|old| forget(&format!("once{old}"))),
    );
    changes
}

/// What is remembered after that many batches.
fn after(batches: u64) -> Vec<Remembered> {
    let mut held = BTreeMap::new();
    for number in batches.saturating_sub(40)..batches {
        for change in batch(number) {
            match change {
                Change::Put(remembered) => {
                    held.insert(remembered.key.clone(), remembered);
                }
                Change::Forget(key) => {
                    held.remove(&key);
                }
            }
        }
    }
    held.into_values().collect()
}

/// How many batches there were.
fn batches(remembered: &[Remembered]) -> u64 {
    let number = document("number", 0).key;
    let mut found = remembered
        .iter()
        .filter(|remembered| remembered.key == number);
    let last = found
        .next()
        .map(|found| found.document["spec"]["number"].as_u64());
    last.map_or(0, |last| last.unwrap() + 1)
}

#[test]
fn no_acknowledged_batch_is_lost_and_none_is_there_by_half() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for kill in 0..KILLS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut child = start(folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledge = |line: String| {
            if let Some(number) = line.strip_prefix("committed ") {
                acknowledged = number.parse::<u64>().unwrap();
            }
        };
        // From the first batch on, at any moment of any of the next ones. Some are killed at once,
        // while they open what the last one left.
        if kill % 5 != 0 {
            let mut seen = 0;
            while seen <= random % 4 {
                let line = lines.next().unwrap().unwrap();
                seen += u64::from(line.starts_with("committed "));
                acknowledge(line);
            }
        }
        // This is the randomness, and waits for nothing.
        thread::sleep(Duration::from_micros((random >> 32) % 12_000));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died.
        lines.map_while(Result::ok).for_each(acknowledge);

        let opened = open(folder.path());
        assert_eq!(opened.damage, None, "kill {kill}");
        let found = batches(&opened.remembered);
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "kill {kill}: {acknowledged} batches were acknowledged, {found} are there"
        );
        assert!(
            opened.remembered == after(found),
            "kill {kill}: half a batch"
        );
        // What is on disk stays there, acknowledged or not.
        acknowledged = found;
    }
    println!("{acknowledged} batches, {KILLS} kills");
    assert!(acknowledged > KILLS, "{acknowledged} batches");
}

fn start(folder: &Path) -> Child {
    let test = std::env::current_exe().unwrap();
    let mut command = Command::new(test);
    command
        .args([
            "--exact",
            "killed::commits_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command.spawn().unwrap()
}

#[test]
#[ignore = "the child of `no_acknowledged_batch_is_lost_and_none_is_there_by_half`"]
fn commits_until_it_is_killed() {
    let folder = std::env::var_os(FOLDER).expect("a parent starts this");
    let mut opened = open(Path::new(&folder));
    let first = batches(&opened.remembered);
    for number in first..first + 100_000 {
        opened.store.commit(&batch(number)).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "\ncommitted {}", number + 1).unwrap();
        out.flush().unwrap();
    }
}
