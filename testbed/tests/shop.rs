//! The questions of the shop, put to `firewall.wasm` and to the library by `meshwall test`.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn firewall_and_library_give_the_expected_answers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("MESHWALL_FIREWALL_WASM").map(PathBuf::from);
    let module = named.unwrap_or_else(|| root.join("../target/wasm/firewall.wasm"));
    let output = Command::new(env!("CARGO_BIN_EXE_meshwall"))
        .arg("test")
        .arg(root.join("examples/shop"))
        .arg("--wasm")
        .arg(&module)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(
        stdout.contains("asked firewall.wasm and the library"),
        "{stdout}"
    );
    let passed = stdout
        .lines()
        .filter(|line| line.starts_with("  ok "))
        .count();
    assert!(passed >= 100, "only {passed} questions");
}
