//! Logging, time, the status of calls, foreign functions.

use super::guest::Guest;
use crate::host::clock::nanos;
use crate::host::context::{Context, Kind, Tick};
use crate::host::filter_state::{Declaration, Span};
use crate::host::log::LogLevel;
use crate::host::pairs::length;
use crate::host::proto::{Field, fields};
use crate::host::state::Host;
use crate::host::status::Status;

/// The objects of filter state that a filter can make in Envoy 1.40.
const FILTER_STATE_OBJECTS: [&str; 19] = [
    "envoy.ai.llm_protocol.request",
    "envoy.ai.model.request",
    "envoy.filters.listener.original_dst.local_ip",
    "envoy.filters.listener.original_dst.remote_ip",
    "envoy.hashable_string",
    "envoy.network.application_protocols",
    "envoy.network.ip",
    "envoy.network.network_namespace",
    "envoy.network.transport_socket.http_11_proxy.info",
    "envoy.network.transport_socket.original_dst_address",
    "envoy.network.upstream_server_name",
    "envoy.network.upstream_subject_alt_names",
    "envoy.ratelimit.hits_addend",
    "envoy.string",
    "envoy.tcp_proxy.cluster",
    "envoy.tcp_proxy.disable_tunneling",
    "envoy.tcp_proxy.per_connection_idle_timeout_ms",
    "envoy.upstream.dynamic_host",
    "envoy.upstream.dynamic_port",
];

pub(super) fn log(
    guest: &mut Guest<'_>,
    level: u32,
    text: u32,
    text_length: u32,
) -> Result<(), Status> {
    let level = LogLevel::from_code(level).ok_or(Status::BadArgument)?;
    let message = guest.read(text, text_length)?.to_vec();
    guest.host().write_log(level, message);
    Ok(())
}

pub(super) fn log_level(guest: &mut Guest<'_>, level_at: u32) -> Result<(), Status> {
    let level = guest.host().log.level() as u32;
    guest.write_u32(level_at, level)
}

pub(super) fn current_time(guest: &mut Guest<'_>, time_at: u32) -> Result<(), Status> {
    let now = guest.host().clock.now_nanos();
    guest.write_u64(time_at, now)
}

/// The timer belongs to the root context. A period of 0 stops it.
pub(super) fn set_tick_period(
    guest: &mut Guest<'_>,
    period_milliseconds: u32,
) -> Result<(), Status> {
    let host = guest.host_mut();
    let now = host.clock.now_nanos();
    let period = nanos(std::time::Duration::from_millis(period_milliseconds.into()));
    if let Some(root) = host.acting_root_mut() {
        root.tick = (period > 0).then(|| Tick {
            period,
            due: now.saturating_add(period),
        });
    }
    Ok(())
}

pub(super) fn status(
    guest: &mut Guest<'_>,
    code_at: u32,
    address_at: u32,
    length_at: u32,
) -> Result<(), Status> {
    let (code, message) = guest
        .host()
        .acting_root()
        .map(|root| root.status.clone())
        .unwrap_or_default();
    guest.write_u32(code_at, code)?;
    guest.give(&message, address_at, length_at)
}

/// Functions of the test come first, then those of Envoy that this host knows.
pub(super) fn call_foreign_function(
    guest: &mut Guest<'_>,
    name: u32,
    name_length: u32,
    argument: u32,
    argument_length: u32,
    address_at: u32,
    length_at: u32,
) -> Result<(), Status> {
    let name = guest.read(name, name_length)?.to_vec();
    let argument = guest.read(argument, argument_length)?.to_vec();
    let result = match (guest.host().foreign.find(&name), name.as_slice()) {
        (Some(function), _) => function(&argument),
        (None, b"clear_route_cache") => {
            clear_route_cache(guest);
            Ok(Vec::new())
        }
        (None, b"declare_property") => declare_property(guest, &argument).map(|()| Vec::new()),
        (None, b"set_envoy_filter_state") => {
            set_envoy_filter_state(guest, &argument).map(|()| Vec::new())
        }
        (None, _) => return Err(Status::NotFound),
    };
    // The result's place is written in any case; only the status tells success.
    let bytes = result.as_deref().unwrap_or_default();
    let wanted = address_at != 0;
    let address = if bytes.is_empty() || !wanted {
        0
    } else {
        guest.allocate(length(bytes.len()))?
    };
    if address != 0 {
        guest.write(address, bytes)?;
    }
    if wanted {
        guest.write_u32(address_at, address)?;
    }
    if length_at != 0 {
        guest.write_u32(length_at, length(bytes.len()))?;
    }
    result.map(|_| ())
}

/// Envoy's `DeclarePropertyArguments`: name = 1, readonly = 2, type = 3, schema = 4,
/// span = 5. The type decides only how other extensions see the value. The second
/// declaration of a name is refused.
///
/// Like all of Envoy's own foreign functions it works on the context whose callback runs,
/// whatever the effective one is; and only a root context's declarations are ever looked at.
fn declare_property(guest: &mut Guest<'_>, argument: &[u8]) -> Result<(), Status> {
    let mut name: &[u8] = &[];
    let mut declaration = Declaration::default();
    for (number, field) in fields(argument).ok_or(Status::BadArgument)? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = bytes,
            (2, Field::Varint(read_only)) => declaration.read_only = read_only != 0,
            (5, Field::Varint(span)) => declaration.span = Span::from_code(span),
            _ => {}
        }
    }
    let Some(root) = running(guest.host_mut()).and_then(|context| context.root_mut()) else {
        return Ok(());
    };
    if root.declared.contains_key(name) {
        return Err(Status::BadArgument);
    }
    root.declared.insert(name.to_vec(), declaration);
    Ok(())
}

/// Envoy's `SetEnvoyFilterStateArguments`: path = 1, value = 2, span = 3. Envoy takes only
/// names for which it has a factory, which also checks the value; this host takes any value.
fn set_envoy_filter_state(guest: &mut Guest<'_>, argument: &[u8]) -> Result<(), Status> {
    let (mut path, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut span = Span::default();
    for (number, field) in fields(argument).ok_or(Status::BadArgument)? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => path = bytes,
            (2, Field::Bytes(bytes)) => value = bytes,
            (3, Field::Varint(code)) => span = Span::from_code(code),
            _ => {}
        }
    }
    if !FILTER_STATE_OBJECTS
        .iter()
        .any(|name| name.as_bytes() == path)
    {
        return Err(Status::NotFound);
    }
    let context = running(guest.host_mut()).ok_or(Status::NotFound)?;
    match (&mut context.kind, span) {
        (Kind::Root(_), _) => return Err(Status::NotFound),
        (Kind::Http(http), Span::Stream) => http.filter_state.set(path.to_vec(), value.to_vec()),
        (Kind::Http(http), Span::Connection) => {
            http.connection.state().set(path.to_vec(), value.to_vec());
        }
        (Kind::Tcp(tcp), _) => tcp.connection.state().set(path.to_vec(), value.to_vec()),
    }
    Ok(())
}

fn clear_route_cache(guest: &mut Guest<'_>) {
    if let Some(http) = running(guest.host_mut()).and_then(|context| context.http_mut()) {
        http.route_cache_cleared += 1;
    }
}

/// The context whose callback runs.
fn running(host: &mut Host) -> Option<&mut Context> {
    let id = host.current;
    host.contexts.get_mut(&id)
}
