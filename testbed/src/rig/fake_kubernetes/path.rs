//! Paths and queries of requests.

use std::collections::BTreeMap;

/// What a path names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Target {
    /// API group; empty for the core group.
    pub(super) group: String,
    /// Name of the kind in URLs.
    pub(super) plural: String,
    /// None for objects of all namespaces, and for those that are in none.
    pub(super) namespace: Option<String>,
    /// None for a collection.
    pub(super) name: Option<String>,
    /// Whether it is the status of an object.
    pub(super) status: bool,
}

impl Target {
    /// Reads `/api/v1/...` and `/apis/GROUP/VERSION/...`; none if it is neither.
    pub(super) fn parse(path: &str) -> Option<Target> {
        let mut parts = path.trim_matches('/').split('/');
        let group = match parts.next()? {
            "api" => String::new(),
            "apis" => parts.next()?.to_owned(),
            _ => return None,
        };
        let _version = parts.next()?;
        let parts: Vec<&str> = parts.collect();
        let (namespace, rest) = match parts.as_slice() {
            ["namespaces", namespace, rest @ ..] if !matches!(rest, [] | ["status"]) => {
                (Some((*namespace).to_owned()), rest)
            }
            rest => (None, rest),
        };
        let target = |plural: &str, name: Option<&str>, status| Target {
            group,
            plural: plural.to_owned(),
            namespace,
            name: name.map(str::to_owned),
            status,
        };
        match rest {
            [plural] => Some(target(plural, None, false)),
            [plural, name] => Some(target(plural, Some(name), false)),
            [plural, name, "status"] => Some(target(plural, Some(name), true)),
            _ => None,
        }
    }
}

/// The parameters of a query, decoded.
pub(super) fn parameters(query: &str) -> BTreeMap<String, String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()].map(Option::unwrap_or_default);
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                u8::from_str_radix(digits, 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_collections_objects_and_their_status() {
        let named = |path: &str| {
            Target::parse(path).map(|target| {
                format!(
                    "{}|{}|{}|{}|{}",
                    target.group,
                    target.plural,
                    target.namespace.unwrap_or("-".to_owned()),
                    target.name.unwrap_or("-".to_owned()),
                    target.status
                )
            })
        };
        for (path, expected) in [
            ("/api/v1/pods", Some("|pods|-|-|false")),
            ("/api/v1/namespaces", Some("|namespaces|-|-|false")),
            ("/api/v1/namespaces/shop", Some("|namespaces|-|shop|false")),
            (
                "/api/v1/namespaces/shop/status",
                Some("|namespaces|-|shop|true"),
            ),
            ("/api/v1/namespaces/shop/pods", Some("|pods|shop|-|false")),
            (
                "/api/v1/namespaces/shop/pods/web/status",
                Some("|pods|shop|web|true"),
            ),
            (
                "/apis/meshwall.io/v1alpha1/meshwallconfigs/mesh",
                Some("meshwall.io|meshwallconfigs|-|mesh|false"),
            ),
            ("/readyz", None),
            ("/api/v1", None),
        ] {
            assert_eq!(named(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let parameters = parameters("fieldSelector=status.phase%21%3DFailed&watch=1&flag");
        assert_eq!(parameters["fieldSelector"], "status.phase!=Failed");
        assert_eq!(parameters["watch"], "1");
        assert_eq!(parameters.len(), 2);
    }
}
