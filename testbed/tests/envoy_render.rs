//! `meshwall render` for the workloads of the shop: a real Envoy accepts what it writes.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::Command;

use meshwall_testbed::rig::envoy::Binary;
use meshwall_testbed::rig::pki::{Authority, write_bundle};

fn module() -> PathBuf {
    let named = std::env::var_os("MESHWALL_FIREWALL_WASM").map(PathBuf::from);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm/firewall.wasm");
    let module = named.unwrap_or(built);
    assert!(
        module.is_file(),
        "no firewall.wasm: build it with scripts/build-wasm, or name it in MESHWALL_FIREWALL_WASM"
    );
    module
}

#[test]
fn envoy_accepts_the_sidecars_of_the_shop() {
    let envoy = Binary::find(None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("cluster.local").unwrap();
    let bundle = write_bundle(folder.path(), "ca", &[&authority]).unwrap();
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop");
    for (namespace, account) in [
        ("shop", "checkout"),
        ("shop", "payments"),
        ("data", "ledger"),
    ] {
        let identity = authority.workload(namespace, account).unwrap();
        let files = identity.write_to(folder.path(), account).unwrap();
        let authorities = format!("cluster.local={}", bundle.display());
        let written = Command::new(env!("CARGO_BIN_EXE_meshwall"))
            .arg("render")
            .arg(format!("{namespace}/{account}"))
            .arg(&shop)
            .arg("--module")
            .arg(module())
            .arg("--certificate")
            .arg(&files.certificate)
            .arg("--key")
            .arg(&files.key)
            .arg("--authorities")
            .arg(authorities)
            .args(["--listen", "127.0.0.1", "--admin", "127.0.0.1:0"])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&written.stderr);
        assert!(written.status.success(), "{namespace}/{account}: {errors}");
        // The shop's default; the policies of some have egress rules, too.
        let unenforced = "the default action for egress, Deny";
        assert!(
            errors.contains(unenforced),
            "{namespace}/{account}: {errors}"
        );
        let yaml = String::from_utf8(written.stdout).unwrap();
        assert!(yaml.contains("# sha256"), "the hash of the module is told");
        envoy.validate_text(&yaml, "yaml").unwrap();
    }
}

#[test]
fn what_cannot_be_rendered_is_an_error() {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop");
    let written = Command::new(env!("CARGO_BIN_EXE_meshwall"))
        .args(["render", "shop/paymens"])
        .arg(&shop)
        .output()
        .unwrap();
    assert_eq!(written.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&written.stderr);
    assert!(errors.contains("did you mean `shop/payments`?"), "{errors}");
    assert!(written.stdout.is_empty());
}
