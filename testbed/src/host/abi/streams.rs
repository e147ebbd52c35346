//! Deciding on streams: continue, close, answer, act for another context, finish.

use super::guest::Guest;
use crate::host::context::{Kind, Side, Stage, VM_CONTEXT};
use crate::host::headers::{HeaderKind, Headers};
use crate::host::outcome::LocalReply;
use crate::host::pairs;
use crate::host::state::Action;
use crate::host::status::Status;

/// The highest gRPC status that a client knows.
const MAX_GRPC_STATUS: u32 = 16;

/// A stream's directions, by the ABI's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamId {
    Request,
    Response,
    Downstream,
    Upstream,
}

impl StreamId {
    fn from_code(code: u32) -> Result<Self, Status> {
        match code {
            0 => Ok(Self::Request),
            1 => Ok(Self::Response),
            2 => Ok(Self::Downstream),
            3 => Ok(Self::Upstream),
            _ => Err(Status::BadArgument),
        }
    }
}

pub(super) fn continue_stream(guest: &mut Guest<'_>, stream: u32) -> Result<(), Status> {
    match StreamId::from_code(stream)? {
        StreamId::Request => continue_http(guest, Side::Request),
        StreamId::Response => continue_http(guest, Side::Response),
        StreamId::Downstream => {
            let host = guest.host_mut();
            let id = host.acting();
            if host
                .acting_context()
                .is_some_and(|context| context.tcp().is_some())
            {
                host.actions.push_back(Action::ContinueReading(id));
            }
        }
        StreamId::Upstream => return Err(Status::Unimplemented),
    }
    Ok(())
}

pub(super) fn continue_request(guest: &mut Guest<'_>) -> Result<(), Status> {
    continue_http(guest, Side::Request);
    Ok(())
}

pub(super) fn continue_response(guest: &mut Guest<'_>) -> Result<(), Status> {
    continue_http(guest, Side::Response);
    Ok(())
}

/// Whichever direction continues, the request can no longer be touched: so it is in Envoy.
fn continue_http(guest: &mut Guest<'_>, side: Side) {
    let host = guest.host_mut();
    let id = host.acting();
    if let Some(http) = host
        .acting_context_mut()
        .and_then(|context| context.http_mut())
    {
        http.request.headers_visible = false;
        http.request.in_flight_visible = false;
        http.request.trailers_visible = false;
        host.actions.push_back(Action::Continue(id, side));
    }
}

pub(super) fn close_stream(guest: &mut Guest<'_>, stream: u32) -> Result<(), Status> {
    let stream = StreamId::from_code(stream)?;
    let host = guest.host_mut();
    let id = host.acting();
    let Some(context) = host.acting_context_mut() else {
        return Ok(());
    };
    let action = match (stream, &mut context.kind) {
        (StreamId::Request | StreamId::Response, Kind::Http(http)) => {
            http.details
                .get_or_insert_with(|| b"wasm_close_stream".to_vec());
            Action::Reset(id)
        }
        // Both ends of the filter are the downstream connection.
        (StreamId::Downstream | StreamId::Upstream, Kind::Tcp(_)) => Action::CloseConnection(id),
        _ => return Ok(()),
    };
    host.actions.push_back(action);
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the ABI's function has them")]
pub(super) fn send_local_response(
    guest: &mut Guest<'_>,
    status: u32,
    details: u32,
    details_length: u32,
    body: u32,
    body_length: u32,
    headers: u32,
    headers_length: u32,
    grpc_status: u32,
) -> Result<(), Status> {
    let details = guest.read(details, details_length)?;
    let reply = LocalReply {
        status,
        headers: Headers::new(
            HeaderKind::Trailers,
            &pairs::decode(guest.read(headers, headers_length)?),
        ),
        body: guest.read(body, body_length)?.to_vec(),
        grpc_status: (grpc_status <= MAX_GRPC_STATUS).then_some(grpc_status),
        details: without_white_space(details),
    };
    let host = guest.host_mut();
    let id = host.acting();
    if host
        .acting_context()
        .is_some_and(|context| context.http().is_some())
    {
        host.actions.push_back(Action::Reply(id, reply));
    }
    host.stop_iteration = true;
    Ok(())
}

fn without_white_space(text: &[u8]) -> Vec<u8> {
    let is_white = |byte: u8| byte.is_ascii_whitespace() || byte == 0x0b;
    text.iter()
        .map(|byte| if is_white(*byte) { b'_' } else { *byte })
        .collect()
}

/// ABI 0.1.0; later versions have a foreign function for it.
pub(super) fn clear_route_cache(guest: &mut Guest<'_>) -> Result<(), Status> {
    let context = guest.host_mut().acting_context_mut();
    if let Some(http) = context.and_then(|context| context.http_mut()) {
        http.route_cache_cleared += 1;
    }
    Ok(())
}

pub(super) fn set_effective_context(guest: &mut Guest<'_>, id: u32) -> Result<(), Status> {
    let host = guest.host_mut();
    if id != VM_CONTEXT && !host.contexts.contains_key(&id) {
        return Err(Status::BadArgument);
    }
    host.effective = (id != VM_CONTEXT).then_some(id);
    Ok(())
}

/// A root context that had work to finish has finished it.
pub(super) fn done(guest: &mut Guest<'_>) -> Result<(), Status> {
    let host = guest.host_mut();
    let root = host.acting_root_mut().ok_or(Status::NotFound)?;
    if root.stage != Stage::Finishing {
        return Err(Status::NotFound);
    }
    root.stage = Stage::Done;
    host.actions.push_back(Action::DeleteFinished);
    Ok(())
}
