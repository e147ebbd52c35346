//! Header maps: requests, responses, gRPC metadata, responses to the filter's own calls.

use super::guest::{Guest, slice};
use crate::host::abi_version::AbiVersion;
use crate::host::context::{Flow, Http, Side};
use crate::host::headers::{HeaderKind, Headers};
use crate::host::pairs;
use crate::host::state::Host;
use crate::host::status::Status;

/// The maps, by the ABI's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MapId {
    Headers(Side),
    Trailers(Side),
    GrpcInitialMetadata,
    GrpcTrailingMetadata,
    CallHeaders,
    CallTrailers,
}

impl MapId {
    fn from_code(code: u32) -> Result<Self, Status> {
        match code {
            0 => Ok(Self::Headers(Side::Request)),
            1 => Ok(Self::Trailers(Side::Request)),
            2 => Ok(Self::Headers(Side::Response)),
            3 => Ok(Self::Trailers(Side::Response)),
            4 => Ok(Self::GrpcInitialMetadata),
            5 => Ok(Self::GrpcTrailingMetadata),
            6 => Ok(Self::CallHeaders),
            7 => Ok(Self::CallTrailers),
            _ => Err(Status::BadArgument),
        }
    }
}

pub(super) fn get(
    guest: &mut Guest<'_>,
    map: u32,
    name: u32,
    name_length: u32,
    address_at: u32,
    length_at: u32,
) -> Result<(), Status> {
    let map = MapId::from_code(map)?;
    let (memory, host) = guest.parts()?;
    let name = slice(memory, name, name_length)?;
    let value = match readable(host, map) {
        Some(headers) => headers.get(name).map(<[u8]>::to_vec),
        None if is_logging(host) => None,
        None => return Err(Status::BadArgument),
    };
    match value {
        Some(value) => guest.give(&value, address_at, length_at),
        None if guest.host().abi == AbiVersion::V0_1_0 => guest.give(&[], address_at, length_at),
        None => Err(Status::NotFound),
    }
}

pub(super) fn add(
    guest: &mut Guest<'_>,
    map: u32,
    name: u32,
    name_length: u32,
    value: u32,
    value_length: u32,
) -> Result<(), Status> {
    let map = MapId::from_code(map)?;
    let (memory, host) = guest.parts()?;
    let name = slice(memory, name, name_length)?;
    let value = slice(memory, value, value_length)?;
    writable(host, map)?.add(name, value);
    Ok(())
}

pub(super) fn replace(
    guest: &mut Guest<'_>,
    map: u32,
    name: u32,
    name_length: u32,
    value: u32,
    value_length: u32,
) -> Result<(), Status> {
    let map = MapId::from_code(map)?;
    let (memory, host) = guest.parts()?;
    let name = slice(memory, name, name_length)?;
    let value = slice(memory, value, value_length)?;
    writable(host, map)?.replace(name, value);
    Ok(())
}

pub(super) fn remove(
    guest: &mut Guest<'_>,
    map: u32,
    name: u32,
    name_length: u32,
) -> Result<(), Status> {
    let map = MapId::from_code(map)?;
    let (memory, host) = guest.parts()?;
    let name = slice(memory, name, name_length)?;
    writable(host, map)?.remove(name);
    Ok(())
}

/// A map that is not there reads as an empty one.
pub(super) fn get_all(
    guest: &mut Guest<'_>,
    map: u32,
    address_at: u32,
    length_at: u32,
) -> Result<(), Status> {
    let map = MapId::from_code(map)?;
    let encoded = readable(guest.host(), map)
        .map(Headers::encode)
        .unwrap_or_default();
    guest.give(&encoded, address_at, length_at)
}

pub(super) fn set_all(
    guest: &mut Guest<'_>,
    map: u32,
    pairs: u32,
    pairs_length: u32,
) -> Result<(), Status> {
    let map = MapId::from_code(map)?;
    let (memory, host) = guest.parts()?;
    let entries = pairs::decode(slice(memory, pairs, pairs_length)?);
    writable(host, map)?.replace_all(&entries);
    Ok(())
}

pub(super) fn size(guest: &mut Guest<'_>, map: u32, size_at: u32) -> Result<(), Status> {
    let map = MapId::from_code(map)?;
    let size = writable(guest.host_mut(), map)?.byte_size();
    guest.write_u32(size_at, pairs::length(size))
}

fn is_logging(host: &Host) -> bool {
    host.acting_context()
        .and_then(|context| context.http())
        .is_some_and(|http| http.logging)
}

fn readable(host: &Host, map: MapId) -> Option<&Headers> {
    let root = host.acting_root();
    match map {
        MapId::Headers(side) => headers(host.acting_context()?.http()?, side),
        MapId::Trailers(side) => trailers(host.acting_context()?.http()?, side),
        MapId::GrpcInitialMetadata => root?.grpc_initial_metadata.as_ref(),
        MapId::GrpcTrailingMetadata => root?.grpc_trailing_metadata.as_ref(),
        MapId::CallHeaders => root?
            .http_response
            .as_ref()
            .map(|response| &response.headers),
        MapId::CallTrailers => root?
            .http_response
            .as_ref()
            .map(|response| &response.trailers),
    }
}

fn headers(http: &Http, side: Side) -> Option<&Headers> {
    let flow = http.flow(side);
    flow.headers
        .as_ref()
        .filter(|_| http.logging || flow.headers_visible)
}

fn trailers(http: &Http, side: Side) -> Option<&Headers> {
    let flow = http.flow(side);
    let visible = if http.logging {
        side == Side::Response
    } else {
        flow.trailers_visible
    };
    flow.trailers.as_ref().filter(|_| visible)
}

/// Only the maps of the message that passes can be written, and only while the filter has
/// not let them go. Touching the trailers in the last frame of the body adds some.
fn writable(host: &mut Host, map: MapId) -> Result<&mut Headers, Status> {
    let http = host
        .acting_context_mut()
        .and_then(|context| context.http_mut())
        .ok_or(Status::BadArgument)?;
    let last_frame_ended = http.last_frame_ended;
    match map {
        MapId::Headers(side) => {
            let Flow {
                headers,
                headers_visible,
                ..
            } = http.flow_mut(side);
            headers.as_mut().filter(|_| *headers_visible)
        }
        MapId::Trailers(side) => {
            let Flow {
                trailers,
                trailers_visible,
                in_flight_visible,
                ..
            } = http.flow_mut(side);
            if !*trailers_visible && *in_flight_visible && last_frame_ended {
                *trailers_visible = true;
                *trailers = Some(Headers::new::<&str, &str>(HeaderKind::Trailers, &[]));
            }
            trailers.as_mut().filter(|_| *trailers_visible)
        }
        MapId::GrpcInitialMetadata
        | MapId::GrpcTrailingMetadata
        | MapId::CallHeaders
        | MapId::CallTrailers => None,
    }
    .ok_or(Status::BadArgument)
}
