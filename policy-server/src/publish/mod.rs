//! From what workloads enforce to resources that proxies ask for.
//!
//! Each workload has a view of its own in the xDS server ([`crate::identity::view`]). In it is the same policy for
//! both ways of delivery (docs/delivery.md):
//!
//! | for | type | names |
//! |---|---|---|
//! | Envoy, which configures its filter (ECDS) | `TypedExtensionConfig` | one for each direction and kind of filter |
//! | the filter, on a stream of its own | `meshwall.v1alpha1.Policy`, `...Chunk` | `policy`, `chunk/HASH` |
//!
//! Versions are hashes of the content, equal on every replica and after a restart. Workloads with
//! equal content share the resources, and so the bytes.

mod delivery;
mod extension;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use meshwall_mesh_config::envoy::Module;
use meshwall_policy::delivery::{CHUNK_TYPE, ManifestError, POLICY_TYPE};
use meshwall_xds_server::protocol::type_url::EXTENSION_CONFIG;
use meshwall_xds_server::protocol::{NameError, Resource, ResourceName, TypeUrl};
use meshwall_xds_server::{Change, ViewKey};

use crate::index::{ContentVersion, Enforced, WorkloadKey};

/// A resource in a view, by its type.
pub type Place = (TypeUrl, ResourceName);

/// The resources of one content, in one edition.
pub type Set = BTreeMap<Place, Arc<Resource>>;

