//! The methods of gRPC that are served: one line each.

use meshwall_xds_protocol::type_url::EXTENSION_CONFIG;
use meshwall_xds_protocol::{Scope, TypeUrl};

/// The variant of the protocol that a method speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// State of the world.
    State,
    /// Incremental.
    Delta,
}

use Variant::{Delta, State};

/// Path, variant, and the type of a service that has one only.
type Method = (&'static str, Variant, Option<&'static str>);

const METHODS: [Method; 4] = [
    (
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
        State,
        None,
    ),
    (
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
        Delta,
        None,
    ),
    (
        "/envoy.service.extension.v3.ExtensionConfigDiscoveryService/StreamExtensionConfigs",
        State,
        Some(EXTENSION_CONFIG),
    ),
    (
        "/envoy.service.extension.v3.ExtensionConfigDiscoveryService/DeltaExtensionConfigs",
        Delta,
        Some(EXTENSION_CONFIG),
    ),
];

/// Finds the method of a path.
pub(crate) fn find(path: &str) -> Option<(Variant, Scope)> {
    let (_, variant, only) = METHODS.iter().find(|(p, ..)| *p == path)?;
    let scope = only.map_or(Scope::Aggregated, |url| Scope::One(TypeUrl::from(url)));
    Some((*variant, scope))
}
