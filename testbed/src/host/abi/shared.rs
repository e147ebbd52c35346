//! Shared data and shared queues.

use super::guest::{Guest, slice};
use crate::host::shared::Consumer;
use crate::host::status::Status;

pub(super) fn get(
    guest: &mut Guest<'_>,
    key: u32,
    key_length: u32,
    address_at: u32,
    length_at: u32,
    version_at: u32,
) -> Result<(), Status> {
    let host = guest.host();
    let key = guest.read(key, key_length)?;
    let (value, version) = host.shared.data(&host.vm_id, key).ok_or(Status::NotFound)?;
    guest.give(&value, address_at, length_at)?;
    guest.write_u32(version_at, version)
}

pub(super) fn set(
    guest: &mut Guest<'_>,
    key: u32,
    key_length: u32,
    value: u32,
    value_length: u32,
    version: u32,
) -> Result<(), Status> {
    let (memory, host) = guest.parts()?;
    let key = slice(memory, key, key_length)?;
    let value = slice(memory, value, value_length)?;
    host.shared.set_data(&host.vm_id, key, value, version)
}

/// The root context becomes the queue's consumer.
pub(super) fn register(
    guest: &mut Guest<'_>,
    name: u32,
    name_length: u32,
    token_at: u32,
) -> Result<(), Status> {
    let host = guest.host();
    let consumer = Consumer {
        machine: host.machine,
        context: host.root_of(host.acting()),
    };
    let name = guest.read(name, name_length)?;
    let token = host.shared.register(&host.vm_id, name, consumer);
    guest.write_u32(token_at, token)
}

/// An empty `vm_id` means the filter's own.
pub(super) fn resolve(
    guest: &mut Guest<'_>,
    vm_id: u32,
    vm_id_length: u32,
    name: u32,
    name_length: u32,
    token_at: u32,
) -> Result<(), Status> {
    let host = guest.host();
    let vm_id = guest.read(vm_id, vm_id_length)?;
    let name = guest.read(name, name_length)?;
    let vm_id = if vm_id.is_empty() { &host.vm_id } else { vm_id };
    let token = host.shared.resolve(vm_id, name).ok_or(Status::NotFound)?;
    guest.write_u32(token_at, token)
}

pub(super) fn enqueue(
    guest: &mut Guest<'_>,
    token: u32,
    item: u32,
    item_length: u32,
) -> Result<(), Status> {
    let item = guest.read(item, item_length)?.to_vec();
    guest.host().shared.enqueue_token(token, item)
}

pub(super) fn dequeue(
    guest: &mut Guest<'_>,
    token: u32,
    address_at: u32,
    length_at: u32,
) -> Result<(), Status> {
    let item = guest.host().shared.dequeue(token)?;
    guest.give(&item, address_at, length_at)
}
