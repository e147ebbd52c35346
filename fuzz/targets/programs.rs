#![no_main]
//! The loader of programs, peer tables and bundles.

use meshwall_policy::properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    properties::loading_never_panics(data);
    properties::changed_programs_never_panic(data);
});
