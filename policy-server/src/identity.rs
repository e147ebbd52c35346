//! Who may have which policy.
//!
//! A proxy says which pod it is beside; its certificate proves what it runs as. Both must fit
//! together: the pod that is named must run as the account of the certificate. So nobody reads the
//! policy of another workload, and nobody hides behind another one's.
//!
//! A pod that has just started may connect before its cluster has told of it. It is let in if its
//! certificate is of the namespace that it names, and waits in a view that stays empty until the
//! pod is known to run as that account: the account is a part of the view's name.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use meshwall_xds_server::protocol::Node;
use meshwall_xds_server::{Authorizer, Denied, Peer, ViewKey};

use crate::index::{ClusterName, WorkloadKey};

/// What the metadata of a node calls the cluster. Istio sets it.
const CLUSTER_ID: &str = "CLUSTER_ID";

/// The view of a workload. `principal` is what it runs as, or what its proxy has proven; `None` if
/// proxies need not prove anything.
#[must_use]
pub fn view(workload: &WorkloadKey, principal: Option<&str>) -> ViewKey {
    let name = match principal {
        Some(principal) => format!("{workload} {principal}"),
        None => workload.to_string(),
    };
    ViewKey::from(name.as_str())
}

/// The workload of a view.
#[must_use]
pub fn workload(view: &ViewKey) -> Option<WorkloadKey> {
    let (workload, _) = view.as_str().split_once(' ').unwrap_or((view.as_str(), ""));
    let (cluster, rest) = workload.split_once('/')?;
    let (namespace, name) = rest.split_once('/')?;
    Some(WorkloadKey {
        cluster: ClusterName::from(cluster),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

/// What workloads run as, and the rule by which a proxy is believed.
#[derive(Debug)]
pub struct Identities {
    /// Trust domain of each cluster.
    clusters: HashMap<ClusterName, String>,
    /// The cluster of nodes that name none, if there is but one.
    only: Option<ClusterName>,
    /// Whether proxies prove what they are. Without TLS they cannot, and are believed.
    proven: bool,
    principals: RwLock<HashMap<WorkloadKey, String>>,
}

impl Identities {
    /// Knows no workload yet. `clusters` are names with trust domains.
    #[must_use]
    pub fn new(clusters: impl IntoIterator<Item = (ClusterName, String)>, proven: bool) -> Self {
        let clusters: HashMap<ClusterName, String> = clusters.into_iter().collect();
        let mut names = clusters.keys();
        let only = names.next().filter(|_| clusters.len() == 1).cloned();
        Self {
            clusters,
            only,
            proven,
            principals: RwLock::default(),
        }
    }

    /// A workload runs as this from now on. Returns its view.
    pub fn set(&self, workload: &WorkloadKey, principal: String) -> ViewKey {
        let view = view(workload, self.proven.then_some(principal.as_str()));
        self.write().insert(workload.clone(), principal);
        view
    }

    /// A workload is gone.
    pub fn remove(&self, workload: &WorkloadKey) {
        self.write().remove(workload);
    }

    /// What a workload runs as.
    #[must_use]
    pub fn principal(&self, workload: &WorkloadKey) -> Option<String> {
        self.read().get(workload).cloned()
    }

    /// What the proxy of a workload has to prove; `None` if it need not, or nothing is known.
    #[must_use]
    pub fn proven(&self, workload: &WorkloadKey) -> Option<String> {
        self.principal(workload).filter(|_| self.proven)
    }

    /// The workload that a node says it is.
    fn named(&self, node: &Node) -> Result<WorkloadKey, Denied> {
        let (namespace, name) = pod(&node.id).ok_or_else(|| {
            denied(format!(
                "the node id `{}` is neither `NAMESPACE/POD` nor Istio's \
                 `sidecar~ADDRESS~POD.NAMESPACE~DOMAIN`",
                node.id
            ))
        })?;
        let cluster = match node.metadata.get(CLUSTER_ID) {
            Some(cluster) => ClusterName::from(cluster.as_str()),
            None => self.only.clone().ok_or_else(|| {
                denied(format!(
                    "the node `{}` does not name its cluster in the metadata `{CLUSTER_ID}`, and \
                     there are several",
                    node.id
                ))
            })?,
        };
        if !self.clusters.contains_key(&cluster) {
            return Err(denied(format!("there is no cluster `{cluster}`")));
        }
        Ok(WorkloadKey {
            cluster,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<WorkloadKey, String>> {
        // Each change is one insertion or removal: there is no half of it.
        self.principals
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<WorkloadKey, String>> {
        self.principals
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authorizer for Identities {
    fn authorize(&self, peer: &Peer, node: &Node) -> Result<ViewKey, Denied> {
        let workload = self.named(node)?;
        if !self.proven {
            return Ok(view(&workload, None));
        }
        let names = peer
            .certificate
            .as_ref()
            .map(|certificate| &certificate.uri_names);
        let proven = match names.map(Vec::as_slice) {
            Some([name]) => name,
            None | Some([]) => return Err(denied("no SPIFFE id was shown".to_owned())),
            Some(names) => {
                let names = names.join("`, `");
                return Err(denied(format!(
                    "the certificate has several URI names, which is no identity: `{names}`"
                )));
            }
        };
        let expected = self.principal(&workload);
        let fits = match &expected {
            Some(principal) => principal == proven,
            None => {
                let domain = self.clusters.get(&workload.cluster);
                domain.is_some_and(|domain| is_of(proven, domain, &workload.namespace))
            }
        };
        if fits {
            return Ok(view(&workload, Some(proven)));
        }
        Err(denied(match expected {
            Some(principal) => {
                format!("`{workload}` runs as `{principal}`, and `{proven}` says to be it")
            }
            None => format!("`{proven}` cannot be `{workload}`"),
        }))
    }
}

/// Namespace and name of the pod that a node id names.
fn pod(id: &str) -> Option<(&str, &str)> {
    let mut parts = id.split('~');
    let (namespace, name) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(plain), None, None, None) => plain.split_once('/')?,
        // Names of pods have dots in them, names of namespaces have none.
        (Some(_), Some(_), Some(pod), Some(_)) if parts.next().is_none() => {
            let (name, namespace) = pod.rsplit_once('.')?;
            (namespace, name)
        }
        _ => return None,
    };
    let is_name = |name: &str| {
        let mut bytes = name.bytes();
        !name.is_empty()
            && bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
    };
    (is_name(namespace) && is_name(name)).then_some((namespace, name))
}

/// Whether a SPIFFE id is of a service account of this namespace and trust domain.
fn is_of(principal: &str, trust_domain: &str, namespace: &str) -> bool {
    let account = principal
        .strip_prefix("spiffe://")
        .and_then(|rest| rest.strip_prefix(trust_domain))
        .and_then(|rest| rest.strip_prefix("/ns/"))
        .and_then(|rest| rest.strip_prefix(namespace))
        .and_then(|rest| rest.strip_prefix("/sa/"));
    account.is_some_and(|account| !account.is_empty() && !account.contains('/'))
}

fn denied(reason: String) -> Denied {
    Denied { reason }
}

#[cfg(test)]
mod tests {
    use meshwall_xds_server::PeerCertificate;

    use super::*;

    const WEB: &str = "spiffe://mesh.example/ns/shop/sa/web";

    fn identities(clusters: &[&str]) -> Identities {
        let clusters = clusters
            .iter()
            .map(|name| (ClusterName::from(*name), "mesh.example".to_owned()));
        let identities = Identities::new(clusters, true);
        identities.set(&key("east", "shop", "web-0"), WEB.to_owned());
        identities
    }

    fn key(cluster: &str, namespace: &str, name: &str) -> WorkloadKey {
        WorkloadKey {
            cluster: ClusterName::from(cluster),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn peer(uri_names: &[&str]) -> Peer {
        Peer {
            address: ([127, 0, 0, 1], 1).into(),
            certificate: Some(PeerCertificate {
                uri_names: uri_names.iter().map(|name| (*name).to_owned()).collect(),
            }),
        }
    }

    fn node(id: &str, cluster: Option<&str>) -> Node {
        let metadata = cluster.map(|name| (CLUSTER_ID.to_owned(), name.to_owned()));
        Node {
            id: id.to_owned(),
            metadata: metadata.into_iter().collect(),
            ..Node::default()
        }
    }

    #[test]
    fn a_proxy_has_the_view_of_the_pod_that_it_is_beside() {
        let identities = identities(&["east"]);
        let expected = view(&key("east", "shop", "web-0"), Some(WEB));
        for id in [
            "shop/web-0",
            "sidecar~10.0.0.1~web-0.shop~shop.svc.cluster.local",
        ] {
            let found = identities.authorize(&peer(&[WEB]), &node(id, None));
            assert_eq!(found, Ok(expected.clone()), "{id}");
            assert_eq!(workload(&expected), Some(key("east", "shop", "web-0")));
        }
    }

    #[test]
    fn who_is_not_the_pod_is_refused() {
        let identities = identities(&["east", "west"]);
        let other = "spiffe://mesh.example/ns/shop/sa/other";
        let elsewhere = "spiffe://mesh.example/ns/dev/sa/web";
        let foreign = "spiffe://evil.example/ns/shop/sa/web";
        let cases: &[(&[&str], &str, Option<&str>, &str)] = &[
            (&[other], "shop/web-0", Some("east"), "runs as"),
            (&[elsewhere], "shop/web-1", Some("east"), "cannot be"),
            (&[foreign], "shop/web-1", Some("east"), "cannot be"),
            (
                &[WEB, other],
                "shop/web-0",
                Some("east"),
                "several URI names",
            ),
            (&[], "shop/web-0", Some("east"), "no SPIFFE id"),
            (&[WEB], "shop/web-0", None, "does not name its cluster"),
            (&[WEB], "shop/web-0", Some("north"), "no cluster `north`"),
            (&[WEB], "web-0", Some("east"), "is neither"),
            (&[WEB], "shop/", Some("east"), "is neither"),
            (&[WEB], "shop/web-0 x", Some("east"), "is neither"),
            (&[WEB], "a~b~web-0.shop", Some("east"), "is neither"),
        ];
        for (names, id, cluster, reason) in cases {
            let denied = identities.authorize(&peer(names), &node(id, *cluster));
            let denied = denied.unwrap_err().reason;
            assert!(denied.contains(reason), "{names:?} {id}: {denied}");
        }
    }

    #[test]
    fn a_pod_that_is_not_known_yet_waits_as_what_it_has_proven() {
        let identities = identities(&["east"]);
        let waiting = identities.authorize(&peer(&[WEB]), &node("shop/web-1", None));
        let waiting = waiting.unwrap();
        let other = "spiffe://mesh.example/ns/shop/sa/other".to_owned();
        assert_ne!(
            identities.set(&key("east", "shop", "web-1"), other),
            waiting
        );
        let known = identities.set(&key("east", "shop", "web-1"), WEB.to_owned());
        assert_eq!(known, waiting);
    }

    #[test]
    fn without_tls_a_node_is_believed() {
        let identities = Identities::new([(ClusterName::from("local"), String::new())], false);
        let peer = Peer {
            address: ([127, 0, 0, 1], 1).into(),
            certificate: None,
        };
        let found = identities.authorize(&peer, &node("shop/web-0", None));
        assert_eq!(found, Ok(view(&key("local", "shop", "web-0"), None)));
    }
}
