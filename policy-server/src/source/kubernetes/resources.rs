//! What is asked for of each kind.

use crate::index::Kind;

/// How objects of a kind are listed and watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Resource {
    pub(super) kind: Kind,
    /// `apiVersion` of the objects. What is listed does not say it.
    pub(super) api_version: &'static str,
    /// Path of the objects of all namespaces.
    pub(super) path: &'static str,
    /// Which of them the server is to send.
    pub(super) fields: Option<&'static str>,
    /// Whether metadata is all that is needed of them.
    pub(super) metadata_only: bool,
    /// Name of the definition that makes the kind, if one does.
    pub(super) definition: Option<&'static str>,
}

/// Pods that have ended have no address and no connections; there may be many of them.
const LIVE_PODS: &str = "status.phase!=Succeeded,status.phase!=Failed";

impl Resource {
    pub(super) fn of(kind: Kind) -> Resource {
        let core = |path, metadata_only| Resource {
            kind,
            api_version: "v1",
            path,
            fields: None,
            metadata_only,
            definition: None,
        };
        let custom = |path, definition| Resource {
            kind,
            api_version: "meshwall.io/v1alpha1",
            path,
            fields: None,
            metadata_only: false,
            definition: Some(definition),
        };
        match kind {
            Kind::Namespace => core("/api/v1/namespaces", true),
            Kind::Pod => Resource {
                fields: Some(LIVE_PODS),
                ..core("/api/v1/pods", false)
            },
            Kind::Service => core("/api/v1/services", true),
            Kind::ServiceAccount => core("/api/v1/serviceaccounts", true),
            Kind::FirewallPolicy => custom(
                "/apis/meshwall.io/v1alpha1/firewallpolicies",
                "firewallpolicies.meshwall.io",
            ),
            Kind::ClusterFirewallPolicy => custom(
                "/apis/meshwall.io/v1alpha1/clusterfirewallpolicies",
                "clusterfirewallpolicies.meshwall.io",
            ),
            Kind::MeshwallConfig => custom(
                "/apis/meshwall.io/v1alpha1/meshwallconfigs",
                "meshwallconfigs.meshwall.io",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use meshwall_mesh_config::crds;
    use meshwall_policy::document::types::{API_VERSION, GROUP};

    use super::*;

    #[test]
    fn our_kinds_are_asked_for_where_their_definitions_put_them() {
        let mut defined: Vec<String> = crds::all()
            .map(|definition| definition.plural)
            .map(|plural| format!("/apis/{API_VERSION}/{plural} {plural}.{GROUP} {API_VERSION}"))
            .to_vec();
        let mut asked: Vec<String> = Kind::POLICIES
            .map(Resource::of)
            .map(|resource| {
                let definition = resource.definition.unwrap_or_default();
                format!("{} {definition} {}", resource.path, resource.api_version)
            })
            .to_vec();
        defined.sort();
        asked.sort();
        assert_eq!(asked, defined);
    }
}
