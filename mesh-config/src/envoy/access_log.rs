//! Access logs: one line of JSON on standard output for each request or connection, with
//! the firewall's verdict in it.

use super::contract::{CAUSE, VERDICT, WOULD_BE};
use super::tree::{Entry, entry, extension, list, map};

/// Access logs for requests.
pub(super) fn http() -> Entry {
    log([
        ("protocol", "%PROTOCOL%"),
        ("method", "%REQUEST_HEADER(:METHOD)%"),
        ("authority", "%REQUEST_HEADER(:AUTHORITY)%"),
        ("path", "%REQUEST_HEADER(:PATH)%"),
        ("request_id", "%REQUEST_HEADER(X-REQUEST-ID)%"),
        ("status", "%RESPONSE_CODE%"),
        ("details", "%RESPONSE_CODE_DETAILS%"),
        ("grpc_status", "%GRPC_STATUS_NUMBER%"),
    ])
}

/// Access logs for connections.
pub(super) fn tcp() -> Entry {
    log([
        ("details", "%CONNECTION_TERMINATION_DETAILS%"),
        ("bytes_received", "%BYTES_RECEIVED%"),
        ("bytes_sent", "%BYTES_SENT%"),
    ])
}

fn log(fields: impl IntoIterator<Item = (&'static str, &'static str)>) -> Entry {
    let common = [
        ("flags", "%RESPONSE_FLAGS%"),
        ("duration_ms", "%DURATION%"),
        ("peer", "%DOWNSTREAM_PEER_URI_SAN%"),
        ("peer_address", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"),
        ("local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
        ("sni", "%REQUESTED_SERVER_NAME%"),
        ("upstream", "%UPSTREAM_HOST%"),
    ];
    let firewall = [
        ("verdict", VERDICT),
        ("cause", CAUSE),
        ("would_be", WOULD_BE),
    ]
    .map(|(name, key)| entry(name, format!("%FILTER_STATE(wasm.{key}:PLAIN)%")));
    let fields = [("time", "%START_TIME%")]
        .into_iter()
        .chain(fields)
        .chain(common);
    let format = map(fields.map(|(name, operator)| entry(name, operator))).and(firewall);
    let sink = extension(
        "envoy.access_loggers.stdout",
        "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
        [entry("log_format", map([entry("json_format", format)]))],
    );
    entry("access_log", list([sink]))
}
