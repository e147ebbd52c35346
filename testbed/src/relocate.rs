//! Worlds moved to where real proxies can be asked about them: to this machine, and to now.
//!
//! Pods have addresses of their own, and a peer on one machine can only speak from loopback. So
//! the addresses of a world move, in the inventory and in the policies alike. A real proxy does
//! not let itself be told the time either, so policies that expire move with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::spec::{Alternatives, Cidr, Network, Patterns, Policy, Predicate, Rule};

/// How a world moves.
#[derive(Clone, Copy, Debug)]
pub struct Relocation {
    /// Where an address moves to. Addresses that have a prefix in common before must have one of
    /// the same length in common afterwards, or networks fall apart.
    pub address: fn(IpAddr) -> IpAddr,
    /// By how many seconds times move; into the past if negative.
    pub seconds: i64,
}

impl Relocation {
    /// Moves the networks that a policy names, and the moment when it expires.
    pub fn policy(&self, policy: &mut Policy) {
        if let Some(expires) = &mut policy.expires {
            expires.0 = expires.0.saturating_add(self.seconds);
        }
        let rules = policy.ingress.iter_mut().chain(&mut policy.egress);
        for predicate in rules.flat_map(predicates) {
            if let Patterns::Networks(networks) = &mut predicate.patterns {
                networks
                    .iter_mut()
                    .for_each(|network| self.network(network));
            }
        }
    }

    /// Moves all workloads.
    pub fn inventory(&self, inventory: &mut Inventory) {
        for workload in &mut inventory.workloads {
            self.workload(workload);
        }
    }

    /// Moves a workload.
    pub fn workload(&self, workload: &mut Workload) {
        for address in &mut workload.addresses {
            *address = (self.address)(*address);
        }
    }

    fn network(&self, network: &mut Network) {
        let Network { cidr, except } = network;
        for cidr in [cidr].into_iter().chain(except) {
            *cidr = self.cidr(*cidr);
        }
    }

    fn cidr(&self, cidr: Cidr) -> Cidr {
        let Cidr { prefix_len, .. } = cidr;
        // Everything is everything, wherever it is.
        if prefix_len == 0 {
            return cidr;
        }
        let first = |width: u32| width.saturating_sub(u32::from(prefix_len));
        let address = match (self.address)(cidr.address) {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(first(u32::BITS)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(first(u128::BITS)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
            }
        };
        Cidr {
            address,
            prefix_len,
        }
    }
}

fn predicates(rule: &mut Rule) -> impl Iterator<Item = &mut Predicate> {
    let alternatives = [&mut rule.peers, &mut rule.operations];
    let listed = alternatives.into_iter().flat_map(|alternatives| {
        match alternatives {
            Alternatives::Any => &mut [],
            Alternatives::OneOf(listed) => listed.as_mut_slice(),
        }
        .iter_mut()
        .flatten()
    });
    listed.chain(&mut rule.conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_keep_their_length() {
        let relocation = Relocation {
            address: |address| match address {
                IpAddr::V4(address) => {
                    let [_, b, c, d] = address.octets();
                    Ipv4Addr::new(127, b, c, d).into()
                }
                other => other,
            },
            seconds: 0,
        };
        for (address, prefix_len, expected) in [
            ("10.1.2.3", 32, "127.1.2.3"),
            ("10.1.2.0", 24, "127.1.2.0"),
            ("10.0.0.0", 8, "127.0.0.0"),
            ("0.0.0.0", 0, "0.0.0.0"),
            ("fd00::", 8, "fd00::"),
        ] {
            let cidr = |text: &str| Cidr {
                address: text.parse().unwrap(),
                prefix_len,
            };
            assert_eq!(relocation.cidr(cidr(address)), cidr(expected));
        }
    }
}
