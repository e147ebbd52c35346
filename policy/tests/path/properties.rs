//! Properties of arbitrary targets, and of targets made of what normalisers get wrong.

use meshwall_policy::path::properties;
use proptest::prelude::*;

use crate::oracle;

fn check(data: &[u8]) {
    properties::idempotent(data);
    properties::never_dotdot(data);
    properties::canonical_alphabet(data);
    properties::one_spelling(data);
    properties::query_is_verbatim(data);
    properties::can_be_written(data);
    properties::template_of_itself(data);
    oracle::compare(data);
}

/// Pieces that meet in paths that were meant to confuse.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => Just(b"/".to_vec()),
        6 => "[a-z]{1,3}".prop_map(String::into_bytes),
        3 => prop::sample::select(vec![
            ".", "..", "%2e", "%2E", "%2f", "%5c", "%25", "%252f", "%3b", ";", "\\", "//", "?",
            "#", "%", "%4", "%41", "%c3", "%a9", "%C3%A9", "%c0%ae", "%ed%a0%80", "%00", "%0a",
            "%20", "{*}", "{**}", "*", "é", "日", "|", "4", "f", "25", "2", "@", ":", "=", "+",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => any::<u8>().prop_map(|byte| format!("%{byte:02x}").into_bytes()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| {
        let mut path = b"/".to_vec();
        path.extend(pieces.concat());
        path
    })
}

/// Paths that have a normal form, in odd spellings.
fn sound() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop::sample::select(b"abyzAZ09-._~!$&'()*+,=:@ \"<>[]^`{|}?#".to_vec());
    let spelled = (octet, any::<bool>()).prop_map(|(octet, escaped)| {
        if escaped || b" #?".contains(&octet) {
            format!("%{octet:02x}").into_bytes()
        } else {
            vec![octet]
        }
    });
    let segment = prop::collection::vec(spelled, 1..6).prop_map(|octets| octets.concat());
    prop::collection::vec(segment, 0..6)
        .prop_map(|segments| [b"/".as_slice(), &segments.join(b"//".as_slice())].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_096) })]

    #[test]
    fn hold_for_any_bytes(data in prop::collection::vec(any::<u8>(), 0..64)) {
        check(&data);
    }

    #[test]
    fn hold_for_confusing_paths(data in pieces()) {
        check(&data);
    }

    #[test]
    fn hold_for_sound_paths(data in sound()) {
        check(&data);
    }
}
