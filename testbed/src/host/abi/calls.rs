//! Calls to other services: HTTP, gRPC, gRPC streams.
//!
//! They belong to the root context and wait there until a test answers them.

use super::guest::Guest;
use crate::host::calls::{GrpcCall, GrpcStream, GrpcTarget, HttpCall};
use crate::host::headers::{HeaderKind, Headers};
use crate::host::pairs;
use crate::host::proto::{Field, fields};
use crate::host::state::{CallKind, Host, OpenStream};
use crate::host::status::Status;

const NANOS_PER_MILLISECOND: u64 = 1_000_000;

#[expect(clippy::too_many_arguments, reason = "the ABI's function has them")]
pub(super) fn http_call(
    guest: &mut Guest<'_>,
    cluster: u32,
    cluster_length: u32,
    headers: u32,
    headers_length: u32,
    body: u32,
    body_length: u32,
    trailers: u32,
    trailers_length: u32,
    timeout: u32,
    token_at: u32,
) -> Result<(), Status> {
    let cluster = guest.read(cluster, cluster_length)?.to_vec();
    let body = guest.read(body, body_length)?.to_vec();
    let headers = guest.read(headers, headers_length)?;
    let mut headers = Headers::new(HeaderKind::Request, &pairs::decode(headers));
    let trailers = guest.read(trailers, trailers_length)?;
    let trailers = Headers::new(HeaderKind::Trailers, &pairs::decode(trailers));
    guest.write_u32(token_at, 0)?;

    let complete = [":path", ":method", ":authority"]
        .iter()
        .all(|h| headers.get(h).is_some());
    if i32::try_from(timeout).is_err() || !guest.host().has_cluster(&cluster) || !complete {
        return Err(Status::BadArgument);
    }
    if !body.is_empty() {
        headers.replace("content-length", body.len().to_string());
    }
    let host = guest.host_mut();
    let token = host.next_token(CallKind::Http);
    let call = HttpCall {
        token,
        context_id: host.root_of(host.acting()),
        cluster,
        headers,
        body,
        trailers,
        deadline: deadline(host, timeout),
    };
    host.http_calls.insert(token, call);
    guest.write_u32(token_at, token)
}

#[expect(clippy::too_many_arguments, reason = "the ABI's function has them")]
pub(super) fn grpc_call(
    guest: &mut Guest<'_>,
    service: u32,
    service_length: u32,
    name: u32,
    name_length: u32,
    method: u32,
    method_length: u32,
    metadata: u32,
    metadata_length: u32,
    message: u32,
    message_length: u32,
    timeout: u32,
    token_at: u32,
) -> Result<(), Status> {
    let ranges = [
        (service, service_length),
        (name, name_length),
        (method, method_length),
        (metadata, metadata_length),
    ];
    guest.check(message, message_length)?;
    let target = target(guest, ranges)?;
    let message = guest.read(message, message_length)?.to_vec();
    let host = guest.host_mut();
    let token = host.next_token(CallKind::Grpc);
    let call = GrpcCall {
        token,
        context_id: host.root_of(host.acting()),
        target,
        message,
        deadline: deadline(host, timeout),
    };
    host.grpc_calls.insert(token, call);
    guest.write_u32(token_at, token)
}

#[expect(clippy::too_many_arguments, reason = "the ABI's function has them")]
pub(super) fn grpc_stream(
    guest: &mut Guest<'_>,
    service: u32,
    service_length: u32,
    name: u32,
    name_length: u32,
    method: u32,
    method_length: u32,
    metadata: u32,
    metadata_length: u32,
    token_at: u32,
) -> Result<(), Status> {
    let ranges = [
        (service, service_length),
        (name, name_length),
        (method, method_length),
        (metadata, metadata_length),
    ];
    let target = target(guest, ranges)?;
    let host = guest.host_mut();
    let token = host.next_token(CallKind::GrpcStream);
    let stream = GrpcStream {
        token,
        context_id: host.root_of(host.acting()),
        target,
        sent: Vec::new(),
        half_closed: false,
    };
    let open = OpenStream {
        stream,
        closed_by_filter: false,
        closed_by_server: false,
    };
    host.grpc_streams.insert(token, open);
    guest.write_u32(token_at, token)
}

