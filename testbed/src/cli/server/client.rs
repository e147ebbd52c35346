//! One GET request to the admin port, within a bounded time and size.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use thiserror::Error;
use tokio::net::TcpStream;

/// For the whole exchange. The admin port gives its clients as long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer, so that what is no meshwall-server cannot take all memory.
const LARGEST: usize = 256 << 20;
/// The port if the URL has none, as everywhere with `http`.
const HTTP: u16 = 80;

/// Where an admin port is.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// As it was written.
    text: String,
    authority: String,
    host: String,
    port: u16,
    /// What stands before the paths of the admin port, if something forwards to it.
    prefix: String,
}

/// Why a text is not the URL of an admin port.
#[derive(Debug, Error)]
pub(super) enum BadUrl {
    #[error("it is not a URL")]
    Syntax,
    #[error("it does not begin with http://: the admin port has no TLS")]
    Scheme,
    #[error("it has a user or password, and the admin port asks for none")]
    Password,
    #[error("it has a query")]
    Query,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum Error {
    #[error("cannot reach meshwall-server at {server}")]
    Unreachable { server: String, source: io::Error },
    #[error("{server} breaks off")]
    Broken {
        server: String,
        source: hyper::Error,
    },
    #[error("{server} has not answered within {} s", PATIENCE.as_secs())]
    Slow { server: String },
    #[error("{server} answers with more than {LARGEST} bytes")]
    TooLarge { server: String },
    #[error("{server} breaks off in its answer")]
    Body {
        server: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("there is nothing at this path")]
    NotFound,
    #[error("{server} answers with status {status}: is it the admin port of a meshwall-server?")]
    Status { server: String, status: StatusCode },
    #[error("{server} does not answer with JSON: is it the admin port of a meshwall-server?")]
    Json { server: String },
    #[error("cannot send a request to {server}")]
    Request { server: String, source: http::Error },
    #[error("cannot start to ask")]
    Runtime(io::Error),
}

impl FromStr for Server {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Server, BadUrl> {
        let uri: Uri = text.parse().map_err(|_| BadUrl::Syntax)?;
        if uri.scheme_str() != Some("http") {
            return Err(BadUrl::Scheme);
        }
        if uri.query().is_some() {
            return Err(BadUrl::Query);
        }
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or(BadUrl::Syntax)?;
        let authority = uri.authority().ok_or(BadUrl::Syntax)?;
        let port = match uri.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str() == host => HTTP,
            // What is no number up to 65535 counts as no port.
            None => return Err(BadUrl::Syntax),
        };
        if authority.as_str().contains('@') {
            return Err(BadUrl::Password);
        }
        Ok(Server {
            text: text.to_owned(),
            authority: authority.as_str().to_owned(),
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Server {
    /// The JSON at a path, which begins with a slash.
    pub(super) fn get(&self, path: &str) -> Result<Value, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Runtime)?;
        runtime.block_on(async {
            let answer = tokio::time::timeout(PATIENCE, self.ask(path)).await;
            answer.unwrap_or_else(|_| {
                Err(Error::Slow {
                    server: self.to_string(),
                })
            })
        })
    }

    async fn ask(&self, path: &str) -> Result<Value, Error> {
        let server = || self.to_string();
        let broken = |source| Error::Broken {
            server: server(),
            source,
        };
        let request = Request::get(format!("{}{path}", self.prefix))
            .header(HOST, &self.authority)
            .body(Empty::<Bytes>::new())
            .map_err(|source| Error::Request {
                server: server(),
                source,
            })?;
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|source| Error::Unreachable {
                server: server(),
                source,
            })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // It ends with the runtime; what goes wrong with it, the request reports.
        tokio::spawn(connection);
        let (head, body) = sender
            .send_request(request)
            .await
            .map_err(broken)?
            .into_parts();
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_err(|source| {
            if source.is::<LengthLimitError>() {
                Error::TooLarge { server: server() }
            } else {
                Error::Body {
                    server: server(),
                    source,
                }
            }
        })?;
        let json = serde_json::from_slice::<Value>(&body.to_bytes());
        match (head.status, json) {
            (StatusCode::OK, Ok(json)) => Ok(json),
            (StatusCode::OK, Err(_)) => Err(Error::Json { server: server() }),
            // Any web server has a page for what it does not have; only ours says it like this.
            (StatusCode::NOT_FOUND, Ok(json)) if json.get("error").is_some() => {
                Err(Error::NotFound)
            }
            (status, _) => Err(Error::Status {
                server: server(),
                status,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_the_port_is() {
        let parts = |text: &str| {
            let server: Server = text.parse().unwrap();
            (server.host, server.port, server.prefix)
        };
        let of = |host: &str, port, prefix: &str| (host.to_owned(), port, prefix.to_owned());
        assert_eq!(parts("http://127.0.0.1:15014"), of("127.0.0.1", 15014, ""));
        assert_eq!(parts("http://[::1]:15014/"), of("::1", 15014, ""));
        assert_eq!(parts("http://a/b/c/"), of("a", 80, "/b/c"));
        for wrong in [
            "",
            "127.0.0.1:15014",
            "https://a",
            "http://",
            "http://:1",
            "http://a:70000",
            "http://a:",
            "http://u:p@a:1",
            "http://a/?b",
            "http://a b",
        ] {
            assert!(wrong.parse::<Server>().is_err(), "{wrong}");
        }
    }
}
