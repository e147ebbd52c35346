//! Responses that the proxy makes itself, and the end of a stream for a failed filter.

use super::context::{Client, ContextId, Http, Side};
use super::headers::{HeaderKind, Headers};
use super::instance::Instance;
use super::outcome::{LocalReply, Message};

const GRPC: &[u8] = b"application/grpc";

impl Instance {
    /// Answers a stream.
    ///
    /// If there is no response yet the answer goes through the filter like any response,
    /// after the request callback that is running. If the filter has a response in its hands
    /// the answer replaces it and goes out as it is. If a response is on its way to the
    /// client, all that is left is to reset the stream.
    pub(crate) fn send_local_reply(&mut self, id: ContextId, reply: LocalReply) {
        let Some(http) = self.http_mut(id).filter(|http| !http.reset) else {
            return;
        };
        http.details = Some(reply.details.clone());
        if http.response.headers.is_none() {
            if http.reply.is_none() {
                http.prepared = Some(compose(&reply, http.client));
                http.reply = Some(reply);
            }
            if !http.decoding {
                self.flush_local_reply(id);
            }
        } else if http.response.passed.headers.is_none() {
            let message = compose(&reply, http.client);
            http.response.headers.clone_from(&message.headers);
            http.response.passed = Message {
                complete: true,
                ..message
            };
            http.response.end_seen = true;
            http.replaced = true;
            http.reply = Some(reply);
        } else {
            http.reset = true;
        }
    }

    /// Sends an answer that has waited for a request callback to return.
    pub(crate) fn flush_local_reply(&mut self, id: ContextId) {
        let Some(http) = self.http_mut(id) else {
            return;
        };
        let Some(Message { headers, body, .. }) = http.prepared.take() else {
            return;
        };
        let end = body.is_empty();
        self.on_headers_arrived(id, Side::Response, headers.unwrap_or_default(), end);
        if !end {
            self.on_data_arrived(id, Side::Response, body, true);
        }
    }

    /// The machine has failed: the stream is answered for it, once.
    pub(crate) fn fail_http(&mut self, id: ContextId) {
        let Some(http) = self.http_mut(id) else {
            return;
        };
        if !std::mem::replace(&mut http.failed, true) {
            self.send_local_reply(id, LocalReply::failed());
        }
    }

    /// The filter has closed the stream.
    pub(crate) fn reset_stream(&mut self, id: ContextId) {
        if let Some(http) = self.http_mut(id) {
            http.reset = true;
        }
    }

    /// Answers a message whose body has outgrown the buffer. Whether it has.
    pub(crate) fn enforce_buffer_limit(&mut self, id: ContextId, side: Side) -> bool {
        let Some(http) = self.http_mut(id) else {
            return false;
        };
        let waiting = http.flow(side).buffered.as_ref().map_or(0, Vec::len);
        if waiting <= http.buffer_limit {
            return false;
        }
        let (status, body, details) = match side {
            Side::Request => (413, "Payload Too Large", "request_payload_too_large"),
            Side::Response => (500, "Internal Server Error", "response_payload_too_large"),
        };
        let reply = LocalReply {
            status,
            body: body.into(),
            details: details.into(),
            ..LocalReply::default()
        };
        self.send_local_reply(id, reply);
        true
    }
}

impl Http {
    /// The response that the client has got so far.
    pub(crate) fn sent(&self) -> &Message {
        &self.response.passed
    }
}

impl Client {
    pub(crate) fn of(request: &Headers) -> Self {
        let content_type = request.get("content-type").unwrap_or_default();
        Self {
            is_grpc: content_type
                .strip_prefix(GRPC)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+")),
            is_head: request.get(":method") == Some(b"HEAD"),
        }
    }
}

