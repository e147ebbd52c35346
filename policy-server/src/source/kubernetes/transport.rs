//! Requests to an API server, with limits on how long and how large an answer may be.
//!
//! A server that takes connections and answers nothing must cost no more than a wait: every answer
//! has its time, and so has the silence of a watch. Bookmarks, which servers send about once a
//! minute, are what tells a quiet watch from a dead one.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::core::params::{ListParams, WatchParams};
use serde_json::Value;
use tokio::time::timeout;

use super::Timing;
use super::reflector::{Event, Failure, Page};
use super::resources::Resource;

/// Bytes of a page of a list.
const MAX_PAGE: usize = 128 * 1024 * 1024;

/// Bytes of one event: an object is at most 1.5 MB in etcd.
const MAX_EVENT: usize = 8 * 1024 * 1024;

/// Bytes of an answer that is not what was asked for.
const MAX_ERROR: usize = 64 * 1024;

const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
const METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// Asks one API server for the objects of one kind.
#[derive(Clone)]
pub(super) struct Transport {
    client: kube::Client,
    resource: Resource,
    timing: Timing,
}

/// Why a request has failed.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    /// The HTTP status, if there was an answer.
    pub(super) status: Option<u16>,
    what: String,
}

impl Trouble {
    fn other(what: impl Into<String>) -> Trouble {
        Trouble {
            failure: Failure::Other,
            status: None,
            what: what.into(),
        }
    }

    fn too_large(limit: usize) -> Trouble {
        Trouble {
            failure: Failure::TooLarge,
            ..Trouble::other(format!("an answer is larger than {limit} bytes"))
        }
    }

