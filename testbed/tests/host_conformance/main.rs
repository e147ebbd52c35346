//! The host does what Envoy does: one table of scripts, run by one filter in both.
//!
//! The filter (`filters/probe`) calls the ABI as a script tells it, phase by phase, and logs
//! what comes of it. Compared are these lines, what the upstream receives and what the client
//! receives. What only a whole proxy adds (dates, request ids, its own headers) is left out.

#![cfg(test)]

mod bed;
mod cases;
mod proxy;
mod transcript;

use std::path::{Path, PathBuf};
use std::process::Command;

use bed::Bed;
use cases::{HTTP, TCP};
use proxy::Proxy;
use transcript::Transcript;

#[tokio::test]
async fn envoy_and_the_host_agree() {
    let module = probe();
    let proxy = Proxy::start(&module).await;
    let bed = Bed::start(&module);
    let mut differences = Vec::new();
    for case in HTTP {
        let expected = proxy.http(case).await;
        differences.extend(difference(case.name, &expected, &bed.http(case)));
    }
    for case in TCP {
        let expected = proxy.tcp(case).await;
        differences.extend(difference(case.name, &expected, &bed.tcp(case)));
    }
    let asked = HTTP.len() + TCP.len();
    assert!(
        differences.is_empty(),
        "{} of {asked} cases differ\n{}",
        differences.len(),
        differences.join("\n")
    );
}

fn difference(name: &str, envoy: &Transcript, host: &Transcript) -> Option<String> {
    if envoy == host {
        return None;
    }
    let lines = |transcript: &Transcript| transcript.to_string().replace('\n', "\n    ");
    Some(format!(
        "{name}\n  Envoy:\n    {}\n  host:\n    {}",
        lines(envoy),
        lines(host)
    ))
}

/// Builds the probe.
fn probe() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host-conformance");
    let output = Command::new(here.join("../scripts/build-wasm"))
        .arg("--manifest-path")
        .arg(here.join("tests/filters/Cargo.toml"))
        .arg("--out")
        .arg(&out)
        .args(["-p", "probe", "--panic", "abort"])
        .output()
        .expect("scripts/build-wasm can be run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    out.join("probe.wasm")
}
