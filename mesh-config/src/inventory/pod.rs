//! Pods.

use std::collections::BTreeMap;
use std::net::IpAddr;

use meshwall_policy::inventory::Workload;
use meshwall_policy::spec::ObjectRef;

use super::field::{Field, Findings};
use super::{Pod, Why};

/// The service account of a pod that names none.
const DEFAULT_ACCOUNT: &str = "default";

/// The workload that a pod is, and what of it is left out. What is wrong with a pod that has ended
/// or is about to counts as well: it may be asked what it was.
pub(super) fn read(
    pod: &Field<'_>,
    reference: &ObjectRef,
    trust_domain: &str,
    findings: &mut Findings,
) -> Pod {
    let metadata = pod.field("metadata");
    let spec = pod.field("spec");
    let status = pod.field("status");
    let phase = status.field("phase").text(findings);
    let addresses = addresses(&status, findings);
    let why = if matches!(phase, Some("Succeeded" | "Failed")) {
        Some(Why::Ended)
    } else if metadata.field("deletionTimestamp").is_there() {
        Some(Why::Deleted)
    } else if spec.field("hostNetwork").flag(findings) {
        Some(Why::HostNetwork)
    } else if addresses.is_empty() {
        Some(Why::NoAddress)
    } else {
        None
    };
    let account = spec.field("serviceAccountName");
    let service_account = if account.is_there() {
        account.name(findings)
    } else {
        DEFAULT_ACCOUNT
    };
    let workload = Workload {
        namespace: reference.namespace.clone().unwrap_or_default(),
        name: reference.name.clone(),
        labels: metadata.field("labels").texts(findings),
        service_account: service_account.to_owned(),
        trust_domain: trust_domain.to_owned(),
        addresses: if why.is_none() { addresses } else { Vec::new() },
        ports: ports(&spec, findings),
    };
    Pod {
        workload,
        left_out: why,
    }
}

/// All addresses of a pod, each once. `podIP` is the first of `podIPs`; servers before 1.16 have
/// only the former.
fn addresses(status: &Field<'_>, findings: &mut Findings) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    let listed = status.field("podIPs").items(findings);
    let fields = [status.field("podIP")]
        .into_iter()
        .chain(listed.iter().map(|entry| entry.field("ip")));
    for field in fields {
        let address = field.address(findings);
        addresses.extend(address.filter(|address| !addresses.contains(address)));
    }
    addresses
}

/// The named TCP ports of the containers that run beside each other: the containers, and those
/// init containers that are sidecars.
fn ports(spec: &Field<'_>, findings: &mut Findings) -> BTreeMap<String, u16> {
    let mut ports = BTreeMap::new();
    let mut containers = spec.field("containers").items(findings);
    for container in spec.field("initContainers").items(findings) {
        if container.field("restartPolicy").text(findings) == Some("Always") {
            containers.push(container);
        }
    }
    for container in &containers {
        for port in container.field("ports").items(findings) {
            let protocol = port.field("protocol").text(findings).unwrap_or("TCP");
            let name = port.field("name").text(findings);
            let number = port.field("containerPort").port(findings);
            if let (Some(name), Some(number), "TCP") = (name, number, protocol) {
                ports.entry(name.to_owned()).or_insert(number);
            }
        }
    }
    ports
}
