//! Buffers: bodies, TCP data, configurations, messages.

use std::borrow::Cow;

use super::guest::{Guest, slice};
use crate::host::context::{Flow, Pipe, Side};
use crate::host::pairs::length;
use crate::host::state::Host;
use crate::host::status::Status;

/// The buffers, by the ABI's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BufferId {
    Body(Side),
    Downstream,
    Upstream,
    CallBody,
    GrpcMessage,
    VmConfiguration,
    PluginConfiguration,
    CallData,
}

impl BufferId {
    fn from_code(code: u32) -> Result<Self, Status> {
        match code {
            0 => Ok(Self::Body(Side::Request)),
            1 => Ok(Self::Body(Side::Response)),
            2 => Ok(Self::Downstream),
            3 => Ok(Self::Upstream),
            4 => Ok(Self::CallBody),
            5 => Ok(Self::GrpcMessage),
            6 => Ok(Self::VmConfiguration),
            7 => Ok(Self::PluginConfiguration),
            8 => Ok(Self::CallData),
            _ => Err(Status::BadArgument),
        }
    }
}

pub(super) fn get(
    guest: &mut Guest<'_>,
    buffer: u32,
    start: u32,
    max_length: u32,
    address_at: u32,
    length_at: u32,
) -> Result<(), Status> {
    let buffer = BufferId::from_code(buffer)?;
    let content = readable(guest.host(), buffer).ok_or(Status::NotFound)?;
    let start = to_usize(start).min(content.len());
    let end = start
        .saturating_add(to_usize(max_length))
        .min(content.len());
    let part = content.get(start..end).unwrap_or_default().to_vec();
    guest.give(&part, address_at, length_at)
}

pub(super) fn status(
    guest: &mut Guest<'_>,
    buffer: u32,
    length_at: u32,
    flags_at: u32,
) -> Result<(), Status> {
    let buffer = BufferId::from_code(buffer)?;
    let size = readable(guest.host(), buffer)
        .ok_or(Status::NotFound)?
        .len();
    guest.write_u32(length_at, length(size))?;
    guest.write_u32(flags_at, 0)
}

/// Writes at the start, in the place of as many bytes as the filter says, or at the end; in
/// between nothing can be written.
pub(super) fn set(
    guest: &mut Guest<'_>,
    buffer: u32,
    start: u32,
    replaced: u32,
    bytes: u32,
    bytes_length: u32,
) -> Result<(), Status> {
    let buffer = BufferId::from_code(buffer)?;
    if readable(guest.host(), buffer).is_none() {
        return Err(Status::NotFound);
    }
    let (memory, host) = guest.parts()?;
    let bytes = slice(memory, bytes, bytes_length)?;
    let content = writable(host, buffer).ok_or(Status::BadArgument)?;
    if start == 0 {
        let replaced = to_usize(replaced).min(content.len());
        content.splice(..replaced, bytes.iter().copied());
        Ok(())
    } else if to_usize(start) >= content.len() {
        content.extend_from_slice(bytes);
        Ok(())
    } else {
        Err(Status::BadArgument)
    }
}

/// ABI 0.1.0: the plugin's configuration where it is visible, else the machine's.
pub(super) fn configuration(
    guest: &mut Guest<'_>,
    address_at: u32,
    length_at: u32,
) -> Result<(), Status> {
    let host = guest.host();
    let configuration = readable(host, BufferId::PluginConfiguration)
        .unwrap_or(Cow::Borrowed(&host.vm_configuration))
        .into_owned();
    guest.give(&configuration, address_at, length_at)
}

/// The content of a buffer; `None` if there is no such buffer now. A body or TCP data that
/// is not passing at present is an empty buffer, not a missing one.
fn readable(host: &Host, buffer: BufferId) -> Option<Cow<'_, [u8]>> {
    let context = host.acting_context();
    let content = match buffer {
        BufferId::Body(side) => context
            .and_then(|context| context.http())
            .and_then(|http| visible_body(http.flow(side))),
        BufferId::Downstream => {
            context.and_then(|context| visible_data(&context.tcp()?.downstream))
        }
        BufferId::Upstream => context.and_then(|context| visible_data(&context.tcp()?.upstream)),
        BufferId::CallBody => {
            return host
                .acting_root()?
                .http_response
                .as_ref()
                .map(|r| Cow::Borrowed(&*r.body));
        }
        BufferId::GrpcMessage => host
            .acting_root()
            .and_then(|root| root.grpc_message.as_deref()),
        BufferId::VmConfiguration => Some(&*host.vm_configuration),
        BufferId::PluginConfiguration => {
            let context = context?;
            context.root()?.configuration_visible.then_some(())?;
            return Some(Cow::Borrowed(&context.plugin.configuration));
        }
        BufferId::CallData => host.acting_root().map(|root| root.call_data.as_slice()),
    };
    Some(Cow::Borrowed(content.unwrap_or_default()))
}

fn visible_body(flow: &Flow) -> Option<&[u8]> {
    if flow.collecting {
        flow.buffered.as_deref()
    } else {
        flow.in_flight_visible.then_some(flow.in_flight.as_slice())
    }
}

fn visible_data(pipe: &Pipe) -> Option<&[u8]> {
    pipe.visible.then_some(pipe.buffer.as_slice())
}

fn writable(host: &mut Host, buffer: BufferId) -> Option<&mut Vec<u8>> {
    let context = host.acting_context_mut()?;
    match buffer {
        BufferId::Body(side) => {
            let flow = context.http_mut()?.flow_mut(side);
            if flow.collecting {
                flow.buffered.as_mut()
            } else {
                flow.in_flight_visible.then_some(&mut flow.in_flight)
            }
        }
        BufferId::Downstream => {
            let pipe = &mut context.tcp_mut()?.downstream;
            pipe.visible.then_some(&mut pipe.buffer)
        }
        BufferId::Upstream => {
            let pipe = &mut context.tcp_mut()?.upstream;
            pipe.visible.then_some(&mut pipe.buffer)
        }
        BufferId::CallBody
        | BufferId::GrpcMessage
        | BufferId::VmConfiguration
        | BufferId::PluginConfiguration
        | BufferId::CallData => None,
    }
}

fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
