//! Objects, their resource versions, and what happened to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer::{Failure, NO_PAGE};
use super::path::Target;
use super::selector::Selector;

/// The definitions of custom resources: objects that make kinds.
const DEFINITIONS: &str = "customresourcedefinitions";

/// A kind that is served.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) name: String,
    pub(super) namespaced: bool,
    /// Whether `status` is written apart.
    pub(super) has_status: bool,
    /// Whether changes of anything but metadata and status are counted, and whether items of lists
    /// say what they are.
    pub(super) custom: bool,
}

impl Kind {
    fn core(plural: &str, name: &str, namespaced: bool) -> Kind {
        Kind {
            group: String::new(),
            version: "v1".to_owned(),
            plural: plural.to_owned(),
            name: name.to_owned(),
            namespaced,
            has_status: plural != "serviceaccounts",
            custom: false,
        }
    }

    /// The kind that a definition defines, by its first version.
    fn defined(definition: &Value) -> Option<Kind> {
        let spec = definition.get("spec")?;
        let text = |pointer: &str| spec.pointer(pointer)?.as_str().map(str::to_owned);
        Some(Kind {
            group: text("/group")?,
            version: text("/versions/0/name")?,
            plural: text("/names/plural")?,
            name: text("/names/kind")?,
            namespaced: text("/scope")? == "Namespaced",
            has_status: spec.pointer("/versions/0/subresources/status").is_some(),
            custom: true,
        })
    }

    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// How the API server calls objects of this kind in its messages.
    fn described(&self, name: &str) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        format!("{}{dot}{} \"{name}\"", self.plural, self.group)
    }
}

/// Plural, namespace (empty for none), name.
type Key = (String, String, String);

/// One change of one object.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) revision: u64,
    key: Key,
    before: Option<Arc<Value>>,
    after: Option<Arc<Value>>,
}