    /// What an object of kind Status says, or any other answer of that HTTP status.
    fn refused(status: u16, answer: &[u8], retry_after: Option<Duration>) -> Trouble {
        let object: Value = serde_json::from_slice(answer).unwrap_or_default();
        let message = object.get("message").and_then(Value::as_str);
        let message = message.unwrap_or_default();
        Trouble {
            failure: match status {
                410 => Failure::Gone,
                429 => Failure::Busy(retry_after),
                _ => Failure::Other,
            },
            status: Some(status),
            what: format!("the server answered {status}: {message}"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Transport {
    pub(super) fn new(client: kube::Client, resource: Resource, timing: Timing) -> Transport {
        Transport {
            client,
            resource,
            timing,
        }
    }

    /// A page of the list.
    pub(super) async fn list(
        &self,
        limit: Option<u32>,
        token: Option<String>,
    ) -> Result<Page<Value>, Trouble> {
        let params = ListParams {
            field_selector: self.resource.fields.map(str::to_owned),
            limit,
            continue_token: token,
            ..ListParams::default()
        };
        let request = kube::core::Request::new(self.resource.path).list(&params);
        let answer = self.get(request, METADATA_LIST).await?;
        let body = within(self.timing.answer, collect(answer.into_body(), MAX_PAGE)).await?;
        page(&body).ok_or_else(|| Trouble::other("a list is not a list of objects"))
    }

    /// What happens after a version.
    pub(super) async fn watch(&self, version: &str) -> Result<Watch, Trouble> {
        let params = WatchParams {
            field_selector: self.resource.fields.map(str::to_owned),
            timeout: Some(self.timing.watch_seconds),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = kube::core::Request::new(self.resource.path).watch(&params, version);
        let answer = self.get(request, METADATA).await?;
        Ok(Watch {
            body: answer.into_body(),
            buffer: BytesMut::new(),
            searched: 0,
            silence: self.timing.silence,
        })
    }

    /// Whether the definition that makes this kind is there; a kind without one always is.
    pub(super) async fn is_defined(&self) -> Result<bool, Trouble> {
        const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let Some(name) = self.resource.definition else {
            return Ok(true);
        };
        let request = kube::core::Request::new(PATH).get(name, &Default::default());
        match self.get(request, METADATA).await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.status == Some(404) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Sends a request, and waits for the head of an answer that is what was asked for.
    async fn get(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
        metadata: &'static str,
    ) -> Result<Response<Body>, Trouble> {
        let request = request.map_err(|error| Trouble::other(error.to_string()))?;
        let mut request = request.map(Body::from);
        if self.resource.metadata_only {
            let accept = HeaderValue::from_static(metadata);
            request.headers_mut().insert(header::ACCEPT, accept);
        }
        let sent = async {
            let sent = self.client.send(request).await;
            sent.map_err(|error| Trouble::other(causes(&error)))
        };
        let answer = within(self.timing.answer, sent).await?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let retry_after = answer.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        let body = within(self.timing.answer, collect(answer.into_body(), MAX_ERROR)).await?;
        Err(Trouble::refused(status.as_u16(), &body, retry_after))
    }
}

/// A watch.
pub(super) struct Watch {
    body: Body,
    buffer: BytesMut,
    /// Bytes of the buffer in which there is no end of a line.
    searched: usize,
    silence: Duration,
}

impl Watch {
    /// The next event; none if the server has ended the watch.
    pub(super) async fn next(&mut self) -> Result<Option<Event<Value>>, Trouble> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + end + 1);
                self.searched = 0;
                return event(&line).map(Some);
            }
            self.searched = self.buffer.len();
            if self.searched > MAX_EVENT {
                return Err(Trouble::too_large(MAX_EVENT));
            }
            let Ok(frame) = timeout(self.silence, self.body.frame()).await else {
                let silence = self.silence.as_secs();
                return Err(Trouble::other(format!(
                    "a watch was silent for {silence} s"
                )));
            };
            match frame {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(Trouble::other(causes(&error))),
                // What is left is a line that was cut.
                None => return Ok(None),
            }
        }
    }
}

/// Reads an event.
fn event(line: &[u8]) -> Result<Event<Value>, Trouble> {
    let unreadable = || Trouble::other("a watch sent something that is not an event");
    let mut event: Value = serde_json::from_slice(line).map_err(|_| unreadable())?;
    let object = event.get_mut("object").map(Value::take);
    let object = object.ok_or_else(unreadable)?;
    let version = object.pointer("/metadata/resourceVersion");
    let version = version
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    match event.get("type").and_then(Value::as_str) {
        Some("ADDED" | "MODIFIED") => Ok(Event::Applied { version, object }),
        Some("DELETED") => Ok(Event::Deleted { version, object }),
        Some("BOOKMARK") => Ok(Event::Bookmark { version }),
        Some("ERROR") => {
            let code = object.get("code").and_then(Value::as_u64);
            let code = code.and_then(|code| u16::try_from(code).ok());
            let text = object.to_string();
            Err(Trouble::refused(code.unwrap_or(500), text.as_bytes(), None))
        }
        _ => Err(unreadable()),
    }
}

/// Reads a page of a list.
fn page(body: &[u8]) -> Option<Page<Value>> {
    let mut list: Value = serde_json::from_slice(body).ok()?;
    let metadata = list.get("metadata")?;
    let text = |name: &str| Some(metadata.get(name)?.as_str()?.to_owned());
    let version = text("resourceVersion")?;
    let token = text("continue").filter(|token| !token.is_empty());
    let objects = match list.get_mut("items").map(Value::take)? {
        Value::Array(items) => items,
        // An empty list in the words of Go.
        Value::Null => Vec::new(),
        _ => return None,
    };
    Some(Page {
        objects,
        version,
        token,
    })
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Trouble> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Trouble::other(causes(&error)))?;
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
        if bytes.len() > limit {
            return Err(Trouble::too_large(limit));
        }
    }
    Ok(bytes.freeze())
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(Trouble::other(format!("no answer within {limit:?}"))))
}

/// An error with what caused it: the outermost of a client's errors says little.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let error_text = error.to_string();
        if !text.ends_with(&error_text) {
            text.push_str(": ");
            text.push_str(&error_text);
        }
        cause = error.source();
    }
    text
}
