//! Which modules are taken, and with which words others are refused.

use meshwall_testbed::host::{AbiVersion, Callback, Module, ModuleError};

fn load(text: &str) -> Result<Module, ModuleError> {
    Module::from_bytes(&wat::parse_str(text).unwrap())
}

fn refusal(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

const ALLOCATOR: &str =
    r#"(func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 0))"#;
const MEMORY: &str = r#"(memory (export "memory") 1)"#;

fn filter(version: &str, rest: &str) -> String {
    format!(r#"(module {rest} {MEMORY} {ALLOCATOR} (func (export "proxy_abi_version_{version}")))"#)
}

#[test]
fn the_module_says_its_version() {
    let versions = [
        ("0_1_0", AbiVersion::V0_1_0),
        ("0_2_0", AbiVersion::V0_2_0),
        ("0_2_1", AbiVersion::V0_2_1),
    ];
    for (name, version) in versions {
        assert_eq!(load(&filter(name, "")).unwrap().abi_version(), version);
    }
    assert_eq!(
        load(&filter("0_9_9", "")).unwrap_err(),
        ModuleError::UnknownAbi
    );
}

#[test]
fn a_missing_callback_is_no_fault() {
    let module = load(&filter("0_2_1", "")).unwrap();
    assert!(!module.exports(Callback::OnRequestHeaders));
    assert!(module.exports(Callback::Allocate));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    assert!(matches!(
        Module::from_bytes(b"no module"),
        Err(ModuleError::Compile(_))
    ));
    let marker = r#"(func (export "proxy_abi_version_0_2_1"))"#;
    assert_eq!(
        load(&format!("(module {MEMORY} {marker})")).unwrap_err(),
        ModuleError::MissingAllocator
    );
    assert_eq!(
        load(&format!("(module {ALLOCATOR} {marker})")).unwrap_err(),
        ModuleError::MissingMemory
    );
    let import = r#"(import "env" "proxy_time_travel" (func))"#;
    assert_eq!(
        refusal(&filter("0_2_1", import)),
        "missing import `env.proxy_time_travel`"
    );
    let import = r#"(import "env" "proxy_log" (func (param i64)))"#;
    assert!(matches!(
        load(&filter("0_2_1", import)),
        Err(ModuleError::ImportType(_))
    ));
    let export = r#"(func (export "proxy_on_log") (param i32 i32))"#;
    assert_eq!(
        refusal(&filter("0_2_1", export)),
        "export `proxy_on_log` has another type than the ABI's"
    );
}

#[test]
fn a_function_of_another_version_is_missing() {
    let import = r#"(import "env" "proxy_get_log_level" (func (param i32) (result i32)))"#;
    assert!(load(&filter("0_2_1", import)).is_ok());
    for older in ["0_2_0", "0_1_0"] {
        assert!(load(&filter(older, import)).is_err(), "{older}");
    }
    let import = r#"(import "env" "proxy_continue_request" (func (result i32)))"#;
    assert!(load(&filter("0_1_0", import)).is_ok());
    assert!(load(&filter("0_2_1", import)).is_err());
}
