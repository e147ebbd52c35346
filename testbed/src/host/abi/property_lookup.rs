//! Where the value of a property comes from.
//!
//! In this order: what the test set for the stream; what follows from the message that is
//! passing (`request`, `response`); what the test set for the machine; what the host knows of
//! the plugin; what filters have set. Which of them is there in which phase was measured on
//! Envoy 1.40.

use std::str::FromStr;

use crate::host::context::{Context, Flow, Http, Kind};
use crate::host::filter_state::wasm_key;
use crate::host::headers::Headers;
use crate::host::local_reply::grpc_status_of;
use crate::host::properties::{Path, Phase, is_wrapper};
use crate::host::state::{Host, plugin_of};
use crate::host::status::Status;
use crate::host::value::Value;

/// What a filter receives for a path.
pub(super) fn lookup(host: &Host, path: &Path) -> Result<Vec<u8>, Status> {
    let context = host.acting_context();
    let phase = context.map_or(Phase::NewConnection, phase);
    if let Some(result) = context.and_then(|context| of_stream(context, path, phase)) {
        return result;
    }
    if let Some(result) = host.properties.get(path, phase) {
        return result;
    }
    if let Some(value) = of_plugin(host, path) {
        return Ok(value);
    }
    if let Some(context) = context.filter(|context| context.root().is_none()) {
        match path.as_bytes() {
            b"upstream_filter_state" if phase <= Phase::RequestHeaders => {}
            b"metadata" => return Ok(Vec::new()),
            b"metadata\0filter_metadata" => return Ok(Value::Map(Vec::new()).encode()),
            _ if is_wrapper(path) => return Err(Status::SerializationFailure),
            _ => {}
        }
        return of_filters(context, path).ok_or(Status::NotFound);
    }
    Err(Status::NotFound)
}

fn phase(context: &Context) -> Phase {
    match &context.kind {
        Kind::Root(_) => Phase::NewConnection,
        Kind::Http(http) => http.phase,
        Kind::Tcp(tcp) => tcp.phase,
    }
}

fn of_stream(context: &Context, path: &Path, phase: Phase) -> Option<Result<Vec<u8>, Status>> {
    match &context.kind {
        Kind::Root(_) => None,
        Kind::Tcp(tcp) => tcp.properties.get(path, phase),
        Kind::Http(http) => http
            .properties
            .get(path, phase)
            .or_else(|| of_message(http, path).map(|value| Ok(value.encode()))),
    }
}

fn of_plugin(host: &Host, path: &Path) -> Option<Vec<u8>> {
    let plugin = || plugin_of(host, host.acting());
    match path.as_bytes() {
        b"plugin_name" => plugin().map(|plugin| plugin.name.clone()),
        b"plugin_root_id" => plugin().map(|plugin| plugin.root_id.clone()),
        b"plugin_vm_id" => Some(host.vm_id.clone()),
        _ => None,
    }
}

/// Filter state: by its full key below `filter_state`, or what a filter has set by its name.
fn of_filters(context: &Context, path: &Path) -> Option<Vec<u8>> {
    let mut names = path.names();
    let first = names.next()?;
    let key = match names.next() {
        None => wasm_key(first),
        Some(key) if first == b"filter_state" => key.to_vec(),
        Some(_) => return None,
    };
    if names.next().is_some() {
        return None;
    }
    match &context.kind {
        Kind::Root(_) => None,
        Kind::Tcp(tcp) => tcp.connection.filter_state(&key),
        Kind::Http(http) => match http.filter_state.get(&key) {
            Some(value) => Some(value.to_vec()),
            None => http.connection.filter_state(&key),
        },
    }
}

/// What follows from the request and the response themselves.
fn of_message(http: &Http, path: &Path) -> Option<Value> {
    let mut names = path.names();
    let (first, second) = (names.next()?, names.next()?);
    let third = names.next();
    if names.next().is_some() {
        return None;
    }
    match (first, third) {
        (b"request", None) => of_request(http, second),
        (b"response", None) => of_response(http, second),
        (b"request", Some(name)) if second == b"headers" => {
            request_headers(http)?.joined(name).map(Value::Bytes)
        }
        (b"response", Some(name)) if second == b"headers" => {
            response_headers(http)?.joined(name).map(Value::Bytes)
        }
        (b"response", Some(name)) if second == b"trailers" => {
            response_trailers(http)?.joined(name).map(Value::Bytes)
        }
        _ => None,
    }
}

