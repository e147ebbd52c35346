//! The virtual machines of a sidecar, from outside.

use std::collections::BTreeMap;

use meshwall_testbed::rig::envoy::Envoy;
use serde_json::{Value, json};

/// What tells one virtual machine from the next: how many were created, are active, were
/// loaded again, and how many panics were caught.
pub(crate) async fn state(envoy: &Envoy) -> BTreeMap<String, u64> {
    let stats = envoy.stats().await.unwrap();
    let of_vms = stats
        .iter()
        .filter(|(name, _)| name.starts_with("wasm.") || name.contains("meshwall_panics"));
    of_vms
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Leaves the verdict to the firewall: Envoy lets through what it would refuse for its size,
/// and answers itself what the firewall permits, since no backend would take all of it. There
/// is no access log: of a flood it would be the largest file on the machine.
pub(crate) fn only_the_firewall(config: &mut Value) {
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/1/typed_config";
    let manager = config.pointer_mut(manager).unwrap();
    manager["max_request_headers_kb"] = json!(8192);
    manager["common_http_protocol_options"] = json!({ "max_headers_count": 5000 });
    manager["access_log"] = json!([]);
    let route = json!({ "match": { "prefix": "" }, "direct_response": { "status": 200 } });
    manager["route_config"]["virtual_hosts"][0]["routes"] = json!([route]);
}
