//! Questions to an API server.

use std::net::SocketAddr;

use bytes::BytesMut;
use serde_json::Value;

use super::Error;
use crate::rig::client::{Client, HttpConnection, Request, Response, Streaming, Version};

/// By whom the fields are managed that [`Api::apply`] writes.
const FIELD_MANAGER: &str = "meshwall-rig";

/// A user of an API server. Paths are those of the server, as in `/api/v1/namespaces/shop/pods`.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
    address: SocketAddr,
    token: String,
}

impl Api {
    /// The user with this token.
    #[must_use]
    pub fn new(client: Client, address: SocketAddr, token: impl Into<String>) -> Self {
        Self {
            client,
            address,
            token: token.into(),
        }
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request, and gives the answer whatever it is.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let request = self.signed(request);
        let answer = self
            .client
            .request(self.address, Version::Http1, &request)
            .await;
        answer.map_err(|source| failed(&request, source))
    }

    /// What is at a path.
    ///
    /// # Errors
    ///
    /// If there is no answer, or it is an error.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.ask(Request::get(path)).await
    }

    /// Creates an object in the collection at a path, and gives it as it is stored.
    ///
    /// # Errors
    ///
    /// If there is no answer, or it is an error.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, Error> {
        self.ask(json("POST", path, "application/json", object))
            .await
    }

    /// Replaces the object at a path.
    ///
    /// # Errors
    ///
    /// If there is no answer, or it is an error.
    pub async fn replace(&self, path: &str, object: &Value) -> Result<Value, Error> {
        self.ask(json("PUT", path, "application/json", object))
            .await
    }

    /// Changes the object at a path (JSON merge patch, RFC 7386).
    ///
    /// # Errors
    ///
    /// If there is no answer, or it is an error.
    pub async fn patch(&self, path: &str, patch: &Value) -> Result<Value, Error> {
        self.ask(json("PATCH", path, "application/merge-patch+json", patch))
            .await
    }

    /// Creates or changes the object at a path by server-side apply.
    ///
    /// # Errors
    ///
    /// If there is no answer, or it is an error.
    pub async fn apply(&self, path: &str, object: &Value) -> Result<Value, Error> {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}");
        self.ask(json("PATCH", &path, "application/apply-patch+yaml", object))
            .await
    }

    /// Deletes the object at a path, without a period of grace.
    ///
    /// # Errors
    ///
    /// If there is no answer, or it is an error.
    pub async fn delete(&self, path: &str) -> Result<Value, Error> {
        let path = format!("{path}?gracePeriodSeconds=0");
        self.ask(Request::new("DELETE", path)).await
    }

    /// Watches what is at a path, which has `watch=1` in its query.
    ///
    /// # Errors
    ///
    /// If there is no answer, or it is an error.
    pub async fn watch(&self, path: &str) -> Result<Watch, Error> {
        let request = self.signed(Request::get(path));
        let result = async {
            let mut connection = self.client.http(self.address, Version::Http1).await?;
            let streaming = connection.stream(&request).await?;
            Ok((connection, streaming))
        };
        let (connection, mut streaming) =
            result.await.map_err(|source| failed(&request, source))?;
        if !(200..300).contains(&streaming.status) {
            let body = streaming.ended().await.unwrap_or_default();
            return Err(refused(&request, streaming.status, &body));
        }
        Ok(Watch {
            _connection: connection,
            streaming,
            request,
            buffer: BytesMut::new(),
        })
    }

    fn signed(&self, request: Request) -> Request {
        request
            .authority(format!("localhost:{}", self.address.port()))
            .header("authorization", format!("Bearer {}", self.token))
    }

    async fn ask(&self, request: Request) -> Result<Value, Error> {
        let asked = request.clone();
        let answer = self.send(request).await?;
        if (200..300).contains(&answer.status) {
            Ok(answer.json())
        } else {
            Err(refused(&asked, answer.status, &answer.body))
        }
    }
}

/// Events of a watch.
#[derive(Debug)]
pub struct Watch {
    _connection: HttpConnection,
    streaming: Streaming,
    request: Request,
    buffer: BytesMut,
}

impl Watch {
    /// The next event (`type` and `object`); none when the server has ended the watch.
    ///
    /// # Errors
    ///
    /// If the watch breaks off, sends nothing in time, or something else than events.
    pub async fn next(&mut self) -> Result<Option<Value>, Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return serde_json::from_slice(&line).map(Some).map_err(|_| {
                    let line = String::from_utf8_lossy(&line).trim().to_owned();
                    Error::Event { line }
                });
            }
            let piece = self.streaming.next().await;
            match piece.map_err(|source| failed(&self.request, source))? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}

fn json(method: &str, path: &str, content_type: &str, body: &Value) -> Request {
    Request::new(method, path)
        .header("content-type", content_type)
        .body(body.to_string())
}

fn failed(request: &Request, source: crate::rig::client::Error) -> Error {
    Error::Request {
        method: request.method.clone(),
        path: request.path.clone(),
        source,
    }
}

fn refused(request: &Request, status: u16, body: &[u8]) -> Error {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = match answer.get("message").and_then(Value::as_str) {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(body).into_owned(),
    };
    Error::Refused {
        method: request.method.clone(),
        path: request.path.clone(),
        status,
        message,
    }
}
