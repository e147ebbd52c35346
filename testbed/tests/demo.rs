//! `meshwall demo`: what it shows, and that it leaves nothing behind.
#![cfg(test)]

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longest line, in columns.
const WIDTH: usize = 100;
/// As long as anything here may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

fn shop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop")
}

fn module() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm/firewall.wasm");
    env::var_os("MESHWALL_FIREWALL_WASM").map_or(built, PathBuf::from)
}

/// The command, with a folder for its temporary files.
fn demo(shop: &Path, temporary: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshwall"));
    command
        .arg("demo")
        .arg("--wasm")
        .arg(module())
        .arg("--shop")
        .arg(shop)
        .env("TMPDIR", temporary.path());
    command
}

/// A copy of the shop in which a text of a file is another.
fn edited(file: &str, from: &str, to: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["", "policies", "scenarios"] {
        fs::create_dir_all(folder.path().join(part)).unwrap();
        for entry in fs::read_dir(shop().join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(shop()).unwrap();
                fs::copy(&path, folder.path().join(name)).unwrap();
            }
        }
    }
    let path = folder.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file}: {from}");
    fs::write(path, text.replace(from, to)).unwrap();
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn succeeded(output: &Output) -> String {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let shown = text(&output.stdout);
    assert!(
        !shown.contains('\u{1b}'),
        "colours without a terminal: {shown}"
    );
    shown
}

/// The rows of the table, as words.
fn rows(shown: &str) -> Vec<Vec<&str>> {
    let rule = "-".repeat(WIDTH);
    let table = shown.split(&rule).nth(1).unwrap();
    let lines = table.lines().filter(|line| line.starts_with("  "));
    let rows = lines.filter(|line| !line.contains("monitored"));
    rows.map(|row| row.split_whitespace().collect()).collect()
}

/// Whether all is within the width, apart from what has the path of this repository in it.
fn assert_fits(shown: &str) {
    let (table, _) = shown.split_once("Try next").unwrap();
    for line in table.lines() {
        assert!(line.chars().count() <= WIDTH, "{line}");
    }
}

/// Whether a process with this number is an Envoy.
fn is_envoy(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| name.trim() == "envoy")
}

/// The numbers of the processes that the command says to have started.
fn processes(progress: &str) -> Vec<u32> {
    let numbers = progress.split("process ").skip(1);
    let numbers = numbers.filter_map(|rest| rest.split(',').next()?.parse().ok());
    numbers.collect()
}

fn is_empty(folder: &TempDir) -> bool {
    fs::read_dir(folder.path()).unwrap().next().is_none()
}

#[test]
fn real_envoys_and_the_test_bed_agree() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(&shop(), &temporary).output().unwrap();
    let shown = succeeded(&output);
    let rows = rows(&shown);
    assert_eq!(rows.len(), 20, "{shown}");
    for row in &rows {
        let expected = row.iter().position(|word| ["allow", "deny"].contains(word));
        let (_, verdicts) = row.split_at(expected.unwrap());
        let [expected, envoy, bed, rest @ ..] = verdicts else {
            panic!("{row:?}");
        };
        assert_eq!((envoy, bed), (expected, expected), "{row:?}");
        // What is permitted has been measured, and everything has a cause.
        let words = if *expected == "allow" { 3 } else { 1 };
        assert_eq!(rest.len(), words, "{row:?}");
    }
    assert!(
        shown.contains("all 20 as expected, in Envoy and in the test bed"),
        "{shown}"
    );
    assert_fits(&shown);
    let pids = processes(&text(&output.stderr));
    assert_eq!(pids.len(), 3);
    assert!(!pids.into_iter().any(is_envoy));
    assert!(is_empty(&temporary));
}

#[test]
fn without_envoy_the_test_bed_is_asked() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(&shop(), &temporary)
        .arg("--offline")
        .env("MESHWALL_ENVOY", "/nonexistent")
        .output()
        .unwrap();
    let shown = succeeded(&output);
    assert_eq!(rows(&shown).len(), 20, "{shown}");
    assert_fits(&shown);
    assert!(shown.contains("all 20 as expected, in the test bed: 7 permitted; 13 denied\n"));
    assert!(!shown.contains("added"), "{shown}");
    assert!(output.stderr.is_empty());
    assert!(is_empty(&temporary));
}

#[test]
fn the_shop_is_built_in() {
    let temporary = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_meshwall"))
        .args(["demo", "--offline", "--wasm"])
        .arg(module())
        .env("TMPDIR", temporary.path())
        .current_dir(elsewhere.path())
        .output()
        .unwrap();
    assert_eq!(rows(&succeeded(&output)).len(), 20);
    assert!(is_empty(&temporary));
}

#[test]
fn a_verdict_that_was_not_expected_is_an_exit_code() {
    let temporary = tempfile::tempdir().unwrap();
    let shop = edited("policies/shop.yaml", "/v1/orders]", "/v2/orders]");
    let output = demo(shop.path(), &temporary).output().unwrap();
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    let answered = "\nfrontend: POST /v1/orders\
                    \n  expected  allow FirewallPolicy/shop/checkout/order\
                    \n  Envoy     deny no_rule_matched/Namespace\
                    \n  test bed  deny no_rule_matched/Namespace\n";
    assert!(shown.contains(answered), "{shown}");
    assert!(shown.contains("1 of 20 not as expected"), "{shown}");
}

#[test]
fn documents_with_errors_are_shown() {
    let temporary = tempfile::tempdir().unwrap();
    let shop = edited("policies/shop.yaml", "action: Allow", "action: Alow");
    let output = demo(shop.path(), &temporary).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(errors.contains("Alow"), "{errors}");
    assert!(output.stdout.is_empty());
}

#[test]
fn an_envoy_that_is_not_there_is_an_error() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(&shop(), &temporary)
        .args(["--envoy", "/nonexistent"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(errors.contains("no Envoy at `/nonexistent`"), "{errors}");
}

/// Starts the demo, reads what it tells until that has `wanted` in it, and gives it.
fn run_until(command: &mut Command, wanted: &str) -> (Child, String) {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = String::new();
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap());
    while !told.contains(wanted) {
        assert!(lines.read_line(&mut told).unwrap() > 0, "{told}");
    }
    (child, told)
}

fn interrupt(mut child: Child) -> Option<i32> {
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(start.elapsed() < SOON, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    // While the sidecars start, and when the first is there.
    for wanted in ["starting", "process"] {
        let (child, told) = run_until(&mut demo(&shop(), &temporary), wanted);
        assert_eq!(interrupt(child), Some(130));
        assert!(!processes(&told).into_iter().any(is_envoy));
        assert!(is_empty(&temporary), "{wanted}");
    }
}

#[test]
fn sidecars_can_be_kept() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = demo(&shop(), &temporary)
        .arg("--keep")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut shown = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    while !shown.contains("--key ") {
        assert!(lines.read_line(&mut shown).unwrap() > 0, "{shown}");
    }
    let certificate = shown.split("--cert ").nth(1).unwrap();
    let certificate = certificate.split_whitespace().next().unwrap();
    assert!(Path::new(certificate).is_file(), "{shown}");
    assert_eq!(interrupt(child), Some(0), "{shown}");
    assert!(is_empty(&temporary));
}
