//! Warnings as events of the cluster (`events.k8s.io/v1`), which `kubectl describe` shows with the
//! object.
//!
//! The name of an event is a hash of what it says of which object: who tells it again, be it another
//! replica or this one after a restart, tells nothing new.

use std::hash::{Hash as _, Hasher as _};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use meshwall_policy::document::types::API_VERSION;
use serde_json::Value;
use twox_hash::XxHash64;

use super::desired::cut;
use super::ledger::Warning;
use crate::index::ObjectKey;

/// Bytes of the note of an event, by the API.
const MAX_NOTE: usize = 1_024;

/// Bytes of the name of who tells it, by the API.
const MAX_INSTANCE: usize = 128;

/// Bytes of the name of an object in the name of an event, of 253.
const MAX_NAME: usize = 230;

/// Where events of an object are: with it, or in `default` if it is in no namespace.
pub(super) fn namespace(object: &ObjectKey) -> &str {
    object.namespace.as_deref().unwrap_or("default")
}

/// The event that tells of a warning. `written` is the object as the API server has it.
pub(super) fn event(object: &ObjectKey, written: &Value, warning: &Warning, me: &str) -> Event {
    let uid = written.pointer("/metadata/uid").and_then(Value::as_str);
    let generation = written.pointer("/metadata/generation");
    let mut hasher = XxHash64::default();
    let said = (uid, generation.and_then(Value::as_i64), &warning.reason);
    (said, &warning.message).hash(&mut hasher);
    let name = object.name.get(..MAX_NAME).unwrap_or(&object.name);
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:016x}", hasher.finish())),
            namespace: Some(namespace(object).to_owned()),
            ..ObjectMeta::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some(warning.reason.clone()),
        action: Some("Evaluate".to_owned()),
        note: Some(cut(&warning.message, MAX_NOTE)),
        event_time: Some(MicroTime(Timestamp::now())),
        reporting_controller: Some("meshwall.io/policy-server".to_owned()),
        reporting_instance: Some(cut(me, MAX_INSTANCE)),
        regarding: Some(ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some(object.kind.to_string()),
            namespace: object.namespace.clone(),
            name: Some(object.name.clone()),
            uid: uid.map(str::to_owned),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}
