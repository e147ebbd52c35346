//! What a decision may look at. Everything is borrowed from whoever asks; nothing is fetched.

use std::net::IpAddr;

use crate::spec::{Direction, Timestamp};

/// A connection, and on HTTP listeners the request on it.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// Which rules apply.
    pub direction: Direction,
    /// The time, for policies that expire.
    pub now: Timestamp,
    /// Who is at the other end.
    pub peer: Peer<'a>,
    /// TCP port that the connection goes to, 1-65535.
    pub port: u16,
    /// Server name of the TLS handshake as sent; `None` without TLS or without the extension.
    pub sni: Option<&'a [u8]>,
    /// The HTTP request; `None` on a TCP listener.
    pub request: Option<Request<'a>>,
}

/// The other end of a connection: the client on ingress, the destination on egress.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// URI subject alternative name of the *verified* certificate. `None` without a certificate,
    /// and always on egress: a destination shows none before the connection is made.
    pub principal: Option<&'a [u8]>,
    /// Address of the direct peer.
    pub address: IpAddr,
    /// Address of the client as told by trusted proxies; `None` stands for the direct peer.
    pub remote_address: Option<IpAddr>,
}

/// An HTTP request, as sent by the client; the engine brings it to its normal forms itself.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:authority`, or `host` in HTTP/1; empty if there is none.
    pub authority: &'a [u8],
    /// `:path` with the query.
    pub path: &'a [u8],
    /// All headers, names in lower case; one entry for each time that a header occurs. Envoy
    /// joins the values of a repeated `content-type` with commas before a filter sees them.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// Claims of the verified JSON Web Token that the program asks for.
    pub claims: &'a [Claim<'a>],
}

/// One value of one claim. A list is given as one entry for each of its elements.
///
/// A filter in Envoy cannot tell a claim whose text is empty from one that is absent, and gives no
/// entry for either; an empty element of a list it sees. Whoever decides elsewhere, with a token
/// at hand, should leave out an empty text as well, or verdicts may differ.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Segments of the claim's path joined by NUL, as [`crate::program::Program::claims`] gives
    /// them.
    pub path: &'a str,
    /// Text of the value; numbers and booleans in JSON's notation.
    pub value: &'a [u8],
}
