//! Selectors of lists and watches.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a list or a watch is about: a namespace, and requirements on labels and fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    pub(super) namespace: Option<String>,
    requirements: Vec<Requirement>,
}

/// `path` is a JSON pointer; what is not there is the empty text.
#[derive(Clone, Debug)]
struct Requirement {
    path: String,
    equal: bool,
    value: String,
}

impl Selector {
    /// Reads the parameters `labelSelector` and `fieldSelector`, as far as they are about equality.
    ///
    /// # Errors
    ///
    /// The requirement that is about something else.
    pub(super) fn parse(
        namespace: Option<String>,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Selector, String> {
        let mut requirements = Vec::new();
        for (parameter, pointer) in [
            ("labelSelector", label as Pointer),
            ("fieldSelector", field),
        ] {
            let text = parameters.get(parameter).map_or("", String::as_str);
            for part in text.split(',').filter(|part| !part.is_empty()) {
                let (equal, split) = match part.split_once("!=") {
                    Some(split) => (false, Some(split)),
                    None => (true, part.split_once("==").or_else(|| part.split_once('='))),
                };
                let (path, value) = split.ok_or_else(|| part.to_owned())?;
                requirements.push(Requirement {
                    path: pointer(path),
                    equal,
                    value: value.to_owned(),
                });
            }
        }
        Ok(Selector {
            namespace,
            requirements,
        })
    }

    pub(super) fn selects(&self, object: &Value) -> bool {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let namespace = self.namespace.as_deref();
        namespace.is_none_or(|namespace| text("/metadata/namespace") == namespace)
            && self.requirements.iter().all(|requirement| {
                (text(&requirement.path) == requirement.value) == requirement.equal
            })
    }
}

type Pointer = fn(&str) -> String;

fn label(key: &str) -> String {
    let key = key.replace('~', "~0").replace('/', "~1");
    format!("/metadata/labels/{key}")
}

fn field(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_and_fields_select() {
        let pod = json!({
            "metadata": {"namespace": "shop", "labels": {"app": "web", "a.b/c": "d"}},
            "status": {"phase": "Running"},
        });
        for (namespace, labels, fields, selected) in [
            ("shop", "", "", true),
            ("bank", "", "", false),
            ("", "app=web,a.b/c==d", "", true),
            ("", "app!=web", "", false),
            ("", "app=api", "", false),
            ("", "", "status.phase!=Failed,status.phase!=Succeeded", true),
            ("", "", "status.phase=Failed", false),
            ("", "", "spec.nodeName=", true),
        ] {
            let parameters = BTreeMap::from([
                ("labelSelector".to_owned(), labels.to_owned()),
                ("fieldSelector".to_owned(), fields.to_owned()),
            ]);
            let namespace = Some(namespace.to_owned()).filter(|name| !name.is_empty());
            let selector = Selector::parse(namespace, &parameters).unwrap();
            assert_eq!(selector.selects(&pod), selected, "{parameters:?}");
        }
    }

    #[test]
    fn what_is_not_about_equality_is_refused() {
        let parameters = BTreeMap::from([("labelSelector".to_owned(), "app in (a)".to_owned())]);
        assert_eq!(
            Selector::parse(None, &parameters).unwrap_err(),
            "app in (a)"
        );
    }
}