/// The response for a client, as Envoy forms it.
fn compose(reply: &LocalReply, client: Client) -> Message {
    let LocalReply {
        status,
        headers: additional,
        body,
        grpc_status,
        details: _,
    } = reply;
    let mut headers = Headers::new(HeaderKind::Response, &[(":status", status.to_string())]);
    for (name, value) in additional.iter() {
        headers.add(name, value);
    }
    if client.is_grpc {
        headers.replace(":status", "200");
        headers.replace("content-type", GRPC);
        if headers.get("grpc-status").is_none_or(<[u8]>::is_empty) {
            let status = grpc_status.unwrap_or_else(|| grpc_status_of(*status));
            headers.replace("grpc-status", status.to_string());
        }
        if !body.is_empty() && !client.is_head {
            headers.replace("grpc-message", percent_encoded(body));
        }
        headers.remove("content-length");
        return Message {
            headers: Some(headers),
            ..Message::default()
        };
    }
    if body.is_empty() {
        headers.remove("content-length");
        headers.remove("content-type");
    } else {
        headers.replace("content-length", body.len().to_string());
        if headers.get("content-type").is_none() {
            headers.replace("content-type", "text/plain");
        }
    }
    let body = if client.is_head {
        Vec::new()
    } else {
        body.clone()
    };
    Message {
        headers: Some(headers),
        body,
        ..Message::default()
    }
}

/// The gRPC status for an HTTP status, by the table of the gRPC specification.
pub(crate) fn grpc_status_of(http: u32) -> u32 {
    const INTERNAL: u32 = 13;
    const UNAUTHENTICATED: u32 = 16;
    const PERMISSION_DENIED: u32 = 7;
    const UNIMPLEMENTED: u32 = 12;
    const UNAVAILABLE: u32 = 14;
    const UNKNOWN: u32 = 2;
    match http {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

fn percent_encoded(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text {
        if matches!(byte, b' '..=b'}') && *byte != b'%' {
            encoded.push(*byte);
        } else {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u32, body: &str, headers: &[(&str, &str)]) -> LocalReply {
        LocalReply {
            status,
            body: body.into(),
            headers: Headers::new(HeaderKind::Trailers, headers),
            ..LocalReply::default()
        }
    }

    fn composed(reply: &LocalReply, is_grpc: bool, is_head: bool) -> (Vec<String>, Vec<u8>) {
        let message = compose(reply, Client { is_grpc, is_head });
        let headers = message.headers.unwrap();
        let shown = headers.iter().map(|(n, v)| {
            format!(
                "{}={}",
                String::from_utf8_lossy(n),
                String::from_utf8_lossy(v)
            )
        });
        (shown.collect(), message.body)
    }

    /// What Envoy 1.40 sent for the same replies.
    #[test]
    fn replies_look_like_envoys() {
        let denied = reply(
            403,
            "denied",
            &[("X-R", "1"), ("x-r", "2"), ("content-type", "a/b")],
        );
        let (headers, body) = composed(&denied, false, false);
        let expected = [
            ":status=403",
            "x-r=1",
            "x-r=2",
            "content-type=a/b",
            "content-length=6",
        ];
        assert_eq!(
            (headers, body),
            (expected.map(String::from).to_vec(), b"denied".to_vec())
        );

        let (headers, body) = composed(&denied, false, true);
        assert_eq!(
            (headers.last().unwrap().as_str(), body),
            ("content-length=6", Vec::new())
        );

        let empty = reply(401, "", &[("content-type", "x/y"), ("content-length", "5")]);
        assert_eq!(composed(&empty, false, false).0, [":status=401"]);
        assert_eq!(
            composed(&empty, true, false).0,
            [
                ":status=200",
                "content-type=application/grpc",
                "grpc-status=16"
            ]
        );

        let grpc = LocalReply {
            grpc_status: Some(7),
            ..denied
        };
        assert_eq!(
            composed(&grpc, true, false).0,
            [
                ":status=200",
                "x-r=1",
                "x-r=2",
                "content-type=application/grpc",
                "grpc-status=7",
                "grpc-message=denied"
            ]
        );
        let odd = reply(429, "b%\u{7f}\n\u{e9}x", &[]);
        assert_eq!(
            composed(&odd, true, false).0.last().unwrap(),
            "grpc-message=b%25%7F%0A%C3%A9x"
        );
    }

    #[test]
    fn a_client_is_known_by_its_request() {
        let of = |headers: &[(&str, &str)]| Client::of(&Headers::new(HeaderKind::Request, headers));
        assert!(of(&[("content-type", "application/grpc")]).is_grpc);
        assert!(of(&[("content-type", "application/grpc+proto")]).is_grpc);
        assert!(!of(&[("content-type", "application/grpc-web")]).is_grpc);
        assert!(of(&[(":method", "HEAD")]).is_head);
    }
}
