//! Bounds and times of a server.

use std::time::Duration;

use meshwall_xds_protocol::Limits;

/// Bounds and times of a server. The default suits some thousand sidecars.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connections at a time; further ones are closed at once.
    pub connections: usize,
    /// Streams at a time, over all connections; further ones are refused with
    /// `RESOURCE_EXHAUSTED`.
    pub streams: usize,
    /// Streams at a time on one connection.
    pub streams_per_connection: u32,
    /// Bytes of one message of a client.
    pub message_bytes: usize,
    /// Bounds of what one stream may ask for.
    pub stream: Limits,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a client may take to say who it is, after it opened a stream.
    pub first_message_timeout: Duration,
    /// How long a connection may be without a stream. It is asked to go after one to two times
    /// this, and cut off at three.
    pub idle_timeout: Duration,
    /// How often a connection is asked whether it lives.
    pub keepalive_interval: Duration,
    /// How long it may take to answer.
    pub keepalive_timeout: Duration,
    /// How often the files of certificates are read.
    pub certificate_interval: Duration,
    /// Events that a slow receiver may have before it misses some.
    pub events: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 10_000,
            streams: 20_000,
            streams_per_connection: 64,
            message_bytes: 4 * 1024 * 1024,
            stream: Limits::default(),
            handshake_timeout: Duration::from_secs(10),
            first_message_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            certificate_interval: Duration::from_secs(5),
            events: 4096,
        }
    }
}
