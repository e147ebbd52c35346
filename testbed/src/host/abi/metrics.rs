//! Metrics.

use super::guest::{Guest, slice};
use crate::host::status::Status;

pub(super) fn define(
    guest: &mut Guest<'_>,
    kind: u32,
    name: u32,
    name_length: u32,
    id_at: u32,
) -> Result<(), Status> {
    let (memory, host) = guest.parts()?;
    let name = slice(memory, name, name_length)?.to_vec();
    let id = host.metrics.define(kind, name)?;
    guest.write_u32(id_at, id)
}

pub(super) fn increment(guest: &mut Guest<'_>, id: u32, offset: i64) -> Result<(), Status> {
    guest.host_mut().metrics.increment(id, offset)
}

pub(super) fn record(guest: &mut Guest<'_>, id: u32, value: u64) -> Result<(), Status> {
    guest.host_mut().metrics.record(id, value)
}

pub(super) fn get(guest: &mut Guest<'_>, id: u32, value_at: u32) -> Result<(), Status> {
    let value = guest.host_mut().metrics.value(id)?;
    guest.write_u64(value_at, value)
}