fn of_request(http: &Http, name: &[u8]) -> Option<Value> {
    let headers = request_headers(http);
    let header = |name: &str| headers?.get(name).map(Value::from);
    let received = http.request.passed.body.len() + waiting(&http.request);
    match name {
        b"headers" => Some(header_map(headers)),
        b"path" => header(":path"),
        b"url_path" => headers.map(|headers| split_path(headers).0.into()),
        b"query" => headers.map(|headers| split_path(headers).1.into()),
        b"host" => header(":authority"),
        b"scheme" => header(":scheme"),
        b"method" => header(":method"),
        b"referer" => header("referer"),
        b"useragent" => header("user-agent"),
        b"id" => header("x-request-id"),
        b"time" => Some(Value::Int(i64::try_from(http.started).unwrap_or(i64::MAX))),
        b"size" => {
            let announced = headers.and_then(|headers| number(headers, "content-length"));
            Some(Value::Int(announced.unwrap_or_else(|| count(received))))
        }
        b"total_size" => Some(Value::Int(count(
            received + headers.map_or(0, Headers::byte_size),
        ))),
        _ => None,
    }
}

fn of_response(http: &Http, name: &[u8]) -> Option<Value> {
    let (headers, trailers) = (response_headers(http), response_trailers(http));
    let sent = http.response.passed.body.len();
    let size = |headers: Option<&Headers>| headers.map_or(0, Headers::byte_size);
    match name {
        b"headers" => Some(header_map(headers)),
        b"trailers" => Some(header_map(trailers)),
        b"code" => response_code(http).map(|code| Value::Int(code.into())),
        b"grpc_status" => grpc_status(http).map(|status| Value::Int(status.into())),
        b"code_details" => http.details.clone().map(Value::Bytes),
        b"flags" => Some(Value::Int(0)),
        b"size" => Some(Value::Int(count(sent))),
        b"total_size" => Some(Value::Int(count(sent + size(headers) + size(trailers)))),
        _ => None,
    }
}

/// The request's headers are gone once the filter has let them go; the access log sees them
/// again.
fn request_headers(http: &Http) -> Option<&Headers> {
    http.request
        .headers
        .as_ref()
        .filter(|_| http.logging || http.request.headers_visible)
}

fn response_headers(http: &Http) -> Option<&Headers> {
    http.response
        .headers
        .as_ref()
        .filter(|_| http.logging || http.response.headers_visible)
}

fn response_trailers(http: &Http) -> Option<&Headers> {
    http.response
        .trailers
        .as_ref()
        .filter(|_| http.logging || http.response.trailers_visible)
}

fn response_code(http: &Http) -> Option<u32> {
    number(http.response.headers.as_ref()?, ":status")
}

/// What the response says, or else what its HTTP status means in gRPC.
fn grpc_status(http: &Http) -> Option<u32> {
    let maps = [response_trailers(http), response_headers(http)];
    let said = maps
        .into_iter()
        .flatten()
        .find_map(|map| number(map, "grpc-status"));
    said.or_else(|| response_code(http).map(grpc_status_of))
}

fn number<T: FromStr>(headers: &Headers, name: &str) -> Option<T> {
    std::str::from_utf8(headers.get(name)?).ok()?.parse().ok()
}

/// Each name once, with its values joined. A map that is not there is an empty one.
fn header_map(headers: Option<&Headers>) -> Value {
    let mut entries: Vec<(Vec<u8>, Value)> = Vec::new();
    for (name, _) in headers.into_iter().flat_map(Headers::iter) {
        if entries.iter().all(|(known, _)| known != name) {
            let values = headers
                .and_then(|headers| headers.joined(name))
                .unwrap_or_default();
            entries.push((name.to_vec(), Value::Bytes(values)));
        }
    }
    Value::Map(entries)
}

fn split_path(headers: &Headers) -> (&[u8], &[u8]) {
    let path = headers.get(":path").unwrap_or_default();
    match path.iter().position(|byte| *byte == b'?') {
        Some(at) => {
            let (before, after) = path.split_at(at);
            (before, after.strip_prefix(b"?").unwrap_or(after))
        }
        None => (path, &[]),
    }
}

fn waiting(flow: &Flow) -> usize {
    flow.in_flight.len() + flow.buffered.as_ref().map_or(0, Vec::len)
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
