//! Address ranges in CIDR notation (RFC 4632, RFC 4291).
//!
//! A range whose address has bits beyond the prefix is refused: it is either a typing error in
//! the address or one in the length, and each reading permits something else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::reason::Form;
use super::super::types::IpBlock;
use super::{At, Error, Fault, Findings, Reason};
use crate::spec::{Cidr, Network};

/// Lowers a list of address ranges.
pub(super) fn blocks(list: &At<'_>, blocks: &[IpBlock], findings: &mut Findings) -> Vec<Network> {
    let blocks = blocks.iter().enumerate();
    blocks
        .filter_map(|(index, block)| network(&list.index(index), block, findings))
        .collect()
}

fn network(at: &At<'_>, block: &IpBlock, findings: &mut Findings) -> Option<Network> {
    let block = match block {
        IpBlock::Whole(text) => {
            let cidr = findings.take(at, text, cidr(text))?;
            return Some(Network {
                cidr,
                except: Vec::new(),
            });
        }
        IpBlock::Parts(parts) => parts,
    };
    let range = findings.take(&at.field("cidr"), &block.cidr, cidr(&block.cidr));
    let list = at.field("except");
    let mut except = Vec::new();
    for (index, text) in block.except.iter().flatten().enumerate() {
        let at = list.index(index);
        let Some(hole) = findings.take(&at, text, cidr(text)) else {
            continue;
        };
        match range {
            Some(range) if !contains(range, hole) => {
                findings.push(Error::new(&at, Reason::Outside(block.cidr.clone())).value(text));
            }
            Some(range) if range == hole => {
                findings.push(Error::new(&at, Reason::NothingLeft).value(text));
            }
            Some(_) | None => except.push(hole),
        }
    }
    range.map(|cidr| Network { cidr, except })
}

/// Reads a range, or one address.
fn cidr(text: &str) -> Result<Cidr, Fault> {
    let fault = |why: &'static str| Fault::new(Form::Cidr, why);
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(fault(not_an_address(address)));
    };
    let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => bits,
        Some(length) => {
            let digits = length.bytes().all(|b| b.is_ascii_digit());
            let canonical = digits && (length == "0" || !length.starts_with('0'));
            match length.parse::<u8>() {
                Ok(length) if canonical && length <= bits => length,
                _ if length.parse::<Ipv4Addr>().is_ok() => {
                    let fault = fault("it has a mask in place of a prefix length");
                    let mask = length.parse().map_or(0, Ipv4Addr::to_bits);
                    let is_prefix = mask.leading_ones() + mask.trailing_zeros() >= 32;
                    return Err(if is_prefix {
                        fault.replace(format!("{address}/{}", mask.leading_ones()))
                    } else {
                        fault
                    });
                }
                _ if bits == 32 => return Err(fault("its prefix length is not within 0-32")),
                _ => return Err(fault("its prefix length is not within 0-128")),
            }
        }
    };
    let range = Cidr {
        address,
        prefix_len: length,
    };
    let canonical = unmapped(Cidr {
        address: masked(range),
        prefix_len: length,
    });
    if masked(range) != address {
        let fault = fault("its address has bits set beyond its prefix length");
        return Err(fault.replace(format!("{}/{}", canonical.address, canonical.prefix_len)));
    }
    Ok(canonical)
}

/// Why a text is not an address, as far as it shows.
fn not_an_address(text: &str) -> &'static str {
    let is_v4 = |text: &str| text.parse::<Ipv4Addr>().is_ok();
    if text.is_empty() {
        "it has no address"
    } else if text
        .split_once('-')
        .is_some_and(|(from, to)| is_v4(from) && is_v4(to))
    {
        "ranges are written as `address/length`"
    } else if text.rsplit_once(':').is_some_and(|(host, _)| is_v4(host)) {
        "it has a port, and ports are listed under `ports` of an operation"
    } else if text.contains('%') {
        "it has a zone"
    } else if text.bytes().any(|b| b.is_ascii_alphabetic()) && !text.contains(':') {
        "it is a name, and names have no fixed address"
    } else {
        "its address is not one of IPv4 or IPv6"
    }
}

/// The address without the bits beyond the prefix.
fn masked(range: Cidr) -> IpAddr {
    match range.address {
        IpAddr::V4(address) => {
            let shift = 32u32.saturating_sub(u32::from(range.prefix_len));
            let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let shift = 128u32.saturating_sub(u32::from(range.prefix_len));
            let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// The IPv4 range that an IPv4-mapped IPv6 range is.
fn unmapped(range: Cidr) -> Cidr {
    let IpAddr::V6(address) = range.address else {
        return range;
    };
    match (address.to_ipv4_mapped(), range.prefix_len.checked_sub(96)) {
        (Some(address), Some(prefix_len)) => Cidr {
            address: address.into(),
            prefix_len,
        },
        _ => range,
    }
}

fn contains(outer: Cidr, inner: Cidr) -> bool {
    outer.address.is_ipv4() == inner.address.is_ipv4()
        && outer.prefix_len <= inner.prefix_len
        && masked(Cidr {
            address: inner.address,
            prefix_len: outer.prefix_len,
        }) == outer.address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(address: &str, prefix_len: u8) -> Cidr {
        Cidr {
            address: address.parse().unwrap(),
            prefix_len,
        }
    }

    #[test]
    fn ranges_are_canonical() {
        let table = [
            ("10.0.0.0/8", range("10.0.0.0", 8)),
            ("10.1.2.3", range("10.1.2.3", 32)),
            ("0.0.0.0/0", range("0.0.0.0", 0)),
            ("::/0", range("::", 0)),
            ("2001:DB8::/32", range("2001:db8::", 32)),
            ("::1", range("::1", 128)),
            ("::ffff:10.0.0.0/104", range("10.0.0.0", 8)),
            ("::ffff:10.1.2.3", range("10.1.2.3", 32)),
            ("::ffff:0:0/96", range("0.0.0.0", 0)),
        ];
        for (text, expected) in table {
            assert_eq!(cidr(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/255.0.0.0",
            "10.0.0.1/8",
            "10.0.0/8",
            "010.0.0.0/8",
            "10.0.0.0/8/8",
            "::/129",
            "::1/64",
            "fe80::1%eth0",
            "example.com",
            "10.0.0.1-10.0.0.9",
            "10.0.0.1:80",
            "::ffff:0:0/80",
        ] {
            assert!(cidr(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_contain_their_parts() {
        assert!(contains(range("10.0.0.0", 8), range("10.1.0.0", 16)));
        assert!(contains(range("0.0.0.0", 0), range("10.1.0.0", 16)));
        assert!(!contains(range("10.1.0.0", 16), range("10.0.0.0", 8)));
        assert!(!contains(range("10.0.0.0", 8), range("11.0.0.0", 16)));
        assert!(!contains(range("::", 0), range("10.0.0.0", 8)));
    }
}
