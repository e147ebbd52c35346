#![no_main]
//! `firewall.wasm` in the test bed's host, and the library.

use std::sync::LazyLock;
use std::{env, fs};

use meshwall_testbed::host::Module;
use meshwall_testbed::scenario::properties;

/// The module that `MESHWALL_FIREWALL_WASM` names.
static FIREWALL: LazyLock<Module> = LazyLock::new(|| {
    let path = env::var_os("MESHWALL_FIREWALL_WASM").expect("MESHWALL_FIREWALL_WASM is not set");
    let bytes = fs::read(path).expect("the module can be read");
    Module::from_bytes(&bytes).expect("the module can be compiled")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::module_agrees(&FIREWALL, data));