impl Change {
    /// What the change is to those who watch this kind with this selector, as `type` and `object`.
    pub(super) fn event(&self, plural: &str, selector: &Selector) -> Option<(&'static str, Value)> {
        if self.key.0 != plural {
            return None;
        }
        let selected = |object: &Option<Arc<Value>>| {
            let object = object.as_deref();
            object.filter(|object| selector.selects(object)).cloned()
        };
        match (selected(&self.before), selected(&self.after)) {
            (None, None) => None,
            (None, Some(after)) => Some(("ADDED", after)),
            (Some(_), Some(after)) => Some(("MODIFIED", after)),
            (Some(mut before), None) => {
                set_metadata(&mut before, "resourceVersion", self.revision.to_string());
                Some(("DELETED", before))
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Store {
    kinds: Vec<Kind>,
    objects: BTreeMap<Key, Arc<Value>>,
    history: Vec<Change>,
    revision: u64,
    /// What happened up to this revision is forgotten.
    compacted: u64,
    /// How often all watches were to be sent a bookmark.
    bookmarks: u64,
}

impl Default for Store {
    fn default() -> Self {
        let definitions = Kind {
            group: "apiextensions.k8s.io".to_owned(),
            custom: true,
            ..Kind::core(DEFINITIONS, "CustomResourceDefinition", false)
        };
        Store {
            kinds: vec![
                Kind::core("namespaces", "Namespace", false),
                Kind::core("pods", "Pod", true),
                Kind::core("serviceaccounts", "ServiceAccount", true),
                Kind::core("services", "Service", true),
                definitions,
            ],
            objects: BTreeMap::new(),
            history: Vec::new(),
            revision: 1,
            compacted: 0,
            bookmarks: 0,
        }
    }
}

impl Store {
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn bookmarks(&self) -> u64 {
        self.bookmarks
    }

    pub(super) fn bookmark(&mut self) {
        self.bookmarks += 1;
    }

    pub(super) fn compact(&mut self) {
        self.compacted = self.revision;
        self.history.clear();
    }

    /// The kind that a target is about.
    pub(super) fn kind(&self, target: &Target) -> Result<Kind, Failure> {
        let mut kinds = self.kinds.iter();
        let kind = kinds.find(|kind| kind.plural == target.plural && kind.group == target.group);
        kind.cloned().ok_or_else(|| {
            let known = self.kinds.iter().any(|kind| kind.group == target.group);
            let message = if known {
                "the server could not find the requested resource"
            } else {
                NO_PAGE
            };
            Failure::new(404, message)
        })
    }

    pub(super) fn is_served(&self, plural: &str) -> bool {
        self.kinds.iter().any(|kind| kind.plural == plural)
    }

    pub(super) fn read(&self, kind: &Kind, target: &Target) -> Result<Arc<Value>, Failure> {
        let key = key(target);
        let missing = || Failure::new(404, format!("{} not found", kind.described(&key.2)));
        self.objects.get(&key).cloned().ok_or_else(missing)
    }

    /// The objects of a kind at a revision, in their order.
    pub(super) fn list(
        &self,
        kind: &Kind,
        selector: &Selector,
        revision: u64,
    ) -> Result<Vec<Arc<Value>>, Failure> {
        self.remembers(revision)?;
        let mut objects = self.objects.clone();
        let later = |change: &&Change| change.revision > revision;
        for change in self.history.iter().rev().take_while(later) {
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                None => objects.remove(&change.key),
            };
        }
        let of_kind = objects.into_iter().filter(|(key, _)| key.0 == kind.plural);
        let objects = of_kind.map(|(_, object)| object);
        Ok(objects.filter(|object| selector.selects(object)).collect())
    }

    /// What happened after a revision.
    pub(super) fn changes(&self, revision: u64) -> Result<&[Change], Failure> {
        self.remembers(revision)?;
        let first = self
            .history
            .partition_point(|change| change.revision <= revision);
        Ok(self.history.get(first..).unwrap_or_default())
    }

    fn remembers(&self, revision: u64) -> Result<(), Failure> {
        if revision >= self.compacted {
            return Ok(());
        }
        let message = format!(
            "too old resource version: {revision} ({})",
            self.compacted + 1
        );
        Err(Failure::new(410, message))
    }

    pub(super) fn create(
        &mut self,
        kind: &Kind,
        target: &Target,
        mut object: Value,
    ) -> Result<Arc<Value>, Failure> {
        let name = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if name.is_empty() || target.namespace.is_some() != kind.namespaced {
            return Err(Failure::new(400, "an object needs its name and namespace"));
        }
        let target = Target {
            name: Some(name.to_owned()),
            ..target.clone()
        };
        if let Some(namespace) = &target.namespace {
            let key = ("namespaces".to_owned(), String::new(), namespace.clone());
            if !self.objects.contains_key(&key) {
                let message = format!("namespaces \"{namespace}\" not found");
                return Err(Failure::new(404, message));
            }
        }
        if self.read(kind, &target).is_ok() {
            let described = kind.described(name);
            return Err(Failure::new(409, format!("{described} already exists")));
        }
        let fields = as_object(&mut object);
        fields.insert("apiVersion".to_owned(), kind.api_version().into());
        fields.insert("kind".to_owned(), kind.name.as_str().into());
        if kind.has_status {
            fields.shift_remove("status");
        }
        let status = match kind.plural.as_str() {
            "pods" => Some(json!({"phase": "Pending"})),
            "namespaces" => Some(json!({"phase": "Active"})),
            DEFINITIONS => Some(json!({
                "conditions": [{"type": "Established", "status": "True"}],
            })),
            _ => None,
        };
        fields.extend(status.map(|status| ("status".to_owned(), status)));
        if let Some(namespace) = &target.namespace {
            set_metadata(&mut object, "namespace", namespace.as_str());
        }
        let uid = format!("00000000-0000-0000-0000-{:012}", self.revision + 1);
        set_metadata(&mut object, "uid", uid);
        set_metadata(&mut object, "creationTimestamp", "2026-01-01T00:00:00Z");
        if kind.custom {
            set_metadata(&mut object, "generation", 1);
        }
        if kind.plural == DEFINITIONS {
            let defined = Kind::defined(&object);
            self.kinds.extend(defined);
        }
        Ok(self.write(key(&target), object))
    }

    /// Replaces an object, or its status.
    pub(super) fn replace(
        &mut self,
        kind: &Kind,
        target: &Target,
        mut object: Value,
    ) -> Result<Arc<Value>, Failure> {
        let current = self.read(kind, target)?;
        let of = |object: &Value, pointer: &str| object.pointer(pointer).cloned();
        let version = of(&object, "/metadata/resourceVersion");
        if version.is_some() && version != of(&current, "/metadata/resourceVersion") {
            let message = format!(
                "Operation cannot be fulfilled on {}: the object has been modified; please apply \
                 your changes to the latest version and try again",
                kind.described(target.name.as_deref().unwrap_or_default())
            );
            return Err(Failure::new(409, message));
        }
        let status = of(if target.status { &object } else { &current }, "/status");
        if target.status {
            object = Value::clone(&current);
        }
        if target.status || kind.has_status {
            let fields = as_object(&mut object);
            fields.shift_remove("status");
            fields.extend(status.map(|status| ("status".to_owned(), status)));
        }
        for name in ["uid", "creationTimestamp", "generation", "resourceVersion"] {
            if let Some(value) = of(&current, &format!("/metadata/{name}")) {
                set_metadata(&mut object, name, value);
            }
        }
        if object == *current {
            return Ok(current);
        }
        if kind.custom && specified(&object) != specified(&current) {
            let generation = of(&current, "/metadata/generation").and_then(|value| value.as_u64());
            set_metadata(
                &mut object,
                "generation",
                generation.unwrap_or_default() + 1,
            );
        }
        Ok(self.write(key(target), object))
    }

    /// Deletes an object; with a namespace what is in it, and with a definition what it defines.
    pub(super) fn delete(&mut self, kind: &Kind, target: &Target) -> Result<Arc<Value>, Failure> {
        let object = self.read(kind, target)?;
        let key = key(target);
        if kind.plural == "namespaces" {
            self.remove_all(|other| other.1 == key.2);
        }
        if let Some(defined) = Kind::defined(&object).filter(|_| kind.plural == DEFINITIONS) {
            self.remove_all(|other| other.0 == defined.plural);
            self.kinds.retain(|kind| kind.plural != defined.plural);
        }
        if kind.plural == "pods" {
            // A pod is marked before it goes.
            let mut marked = Value::clone(&object);
            set_metadata(&mut marked, "deletionTimestamp", "2026-01-01T00:00:00Z");
            self.write(key.clone(), marked);
        }
        self.remove_all(|other| *other == key);
        Ok(object)
    }

    fn remove_all(&mut self, which: impl Fn(&Key) -> bool) {
        let keys: Vec<Key> = self
            .objects
            .keys()
            .filter(|key| which(key))
            .cloned()
            .collect();
        for key in keys {
            let before = self.objects.remove(&key);
            self.revision += 1;
            self.history.push(Change {
                revision: self.revision,
                key,
                before,
                after: None,
            });
        }
    }

    fn write(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        set_metadata(&mut object, "resourceVersion", self.revision.to_string());
        let object = Arc::new(object);
        let before = self.objects.insert(key.clone(), Arc::clone(&object));
        self.history.push(Change {
            revision: self.revision,
            key,
            before,
            after: Some(Arc::clone(&object)),
        });
        object
    }
}

/// Merges a patch into a value (RFC 7386).
pub(super) fn merge(value: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *value = patch;
        return;
    };
    let fields = as_object(value);
    for (name, patch) in patch {
        if patch.is_null() {
            fields.shift_remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), patch);
        }
    }
}

fn key(target: &Target) -> Key {
    (
        target.plural.clone(),
        target.namespace.clone().unwrap_or_default(),
        target.name.clone().unwrap_or_default(),
    )
}

/// The fields of a value, which is an object from then on.
fn as_object(value: &mut Value) -> &mut Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => {
            *other = Value::Object(Map::new());
            as_object(other)
        }
    }
}

fn set_metadata(object: &mut Value, name: &str, value: impl Into<Value>) {
    let metadata = as_object(object).entry("metadata").or_insert(Value::Null);
    as_object(metadata).insert(name.to_owned(), value.into());
}

/// What is neither metadata nor status.
fn specified(object: &Value) -> Map<String, Value> {
    let fields = object.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
