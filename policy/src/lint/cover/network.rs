//! Networks within each other.

use std::net::IpAddr;

use crate::spec::{Cidr, Network};

/// Whether every address of `narrow` is one of `wide`.
pub(super) fn within(narrow: &Network, wide: &Network) -> bool {
    let Network { cidr, except } = narrow;
    let is_excepted = |hole: &Cidr| except.iter().any(|known| is_part(hole, known));
    is_part(cidr, &wide.cidr)
        && wide
            .except
            .iter()
            .all(|hole| are_apart(hole, cidr) || is_excepted(hole))
}

/// Whether a network is everything of its family.
pub(in super::super) fn is_everything(network: &Network) -> bool {
    network.cidr.prefix_len == 0 && network.except.is_empty()
}

fn is_part(narrow: &Cidr, wide: &Cidr) -> bool {
    wide.prefix_len <= narrow.prefix_len && contains(wide, narrow.address)
}

fn are_apart(one: &Cidr, other: &Cidr) -> bool {
    !contains(one, other.address) && !contains(other, one.address)
}

fn contains(network: &Cidr, address: IpAddr) -> bool {
    let length = u32::from(network.prefix_len);
    match (network.address, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            u32::from(network) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            u128::from(network) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}
