//! What the firewall adds to the time of a request.
//!
//! Measured in pairs, one with the firewall and one without, in turn and on the same Envoy, for a
//! machine does other things as well and is never the same for long. The result is the median of
//! the differences, with that of the times to compare. It is what a client on this machine
//! waits, and no measure of what a proxy can carry.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::ask::{Call, failed, odd, versions};
use super::mesh::{Backend, Error, GREETING, Mesh};
use super::plan::Entry;
use crate::rig::client::{Client, Exchange, HttpConnection, Request};

/// Pairs of requests that are measured, and that go before.
const REQUESTS: usize = 60;
const WARM_UP: usize = 10;
/// Pairs of connections, each with a handshake of its own.
const CONNECTIONS: usize = 20;

/// What the firewall adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Median of the differences in microseconds; of a small one, noise can make a negative.
    pub micros: i64,
    /// Median of the times without the firewall.
    pub without: Duration,
}

impl Mesh {
    /// Measures what the firewall adds to a request, or to a new connection until the server is
    /// heard. Only what is permitted can be measured so.
    ///
    /// # Errors
    ///
    /// If there is no answer, or it is a denial.
    pub async fn measure(&self, entry: &Entry) -> Result<Added, Error> {
        let Call {
            client,
            door,
            backend,
            ..
        } = self.call(entry)?;
        let mut pairs = Vec::new();
        match backend {
            Backend::Tcp(_) => {
                for turn in 0..CONNECTIONS {
                    let (mut with, mut without) = (Duration::ZERO, Duration::ZERO);
                    for filtered in in_turn(turn) {
                        let address = if filtered { door.address } else { door.bare };
                        let took = greet(entry, &client, address).await?;
                        *(if filtered { &mut with } else { &mut without }) = took;
                    }
                    pairs.push((with, without));
                }
            }
            Backend::Http(_) => {
                let request = self.request(entry)?;
                let version = versions(&request).first().copied();
                let version = version.ok_or_else(|| odd(entry, "there is no way to send it"))?;
                let open = |address| client.http(address, version);
                let connected = (open(door.address).await, open(door.bare).await);
                let (Ok(mut filtered), Ok(mut bare)) = connected else {
                    return Err(odd(entry, "no connection to measure on"));
                };
                for turn in 0..WARM_UP + REQUESTS {
                    let (mut with, mut without) = (Duration::ZERO, Duration::ZERO);
                    for is_filtered in in_turn(turn) {
                        let (connection, took) = if is_filtered {
                            (&mut filtered, &mut with)
                        } else {
                            (&mut bare, &mut without)
                        };
                        *took = send(entry, connection, &request).await?;
                    }
                    if turn >= WARM_UP {
                        pairs.push((with, without));
                    }
                }
            }
        }
        Ok(Added::of(&pairs))
    }
}

/// With the firewall first, or without: each in turn, so that neither profits from the order.
fn in_turn(turn: usize) -> [bool; 2] {
    if turn.is_multiple_of(2) {
        [true, false]
    } else {
        [false, true]
    }
}

async fn greet(entry: &Entry, client: &Client, to: SocketAddr) -> Result<Duration, Error> {
    let exchange = Exchange {
        send: b"",
        expect: GREETING.len(),
    };
    let start = Instant::now();
    let end = client.exchange(to, exchange).await;
    let took = start.elapsed();
    match end.map_err(|source| failed(entry, source))?.received() {
        GREETING => Ok(took),
        _ => Err(odd(entry, "it was denied while it was measured")),
    }
}

async fn send(
    entry: &Entry,
    connection: &mut HttpConnection,
    request: &Request,
) -> Result<Duration, Error> {
    let response = connection.send(request).await;
    let response = response.map_err(|source| failed(entry, source))?;
    match response.grpc_status().unwrap_or_default() {
        0 if response.status == 200 => Ok(response.duration),
        _ => Err(odd(entry, "it was denied while it was measured")),
    }
}

impl Added {
    fn of(pairs: &[(Duration, Duration)]) -> Added {
        let micros = |duration: &Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let differences = pairs
            .iter()
            .map(|(with, without)| micros(with).saturating_sub(micros(without)));
        let without = median(pairs.iter().map(|(_, without)| micros(without)));
        Added {
            micros: median(differences),
            without: Duration::from_micros(without.unsigned_abs()),
        }
    }
}

/// The upper median; 0 of nothing.
fn median(values: impl Iterator<Item = i64>) -> i64 {
    let mut values: Vec<i64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_those_of_pairs() {
        let millis = Duration::from_millis;
        // The machine slows down in the middle: the medians of both sides are far apart.
        let pairs = [
            (millis(2), millis(1)),
            (millis(2), millis(1)),
            (millis(52), millis(50)),
        ];
        let expected = Added {
            micros: 1_000,
            without: millis(1),
        };
        assert_eq!(Added::of(&pairs), expected);
        assert_eq!(Added::of(&[]).micros, 0);
    }
}
