#![no_main]
//! The reader of manifests, and what becomes of their chunks.

use meshwall_policy::delivery::properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    properties::manifests_never_panic(data);
    properties::what_is_delivered_arrives(data);
});
