#![no_main]
//! The normal form of paths.

use meshwall_policy::path::properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    properties::idempotent(data);
    properties::never_dotdot(data);
    properties::canonical_alphabet(data);
    properties::one_spelling(data);
    properties::query_is_verbatim(data);
    properties::can_be_written(data);
    properties::template_of_itself(data);
});
