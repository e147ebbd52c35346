//! Answers: JSON at once, or lines as they come.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Seconds after which a client that asks too often may ask again.
const RETRY_SECONDS: u16 = 1;

/// What is said of a group of which no kind is served: as it is, and not in an object.
pub(super) const NO_PAGE: &str = "404 page not found\n";

/// Why a request is not done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Failure {
        Failure {
            status,
            message: message.into(),
        }
    }

    /// The object `Status` that says so.
    pub(super) fn to_json(&self) -> Value {
        let reason = match self.status {
            400 => "BadRequest",
            404 => "NotFound",
            409 if self.message.ends_with("already exists") => "AlreadyExists",
            409 => "Conflict",
            410 => "Expired",
            429 => "TooManyRequests",
            _ => "InternalError",
        };
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": reason,
            "code": self.status,
        });
        if let (429, Some(status)) = (self.status, status.as_object_mut()) {
            let details = json!({"retryAfterSeconds": RETRY_SECONDS});
            status.insert("details".to_owned(), details);
        }
        status
    }

    pub(super) fn answer(&self) -> Response<Reply> {
        if self.message == NO_PAGE {
            return answer(self.status, Reply::Whole(Some(NO_PAGE.into())));
        }
        let mut answer = json_answer(self.status, &self.to_json());
        if self.status == 429 {
            let after = HeaderValue::from(RETRY_SECONDS);
            answer.headers_mut().insert(RETRY_AFTER, after);
        }
        answer
    }
}

pub(super) fn json_answer(status: u16, body: &Value) -> Response<Reply> {
    answer(status, Reply::Whole(Some(body.to_string().into())))
}

/// An answer whose lines come later. [`Cut`] ends it without the mark of its end.
pub(super) fn stream_answer(lines: mpsc::Receiver<Result<Bytes, Cut>>) -> Response<Reply> {
    answer(200, Reply::Lines(lines))
}

fn answer(status: u16, reply: Reply) -> Response<Reply> {
    let mut answer = Response::new(reply);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Reply {
    /// One piece, until it was taken.
    Whole(Option<Bytes>),
    /// Pieces as they come.
    Lines(mpsc::Receiver<Result<Bytes, Cut>>),
}

/// The connection was cut.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
pub(super) struct Cut;

impl Body for Reply {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            Reply::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Reply::Lines(lines) => lines
                .poll_recv(cx)
                .map(|line| line.map(|line| line.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Reply::Whole(None))
    }
}
