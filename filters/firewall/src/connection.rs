//! Who is at the other end of a connection: what the listener vouches for, and nothing that a
//! peer can write.
//!
//! Two pieces of filter state that the generated listener sets are preferred, because Envoy's
//! attributes alone are not enough: `connection.uri_san_peer_certificate` shows the first of
//! several names only, and in an HTTP filter `source.address` can come from `x-forwarded-for`.
//! Without the filter state the name falls back to the attribute; the address does so on TCP
//! only.

use std::net::{IpAddr, SocketAddr};

use meshwall_filter_host::ports::Properties;
use meshwall_filter_host::property::{
    self, CONNECTION_REQUESTED_SERVER_NAME, CONNECTION_URI_SAN_PEER_CERTIFICATE, DESTINATION_PORT,
    Property, SOURCE_ADDRESS,
};
use meshwall_policy::attributes::{Attributes, Peer, Request};
use meshwall_policy::spec::{Direction, Timestamp};

use crate::installed::{Installed, Role};

/// Filter state of the listener: every URI SAN of the verified peer certificate, joined with
/// commas.
const PEER_URI_SANS: Property<'static, Vec<u8>> =
    Property::from_encoded(b"filter_state\0meshwall.peer_uri_sans");
/// Filter state of the listener: `ip:port` of the direct peer.
const PEER_ADDRESS: Property<'static, Vec<u8>> =
    Property::from_encoded(b"filter_state\0meshwall.peer_address");

/// What a program may ask about a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) principal: Option<Vec<u8>>,
    pub(crate) address: IpAddr,
    pub(crate) remote_address: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) sni: Option<Vec<u8>>,
}

/// What a program asks for and the listener does not say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Missing {
    /// The address of the peer.
    Address,
    /// The port of the listener.
    Port,
}

impl Missing {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Missing::Address => "peer_address",
            Missing::Port => "port",
        }
    }
}

impl Connection {
    /// Asks the proxy for what the program needs, and for no more.
    pub(crate) fn read<P: Properties>(
        proxy: &P,
        role: Role,
        installed: &Installed,
    ) -> Result<Connection, Missing> {
        let Installed { bundle, needs, .. } = installed;
        let ingress = bundle.direction == Direction::Ingress;
        let address = if needs.peer_address || needs.remote_address {
            address(proxy, role, bundle.direction).ok_or(Missing::Address)?
        } else {
            IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)
        };
        // On egress the source is the workload itself, and nobody tells of another destination.
        let told = ingress && needs.remote_address && bundle.program.trusted_proxies() > 0;
        let remote_address = if told {
            let told = get(proxy, SOURCE_ADDRESS).as_deref().and_then(ip);
            Some(told.ok_or(Missing::Address)?)
        } else {
            None
        };
        let port = match bundle.port {
            Some(port) => port,
            None if needs.port => proxy
                .get(DESTINATION_PORT)
                .ok()
                .flatten()
                .and_then(|port| u16::try_from(port).ok())
                .ok_or(Missing::Port)?,
            None => 0,
        };
        Ok(Connection {
            principal: if needs.principal && ingress {
                principal(proxy)
            } else {
                None
            },
            address,
            remote_address,
            port,
            sni: if needs.sni {
                get(proxy, CONNECTION_REQUESTED_SERVER_NAME)
            } else {
                None
            },
        })
    }

    /// What the engine may look at: the connection, and on HTTP listeners a request on it.
    pub(crate) fn attributes<'a>(
        &'a self,
        direction: Direction,
        now: Timestamp,
        request: Option<Request<'a>>,
    ) -> Attributes<'a> {
        let Connection {
            principal,
            address,
            remote_address,
            port,
            sni,
        } = self;
        Attributes {
            direction,
            now,
            peer: Peer {
                principal: principal.as_deref(),
                address: *address,
                remote_address: *remote_address,
            },
            port: *port,
            sni: sni.as_deref(),
            request,
        }
    }
}

/// The one URI SAN of the peer. SPIFFE ids have no comma, so a comma means several names, which
/// SPIFFE forbids, or one that is no SPIFFE id: no identity in either case.
fn principal<P: Properties>(proxy: &P) -> Option<Vec<u8>> {
    get(proxy, PEER_URI_SANS)
        .or_else(|| get(proxy, CONNECTION_URI_SAN_PEER_CERTIFICATE))
        .filter(|names| !names.contains(&b','))
}

/// The other end: on ingress the client, on egress the destination.
fn address<P: Properties>(proxy: &P, role: Role, direction: Direction) -> Option<IpAddr> {
    let told = match (direction, role) {
        (Direction::Ingress, Role::Http) => get(proxy, PEER_ADDRESS),
        (Direction::Ingress, Role::Network) => {
            get(proxy, PEER_ADDRESS).or_else(|| get(proxy, SOURCE_ADDRESS))
        }
        (Direction::Egress, _) => get(proxy, property::DESTINATION_ADDRESS),
    };
    told.as_deref().and_then(ip)
}

fn get<P: Properties>(proxy: &P, property: Property<'_, Vec<u8>>) -> Option<Vec<u8>> {
    proxy.get(property).ok().flatten()
}

/// The address in `ip:port`; IPv6 addresses are in brackets.
fn ip(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse::<SocketAddr>()
        .map(|socket| socket.ip())
        .or_else(|_| text.parse())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::ip;

    #[test]
    fn addresses_are_read_as_envoy_writes_them() {
        for (text, address) in [
            ("10.1.2.3:80", Some("10.1.2.3")),
            ("[fd00::1]:80", Some("fd00::1")),
            ("10.1.2.3", Some("10.1.2.3")),
            ("/var/run/app.sock", None),
            ("10.1.2.3:80:90", None),
            ("", None),
        ] {
            assert_eq!(
                ip(text.as_bytes()),
                address.map(|address| address.parse().unwrap())
            );
        }
        assert_eq!(ip(b"\xff\xfe"), None);
    }
}
