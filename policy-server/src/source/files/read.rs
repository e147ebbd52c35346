//! Objects of a text.

use std::collections::BTreeMap;

use meshwall_policy::document::{self, Document};
use meshwall_policy::spec::ObjectRef;

use crate::index::{Kind, Object, ObjectKey};

/// Reads the objects of a text that are for the index.
///
/// # Errors
///
/// What is wrong with the text, or with a document that does not say which object it is: then it
/// cannot be said what the text holds.
pub(super) fn objects(name: &str, text: &str) -> Result<Vec<Object>, String> {
    let parsed = document::parse(name, text);
    let mut objects = Vec::new();
    for document in parsed.documents {
        let value = match document {
            Document::FirewallPolicy(located) => serde_json::to_value(located.object()),
            Document::ClusterFirewallPolicy(located) => serde_json::to_value(located.object()),
            Document::MeshwallConfig(located) => serde_json::to_value(located.object()),
            Document::Other(other) => Ok(other.value),
        };
        // Objects of other kinds are for other readers, such as scenarios.
        let object = value.ok().and_then(|value| Object::read(value).ok());
        objects.extend(object);
    }
    let mut refused: BTreeMap<ObjectKey, Vec<document::Error>> = BTreeMap::new();
    for error in parsed.errors {
        match error.object.as_ref().and_then(key) {
            Some(key) => refused.entry(key).or_default().push(error),
            None => return Err(error.to_string()),
        }
    }
    let refused = refused.into_iter();
    objects.extend(refused.map(|(key, errors)| Object::refused(key, errors)));
    Ok(objects)
}

fn key(object: &ObjectRef) -> Option<ObjectKey> {
    Some(ObjectKey {
        kind: Kind::named(&object.kind)?,
        namespace: object.namespace.clone(),
        name: object.name.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "
apiVersion: meshwall.io/v1alpha1
kind: FirewallPolicy
metadata: {name: web, namespace: shop}
spec: {ingress: [{action: Allow}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
";

    fn names(objects: &[Object]) -> Vec<String> {
        objects
            .iter()
            .map(|object| object.key().to_string())
            .collect()
    }

    #[test]
    fn objects_of_our_kinds_are_read_and_others_are_not() {
        let objects = objects("a.yaml", RIGHT).unwrap();
        assert_eq!(
            names(&objects),
            ["FirewallPolicy/shop/web", "Namespace/shop"]
        );
        assert!(objects.iter().all(|object| object.refusal().is_none()));
    }

    #[test]
    fn a_wrong_policy_is_one_that_is_refused_with_file_and_line() {
        let objects = objects("a.yaml", &RIGHT.replace("Allow", "Alow")).unwrap();
        assert_eq!(
            names(&objects),
            ["Namespace/shop", "FirewallPolicy/shop/web"]
        );
        let refusal = objects[1].refusal().unwrap().to_string();
        assert!(refusal.starts_with("a.yaml:5:"), "{refusal}");
    }

    #[test]
    fn a_text_of_which_it_cannot_be_said_what_it_holds_is_an_error() {
        for broken in [
            RIGHT.replace("spec: {ingress", "spec: {{ingress"),
            RIGHT.replace("kind: FirewallPolicy", "kind: FirewalPolicy"),
            RIGHT.replace(
                "name: web, namespace: shop}\nspec",
                "namespace: shop}\nspec",
            ),
        ] {
            let error = objects("a.yaml", &broken).unwrap_err();
            assert!(error.starts_with("a.yaml:"), "{error}");
        }
    }
}
