#![no_main]
//! The index, the linear evaluation and the plainly written semantics.

use meshwall_policy::properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::evaluations_agree(data));
