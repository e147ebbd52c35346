//! Modules that are not the firewall.

use std::fs;
use std::path::Path;

use crate::run::{Ran, run, shop};

fn test_with(module: &[u8]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module.wasm");
    fs::write(&path, module).unwrap();
    test_at(&path)
}

fn test_at(path: &Path) -> Ran {
    let file = path.to_str().unwrap();
    run(&shop(), &["test", "scenarios/ledger.yaml", "--wasm", file])
}

#[test]
fn a_module_that_lets_everything_pass_is_a_fault() {
    let module = wat::parse_str(
        r#"(module
            (memory (export "memory") 1)
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024)))"#,
    );
    let ran = test_with(&module.unwrap());
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let expected = "the module gave no answer: it did not count one verdict";
    assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    assert!(ran.stdout.contains("0 passed, 10 failed"), "{}", ran.stdout);
}

#[test]
fn what_is_no_filter_is_not_asked() {
    let ran = test_with(b"\0asm");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("is not a filter"), "{}", ran.stderr);
    let ran = test_at(Path::new("/nowhere/firewall.wasm"));
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("cannot read `/nowhere/firewall.wasm`"),
        "{}",
        ran.stderr
    );
}