pub(super) fn grpc_send(
    guest: &mut Guest<'_>,
    token: u32,
    message: u32,
    message_length: u32,
    end: u32,
) -> Result<(), Status> {
    let message = guest.read(message, message_length)?.to_vec();
    if CallKind::of(token) != Some(CallKind::GrpcStream) {
        return Err(Status::BadArgument);
    }
    let open = guest
        .host_mut()
        .grpc_streams
        .get_mut(&token)
        .ok_or(Status::NotFound)?;
    if !open.closed_by_server {
        open.stream.sent.push(message);
        open.stream.half_closed |= end != 0;
    }
    Ok(())
}

/// Cancels a call; ends the filter's side of a stream.
pub(super) fn grpc_close(guest: &mut Guest<'_>, token: u32) -> Result<(), Status> {
    let host = guest.host_mut();
    match CallKind::of(token) {
        Some(CallKind::Grpc) => host
            .grpc_calls
            .remove(&token)
            .map(|_| ())
            .ok_or(Status::NotFound),
        Some(CallKind::GrpcStream) => {
            let open = host.grpc_streams.get_mut(&token).ok_or(Status::NotFound)?;
            open.closed_by_filter = true;
            open.stream.half_closed = true;
            if open.closed_by_server {
                host.grpc_streams.remove(&token);
            }
            Ok(())
        }
        Some(CallKind::Http) | None => Err(Status::BadArgument),
    }
}

pub(super) fn grpc_cancel(guest: &mut Guest<'_>, token: u32) -> Result<(), Status> {
    let host = guest.host_mut();
    match CallKind::of(token) {
        Some(CallKind::Grpc) => host
            .grpc_calls
            .remove(&token)
            .map(|_| ())
            .ok_or(Status::NotFound),
        Some(CallKind::GrpcStream) => host
            .grpc_streams
            .remove(&token)
            .map(|_| ())
            .ok_or(Status::NotFound),
        Some(CallKind::Http) | None => Err(Status::BadArgument),
    }
}

/// The common arguments of calls and streams: service, name, method, metadata.
fn target(guest: &Guest<'_>, ranges: [(u32, u32); 4]) -> Result<GrpcTarget, Status> {
    let [service, name, method, metadata] = ranges;
    for (at, length) in ranges {
        guest.check(at, length)?;
    }
    Ok(GrpcTarget {
        cluster: cluster(guest.host(), guest.read(service.0, service.1)?)?,
        service: guest.read(name.0, name.1)?.to_vec(),
        method: guest.read(method.0, method.1)?.to_vec(),
        metadata: Headers::new(
            HeaderKind::Request,
            &pairs::decode(guest.read(metadata.0, metadata.1)?),
        ),
    })
}

/// The cluster that a service names: an encoded `GrpcService` with `envoy_grpc`, or else the
/// name of a cluster. (For a message without any target Envoy 1.40 itself aborts.)
fn cluster(host: &Host, service: &[u8]) -> Result<Vec<u8>, Status> {
    match fields(service) {
        Some(outer) => outer
            .iter()
            .find_map(|field| match field {
                (1, Field::Bytes(envoy_grpc)) => {
                    fields(envoy_grpc)?.iter().find_map(|inner| match inner {
                        (1, Field::Bytes(name)) => Some(name.to_vec()),
                        _ => None,
                    })
                }
                _ => None,
            })
            .filter(|name| host.has_cluster(name))
            .ok_or(Status::BadArgument),
        None if host.has_cluster(service) => Ok(service.to_vec()),
        None => Err(Status::ParseFailure),
    }
}

/// No timeout is no deadline.
fn deadline(host: &Host, timeout_milliseconds: u32) -> Option<u64> {
    let timeout = u64::from(timeout_milliseconds) * NANOS_PER_MILLISECOND;
    (timeout > 0).then(|| host.clock.now_nanos().saturating_add(timeout))
}
