//! Normal forms of hosts and queries.

use std::collections::BTreeSet;

use meshwall_policy::text::{host, query};
use proptest::prelude::*;

type HostCase = (
    &'static [u8],
    Result<(&'static str, Option<u16>), host::Fault>,
);

const HOSTS: &[HostCase] = &[
    (b"shop.example", Ok(("shop.example", None))),
    (b"SHOP.Example", Ok(("shop.example", None))),
    (b"shop.example.", Ok(("shop.example", None))),
    (b"shop.example:443", Ok(("shop.example", Some(443)))),
    (b"shop.example.:443", Ok(("shop.example", Some(443)))),
    (b"shop.example:", Ok(("shop.example", None))),
    (b"shop.example:0", Ok(("shop.example", Some(0)))),
    (b"shop.example:00080", Ok(("shop.example", Some(80)))),
    (b"shop.example:65535", Ok(("shop.example", Some(65_535)))),
    (b"payments", Ok(("payments", None))),
    (
        b"payments.shop.svc.cluster.local",
        Ok(("payments.shop.svc.cluster.local", None)),
    ),
    (
        b"_dmarc.shop_1.example",
        Ok(("_dmarc.shop_1.example", None)),
    ),
    (
        b"xn--bcher-kva.example",
        Ok(("xn--bcher-kva.example", None)),
    ),
    (
        b"XN--BCHER-KVA.example",
        Ok(("xn--bcher-kva.example", None)),
    ),
    (b"-a-.example", Ok(("-a-.example", None))),
    (b"1.example", Ok(("1.example", None))),
    (b"1e100.net", Ok(("1e100.net", None))),
    (b"a.0xyz", Ok(("a.0xyz", None))),
    (b"10.0.0.1", Ok(("10.0.0.1", None))),
    (b"10.0.0.1.", Ok(("10.0.0.1", None))),
    (b"10.0.0.1:80", Ok(("10.0.0.1", Some(80)))),
    (b"[::1]", Ok(("[::1]", None))),
    (b"[::1]:8080", Ok(("[::1]", Some(8080)))),
    (b"[2001:DB8:0:0::1]", Ok(("[2001:db8::1]", None))),
    (
        b"[2001:0db8:0000:0000:0000:0000:0000:0001]:1",
        Ok(("[2001:db8::1]", Some(1))),
    ),
    (b"[::ffff:10.0.0.1]", Ok(("[::ffff:10.0.0.1]", None))),
    (b"[::FFFF:0A00:1]", Ok(("[::ffff:10.0.0.1]", None))),
    (b"", Err(host::Fault::Empty)),
    (b".", Err(host::Fault::Empty)),
    (b":", Err(host::Fault::Empty)),
    (b":80", Err(host::Fault::Empty)),
    (b".:80", Err(host::Fault::Empty)),
    (b"..", Err(host::Fault::EmptyLabel)),
    (b".example", Err(host::Fault::EmptyLabel)),
    (b"shop..example", Err(host::Fault::EmptyLabel)),
    (b"shop.example..", Err(host::Fault::EmptyLabel)),
    (b"good@shop.example", Err(host::Fault::UserInfo)),
    (b"good.example:80@evil.example", Err(host::Fault::UserInfo)),
    (b"@shop.example", Err(host::Fault::UserInfo)),
    (b"shop.example@", Err(host::Fault::UserInfo)),
    (b"[::1]@shop.example", Err(host::Fault::UserInfo)),
    (b"shop.example:http", Err(host::Fault::BadPort)),
    (b"shop.example:65536", Err(host::Fault::BadPort)),
    (
        b"shop.example:99999999999999999999",
        Err(host::Fault::BadPort),
    ),
    (b"shop.example:-1", Err(host::Fault::BadPort)),
    (b"shop.example:+80", Err(host::Fault::BadPort)),
    (b"shop.example:80:80", Err(host::Fault::BadPort)),
    (b"shop.example: 80", Err(host::Fault::BadPort)),
    (b"shop.example:80/", Err(host::Fault::BadPort)),
    (b"[::1]80", Err(host::Fault::BadPort)),
    (b"[::1].example", Err(host::Fault::BadPort)),
    (b"[::1]]", Err(host::Fault::BadPort)),
    (b"::1", Err(host::Fault::Empty)),
    (b"2001:db8::1", Err(host::Fault::BadAddress)),
    (b"fe80::1", Err(host::Fault::BadPort)),
    (b"[]", Err(host::Fault::BadAddress)),
    (b"[", Err(host::Fault::BadAddress)),
    (b"[::1", Err(host::Fault::BadAddress)),
    (b"[10.0.0.1]", Err(host::Fault::BadAddress)),
    (b"[shop.example]", Err(host::Fault::BadAddress)),
    (b"[v1.a:b]", Err(host::Fault::BadAddress)),
    (b"[fe80::1%25eth0]", Err(host::Fault::BadAddress)),
    (b"[\xFF]", Err(host::Fault::BadAddress)),
    (b"127.1", Err(host::Fault::BadAddress)),
    (b"2130706433", Err(host::Fault::BadAddress)),
    (b"0x7f000001", Err(host::Fault::BadAddress)),
    (b"0X7F.1", Err(host::Fault::BadAddress)),
    (b"0177.0.0.1", Err(host::Fault::BadAddress)),
    (b"1.2.3.4.5", Err(host::Fault::BadAddress)),
    (b"256.0.0.1", Err(host::Fault::BadAddress)),
    (b"10.0.0.01", Err(host::Fault::BadAddress)),
    (b"shop.0x", Err(host::Fault::BadAddress)),
    (b"caf\xC3\xA9.example", Err(host::Fault::NotAscii)),
    (b"shop\xE3\x80\x82example", Err(host::Fault::NotAscii)),
    (b"shop.example\xFF", Err(host::Fault::NotAscii)),
    (b"%73hop.example", Err(host::Fault::BadCharacter)),
    (b"shop.example/admin", Err(host::Fault::BadCharacter)),
    (b"shop.example?a", Err(host::Fault::BadCharacter)),
    (b"shop.example#a", Err(host::Fault::BadCharacter)),
    (b"shop.example\\a", Err(host::Fault::BadCharacter)),
    (b"shop.example,evil.example", Err(host::Fault::BadCharacter)),
    (b"shop.example;a", Err(host::Fault::BadCharacter)),
    (b"*.example", Err(host::Fault::BadCharacter)),
    (b"shop.example ", Err(host::Fault::BadCharacter)),
    (b" shop.example", Err(host::Fault::BadCharacter)),
    (b"shop.example\t", Err(host::Fault::BadCharacter)),
    (b"shop.example\r\n", Err(host::Fault::BadCharacter)),
    (b"shop.example\0", Err(host::Fault::BadCharacter)),
    (b"shop.example\x7F", Err(host::Fault::BadCharacter)),
    (b"http://shop.example", Err(host::Fault::BadPort)),
];

#[test]
fn hosts_have_the_normal_form_of_the_table() {
    let mut out = Vec::new();
    for (authority, expected) in HOSTS {
        let found = host::normalize(authority, &mut out).map(|host| (host.name, host.port));
        let expected = expected.map(|(name, port)| (name.as_bytes(), port));
        assert_eq!(found, expected, "{}", authority.escape_ascii());
    }
    for fault in host::Fault::ALL {
        let covered = HOSTS.iter().any(|(_, expected)| *expected == Err(fault));
        assert!(covered || fault == host::Fault::TooLong, "{fault:?}");
    }
}

#[test]
fn hosts_have_a_greatest_length() {
    let mut out = Vec::new();
    let longest = "a".repeat(host::MAX_LENGTH);
    assert!(host::normalize(format!("{longest}.:65535").as_bytes(), &mut out).is_ok());
    let longer = host::normalize(format!("{longest}a").as_bytes(), &mut out);
    assert_eq!(longer, Err(host::Fault::TooLong));
}

/// A name and its value, decoded.
type Pair = (Vec<u8>, Vec<u8>);

fn pairs(raw: &[u8]) -> Result<Vec<Pair>, query::Fault> {
    let (mut out, mut found) = (b"kept".to_vec(), Vec::new());
    query::each(raw, &mut out, |name, out, value| {
        found.push((
            out.get(name).unwrap_or_default().to_vec(),
            out.get(value).unwrap_or_default().to_vec(),
        ));
    })?;
    assert!(out.starts_with(b"kept"));
    Ok(found)
}

type QueryCase = (&'static [u8], &'static [(&'static [u8], &'static [u8])]);

const QUERIES: &[QueryCase] = &[
    (b"", &[]),
    (b"&", &[]),
    (b"&&&", &[]),
    (b"a", &[(b"a", b"")]),
    (b"a=", &[(b"a", b"")]),
    (b"=", &[(b"", b"")]),
    (b"=b", &[(b"", b"b")]),
    (b"a=b", &[(b"a", b"b")]),
    (b"a=b&c=d", &[(b"a", b"b"), (b"c", b"d")]),
    (b"&a=b&&c=d&", &[(b"a", b"b"), (b"c", b"d")]),
    (b"a=1&a=2&a", &[(b"a", b"1"), (b"a", b"2"), (b"a", b"")]),
    (b"a=b=c", &[(b"a", b"b=c")]),
    (b"a=b?c=d", &[(b"a", b"b?c=d")]),
    (b"a+b=c+d", &[(b"a b", b"c d")]),
    (b"a%2Bb=%2b", &[(b"a+b", b"+")]),
    (b"%61=%62", &[(b"a", b"b")]),
    (b"a%3Db=c%26d", &[(b"a=b", b"c&d")]),
    (b"a=%2526", &[(b"a", b"%26")]),
    (b"a=%00", &[(b"a", b"\0")]),
    (b"a=%FF", &[(b"a", b"\xFF")]),
    (b"a=\xFF", &[(b"a", b"\xFF")]),
    (b"a=caf%C3%A9", &[(b"a", b"caf\xC3\xA9")]),
    (b"a=1;b=2", &[(b"a", b"1;b=2")]),
    (b"a[]=1&a.b=2", &[(b"a[]", b"1"), (b"a.b", b"2")]),
    (b"/../a=//", &[(b"/../a", b"//")]),
];

#[test]
fn queries_have_the_pairs_of_the_table() {
    for (raw, expected) in QUERIES {
        let found = pairs(raw).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        assert_eq!(found, *expected, "{}", raw.escape_ascii());
    }
}

#[test]
fn malformed_escapes_in_a_query_are_faults() {
    for raw in [
        "%",
        "%2",
        "a=%",
        "a=%2",
        "a=%zz",
        "%=a",
        "%2=1",
        "a=%%41",
        "a=1&b=%u0041",
    ] {
        assert_eq!(pairs(raw.as_bytes()), Err(query::Fault::BadEscape), "{raw}");
    }
}

#[test]
fn queries_have_a_greatest_number_of_pairs() {
    let longest = ["a=b"; query::MAX_PAIRS].join("&&");
    assert_eq!(pairs(longest.as_bytes()).unwrap().len(), query::MAX_PAIRS);
    assert_eq!(
        pairs(format!("{longest}&c").as_bytes()),
        Err(query::Fault::TooManyPairs)
    );
}

#[test]
fn faults_have_distinct_stable_names() {
    let hosts = host::Fault::ALL.map(|fault| (fault.code(), fault.name(), fault.to_string()));
    let queries = query::Fault::ALL.map(|fault| (fault.code(), fault.name(), fault.to_string()));
    for faults in [&hosts[..], &queries[..]] {
        for (place, (code, name, text)) in faults.iter().enumerate() {
            assert_eq!(usize::from(*code), place + 1);
            assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_')));
            assert!(!text.ends_with('.'), "{text}");
        }
        let names: BTreeSet<_> = faults.iter().map(|(_, name, _)| name).collect();
        assert_eq!(names.len(), faults.len());
    }
}

proptest! {
    #[test]
    fn a_normal_host_is_its_own_normal_form(
        authority in prop_oneof![
            "[a-zA-Z0-9.:@_\\[\\]-]{0,24}".prop_map(String::into_bytes),
            "\\[[0-9a-fA-F:.]{0,24}\\](:[0-9]{1,5})?".prop_map(String::into_bytes),
            "[0-9x.]{1,16}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..24),
        ],
    ) {
        let (mut out, mut again) = (Vec::new(), Vec::new());
        if let Ok(found) = host::normalize(&authority, &mut out) {
            prop_assert!(!found.name.iter().any(u8::is_ascii_uppercase));
            let twice = host::normalize(found.name, &mut again);
            prop_assert_eq!(twice, Ok(host::Host { name: found.name, port: None }));
        }
    }

    #[test]
    fn encoded_pairs_are_decoded(
        expected in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..6), prop::collection::vec(any::<u8>(), 0..6)),
            0..6,
        ),
    ) {
        let encode = |text: &[u8]| text.iter().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let written: Vec<_> = expected
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        prop_assert_eq!(pairs(written.join("&").as_bytes()).unwrap(), expected);
    }

    #[test]
    fn any_bytes_make_a_query_or_a_fault(raw in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut out = Vec::new();
        let faulty = raw.split(|byte| *byte == b'%').skip(1).any(|after| {
            !matches!(after, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
        });
        prop_assert_eq!(query::each(&raw, &mut out, |_, _, _| {}).is_err(), faulty);
        prop_assert!(out.len() <= raw.len());
    }
}
