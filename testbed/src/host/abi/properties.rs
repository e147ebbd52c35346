//! Reading and writing properties.

use super::guest::{Guest, slice};
use super::property_lookup::lookup;
use crate::host::context::Kind;
use crate::host::filter_state::Span;
use crate::host::properties::Path;
use crate::host::status::Status;

pub(super) fn get(
    guest: &mut Guest<'_>,
    path: u32,
    path_length: u32,
    address_at: u32,
    length_at: u32,
) -> Result<(), Status> {
    let path = guest.read(path, path_length)?;
    if path.is_empty() {
        return Err(Status::SerializationFailure);
    }
    let path = Path::from_wire(path);
    let value = lookup(guest.host(), &path)?;
    guest.give(&value, address_at, length_at)
}

/// Sets filter state of the stream, or of the connection if the property was declared so or
/// is there already.
pub(super) fn set(
    guest: &mut Guest<'_>,
    path: u32,
    path_length: u32,
    value: u32,
    value_length: u32,
) -> Result<(), Status> {
    let (memory, host) = guest.parts()?;
    let name = slice(memory, path, path_length)?;
    let value = slice(memory, value, value_length)?;
    let declared = host
        .acting_root()
        .and_then(|root| root.declared.get(name).copied())
        .unwrap_or_default();
    let context = host.acting_context_mut().ok_or(Status::NotFound)?;
    match &mut context.kind {
        Kind::Root(_) => Err(Status::NotFound),
        Kind::Tcp(tcp) => tcp
            .connection
            .state()
            .set_property(name, value, declared.read_only),
        Kind::Http(http) => {
            let mut connection = http.connection.state();
            let on_connection = !http.filter_state.contains_property(name)
                && (connection.contains_property(name) || declared.span == Span::Connection);
            let state = if on_connection {
                &mut *connection
            } else {
                &mut http.filter_state
            };
            state.set_property(name, value, declared.read_only)
        }
    }
}
