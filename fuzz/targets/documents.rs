#![no_main]
//! The document parser.

use meshwall_policy::document::properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    properties::never_panics(data);
    properties::round_trips(data);
});