/// Why something is not published.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PublishError {
    /// It is larger than a filter accepts.
    #[error(transparent)]
    TooLarge(#[from] ManifestError),
    /// A resource would have a name that clients cannot ask for.
    #[error("a resource cannot be named: {0}")]
    Name(#[from] NameError),
}

/// Makes resources of what workloads enforce.
#[derive(Debug)]
pub struct Publisher {
    module: Module,
    /// Marks editions as of this process.
    process: u64,
    /// What workloads have now, and in which view.
    published: HashMap<WorkloadKey, (ViewKey, Arc<Set>)>,
    /// For workloads that get the same.
    shared: HashMap<(ContentVersion, u64), Weak<Set>>,
}

impl Publisher {
    /// A publisher for proxies that have the module in this place. `process` is a random number.
    #[must_use]
    pub fn new(module: Module, process: u64) -> Publisher {
        Publisher {
            module,
            process,
            published: HashMap::new(),
            shared: HashMap::new(),
        }
    }

    /// What changes in the views when a workload enforces something else.
    ///
    /// # Errors
    ///
    /// If a program is larger than a filter accepts. The workload then keeps what it has.
    pub fn enforce(
        &mut self,
        workload: &WorkloadKey,
        view: &ViewKey,
        enforced: &Enforced,
    ) -> Result<Vec<Change>, PublishError> {
        let set = self.set(enforced)?;
        let now = (view.clone(), Arc::clone(&set));
        let before = self.published.insert(workload.clone(), now);
        let (before_view, before) = before.unwrap_or_else(|| (view.clone(), Arc::default()));
        let stays = |place: &Place| before_view == *view && set.contains_key(place);
        let gone = before.keys().filter(|place| !stays(place));
        let removed = gone.map(|place| remove(&before_view, place));
        let new = set.iter().map(|((type_url, _), resource)| Change::Set {
            view: view.clone(),
            type_url: type_url.clone(),
            resource: Arc::clone(resource),
        });
        Ok(removed.chain(new).collect())
    }

    /// What changes in the views when a workload is gone.
    pub fn forget(&mut self, workload: &WorkloadKey) -> Vec<Change> {
        let Some((view, set)) = self.published.remove(workload) else {
            return Vec::new();
        };
        set.keys().map(|place| remove(&view, place)).collect()
    }

    /// The view of a workload, and what is in it.
    #[must_use]
    pub fn published(&self, workload: &WorkloadKey) -> Option<&(ViewKey, Arc<Set>)> {
        self.published.get(workload)
    }

    /// Forgets which resources were shared by workloads that no longer have them.
    pub fn tidy(&mut self) {
        self.shared.retain(|_, set| set.strong_count() > 0);
    }

    fn set(&mut self, enforced: &Enforced) -> Result<Arc<Set>, PublishError> {
        let key = (enforced.version(), enforced.edition);
        if let Some(set) = self.shared.get(&key).and_then(Weak::upgrade) {
            return Ok(set);
        }
        let extension = TypeUrl::from(EXTENSION_CONFIG);
        let extensions = extension::resources(enforced, &self.module, self.process)?
            .into_iter()
            .map(|resource| (extension.clone(), resource));
        let (policy, chunks) = delivery::resources(enforced)?;
        let policy = [(TypeUrl::from(POLICY_TYPE), policy)];
        let chunk = TypeUrl::from(CHUNK_TYPE);
        let chunks = chunks.into_iter().map(|resource| (chunk.clone(), resource));
        let set = extensions.chain(policy).chain(chunks);
        let set = set.map(|(type_url, resource)| {
            let place = (type_url, resource.name.clone());
            (place, Arc::new(resource))
        });
        let set: Arc<Set> = Arc::new(set.collect());
        self.shared.insert(key, Arc::downgrade(&set));
        Ok(set)
    }
}

fn remove(view: &ViewKey, (type_url, name): &Place) -> Change {
    Change::Remove {
        view: view.clone(),
        type_url: type_url.clone(),
        name: name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity;
    use crate::index::{ClusterName, Index, Kind, Mesh, Object};

    /// Two pods of one deployment, and what they enforce.
    fn enforced() -> Vec<(WorkloadKey, Enforced)> {
        let cluster = ClusterName::from("main");
        let mut index = Index::new(Mesh::new(cluster.clone(), "cluster.local"));
        for kind in Kind::ALL {
            index.reset(&cluster, kind, []);
        }
        for name in ["a", "b"] {
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": "shop", "name": name},
            });
            index.apply(&cluster, Object::read(pod).unwrap());
        }
        let mut changed = index.update().changed;
        changed.sort_by(|(a, _), (b, _)| a.cmp(b));
        changed
    }

    fn publisher() -> Publisher {
        let module = Module {
            path: "/etc/meshwall/firewall.wasm".into(),
            sha256: None,
        };
        Publisher::new(module, 7)
    }

    fn resources(changes: &[Change]) -> Vec<(String, &Arc<Resource>)> {
        let set = changes.iter().filter_map(|change| match change {
            Change::Set { resource, .. } => Some((resource.name.to_string(), resource)),
            Change::Remove { .. } => None,
        });
        set.collect()
    }

    #[test]
    fn workloads_with_equal_content_share_it() {
        let enforced = enforced();
        let mut publisher = publisher();
        let mut of = |number: usize| {
            let (workload, enforced) = &enforced[number];
            let view = identity::view(workload, None);
            publisher.enforce(workload, &view, enforced).unwrap()
        };
        let (first, second) = (of(0), of(1));
        let (first, second) = (resources(&first), resources(&second));
        let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "meshwall.egress.http",
                "meshwall.egress.network",
                "meshwall.ingress.http",
                "meshwall.ingress.network",
                "policy",
            ]
        );
        for ((_, first), (_, second)) in first.iter().zip(&second) {
            assert!(Arc::ptr_eq(first, second));
        }
    }

    #[test]
    fn who_runs_as_somebody_else_leaves_the_old_view_empty() {
        let (workload, enforced) = enforced().swap_remove(0);
        let mut publisher = publisher();
        let before = identity::view(&workload, Some("spiffe://cluster.local/ns/shop/sa/a"));
        let after = identity::view(&workload, Some("spiffe://cluster.local/ns/shop/sa/b"));
        let set = publisher.enforce(&workload, &before, &enforced).unwrap();
        let changes = publisher.enforce(&workload, &after, &enforced).unwrap();
        let of = |change: &Change| match change {
            Change::Set { view, .. } => (true, view.clone()),
            Change::Remove { view, .. } => (false, view.clone()),
        };
        let told: Vec<_> = changes.iter().map(of).collect();
        let removed = told.iter().filter(|(set, view)| !set && *view == before);
        assert_eq!(removed.count(), set.len());
        let new = told.iter().filter(|(set, view)| *set && *view == after);
        assert_eq!(new.count(), set.len());

        let gone = publisher.forget(&workload);
        assert!(
            gone.iter()
                .all(|change| of(change) == (false, after.clone()))
        );
        assert_eq!(gone.len(), set.len());
        assert!(publisher.forget(&workload).is_empty());
    }
}
