//! The firewall as a filter that Envoy asks for (ECDS): the module, and the policy as its
//! configuration. The same as `meshwall render` writes as YAML.

use envoy_types::pb::envoy::config::core::v3::{
    AsyncDataSource, DataSource, TypedExtensionConfig, async_data_source, data_source,
};
use envoy_types::pb::envoy::extensions::filters::{http, network};
use envoy_types::pb::envoy::extensions::wasm::v3::{
    FailurePolicy, PluginConfig, VmConfig, plugin_config,
};
use envoy_types::pb::google::protobuf::{Any, BytesValue};
use meshwall_mesh_config::envoy::contract::{FILTER, VM_ID, discovered};
use meshwall_mesh_config::envoy::{Direction, FilterKind, Module};
use meshwall_policy::spec;
use meshwall_xds_server::protocol::type_url::EXTENSION_CONFIG;
use meshwall_xds_server::protocol::{NameError, Resource, ResourceName, Version};
use prost::{Message, Name};

use crate::index::Enforced;

/// One resource for each direction and kind of filter.
pub(super) fn resources(
    enforced: &Enforced,
    module: &Module,
    process: u64,
) -> Result<Vec<Resource>, NameError> {
    let version = Version::from(enforced.version().to_string().as_str());
    let mut resources = Vec::new();
    for (direction, of_rules) in [
        (Direction::Inbound, spec::Direction::Ingress),
        (Direction::Outbound, spec::Direction::Egress),
    ] {
        // The port is asked of the proxy: one resource is for all listeners.
        let bundle = enforced.bundle(of_rules, None, process);
        for kind in [FilterKind::Http, FilterKind::Network] {
            let name = discovered(kind, direction);
            resources.push(Resource {
                name: ResourceName::new(name)?,
                version: version.clone(),
                body: extension(name, kind, module, bundle.clone()).into(),
                ttl: None,
                aliases: Vec::new(),
            });
        }
    }
    Ok(resources)
}

/// An encoded `Any` with a `TypedExtensionConfig`.
fn extension(name: &str, kind: FilterKind, module: &Module, bundle: Vec<u8>) -> Vec<u8> {
    let config = Some(plugin(kind, module, bundle));
    let filter = match kind {
        FilterKind::Http => any(&http::wasm::v3::Wasm { config }),
        FilterKind::Network => any(&network::wasm::v3::Wasm { config }),
    };
    let extension = TypedExtensionConfig {
        name: name.to_owned(),
        typed_config: Some(filter),
    };
    Any {
        type_url: EXTENSION_CONFIG.to_owned(),
        value: extension.encode_to_vec(),
    }
    .encode_to_vec()
}

fn plugin(kind: FilterKind, module: &Module, bundle: Vec<u8>) -> PluginConfig {
    let file = data_source::Specifier::Filename(module.path.display().to_string());
    let code = DataSource {
        specifier: Some(file),
        ..DataSource::default()
    };
    PluginConfig {
        name: FILTER.to_owned(),
        root_id: kind.root_id().to_owned(),
        configuration: Some(any(&BytesValue { value: bundle })),
        // FAIL_OPEN would let everything pass after a trap, FAIL_CLOSED nothing ever again.
        failure_policy: FailurePolicy::FailReload.into(),
        vm: Some(plugin_config::Vm::VmConfig(VmConfig {
            vm_id: VM_ID.to_owned(),
            runtime: "envoy.wasm.runtime.v8".to_owned(),
            code: Some(AsyncDataSource {
                specifier: Some(async_data_source::Specifier::Local(code)),
            }),
            ..VmConfig::default()
        })),
        ..PluginConfig::default()
    }
}

fn any<M: Message + Name>(message: &M) -> Any {
    Any {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    }
}
