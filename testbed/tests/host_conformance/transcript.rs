//! What is compared.

use std::fmt;

/// Names that only a whole proxy knows, or that carry the test itself.
const NOT_COMPARED: [&str; 10] = [
    "date",
    "server",
    "connection",
    "x-request-id",
    "x-forwarded-proto",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-upstream-service-time",
    "x-script",
    "x-case",
    // Kept by HTTP/1 and dropped by HTTP/2.
    "transfer-encoding",
];

/// Stands for what the backend tells of a request: its length is its own affair, and so are
/// the frames in which it comes.
pub(crate) const DESCRIPTION: &str = "(description)";

/// What happened in a case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Transcript {
    /// What the filter has logged, without the marker and the name of the case.
    pub(crate) log: Vec<String>,
    /// What the upstream has received.
    pub(crate) upstream: String,
    /// What the client has received.
    pub(crate) client: String,
}

impl Transcript {
    pub(crate) fn new<I>(case: &str, log: I, upstream: String, client: String) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let marker = format!("PROBE {case}: ");
        let log = log
            .into_iter()
            .filter_map(|line| Some(line.as_ref().split_once(&marker)?.1.to_owned()))
            .filter(|line| !is_header_not_compared(line))
            .filter(|line| !(client.ends_with(DESCRIPTION) && line.starts_with("response_body ")))
            .collect();
        Self {
            log,
            upstream,
            client,
        }
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.log {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "upstream: {}", self.upstream)?;
        write!(f, "client: {}", self.client)
    }
}

/// A request as the upstream has it.
pub(crate) fn request_received<'a>(
    method: &str,
    path: &str,
    headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    body: usize,
) -> String {
    let ours = headers.filter(|(name, _)| name.starts_with(b"x-") || *name == b"user-agent");
    format!("{method} {path} {} body={body}", line(ours))
}

/// A response as the client has it, the status among the headers.
pub(crate) fn response_received<'a>(
    headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    trailers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    body: &[u8],
) -> String {
    format!(
        "{} trailers={} body={}",
        line(headers),
        line(trailers),
        body.escape_ascii()
    )
}

/// Headers as one line. HTTP libraries do not keep the order of names, so it is not compared.
fn line<'a>(headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> String {
    let mut shown: Vec<String> = headers
        .filter(|(name, _)| is_compared(name))
        .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
        .collect();
    shown.sort();
    shown.join(" ")
}

fn is_compared(name: &[u8]) -> bool {
    !NOT_COMPARED.iter().any(|other| other.as_bytes() == name)
}

/// Whether a line is an entry of a whole header map that is not compared.
fn is_header_not_compared(line: &str) -> bool {
    let Some((_, entry)) = line
        .split_once(": all ")
        .and_then(|(_, rest)| rest.split_once(": "))
    else {
        return false;
    };
    entry
        .split_once('=')
        .is_some_and(|(name, _)| !is_compared(name.as_bytes()))
}
